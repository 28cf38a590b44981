"""Every metric, declared in one place, in groups by subject.

Labels are closed sets: nothing a caller sends becomes one. ``declaring`` says how a metric is declared, ``process``
puts the groups together; parts take their group, or ``Metrics`` with all of them.
"""

from make_bridge.platform.observability.metrics.bus import EventCounters
from make_bridge.platform.observability.metrics.cache import FarCacheCounters, RedisCounters
from make_bridge.platform.observability.metrics.cluster import CoordinationGauges, ShardGauges, UpstreamCounters
from make_bridge.platform.observability.metrics.declaring import Declarations
from make_bridge.platform.observability.metrics.process import Metrics

__all__ = [
    "CoordinationGauges",
    "Declarations",
    "EventCounters",
    "FarCacheCounters",
    "Metrics",
    "RedisCounters",
    "ShardGauges",
    "UpstreamCounters",
]
