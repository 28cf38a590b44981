"""Every metric, declared in one place.

A registry of our own (not the library's global one), so that two servers in one test process do not
share counters. They stand in groups by subject. Labels are closed sets: nothing a caller sends becomes a label.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.process_collector import ProcessCollector

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
        deferred = Counter(
            "runs_deferred_total", "Runs that wait for a limit of usage: new webhooks, or waiting already.", ["of"],
            registry=registry,
        )  # fmt: skip
        self.runs_deferred = {of: deferred.labels(of) for of in ("webhook", "waiting")}
        self.deferred_refused = Counter(
            "webhooks_refused_over_limit_total", "Webhook calls refused: too many wait for a limit already.",
            registry=registry,
        )  # fmt: skip
        self.runs_let_go = Counter(
            "runs_let_go_total", "Runs that this process let go after waiting for a limit.", registry=registry
        )
        self.limits_reached = Gauge(
            "usage_limits_reached", "Limits of usage that are reached, as far as this process knows.", registry=registry
        )
        self.rates = RateCounters(registry)
        self.redis = RedisCounters(registry)
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
