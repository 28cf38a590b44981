"""Every metric, declared in one place.

A registry of our own (not the library's global one), so that two servers in one test process do not
share counters. They stand in groups by subject. Labels are closed sets: nothing a caller sends becomes a label.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from make_bridge.platform.cache.near import CacheNumbers

_PATHS = ("at_once", "in_place", "queued", "deferred")
_BY_CONSUMER = ("consumer", "shard")


class AuditCounters:
    """What becomes of the audit trail."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self.sealed = Counter(
            "audit_sealed_total", "Audit rows this process chained, as the leader.", registry=registry
        )
        self.broken = Counter(
            "audit_chains_broken_total", "Audit chains whose head was changed by somebody else; wants a person.",
            registry=registry,
        )  # fmt: skip
        self.credentials_opened = Counter(
            "credentials_opened_total", "Connections and keys opened for calls of runs.", registry=registry
        )


class Numbered(Protocol):
    """A shard."""

    @property
    def number(self) -> int:
        """Its number."""
        ...


class Leading(Protocol):
    """What a loop knows of its lead."""

    @property
    def is_leading(self) -> bool:
        """Whether it may act."""
        ...

    @property
    def last_fence(self) -> int:
        """Under which number it led last."""
        ...


class CoordinationGauges:
    """Who does what only one may do; duties and locks are a closed set."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self.clock_skew = Gauge(
            "clock_skew_seconds", "By how much this machine's clock is ahead of the database's.", registry=registry
        )
        by_duty = ("duty", "shard")
        self._leader = Gauge(
            "leader", "Whether this process does what only one may, by duty and shard.", by_duty, registry=registry
        )
        self._epoch = Gauge("leader_epoch", "The fence under which this process led last.", by_duty, registry=registry)
        self._session = Gauge(
            "zookeeper_session", "Whether this process can prove its session with ZooKeeper.", ["of"],
            registry=registry,
        )  # fmt: skip

    def watch(self, duty: str, shard: Numbered, tenure: Leading) -> None:
        """Take from there whether this process leads, each time somebody asks for the counters."""
        labels = (duty, str(shard.number))
        self._leader.labels(*labels).set_function(lambda: float(tenure.is_leading))
        self._epoch.labels(*labels).set_function(lambda: float(tenure.last_fence))

    def watch_session(self, is_live: Callable[[], bool]) -> None:
        """Take from there whether there is a session that can be proven."""
        self._session.labels("coordination").set_function(lambda: float(is_live()))


class DeliveryCounters:
    """What becomes of messages to endpoints of organizations."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self.attempts = Counter(
            "webhook_attempts_total", "Attempts to deliver to webhook endpoints, by what came of them.", ["result"],
            registry=registry,
        )  # fmt: skip
        self.dropped = Counter(
            "webhook_messages_dropped_total", "Messages that an endpoint had no room for.", registry=registry
        )
        self.disabled = Counter(
            "webhook_endpoints_disabled_total", "Webhook endpoints switched off because they kept failing.",
            registry=registry,
        )  # fmt: skip


class EventCounters:
    """How far consumers of events are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self.stamped = Counter(
            "events_stamped_total", "Events this process gave a position, as the leader.", registry=registry
        )
        self.behind = Gauge(
            "events_behind", "Events a consumer has not seen yet; live is this process itself.", _BY_CONSUMER,
            registry=registry,
        )  # fmt: skip
        self.delivered = Counter("events_delivered_total", "Events consumed.", _BY_CONSUMER, registry=registry)
        self.parked = Counter(
            "events_parked_total",
            "Events put aside because their consumer kept failing.",
            _BY_CONSUMER,
            registry=registry,
        )
        self.missed = Counter(
            "events_missed_total", "Events let go before their consumer saw them.", _BY_CONSUMER, registry=registry
        )
        heard = Counter(
            "events_heard_total", "Events that this process asked for and heard, by where they came from.", ["by"],
            registry=registry,
        )  # fmt: skip
        self.heard = {by: heard.labels(by) for by in ("redis", "database")}
        self.gaps = Counter(
            "events_gaps_total", "Times that a transport lacked events, which were read in the database.",
            registry=registry,
        )  # fmt: skip
        published = Counter(
            "events_published_total", "Events handed to Redis for other processes, by what came of it.", ["result"],
            registry=registry,
        )  # fmt: skip
        self.published = {result: published.labels(result) for result in ("ok", "failed")}
        dropped = Counter(
            "bus_messages_dropped_total", "Messages in the streams that are not of this installation.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.dropped = {reason: dropped.labels(reason) for reason in ("foreign", "unreadable", "too_large")}
        self.worked = Counter(
            "bus_work_taken_total", "Messages whose work this process took for all, by which way.", ["by"],
            registry=registry,
        )  # fmt: skip
        self._carries = Gauge("bus_carries", "Whether events pass through Redis at present.", ["of"], registry=registry)

    def watch(self, carries: Callable[[], bool]) -> None:
        """Take whether events pass through Redis from there, each time somebody asks for the counters."""
        self._carries.labels("shared").set_function(lambda: float(carries()))


class OAuthCounters:
    """What becomes of tokens at providers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        renewals = Counter(
            "oauth_renewals_total", "Questions to providers for new OAuth tokens, by what came of them.", ["result"],
            registry=registry,
        )  # fmt: skip
        self.renewals = {result: renewals.labels(result) for result in ("renewed", "refused", "unanswered")}
        idle = Counter(
            "oauth_idle_renewals_total", "Renewals of connections that no run used, by what came of them.", ["result"],
            registry=registry,
        )  # fmt: skip
        self.idle_renewals = {result: idle.labels(result) for result in ("renewed", "done_already", "failed", "lost")}


class ShardGauges:
    """What the shards carry; labelled by their numbers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self.organizations = Gauge(
            "shard_organizations", "Organizations that live on a shard.", ["shard"], registry=registry
        )
        self.load = Gauge(
            "shard_load", "What waits on a shard, and what is stored there a second.", ["shard"], registry=registry
        )
        self.imbalance = Gauge(
            "shard_imbalance", "How many times the mean the busiest shard carries; 1 where nobody is busy.",
            registry=registry,
        )  # fmt: skip
        moves = Gauge(
            "shard_moves",
            "Moves of organizations between shards: running, broken off (nobody is at it), finished, given up.",
            ["state"], registry=registry,
        )  # fmt: skip
        self.moves = {state: moves.labels(state) for state in ("running", "broken_off", "finished", "abandoned")}
        self.paused = Gauge(
            "shard_moves_paused_seconds", "For how long writes of moving organizations have waited, all in all.",
            registry=registry,
        )  # fmt: skip
        self.longest_pause = Gauge(
            "shard_moves_longest_pause_seconds", "The longest of those waits within the last day.", registry=registry
        )


class SignInCounters:
    """Who comes to the console, and who does not get in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        sign_ins = Counter(
            "sign_ins_total", "Attempts to sign in to the console, by what came of them.", ["result"], registry=registry
        )
        self.by_result = {result: sign_ins.labels(result) for result in ("success", "refused", "blocked", "busy")}
        blocked = Counter(
            "sign_in_blocked_total",
            "Attempts refused for those before: of a person from an address, of an address, at one's own password.",
            ["of"], registry=registry,
        )  # fmt: skip
        self.blocked = {of: blocked.labels(of) for of in ("person", "address", "own_password")}
        self.sessions = Gauge(
            "sessions_live", "Sessions that let somebody in, in the whole installation.", registry=registry
        )


class RateCounters:
    """What rate limits count, keep and refuse."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        limited = Counter(
            "rate_limited_total", "Requests answered with 429 by a rate limit, by which.", ["of"], registry=registry
        )
        self.refused = {of: limited.labels(of) for of in ("general", "failures", "strangers", "api", "hook", "flow")}
        self.keys = Gauge(
            "rate_limit_keys", "Callers that the rate limits of this process keep count of.", ["of"], registry=registry
        )
        self.servers = Gauge(
            "rate_limit_servers", "Servers that share a rate limit, as far as this process knows.", ["of"],
            registry=registry,
        )  # fmt: skip


class RedisCounters:
    """What becomes of calls to Redis; nothing is shown where there is none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        calls = Counter(
            "redis_calls_total", "Calls to Redis, by what came of them; away are those not made.", ["result"],
            registry=registry,
        )  # fmt: skip
        self.calls = {result: calls.labels(result) for result in ("ok", "slow", "error", "away")}
        self.tokens_seen = Counter(
            "used_tokens_seen_in_redis_total", "Used tokens refused without asking the database.", registry=registry
        )
        self._up = Gauge("redis_up", "Whether this process asks Redis at present.", ["of"], registry=registry)

    def watch(self, is_up: Callable[[], bool]) -> None:
        """Take whether Redis is asked from there, each time somebody asks for the counters."""
        self._up.labels("shared").set_function(lambda: float(is_up()))


class NearCacheNumbers(Collector):
    """What near caches say of themselves when somebody asks for the counters: a read counts in a plain number."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self._caches: dict[str, Callable[[], CacheNumbers]] = {}
        registry.register(self)

    def watch(self, cache: str, numbers: Callable[[], CacheNumbers]) -> None:
        """Take the numbers of a cache from there; ``cache`` is one of our own words."""
        self._caches[cache] = numbers

    def collect(self) -> Iterable[Metric]:
        """Return what all of them say at this moment."""
        reads = CounterMetricFamily(
            "near_cache_reads", "Reads of caches in this process, by what they found.", labels=["cache", "result"]
        )
        evicted = CounterMetricFamily(
            "near_cache_evictions", "Entries of caches in this process that made room for others.", labels=["cache"]
        )
        entries = GaugeMetricFamily("near_cache_entries", "What caches in this process hold.", labels=["cache"])
        for cache, ask in self._caches.items():
            numbers = ask()
            found = {"hit": numbers.hits, "absent": numbers.absent, "stale": numbers.stale, "miss": numbers.misses}
            for result, number in found.items():
                reads.add_metric([cache, result], number)
            evicted.add_metric([cache], numbers.evicted)
            entries.add_metric([cache], numbers.entries)
        return [reads, evicted, entries]


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

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        reads = Counter(
            "reads_total", "Readings that may come from a replica, by who answered: replica or primary.", ["source"],
            registry=registry,
        )  # fmt: skip
        self.by_source = {source: reads.labels(source) for source in ("primary", "replica")}
        self._lag = Gauge(
            "replica_lag_seconds", "How far a replica may be behind; infinite until it was seen once.",
            ["shard", "replica"], registry=registry,
        )  # fmt: skip
        self._open = Gauge(
            "replica_open", "Whether a replica is read at present.", ["shard", "replica"], registry=registry
        )

    def watch_replica(self, shard: str, replica: Followed) -> None:
        """Take a replica's state from there, each time somebody asks for the counters."""
        self._lag.labels(shard, replica.name).set_function(lambda: replica.lag)
        self._open.labels(shard, replica.name).set_function(lambda: float(replica.is_open))


class FarCacheCounters:
    """What becomes of reads and writes of the far cache; nothing is shown where there is no Redis."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self.reads = Counter(
            "far_cache_reads_total", "Reads of the far cache, by what they found; broken is what nobody of us wrote.",
            ["cache", "result"], registry=registry,
        )  # fmt: skip
        self.writes = Counter(
            "far_cache_writes_total", "Values brought to the far cache, by what became of them.", ["cache", "result"],
            registry=registry,
        )  # fmt: skip


class UpstreamCounters:
    """What becomes of requests that a gateway hands on; roles and states are closed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self.requests = Counter(
            "upstream_requests_total", "Requests handed on to other processes, by role and by what came of them.",
            ["role", "result"], registry=registry,
        )  # fmt: skip
        self.retries = Counter(
            "upstream_retries_total", "Requests handed on a second time, by role.", ["role"], registry=registry
        )
        self.nodes = Gauge(
            "upstream_nodes", "Other processes that serve a role, as this one sees them.", ["role", "state"],
            registry=registry,
        )  # fmt: skip


class UsageCounters:
    """What limits of usage hold up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        deferred = Counter(
            "runs_deferred_total", "Runs that wait for a limit of usage: new webhooks, or waiting already.", ["of"],
            registry=registry,
        )  # fmt: skip
        self.deferred = {of: deferred.labels(of) for of in ("webhook", "waiting")}
        self.refused = Counter(
            "webhooks_refused_over_limit_total", "Webhook calls refused: too many wait for a limit already.",
            registry=registry,
        )  # fmt: skip
        self.let_go = Counter(
            "runs_let_go_total", "Runs that this process let go after waiting for a limit.", registry=registry
        )
        self.reached = Gauge(
            "usage_limits_reached", "Limits of usage that are reached, as far as this process knows.", registry=registry
        )


class Metrics:
    """The counters and gauges of one process."""

    def __init__(self) -> None:
        """Declare them."""
        registry = CollectorRegistry()
        self._registry = registry
        self._count_breakers: Callable[[], Mapping[str, int]] = dict
        self._count_turns: Callable[[], Mapping[str, int]] = dict
        self._count_limited: Callable[[], Mapping[str, int]] = dict
        ProcessCollector(registry=registry)
        self.executions = Counter(
            "executions_total", "Executions settled by this process, by result.", ["status"], registry=registry
        )
        self.executions_by_status = {
            status: self.executions.labels(status) for status in ("success", "warning", "error")
        }
        self.operations = Counter("operations_total", "Operations of settled executions.", registry=registry)
        self.accepted = Counter(
            "webhooks_accepted_total", "Webhook calls stored, by how their run began.", ["path"], registry=registry
        )
        self.accepted_by_path = {path: self.accepted.labels(path) for path in _PATHS}
        self.function_calls = Counter(
            "custom_function_calls_total", "Calls of custom functions, by what came of them.", ["result"],
            registry=registry,
        )  # fmt: skip
        self.webhooks_repeated = Counter(
            "webhooks_repeated_total", "Webhook calls answered with the execution of an earlier one.", registry=registry
        )
        refused = Counter(
            "webhook_signatures_refused_total", "Webhook calls whose signature was refused, by reason.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.signatures_refused = {
            reason: refused.labels(reason) for reason in ("no_secret", "missing", "malformed", "stale", "wrong")
        }
        self.settles_refused = Counter(
            "settles_refused_total", "Outcomes refused because their lease had passed on.", registry=registry
        )
        self.journal_refused = Counter(
            "journal_refused_total", "Runs stopped at their journal: their lease had passed on.", registry=registry
        )
        self.leases_lost = Counter(
            "leases_lost_total", "Runs cancelled because their lease was lost.", registry=registry
        )
        self.leases_swept = Counter("leases_swept_total", "Leases freed from silent holders.", registry=registry)
        self.dead_letters = Counter(
            "dead_letters_total",
            "Executions and jobs given up: their workers died, or their tries are used up.",
            registry=registry,
        )
        self.jobs = Counter(
            "jobs_total", "Tries of jobs that ended in this process, by type and result.", ["type", "result"],
            registry=registry,
        )  # fmt: skip
        self.jobs_unknown = Counter(
            "jobs_unknown_total", "Jobs left to others because this process does not know their type.",
            registry=registry,
        )  # fmt: skip
        self.deliveries = DeliveryCounters(registry)
        self.oauth = OAuthCounters(registry)
        self.events = EventCounters(registry)
        ticks = Counter(
            "schedule_ticks_total", "Due schedules handled by this process, by what came of it.", ["result"],
            registry=registry,
        )  # fmt: skip
        self.schedule_ticks = {result: ticks.labels(result) for result in ("fired", "left_out")}
        self.coordination = CoordinationGauges(registry)
        self.audit = AuditCounters(registry)
        self.sign_ins = SignInCounters(registry)
        self.breakers_opened = Counter(
            "circuit_breakers_opened_total", "Times that a circuit breaker opened.", registry=registry
        )
        self.calls_refused = Counter(
            "circuit_breaker_refusals_total", "Calls not made because their breaker was open.", registry=registry
        )
        refusals = Counter(
            "database_refusals_total", "Times a database could not do something, by why; 'full' wants a person.",
            ["reason"], registry=registry,
        )  # fmt: skip
        self._database_refusals = {reason: refusals.labels(reason) for reason in ("lost", "full", "busy", "other")}
        breakers = Gauge(
            "circuit_breakers", "Circuit breakers of this process, by state.", ["state"], registry=registry
        )
        self._breakers = {state: breakers.labels(state) for state in ("closed", "open", "half_open")}
        self._turns = Gauge(
            "host_calls", "Calls out: in flight, waiting for a turn at their host, and refused since the start.",
            ["state"], registry=registry,
        )  # fmt: skip
        self.usage = UsageCounters(registry)
        self.rates = RateCounters(registry)
        self.redis = RedisCounters(registry)
        self.far_caches = FarCacheCounters(registry)
        self.near_caches = NearCacheNumbers(registry)
        self.shards = ShardGauges(registry)
        self.upstreams = UpstreamCounters(registry)
        self.reads = ReadCounters(registry)
        self.slow_statements = Counter(
            "slow_statements_total", "Statements that took longer than slow_query_ms.", registry=registry
        )
        self.oldest = Gauge(
            "queue_oldest_seconds",
            "How long the oldest work waits that a worker could begin, in the whole installation.",
            ["class"], registry=registry,
        )  # fmt: skip
        self.running = Gauge("executions_running", "Executions in flight in this process.", registry=registry)

    def count_settled(self, statuses: Mapping[str, int], operations: int) -> None:
        """Count executions that ended together, by result: one call for a batch costs what one for each would."""
        for status, count in statuses.items():
            self.executions_by_status[status].inc(count)
        self.operations.inc(operations)

    def count_refusal(self, reason: str) -> None:
        """Count that a database could not do something."""
        self._database_refusals[reason].inc()

    def watch_breakers(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Take the breakers' states from there, each time somebody asks for the counters."""
        self._count_breakers = count

    def watch_turns(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Take the calls out from there, each time somebody asks for the counters."""
        self._count_turns = count

    def watch_limits(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Take how many keys rate limits keep from there, each time somebody asks for the counters."""
        self._count_limited = count

    def render(self) -> bytes:
        """Return the text exposition format."""
        for state, number in self._count_breakers().items():
            self._breakers[state].set(number)
        for state, number in self._count_turns().items():
            self._turns.labels(state).set(number)
        for of, number in self._count_limited().items():
            self.rates.keys.labels(of).set(number)
        return generate_latest(self._registry)
