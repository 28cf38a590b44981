"""Figures of those who come in: who signs in, and whom rate limits hold up."""

from collections.abc import Callable, Mapping
from typing import Final

from make_bridge.platform.observability.metrics.declaring import Declarations, Label, children

_SIGNED_IN: Final = Label("result", ("success", "refused", "blocked", "busy"))
_BLOCKED: Final = Label("of", ("person", "address", "own_password"))
_LIMIT: Final = Label("of", ("general", "failures", "strangers", "api", "hook", "flow"))


class SignInCounters:
    """Who comes to the console, and who does not get in."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        sign_ins = declare.counter(
            "sign_ins_total", "Attempts to sign in to the console, by what came of them.", _SIGNED_IN
        )
        self.by_result = children(sign_ins, _SIGNED_IN)
        blocked = declare.counter(
            "sign_in_blocked_total",
            "Attempts refused for those before: of a person from an address, of an address, at one's own password.",
            _BLOCKED,
        )
        self.blocked = children(blocked, _BLOCKED)
        self.sessions = declare.gauge(
            "sessions_live", "Sessions that let somebody in, in the whole installation.", is_shared=True
        )


class RateCounters:
    """What rate limits count, keep and refuse."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        limited = declare.counter("rate_limited_total", "Requests answered with 429 by a rate limit, by which.", _LIMIT)
        self.refused = children(limited, _LIMIT)
        self._keys = declare.gauge(
            "rate_limit_keys", "Callers that the rate limits of this process keep count of.", _LIMIT
        )
        self.servers = declare.gauge(
            "rate_limit_servers", "Servers that share a rate limit, as far as this process knows.", _LIMIT,
            is_shared=True,
        )  # fmt: skip
        self._count_keys: Callable[[], Mapping[str, int]] = dict

    def watch(self, keys: Callable[[], Mapping[str, int]]) -> None:
        """Take how many keys rate limits keep from there, each time somebody asks for the counters."""
        self._count_keys = keys

    def refresh(self) -> None:
        """Ask, before the page is written."""
        for of, number in self._count_keys().items():
            self._keys.labels(of).set(number)
