"""What is fuzzed: functions of bytes, as Atheris and libFuzzer call them, that fail only where the program is wrong.

A target takes any bytes, does with them what a stranger's blueprint would make the program do, and lets the language's
own errors pass. Whatever else comes out is a fault: another exception, a tree that does not survive printing, an error
without its place, or an evaluation that takes a second.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from fuzz.grammar import template_from
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.iml import Budget, ExpressionError, ExpressionSyntaxError, Template, compile_template, limits
from make_bridge.engine.iml.parser import parse_template
from make_bridge.engine.iml.printer import print_template
from make_bridge.engine.iml.reader import Reader
from make_bridge.engine.values import ERASE, IGNORE, Value, coerce, to_json_text

Target: TypeAlias = Callable[[bytes], None]

_MOST_SECONDS: Final = 1.0
_FIELD_TYPES: Final = ("array", "boolean", "collection", "date", "number", "uinteger", "text", "buffer", "time", "json")


class Fault(AssertionError):
    """The program did what it must not do."""


@dataclass
class FuzzScope:
    """A scope with something of every kind; `t` and `u` are the texts that the input carries as data."""

    t: str = ""
    u: str = ""
    now: datetime = datetime(2026, 3, 31, 10, 20, 30, 400_000, tzinfo=UTC)
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Australia/Lord_Howe"))
    budget: Budget = field(default_factory=Budget)
    execution_id: str = "019acafe0001000000000000000000ff"

    def bundle(self, module_id: int) -> Value:
        if module_id > 3:
            return None
        return {
            "t": self.t,
            "u": self.u,
            "a": [1, "b", None, 2.5, True, [self.t, [self.u]], {"k": self.t, "n": 3}, self.now],
            "c": {"k": self.u, self.t: 1, "d": {"e": [1, 2, 3]}},
            "b": self.t.encode("utf-16-le", "surrogatepass"),
            "d": self.now,
            "n": -12.5,
            "rows": [{"k": "x", "n": 2}, {"k": self.t, "n": 1}, {"n": None}, self.u],
            "ignored": IGNORE,
            "erased": ERASE,
        }

    def variable(self, name: str) -> Value:
        return {"name": name, "t": self.t}

    def random(self) -> float:
        return 0.618034

    def uuid(self) -> str:
        return "6f1c7d1e-5f6b-4c58-9d3f-1f6f3e0a2b4c"


def as_text(data: bytes) -> str:
    """Read any bytes as text; what is no UTF-8 becomes half a surrogate pair, which JSON could carry in too."""
    return data.decode("utf-8", "surrogateescape")


def read_words(data: bytes) -> None:
    """Read a text word by word, without a grammar above."""
    text = as_text(data)
    reader = Reader(text, -2, limits.EXPRESSION)
    with suppress(ExpressionSyntaxError):
        while not reader.ended():
            before = reader.at
            reader.skip_space()
            if reader.ended():
                break
            if not (reader.operator() or reader.call() or reader.takes(";") or reader.takes(")") or reader.takes("(")):
                reader.leaf()
            if not before < reader.at <= len(text):
                raise Fault(f"The reader went from {before} to {reader.at} of {len(text)}.")


def parse(data: bytes) -> None:
    """Parse a template, print it and parse that: the trees must be equal."""
    text = as_text(data)
    try:
        parts = parse_template(text)
    except ExpressionSyntaxError as error:
        _check_place(error, text)
        return
    printed = print_template(parts)
    if parse_template(printed) != parts:
        raise Fault(f"The template changes when it is printed: {printed!r}")


def evaluate(data: bytes) -> None:
    """Evaluate a template; after NUL bytes the input may carry two texts of data."""
    text, _, rest = as_text(data).partition("\0")
    first, _, second = rest.partition("\0")
    template = _compiled(text)
    if template is None:
        return
    started = time.thread_time()
    try:
        value = template.evaluate(FuzzScope(t=first, u=second))
        to_json_text(value)
        _check_verbatim(template, value, first)
        for field_type in _FIELD_TYPES:
            with suppress(ExpressionError):
                coerce(value, field_type, ZoneInfo("Asia/Kathmandu"))
    except ExpressionError as error:
        # What `to_json_text` says of a buffer has no place: it is not part of the template.
        if error.position is not None:
            _check_place(error, text)
    if time.thread_time() - started > _MOST_SECONDS:
        raise Fault(f"The evaluation took more than {_MOST_SECONDS} s.")


def evaluate_grown(data: bytes) -> None:
    """Evaluate the template that the bytes describe; it must compile, and its data are the last bytes."""
    template = template_from(data)
    print_template(parse_template(template))
    evaluate(template.encode() + b"\0" + data[-20:] + b"\0" + data[:20])


def _compiled(text: str) -> Template | None:
    try:
        return compile_template(text)
    except ExpressionSyntaxError as error:
        _check_place(error, text)
        return None


def _check_verbatim(template: Template, value: Value, data: str) -> None:
    """Data is never evaluated: a reference alone gives it as it came."""
    if template.text == "{{1.t}}" and value != data:
        raise Fault("Data did not come out as it went in.")


def _check_place(error: ExpressionError, text: str) -> None:
    if error.position is None or not 0 <= error.position <= len(text):
        raise Fault(f"The error has no place in the text: {error}")


def import_blueprint(data: bytes) -> None:
    """Import a blueprint."""
    with suppress(BlueprintInvalid):
        parse_blueprint(data)


TARGETS: Final[dict[str, Target]] = {
    "lexer": read_words,
    "parser": parse,
    "evaluator": evaluate,
    "grammar": evaluate_grown,
    "importer": import_blueprint,
}
