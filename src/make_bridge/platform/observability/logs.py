"""Logs: structured lines to standard output, readable on a terminal, JSON elsewhere, and to more sinks where there are.

Much of what is logged came from strangers, so every value is made harmless before a line is written: what looks like a
credential is cut out, by its name at any depth and by its form inside a text; control characters are written as
escapes, so that a value can neither begin a line of its own nor speak to a terminal; no value is longer than 8 kB, and
all of a line together no longer than 64 kB, beside a trace of 32. That is done once, before all sinks (``outlet``),
so none can forget it. The libraries' own loggers (uvicorn, psycopg, aiohttp) go the same way, and a trace shows no
variables.
"""

import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from itertools import islice
from typing import Any, Final, NoReturn, TypeVar

import structlog

from make_bridge.kernel.clock import Clock, SystemClock
from make_bridge.platform.observability.sinks.outlet import LogConfig, Outlet
from make_bridge.platform.observability.tracing.spans import current

Item = TypeVar("Item")
_SET_HERE: Final = {"timestamp", "level"}
_SECRET_NAMES: Final = ("authorization", "cookie", "password", "secret", "token", "api_key", "apikey", "api-key")
_QUIET: Final = {"uvicorn.access": logging.ERROR, "psycopg.pool": logging.ERROR, "aiohttp.access": logging.ERROR}
_HIDDEN: Final = "[hidden]"
_LONGEST_VALUE: Final = 8 * 1024
_LONGEST_TRACE: Final = 32 * 1024
# All values of a line together, its trace aside; each counts for some signs, however short it is.
_MOST_SIGNS: Final = 64 * 1024
_LEAST_SIGNS: Final = 8
_DEEPEST: Final = 4
_MOST_ITEMS: Final = 50
_LARGEST_NUMBER: Final = 1 << 63
# Control characters, what turns the direction of writing, invisible signs, half surrogate pairs.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_ANY: Final = re.IGNORECASE
# Credentials inside a text: values of a query, the user part of an address, the token of a webhook's address, a
# header's value, a connection string, a member of a JSON text.
_CREDENTIALS: Final = (
    (re.compile(r"([?&][^\s=&#]{1,64}=)[^\s&#'\"]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"(://)[^\s/@]+@"), rf"\1{_HIDDEN}@"),
    (re.compile(r"(/hook/)[\w-]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"\b(bearer|basic|token|apikey) +[\w.~+/=-]{16,}", _ANY), rf"\1 {_HIDDEN}"),
    (re.compile(r"((?:passw|secret|authorization|api_?key)[\w-]{0,32}[\"']?)( *[=:] *[\"']?)[^\s,;&\"']+", _ANY),
     rf"\1\2{_HIDDEN}"),
    (re.compile(r"(token[\w-]{0,32}[\"']?)( *= *[\"']?|[\"'] *: *[\"'])[^\s,;&\"']+", _ANY), rf"\1\2{_HIDDEN}"),
)  # fmt: skip


def make_harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Clean every value of a line; names are ours, and what begins with ``_`` is structlog's."""
    cleaning = _Cleaning()
    # What happened comes before what was given with it, which may leave no room.
    for name in sorted(event, key=lambda name: name != "event"):
        if name == "exception":
            event[name] = _harmless_trace(str(event[name]))
        elif name not in _SET_HERE and not name.startswith("_"):
            event[name] = cleaning.of(name, event[name])
    return event


def _add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the trace in which a line was said, where one is kept."""
    span = current()
    if span is not None and span.is_recording:
        event["trace_id"] = span.trace.trace_id
    return event


class _Cleaning:
    """Makes the values of one line harmless, as far as they find room in it."""

    def __init__(self) -> None:
        self._left = _MOST_SIGNS

    def of(self, name: str, value: object, depth: int = 0) -> object:
        self._left -= _LEAST_SIGNS
        if any(part in name.lower() for part in _SECRET_NAMES):
            return _HIDDEN
        match value:
            case None | bool():
                return value
            case int():
                # An integer may have millions of digits, and the widest that readers of JSON know has 64 bits.
                return int(value) if abs(value) < _LARGEST_NUMBER else "a large number"
            case float():
                return float(value) if math.isfinite(value) else str(value)
            case Mapping() if depth < _DEEPEST:
                names = [(_text(key), item) for key, item in self._first(value.items())]
                return {self._harmless(key): self.of(key, item, depth + 1) for key, item in names}
            case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
                return [self.of("", item, depth + 1) for item in self._first(value)]
            case _:
                return self._harmless(_text(value))

    def _first(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in islice(items, _MOST_ITEMS):
            if self._left <= 0:
                return
            yield item

    def _harmless(self, text: str) -> str:
        most = max(min(self._left, _LONGEST_VALUE), 0)
        if len(text) > most:
            text = text[: max(most - 1, 0)] + "…"
        self._left -= len(text)
        return harmless(text)


def _text(value: object) -> str:
    """Return a text as it is, anything else as it shows itself; some show themselves only by an error."""
    if isinstance(value, str):
        return str.__str__(value)
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever it is
        return f"a {type(value).__name__} that cannot be shown"


def harmless(text: str) -> str:
    """Return a text as the logs would show it."""
    return _CONTROL.sub(_escaped, _without_credentials(text[:_LONGEST_VALUE]))


def _harmless_trace(text: str) -> str:
    """Keep a trace's lines, indented so that none looks like a line of the log, and of a long one both ends."""
    if len(text) > _LONGEST_TRACE:
        text = f"{text[: _LONGEST_TRACE // 2]}\n…\n{text[-_LONGEST_TRACE // 2 :]}"
    return "\n  ".join(_CONTROL.sub(_escaped, line) for line in _without_credentials(text).split("\n"))


def _without_credentials(text: str) -> str:
    for form, replacement in _CREDENTIALS:
        text = form.sub(replacement, text)
    return text


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def configure_logs(config: LogConfig, *, as_json: bool | None = None, clock: Clock | None = None) -> Outlet:
    """Set up logging for the process; JSON unless standard output is a terminal. Its sinks end with the process."""
    outlet = Outlet(config, clock or SystemClock(), as_json=as_json)
    _send_to(outlet, config.level)
    return outlet


def _send_to(outlet: Outlet, level: str) -> None:
    number = logging.getLevelName(level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # A renderer that formats traces itself would print the variables of every frame.
        structlog.processors.format_exc_info,
        make_harmless,
    ]

    def deliver(_logger: object, _method: str, event: MutableMapping[str, Any]) -> NoReturn:
        outlet.deliver(event)
        raise structlog.DropEvent

    structlog.configure(
        processors=[*shared, deliver],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_FromLibraries(outlet, shared)]
    root.setLevel(max(number, logging.WARNING))
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)


class _FromLibraries(logging.Handler):
    """Takes what libraries log with the standard library the same way."""

    def __init__(self, outlet: Outlet, processors: Sequence[structlog.typing.Processor]) -> None:
        super().__init__()
        self._outlet = outlet
        self._processors = processors

    def emit(self, record: logging.LogRecord) -> None:
        """Deliver a record; one that cannot be shown is counted."""
        try:
            event: Any = {"event": record.getMessage(), "logger": record.name}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            for process in self._processors:
                event = process(None, record.levelname.lower(), event)
            self._outlet.deliver(event)
        except Exception:  # noqa: BLE001 - the same
            self._outlet.count_broken()
