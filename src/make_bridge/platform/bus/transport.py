"""The port of the event bus: how events that have a position, and hints, pass between the processes of an installation.

`relay.py` speaks to a transport, and a transport to the relay's ``Receiver``. PostgreSQL holds the truth whatever the
transport: which events there are, in which order, and how far each consumer is. A transport only says sooner what a
look there would find, so it may lose, repeat and reorder; the receiver puts that right by position. What is promised:
nothing that a transport hands over was made up by somebody else, what it keeps is bounded, and no call takes longer
than its deadline. What happens on failure: ``carries`` turns false, the receiver is asked to look, and processes look
often again, as they do where nothing ever carries.

`postgres_transport.py` and `redis_streams.py` are the adapters.
"""

from collections.abc import Sequence
from typing import Protocol

from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.database.pools import Shard


class Receiver(Protocol):
    """One shard in one process, as a transport knows it."""

    def hint(self) -> None:
        """Hear that another process has something to do."""

    def look(self) -> None:
        """Hear that something may have been missed: compare with the database."""

    def arrive(self, envelopes: Sequence[Envelope]) -> None:
        """Take what came, in whatever order and however often; one without data was too large to travel."""

    async def work(self) -> bool:
        """Let this process's consumers take what there is; return whether each has looked and come through."""


class Transport(Protocol):
    """All shards in one process. ``look_seconds`` parts looks at the database while it carries."""

    look_seconds: float
    payload_bytes: int

    @property
    def carries(self) -> bool:
        """Say whether events themselves travel at present; else others are hinted to look."""

    def join(self, shard: Shard, receiver: Receiver) -> None:
        """Have a shard's events and hints handed to its receiver, from the start on, or from now."""

    async def leave(self, shard: Shard) -> None:
        """Hand over nothing of a shard any more."""

    def hint(self, shard: int) -> None:
        """Tell the other processes that there is something to do; several calls in a moment become one."""

    async def publish(self, shard: int, envelopes: Sequence[Envelope]) -> bool:
        """Tell all processes, and one of them to work; return whether it did. Else they were hinted."""

    async def start(self) -> None:
        """Begin; whether or not anybody answers."""

    async def stop(self) -> None:
        """Stop; what is under way is found by the next look of others."""
