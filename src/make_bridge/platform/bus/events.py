"""Events on their way: the envelope, and the two ways to hear of events.

An event is told in the envelope of CloudEvents 1.0. ``LiveSubscription`` is for what every process has to know (near
caches): each process hears each event that is told while it runs, and nothing is kept of how far it came. ``Consumer``
is for work that has to be done once over all processes: its position is kept in the database and moves in the
transaction that holds its work. On failure: a live subscriber that raises is told of in the log and not told again; a
consumer's batch is tried again, one by one, and what keeps failing is parked and counted, so that it holds up nobody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import msgspec

from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Event
from make_bridge.platform.database.transactions import WriteTx

SPECIFICATION: Final = "1.0"
E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One event with what is known about it; ``data`` is its JSON. Told at least once, always under the same ``id``.

    ``trace`` is the request that caused it; ``trace_context`` is for spans of ours, where consumers go on with its
    trace, and told to nobody.
    """

    id: str
    position: int
    organization_id: OrganizationId
    type: str
    subject: str
    time: datetime
    data: bytes
    trace: str | None
    trace_context: str | None = None

    def render(self) -> dict[str, Any]:
        """Return the CloudEvent in its structured JSON form."""
        described: dict[str, Any] = {
            "specversion": SPECIFICATION,
            "id": self.id,
            "source": f"urn:make-bridge:organization:{self.organization_id}",
            "type": self.type,
            "subject": self.subject,
            "time": self.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "tenant": str(self.organization_id),
        }
        if self.trace is not None:
            described["trace"] = self.trace
        return {**described, "data": msgspec.json.decode(self.data)}


def read_event(envelope: Envelope, kind: type[E]) -> E:
    """Return the event in an envelope; raises msgspec.DecodeError when it is not of this kind."""
    return msgspec.json.decode(envelope.data, type=kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSubscription:
    """What one part of a process hears; ``hear`` is quick, does not wait, and takes the same event twice."""

    kinds: tuple[type[Event], ...]
    hear: Callable[[Sequence[Event]], None]


class Consumer(Protocol):
    """A group of processes of which one at a time does what events ask for."""

    @property
    def name(self) -> str:
        """Under which its position is kept."""

    @property
    def types(self) -> tuple[str, ...] | None:
        """The wire names it wants, None for all."""

    async def consume(self, tx: WriteTx, envelopes: Sequence[Envelope]) -> None:
        """Do the work, in the transaction that moves the position on; what leaves the database is queued, not done."""
