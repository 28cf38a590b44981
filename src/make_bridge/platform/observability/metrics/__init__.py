"""Every metric, declared in one place, in groups by subject.

Labels are closed sets: nothing a caller sends becomes one. ``declaring`` says how a metric is declared, ``process``
puts the groups together; parts take their group, or ``Metrics`` with all of them.
"""

from make_bridge.platform.observability.metrics.bus import EventCounters
from make_bridge.platform.observability.metrics.cache import FarCacheCounters, RedisCounters
from make_bridge.platform.observability.metrics.cluster import CoordinationGauges, ShardGauges, UpstreamCounters
from make_bridge.platform.observability.metrics.declaring import Declaration, Declarations, Label
from make_bridge.platform.observability.metrics.process import Metrics
from make_bridge.platform.observability.metrics.python import ReadingGauges
from make_bridge.platform.observability.metrics.requests import RequestNumbers

__all__ = [
    "CoordinationGauges",
    "Declaration",
    "Declarations",
    "EventCounters",
    "FarCacheCounters",
    "Label",
    "Metrics",
    "ReadingGauges",
    "RedisCounters",
    "RequestNumbers",
    "ShardGauges",
    "UpstreamCounters",
]
