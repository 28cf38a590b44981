"""The request log: one line for each request that somebody will want to read about.

By default that is what failed here and what was slow; refusals, or all requests, where the operator asks for them. A
line tells the address as its route writes it, never as it came: addresses hold tokens of webhooks, and queries hold
anything. Of the headers only those listed here are told. Request id, organization and trace are there already, bound to
whatever is logged on the way (``pipeline``, the gates). Bodies are nobody's business.

``Edge`` asks ``wants`` for every request, the plainest ones too, and gathers the facts only where the answer is yes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from make_bridge.faces.edge.addresses import Addresses

RequestKinds = Literal["off", "errors", "refusals", "all"]
# The least status of which a line tells.
_LEAST: Final[dict[RequestKinds, float]] = {"off": math.inf, "errors": 500, "refusals": 400, "all": 0}
# The id that a client gave its request is told as its own; ours is another.
_TOLD_HEADERS: Final = frozenset({b"content-length", b"content-type", b"user-agent", b"x-request-id"})
_LONGEST_HEADER: Final = 200
_FAILED: Final = 500
# Nobody was there any more to be answered; the number is nginx's.
GONE: Final = 499
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLogConfig:
    """Which requests are told of; those that take ``slow_seconds`` are, whatever came of them; 0 is none."""

    kinds: RequestKinds = "errors"
    slow_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A request and what came of it; the status is 0 where nobody waited for one, ``peer`` who has the connection."""

    method: str
    template: str
    status: int
    seconds: float
    received: int
    sent: int
    headers: Sequence[tuple[bytes, bytes]]
    peer: str


class RequestLog:
    """See the module."""

    def __init__(self, config: RequestLogConfig, addresses: Addresses) -> None:
        """``addresses`` know which proxies speak for others."""
        self._least = _LEAST[config.kinds]
        is_on = config.kinds != "off" and config.slow_seconds > 0
        self._slow = config.slow_seconds if is_on else math.inf
        self._addresses = addresses

    def wants(self, status: int, seconds: float) -> bool:
        """Say whether there is a line about such a request."""
        return (status or GONE) >= self._least or seconds >= self._slow

    def note(self, answered: Answered) -> None:
        """Write the line."""
        status, is_slow = answered.status or GONE, answered.seconds >= self._slow
        told = {
            name.decode("latin-1"): value[:_LONGEST_HEADER].decode("latin-1")
            for name, value in answered.headers
            if name in _TOLD_HEADERS
        }
        write = _log.error if status >= _FAILED else _log.warning if is_slow else _log.info
        write(
            "request",
            method=answered.method[:_LONGEST_HEADER],
            route=answered.template,
            status=status,
            slow=is_slow,
            milliseconds=round(answered.seconds * 1000, 3),
            received_bytes=answered.received,
            sent_bytes=answered.sent,
            address=self._addresses.of(answered.peer, answered.headers) if answered.peer else "",
            headers=told,
        )
