"""Figures of the databases: who answers, what they refuse, and what takes long there."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from make_bridge.platform.observability.metrics.declaring import SHARD, Declaration, Declarations, Label, children

_SOURCE: Final = Label("source", ("primary", "replica"))
_REPLICA: Final = Label("replica", bounded_by="the names of the replicas in the settings")
_REFUSAL: Final = Label("reason", ("lost", "full", "busy", "other"))
_POOL: Final = (
    Label("database", bounded_by="the directory, and the numbers of the shards"),
    Label("role", ("directory", "app", "engine")),
)
_CONNECTIONS: Final = Declaration(
    name="database_connections", kind="gauge", meaning="Connections of this process's pools, by what they do.",
    labels=(*_POOL, Label("state", ("idle", "busy"))),
)  # fmt: skip
_MOST: Final = Declaration(
    name="database_connections_most", kind="gauge", meaning="How many connections a pool may have.", labels=_POOL
)
_WAITING: Final = Declaration(
    name="database_connection_waiting", kind="gauge", meaning="Who waits for a connection of a pool.", labels=_POOL
)
_WAITED: Final = Declaration(
    name="database_connection_wait_seconds_total", kind="counter", unit="seconds", labels=_POOL,
    meaning="How long all have waited for connections of a pool.",
)  # fmt: skip
_IN_VAIN: Final = Declaration(
    name="database_connection_failures_total", kind="counter", labels=_POOL,
    meaning="Times that nobody got a connection in time.",
)  # fmt: skip
Statistics = Callable[[], Mapping[str, int]]


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


class PoolNumbers(Collector):
    """What the pools of connections say of themselves when somebody asks; no database is."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self._pools: dict[tuple[str, str], Statistics] = {}
        declare.collector(self, _CONNECTIONS, _MOST, _WAITING, _WAITED, _IN_VAIN)

    def watch(self, database: str, pools: Mapping[str, Statistics]) -> None:
        """Take the numbers of a database's pools from there, by role."""
        self._pools |= {(database, role): ask for role, ask in pools.items()}

    def forget(self, database: str) -> None:
        """Show those of a database no more."""
        self._pools = {key: ask for key, ask in self._pools.items() if key[0] != database}

    def collect(self) -> Iterable[Metric]:
        """Return what all of them say at this moment."""
        names = [label.name for label in _POOL]
        connections = GaugeMetricFamily(_CONNECTIONS.name, _CONNECTIONS.meaning, labels=[*names, "state"])
        most, waiting = (GaugeMetricFamily(one.name, one.meaning, labels=names) for one in (_MOST, _WAITING))
        waited, in_vain = (CounterMetricFamily(one.name, one.meaning, labels=names) for one in (_WAITED, _IN_VAIN))
        for key, ask in self._pools.items():
            told = ask()
            idle = told.get("pool_available", 0)
            connections.add_metric([*key, "idle"], idle)
            connections.add_metric([*key, "busy"], max(told.get("pool_size", 0) - idle, 0))
            most.add_metric(key, told.get("pool_max", 0))
            waiting.add_metric(key, told.get("requests_waiting", 0))
            waited.add_metric(key, told.get("requests_wait_ms", 0) / 1000)
            in_vain.add_metric(key, told.get("requests_errors", 0))
        return [connections, most, waiting, waited, in_vain]
