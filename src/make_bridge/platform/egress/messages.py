"""What goes into the one way out, and what comes back: no more than bytes and words.

Adapters in ``boot`` and ``services`` map the engine's own request and response to these, because the
platform knows no engine. The reprs show neither headers nor bodies: both carry credentials.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, Protocol

from make_bridge.kernel.errors import BridgeError

FailureKind = Literal["refused", "connect", "timeout", "too_large", "redirect", "tls", "protocol"]

DEFAULT_TIMEOUT: Final = 40.0
DEFAULT_MAX_RESPONSE_BYTES: Final = 16 * 1024 * 1024


class EgressCookies(Protocol):
    """The caller's cookies, asked and told at every hop."""

    def header(self, url: str) -> str:
        """Return the value of the Cookie header for this address, or an empty text."""
        ...

    def take(self, url: str, lines: Sequence[str]) -> None:
        """Note the Set-Cookie lines of an answer from this address."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsTrust:
    """What a call's encryption needs beside the usual: own authorities, an own certificate, as PEM texts."""

    authorities: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRequest:
    """One call. ``timeout`` covers all of it: look-up, connection, every redirect, the last byte."""

    url: str = field(repr=False)
    method: str = "GET"
    headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT
    follow_redirects: bool = True
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    cut_response: bool = False
    """Read only the first ``max_response_bytes``, as they come; otherwise a larger answer is a failure."""
    verify_tls: bool = True
    trust: TlsTrust | None = None
    cookies: EgressCookies | None = None
    on_sent: Callable[[], None] | None = field(default=None, repr=False)
    """Called once, when a connection is there to be written to: what came before was our own queue and the dialling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressResponse:
    """An answer, whatever its status; ``body`` is decompressed and ``elapsed`` in seconds."""

    status: int
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    final_url: str = field(repr=False)
    elapsed: float


class EgressFailure(BridgeError):
    """The call out brought no answer."""

    code: ClassVar[str] = "egress_failed"

    def __init__(
        self, kind: FailureKind, message: str, *, code: str | None = None, sent: bool = False, queued: bool = False
    ) -> None:
        """``sent`` says that the target may have acted on the request: a retry may repeat an effect.

        ``queued`` says that the call never left our own queue for connections: it tells nothing of the target.
        """
        super().__init__(message, code=code)
        self.kind: FailureKind = kind
        self.sent = sent
        self.queued = queued


def refused(message: str, code: str = "blocked_url") -> EgressFailure:
    """Return the failure of our own guard; nothing was dialled."""
    return EgressFailure("refused", message, code=code)
