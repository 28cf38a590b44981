"""Figures of calls out: breakers and turns at hosts, deliveries to webhook endpoints, tokens at providers."""

from collections.abc import Callable, Mapping
from typing import Final

from make_bridge.platform.observability.metrics.declaring import Declarations, Label, children

_BREAKER: Final = Label("state", ("closed", "open", "half_open"))
_TURN: Final = Label("state", ("in_flight", "waiting", "refused"))
_CALL: Final = (
    Label("kind", ("http", "mail")),
    Label(
        "result",
        (
            *("1xx", "2xx", "3xx", "4xx", "5xx", "sent", "paused", "refused", "connect", "tls", "timeout", "protocol"),
            *("redirect", "too_large", "login", "temporary", "rejected"),
        ),
    ),
)
_DELIVERED: Final = Label("result", ("delivered", "gone", "failed", "put_off"))
_RENEWED: Final = Label("result", ("renewed", "refused", "unanswered"))
_IDLE: Final = Label("result", ("renewed", "done_already", "failed", "lost"))


class EgressCounters:
    """What becomes of calls of modules to other programs."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.calls = declare.counter(
            "api_calls_total",
            "Calls of modules to other programs: by the class of the answer's status, or by why there was none (paused"
            " by a breaker, refused by our own guard).",
            *_CALL,
        )
        self.breakers_opened = declare.counter("circuit_breakers_opened_total", "Times that a circuit breaker opened.")
        self.calls_refused = declare.counter(
            "circuit_breaker_refusals_total", "Calls not made because their breaker was open."
        )
        breakers = declare.gauge("circuit_breakers", "Circuit breakers of this process, by state.", _BREAKER)
        self._breakers = children(breakers, _BREAKER)
        self._turns = declare.gauge(
            "host_calls", "Calls out: in flight, waiting for a turn at their host, and refused since the start.", _TURN
        )
        self._count_breakers: Callable[[], Mapping[str, int]] = dict
        self._count_turns: Callable[[], Mapping[str, int]] = dict

    def count_call(self, kind: str, result: str) -> None:
        """Count what became of a call."""
        self.calls.labels(kind, result).inc()

    def watch(self, breakers: Callable[[], Mapping[str, int]], turns: Callable[[], Mapping[str, int]]) -> None:
        """Take the breakers' states and the calls out from there, each time somebody asks for the counters."""
        self._count_breakers, self._count_turns = breakers, turns

    def refresh(self) -> None:
        """Ask both, before the page is written."""
        for state, number in self._count_breakers().items():
            self._breakers[state].set(number)
        for state, number in self._count_turns().items():
            self._turns.labels(state).set(number)


class DeliveryCounters:
    """What becomes of messages to endpoints of organizations."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.attempts = declare.counter(
            "webhook_attempts_total", "Attempts to deliver to webhook endpoints, by what came of them.", _DELIVERED
        )
        self.dropped = declare.counter("webhook_messages_dropped_total", "Messages that an endpoint had no room for.")
        self.disabled = declare.counter(
            "webhook_endpoints_disabled_total", "Webhook endpoints switched off because they kept failing."
        )


class OAuthCounters:
    """What becomes of tokens at providers."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        renewals = declare.counter(
            "oauth_renewals_total", "Questions to providers for new OAuth tokens, by what came of them.", _RENEWED
        )
        self.renewals = children(renewals, _RENEWED)
        idle = declare.counter(
            "oauth_idle_renewals_total", "Renewals of connections that no run used, by what came of them.", _IDLE
        )
        self.idle_renewals = children(idle, _IDLE)
