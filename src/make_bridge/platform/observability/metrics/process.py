"""All figures of one process, and the page it shows them on."""

from collections.abc import Sequence

from prometheus_client import generate_latest
from prometheus_client.process_collector import ProcessCollector

from make_bridge.platform.observability.metrics.audit import AuditCounters
from make_bridge.platform.observability.metrics.bus import EventCounters
from make_bridge.platform.observability.metrics.cache import FarCacheCounters, NearCacheNumbers, RedisCounters
from make_bridge.platform.observability.metrics.cluster import CoordinationGauges, ShardGauges, UpstreamCounters
from make_bridge.platform.observability.metrics.database import DatabaseCounters, ReadCounters
from make_bridge.platform.observability.metrics.declaring import Declaration, Declarations
from make_bridge.platform.observability.metrics.egress import DeliveryCounters, EgressCounters, OAuthCounters
from make_bridge.platform.observability.metrics.executions import ExecutionCounters, UsageCounters
from make_bridge.platform.observability.metrics.queue import QueueCounters
from make_bridge.platform.observability.metrics.requests import RateCounters, SignInCounters


class Metrics:
    """The figures of one process, in groups by subject."""

    def __init__(self) -> None:
        """Declare them."""
        declare = Declarations()
        self._declared = declare
        ProcessCollector(registry=declare.registry)
        self.sign_ins = SignInCounters(declare)
        self.rates = RateCounters(declare)
        self.executions = ExecutionCounters(declare)
        self.usage = UsageCounters(declare)
        self.queue = QueueCounters(declare)
        self.egress = EgressCounters(declare)
        self.deliveries = DeliveryCounters(declare)
        self.oauth = OAuthCounters(declare)
        self.events = EventCounters(declare)
        self.database = DatabaseCounters(declare)
        self.reads = ReadCounters(declare)
        self.redis = RedisCounters(declare)
        self.far_caches = FarCacheCounters(declare)
        self.near_caches = NearCacheNumbers(declare)
        self.coordination = CoordinationGauges(declare)
        self.shards = ShardGauges(declare)
        self.upstreams = UpstreamCounters(declare)
        self.audit = AuditCounters(declare)

    @property
    def declared(self) -> Sequence[Declaration]:
        """Every metric of ours, in the order of the groups."""
        return self._declared.all

    def render(self) -> bytes:
        """Return the text exposition format."""
        self.egress.refresh()
        self.rates.refresh()
        return generate_latest(self._declared.registry)
