"""All figures of one process, and the page it shows them on."""

from collections.abc import Sequence

from prometheus_client import generate_latest

from make_bridge.platform.observability.metrics.audit import AuditCounters
from make_bridge.platform.observability.metrics.bus import EventCounters
from make_bridge.platform.observability.metrics.cache import FarCacheCounters, NearCacheNumbers, RedisCounters
from make_bridge.platform.observability.metrics.cluster import CoordinationGauges, ShardGauges, UpstreamCounters
from make_bridge.platform.observability.metrics.database import DatabaseCounters, PoolNumbers, ReadCounters
from make_bridge.platform.observability.metrics.declaring import Declaration, Declarations
from make_bridge.platform.observability.metrics.egress import DeliveryCounters, EgressCounters, OAuthCounters
from make_bridge.platform.observability.metrics.executions import ExecutionCounters, UsageCounters
from make_bridge.platform.observability.metrics.gaps import GapGauges
from make_bridge.platform.observability.metrics.logs import LogNumbers
from make_bridge.platform.observability.metrics.loops import LoopTurns
from make_bridge.platform.observability.metrics.python import ReadingGauges, declare_process
from make_bridge.platform.observability.metrics.queue import QueueCounters
from make_bridge.platform.observability.metrics.requests import RateCounters, RequestNumbers, SignInCounters
from make_bridge.platform.observability.metrics.storage import StorageGauges
from make_bridge.platform.observability.metrics.traces import TraceCounters


class Metrics:
    """The figures of one process, in groups by subject."""

    def __init__(self) -> None:
        """Declare them."""
        declare = Declarations()
        self._declared = declare
        declare.about("Requests")
        self.requests = RequestNumbers(declare)
        self.sign_ins = SignInCounters(declare)
        self.rates = RateCounters(declare)
        declare.about("Runs")
        self.executions = ExecutionCounters(declare)
        self.usage = UsageCounters(declare)
        declare.about("Queue")
        self.queue = QueueCounters(declare)
        declare.about("Calls out")
        self.egress = EgressCounters(declare)
        self.deliveries = DeliveryCounters(declare)
        self.oauth = OAuthCounters(declare)
        declare.about("Events")
        self.events = EventCounters(declare)
        declare.about("Databases")
        self.database = DatabaseCounters(declare)
        self.pools = PoolNumbers(declare)
        self.reads = ReadCounters(declare)
        declare.about("Caches")
        self.redis = RedisCounters(declare)
        self.far_caches = FarCacheCounters(declare)
        self.near_caches = NearCacheNumbers(declare)
        declare.about("Cluster")
        self.coordination = CoordinationGauges(declare)
        self.shards = ShardGauges(declare)
        self.upstreams = UpstreamCounters(declare)
        declare.about("Storage")
        self.storage = StorageGauges(declare)
        declare.about("Silence")
        self.gaps = GapGauges(declare)
        declare.about("Audit")
        self.audit = AuditCounters(declare)
        declare.about("Traces")
        self.traces = TraceCounters(declare)
        declare.about("Logs")
        self.logs = LogNumbers(declare)
        declare.about("Process")
        self.loops = LoopTurns(declare)
        self.readings = ReadingGauges(declare)
        declare_process(declare)

    @property
    def declared(self) -> Sequence[Declaration]:
        """Every metric on the page, in the order of the groups."""
        return list(self._declared.all.values())

    def render(self) -> bytes:
        """Return the text exposition format."""
        self.egress.refresh()
        self.rates.refresh()
        return self.requests.render().encode() + generate_latest(self._declared.registry)
