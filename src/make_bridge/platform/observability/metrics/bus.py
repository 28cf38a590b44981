"""Figures of the event bus: who is how far, and by which way messages came."""

from collections.abc import Callable
from typing import Final

from make_bridge.platform.observability.metrics.declaring import SHARD, Declarations, Label, children

_CONSUMER: Final = Label("consumer", bounded_by="the consumers of events that the program has")
_HEARD_BY: Final = Label("by", ("redis", "database"))
_PUBLISHED: Final = Label("result", ("ok", "failed"))
_DROPPED: Final = Label("reason", ("foreign", "unreadable", "too_large"))
_WORKED_BY: Final = Label("by", ("given", "claimed"))


class EventCounters:
    """How far consumers of events are."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.stamped = declare.counter("events_stamped_total", "Events this process gave a position, as the leader.")
        self.behind = declare.gauge(
            "events_behind",
            "Events a consumer has not seen yet; live is this process itself.",
            _CONSUMER,
            SHARD,
            is_shared=True,
        )
        self.delivered = declare.counter("events_delivered_total", "Events consumed.", _CONSUMER, SHARD)
        self.parked = declare.counter(
            "events_parked_total", "Events put aside because their consumer kept failing.", _CONSUMER, SHARD
        )
        self.missed = declare.counter(
            "events_missed_total", "Events let go before their consumer saw them.", _CONSUMER, SHARD
        )
        heard = declare.counter(
            "events_heard_total", "Events that this process asked for and heard, by where they came from.", _HEARD_BY
        )
        self.heard = children(heard, _HEARD_BY)
        self.gaps = declare.counter(
            "events_gaps_total", "Times that a transport lacked events, which were read in the database."
        )
        published = declare.counter(
            "events_published_total", "Events handed to Redis for other processes, by what came of it.", _PUBLISHED
        )
        self.published = children(published, _PUBLISHED)
        dropped = declare.counter(
            "bus_messages_dropped_total", "Messages in the streams that are not of this installation.", _DROPPED
        )
        self.dropped = children(dropped, _DROPPED)
        self.worked = declare.counter(
            "bus_work_taken_total", "Messages whose work this process took for all, by which way.", _WORKED_BY
        )
        self._carries = declare.gauge(
            "bus_carries", "Whether events pass through Redis at present.", Label("of", ("shared",)), unit="bool"
        )

    def watch(self, carries: Callable[[], bool]) -> None:
        """Take whether events pass through Redis from there, each time somebody asks for the counters."""
        self._carries.labels("shared").set_function(lambda: float(carries()))
