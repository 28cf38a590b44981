"""Logs: structured lines to standard output, readable on a terminal, JSON elsewhere.

Much of what is logged came from strangers, so every value is made harmless before a line is written: what looks like a
credential is cut out, by its name at any depth and by its form inside a text; control characters are written as
escapes, so that a value can neither begin a line of its own nor speak to a terminal; and no value is longer than
8 kB. The libraries' own loggers (uvicorn, psycopg, aiohttp) go the same way, and a trace shows no variables.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

from make_bridge.platform.observability.tracing.spans import current

_SECRET_NAMES: Final = ("authorization", "cookie", "password", "secret", "token", "api_key", "apikey", "api-key")
_QUIET: Final = {"uvicorn.access": logging.ERROR, "psycopg.pool": logging.ERROR, "aiohttp.access": logging.ERROR}
_HIDDEN: Final = "[hidden]"
_LONGEST_VALUE: Final = 8 * 1024
_LONGEST_TRACE: Final = 32 * 1024
_DEEPEST: Final = 4
_MOST_ITEMS: Final = 50
# Control characters, what turns the direction of writing, invisible signs, half surrogate pairs.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
# Credentials inside a text: values of a query, the user part of an address, a header's value, a connection string.
_CREDENTIALS: Final = (
    (re.compile(r"([?&][^\s=&#]{1,64}=)[^\s&#'\"]+"), rf"\1{_HIDDEN}"),
    (re.compile(r"(://)[^\s/@]+@"), rf"\1{_HIDDEN}@"),
    (re.compile(r"\b(bearer|basic|token) +[\w.~+/=-]{16,}", re.IGNORECASE), rf"\1 {_HIDDEN}"),
    (re.compile(r"\b(password|secret|authorization)( *[=:] *)[^\s,;&]+", re.IGNORECASE), rf"\1\2{_HIDDEN}"),
)


def _make_harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Clean every value of a line; names are ours, and what begins with ``_`` is structlog's."""
    for name, value in event.items():
        if name == "exception":
            event[name] = _harmless_trace(str(value))
        elif not name.startswith("_"):
            event[name] = _harmless(name, value, 0)
    return event


def _add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the trace in which a line was said, where one is kept."""
    span = current()
    if span is not None and span.is_recording:
        event["trace_id"] = span.trace.trace_id
    return event


def _harmless(name: str, value: object, depth: int) -> object:
    if any(part in name.lower() for part in _SECRET_NAMES):
        return _HIDDEN
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping() if depth < _DEEPEST:
            pairs = list(value.items())[:_MOST_ITEMS]
            return {_harmless_text(str(key)): _harmless(str(key), item, depth + 1) for key, item in pairs}
        case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
            return [_harmless("", item, depth + 1) for item in list(value)[:_MOST_ITEMS]]
        case str():
            return _harmless_text(value)
        case _:
            return _harmless_text(repr(value))


def _harmless_text(text: str) -> str:
    if len(text) > _LONGEST_VALUE:
        text = text[:_LONGEST_VALUE] + "…"
    return _CONTROL.sub(_escaped, _without_credentials(text))


def harmless(text: str) -> str:
    """Return a text as the logs would show it: for other ways in which values leave the process."""
    return _harmless_text(text)


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


def configure_logs(level: str, *, as_json: bool | None = None) -> None:
    """Set up logging for the process; JSON unless standard output is a terminal."""
    json_lines = not sys.stdout.isatty() if as_json is None else as_json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # A renderer that formats traces itself would print the variables of every frame.
        structlog.processors.format_exc_info,
        _make_harmless,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.getLevelName(level.upper()), logging.WARNING))
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)
