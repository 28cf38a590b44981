"""What the engine asks of the world: calls out, waiting, a journal, credentials.

Implemented by `platform` adapters and handed to `runner.run` in one `Ports` value; the modules in
`apps` see nothing else. Each port says what happens on failure, because a module turns that failure
into an error its scenario can handle.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from make_bridge.engine.values import Value
from make_bridge.kernel.clock import Clock, SystemClock
from make_bridge.kernel.errors import BridgeError

FailureKind = Literal["connect", "timeout", "refused", "too_large"]
CredentialKind = Literal["api_key", "basic", "bearer"]
Placement = Literal["header", "query"]
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One call out; the client adds nothing but what the connection itself needs."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes | None = None
    timeout: float = 40.0
    follow_redirects: bool = True
    max_bytes: int = 16 * 1024 * 1024
    verify_tls: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What came back, decompressed; header names as received."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class HttpFailure(BridgeError):
    """The call could not be completed."""

    code = "http_failure"

    def __init__(self, kind: FailureKind, message: str) -> None:
        """`kind` decides which error the scenario sees; `refused` means our own guard said no."""
        super().__init__(message)
        self.kind: FailureKind = kind


class HttpClient(Protocol):
    """Sends one request. Every status is an answer; only a missing answer raises."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Return the response, or raise `HttpFailure` (also when the body passes `max_bytes`)."""
        ...


class Sleeper(Protocol):
    """Waits. A lost process is no failure: the journal lets the next one go on."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The opened secret of a connection or key, alive for one call; its repr shows none of it."""

    kind: CredentialKind
    secret: str = field(repr=False)
    user: str = field(default="", repr=False)
    name: str = ""
    placement: Placement = "header"


class CredentialUnavailable(BridgeError):
    """The connection or key of this module cannot be used."""

    code = "credential_unavailable"


class Components(Protocol):
    """Opens connections and keys."""

    async def credential(self, component_id: int, *, url: str) -> Credential:
        """Return the credential for a call to `url`.

        Raises `CredentialUnavailable` when it is missing, revoked, of another team, or bound to
        hosts that do not include this one.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A write is about to happen. Alone in the journal it means: perhaps it did."""

    key: str
    module_id: int
    module: str
    operation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a step with an effect ended: bundles or an error. `elapsed_us` moves the run's `now`."""

    key: str
    module_id: int
    operation: int
    outputs: tuple[Value, ...] = ()
    error_type: str | None = None
    error_message: str = ""
    error_detail: Value = None
    elapsed_us: int = 0
    transfer: int = 0


class Journal(Protocol):
    """Remembers steps that must not happen twice.

    An exception from a journal is never a module's error: it stops the run where it stands, and a
    later run with the same journal goes on from there.
    """

    def recall(self, key: str) -> Record | Intent | None:
        """Return what an earlier attempt wrote under this key."""
        ...

    async def intend(self, intent: Intent) -> None:
        """Make the intent durable before the write is tried."""
        ...

    async def record(self, record: Record) -> None:
        """Make the outcome durable before anything that follows from it is done."""
        ...


class NullJournal:
    """Remembers nothing: for runs that start over when they break."""

    def recall(self, key: str) -> Record | Intent | None:  # noqa: ARG002  the port's shape
        """Return nothing."""
        return None

    async def intend(self, intent: Intent) -> None:
        """Forget it."""

    async def record(self, record: Record) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookResponse:
    """What the scenario answers to the caller of its webhook."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class Responder(Protocol):
    """Is told the answer as soon as the scenario gives it, before the run ends."""

    def respond(self, response: WebhookResponse) -> None:
        """Take the answer; must not block. It is also in the run's result."""
        ...


class NoNetwork:
    """The port of a run that may not call out: dry runs and pure programs."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Refuse."""
        raise HttpFailure("refused", f"This run may not call out (to {request.url}).")


class NoSleep:
    """Waits for nothing: dry runs."""

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


class NoComponents:
    """Knows no credentials: dry runs."""

    async def credential(self, component_id: int, *, url: str) -> Credential:
        """Refuse."""
        raise CredentialUnavailable(f"Connection or key {component_id} is not available here (for {url}).")


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run may touch. The defaults touch nothing."""

    http: HttpClient = msgspec.field(default_factory=NoNetwork)
    sleeper: Sleeper = msgspec.field(default_factory=NoSleep)
    components: Components = msgspec.field(default_factory=NoComponents)
    journal: Journal = msgspec.field(default_factory=NullJournal)
    clock: Clock = msgspec.field(default_factory=SystemClock)
    responder: Responder | None = None
