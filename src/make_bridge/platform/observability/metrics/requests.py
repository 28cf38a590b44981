"""Figures of those who come in: every request, who signs in, and whom rate limits hold up.

A request is counted in plain numbers, which are put together when somebody asks for the page: the shortest way of a
webhook takes less time than a library's counter and histogram would.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client.utils import floatToGoString

from make_bridge.platform.observability.metrics.declaring import (
    SECONDS,
    Declaration,
    Declarations,
    Label,
    children,
)

_SIGNED_IN: Final = Label("result", ("success", "refused", "blocked", "busy"))
_BLOCKED: Final = Label("of", ("person", "address", "own_password"))
_LIMIT: Final = Label("of", ("general", "failures", "strangers", "api", "hook", "flow"))
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other")
_CLASSES: Final = ("gone", "1xx", "2xx", "3xx", "4xx", "5xx")
_OF_REQUEST: Final = (
    Label("method", _METHODS),
    Label("route", bounded_by="the templates of the routes, `(no route)` and `(refused)`"),
    Label("status", _CLASSES),
)
_REQUESTS: Final = Declaration(
    name="http_requests_total", kind="counter", labels=_OF_REQUEST,
    meaning="Requests answered, by the template of their route; gone is who left before there was an answer.",
)  # fmt: skip
_DURATION: Final = Declaration(
    name="http_request_duration_seconds", kind="histogram", labels=_OF_REQUEST, unit="seconds",
    meaning="Time from a request's head to the end of its answer.",
)  # fmt: skip
_BOUNDS: Final = (*map(floatToGoString, SECONDS), "+Inf")
_ESCAPED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class _Spread:
    """How long requests of one kind took: how many up to each bound, and all together, with the heads of its lines."""

    __slots__ = ("bucket_heads", "count_head", "counts", "seconds", "sum_head", "total_head")

    def __init__(self, key: tuple[str, str, str]) -> None:
        self.counts = [0] * len(_BOUNDS)
        self.seconds = 0.0
        values = (value.translate(_ESCAPED) for value in key)
        labels = ",".join(f'{label.name}="{value}"' for label, value in zip(_OF_REQUEST, values, strict=True))
        self.bucket_heads = [f'{_DURATION.name}_bucket{{le="{bound}",{labels}}}' for bound in _BOUNDS]
        self.sum_head = f"{_DURATION.name}_sum{{{labels}}}"
        self.count_head = f"{_DURATION.name}_count{{{labels}}}"
        self.total_head = f"{_REQUESTS.name}{{{labels}}}"


class RequestNumbers:
    """Every request with its duration.

    It writes its own lines: a server has some hundred routes, each with a line for each bound. The library would take
    five times as long for the whole page, in which the event loop serves nobody (`python -m benchmarks metrics_page`).
    """

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self._spreads: dict[tuple[str, str, str], _Spread] = {}
        declare.note(_REQUESTS, _DURATION)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one; ``route`` is a template of ours, never a path, and ``status`` is 0 where nobody was answered."""
        key = (method if method in _METHODS else "other", route, _CLASSES[min(status // 100, 5)])
        spread = self._spreads.get(key)
        if spread is None:
            spread = self._spreads[key] = _Spread(key)
        spread.counts[bisect_left(SECONDS, seconds)] += 1
        spread.seconds += seconds

    def render(self) -> str:
        """Return the lines of the page, as they are at this moment."""
        totals = [_head(_REQUESTS)]
        durations = [_head(_DURATION)]
        for spread in self._spreads.values():
            so_far = list(accumulate(spread.counts))
            totals.append(f"{spread.total_head} {so_far[-1]}")
            durations += [f"{head} {count}" for head, count in zip(spread.bucket_heads, so_far, strict=True)]
            durations += (f"{spread.sum_head} {spread.seconds!r}", f"{spread.count_head} {so_far[-1]}")
        return "\n".join((*totals, *durations, ""))


def _head(one: Declaration) -> str:
    return f"# HELP {one.name} {one.meaning}\n# TYPE {one.name} {one.kind}"


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
