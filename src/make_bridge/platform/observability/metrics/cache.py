"""Figures of the caches: what this process remembers, what servers remember together, and Redis below it."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from make_bridge.platform.cache.near import CacheNumbers
from make_bridge.platform.observability.metrics.declaring import Declaration, Declarations, Label, children

_CACHE: Final = Label("cache", bounded_by="the caches that the program has")
_NEAR_READ: Final = Label("result", ("hit", "absent", "stale", "miss"))
_FAR_READ: Final = Label("result", ("hit", "miss", "outdated", "broken", "away", "distrusted"))
_FAR_WRITE: Final = Label("result", ("stored", "outdated", "large", "full", "away"))
_CALL: Final = Label("result", ("ok", "slow", "error", "away"))
_READS = Declaration(
    name="near_cache_reads_total", kind="counter", meaning="Reads of caches in this process, by what they found.",
    labels=(_CACHE, _NEAR_READ),
)  # fmt: skip
_EVICTIONS = Declaration(
    name="near_cache_evictions_total", kind="counter",
    meaning="Entries of caches in this process that made room for others.", labels=(_CACHE,),
)  # fmt: skip
_ENTRIES = Declaration(
    name="near_cache_entries", kind="gauge", meaning="What caches in this process hold.", labels=(_CACHE,)
)


class NearCacheNumbers(Collector):
    """What near caches say of themselves when somebody asks for the counters: a read counts in a plain number."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self._caches: dict[str, Callable[[], CacheNumbers]] = {}
        declare.collector(self, _READS, _EVICTIONS, _ENTRIES)

    def watch(self, cache: str, numbers: Callable[[], CacheNumbers]) -> None:
        """Take the numbers of a cache from there; ``cache`` is one of our own words."""
        self._caches[cache] = numbers

    def collect(self) -> Iterable[Metric]:
        """Return what all of them say at this moment."""
        reads = CounterMetricFamily(_READS.name, _READS.meaning, labels=["cache", "result"])
        evicted = CounterMetricFamily(_EVICTIONS.name, _EVICTIONS.meaning, labels=["cache"])
        entries = GaugeMetricFamily(_ENTRIES.name, _ENTRIES.meaning, labels=["cache"])
        for cache, ask in self._caches.items():
            numbers = ask()
            found = (numbers.hits, numbers.absent, numbers.stale, numbers.misses)
            for result, number in zip(_NEAR_READ.values, found, strict=True):
                reads.add_metric([cache, result], number)
            evicted.add_metric([cache], numbers.evicted)
            entries.add_metric([cache], numbers.entries)
        return [reads, evicted, entries]


class FarCacheCounters:
    """What becomes of reads and writes of the far cache; nothing is shown where there is no Redis."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.reads = declare.counter(
            "far_cache_reads_total", "Reads of the far cache, by what they found; broken is what nobody of us wrote.",
            _CACHE, _FAR_READ,
        )  # fmt: skip
        self.writes = declare.counter(
            "far_cache_writes_total", "Values brought to the far cache, by what became of them.", _CACHE, _FAR_WRITE
        )


class RedisCounters:
    """What becomes of calls to Redis; nothing is shown where there is none."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        calls = declare.counter(
            "redis_calls_total", "Calls to Redis, by what came of them; away are those not made.", _CALL
        )
        self.calls = children(calls, _CALL)
        self.tokens_seen = declare.counter(
            "used_tokens_seen_in_redis_total", "Used tokens refused without asking the database."
        )
        self._up = declare.gauge(
            "redis_up", "Whether this process asks Redis at present.", Label("of", ("shared",)), unit="bool"
        )

    def watch(self, is_up: Callable[[], bool]) -> None:
        """Take whether Redis is asked from there, each time somebody asks for the counters."""
        self._up.labels("shared").set_function(lambda: float(is_up()))
