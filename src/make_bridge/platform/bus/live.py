"""What a process hears of events: the one path to its live subscriptions, whichever way an event came.

`relay.py` hands envelopes over, in the order of their positions and each once. A subscriber that raises is told of in
the log; the others hear all the same.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from make_bridge.kernel.messages import Event
from make_bridge.platform.bus.events import Envelope, LiveSubscription, read_event

_log = structlog.get_logger(__name__)
_NONE: Final[tuple[Event, ...]] = ()


class Audience:
    """The live subscriptions of a process."""

    def __init__(self, live: Sequence[LiveSubscription]) -> None:
        """Know which kinds anybody asks for."""
        self._live = live
        self._kinds = {kind.wire_name: kind for subscription in live for kind in subscription.kinds}
        self.types = sorted(self._kinds)

    def wants(self, kind: str) -> bool:
        """Say whether anybody here asks for events of this wire name."""
        return kind in self._kinds

    def tell(self, envelopes: Sequence[Envelope]) -> int:
        """Tell each subscription what it asks for; return how many of the events anybody asked for."""
        found = [envelope for envelope in envelopes if envelope.type in self._kinds]
        events = [event for envelope in found for event in self._read(envelope)]
        for subscription in self._live:
            heard = [event for event in events if isinstance(event, subscription.kinds)]
            if not heard:
                continue
            try:
                subscription.hear(heard)
            except Exception:  # noqa: BLE001 - one subscriber's mistake is not the others'
                _log.exception("live_subscriber_failed")
        return len(found)

    def _read(self, envelope: Envelope) -> tuple[Event, ...]:
        """Read an event; one that another version wrote in a shape of its own is passed over and told of."""
        try:
            return (read_event(envelope, self._kinds[envelope.type]),)
        except msgspec.DecodeError:
            _log.warning("event_unreadable", event_id=envelope.id, type=envelope.type)
            return _NONE
