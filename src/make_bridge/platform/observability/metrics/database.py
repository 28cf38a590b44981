"""Figures of the databases: who answers, what they refuse, and what takes long there."""

from typing import Final, Protocol

from make_bridge.platform.observability.metrics.declaring import SHARD, Declarations, Label, children

_SOURCE: Final = Label("source", ("primary", "replica"))
_REPLICA: Final = Label("replica", bounded_by="the names of the replicas in the settings")
_REFUSAL: Final = Label("reason", ("lost", "full", "busy", "other"))


class Followed(Protocol):
    """What is shown of a replica."""

    name: str

    @property
    def is_open(self) -> bool:
        """Whether it is read at present."""
        ...

    @property
    def lag(self) -> float:
        """How many seconds it may be behind."""
        ...


class ReadCounters:
    """Who answers what may be seen a little late."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        reads = declare.counter(
            "reads_total", "Readings that may come from a replica, by who answered: replica or primary.", _SOURCE
        )
        self.by_source = children(reads, _SOURCE)
        self._lag = declare.gauge(
            "replica_lag_seconds", "How far a replica may be behind; infinite until it was seen once.", SHARD, _REPLICA
        )
        self._open = declare.gauge(
            "replica_open", "Whether a replica is read at present.", SHARD, _REPLICA, unit="bool"
        )

    def watch_replica(self, shard: str, replica: Followed) -> None:
        """Take a replica's state from there, each time somebody asks for the counters."""
        self._lag.labels(shard, replica.name).set_function(lambda: replica.lag)
        self._open.labels(shard, replica.name).set_function(lambda: float(replica.is_open))


class DatabaseCounters:
    """What databases refuse, and what takes long there."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        refusals = declare.counter(
            "database_refusals_total", "Times a database could not do something, by why; 'full' wants a person.",
            _REFUSAL,
        )  # fmt: skip
        self._refusals = children(refusals, _REFUSAL)
        self.slow_statements = declare.counter(
            "slow_statements_total", "Statements that took longer than slow_query_ms."
        )

    def count_refusal(self, reason: str) -> None:
        """Count that a database could not do something."""
        self._refusals[reason].inc()
