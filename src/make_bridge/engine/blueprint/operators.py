"""The operators of filters: every family of them, as data.

`filters` compiles conditions with this table and validation checks names against it. An operator
prepares both sides (to text, number, instant …) and tests them; a side that cannot be prepared gives
the operator's `unlike` answer instead of an error, because that is what authors rely on.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml import Budget
from make_bridge.engine.iml.patterns import Pattern, clean, compile_pattern
from make_bridge.engine.values import ERASE, IGNORE, Value, to_array, to_boolean, to_date, to_number, to_text

_SHOWN: Final = 80
_SECONDS: Final = (3600, 60, 1)
_LONGEST_TIME: Final = len("00:00:00")
_LONGEST_VERSION: Final = 256
_VERSION: Final = re.compile(
    r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)


class Incomparable(Exception):
    """A side has no value of the operator's kind."""


# The prepared form is private to its operator: texts are tested against texts, instants against instants.
Prepared = Any
Prepare = Callable[[Value, ZoneInfo], Prepared]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """How one operator works. `zoned` says that preparing needs the scenario's time zone.

    `searches` says that the test may cost more than its sides are long: it takes a budget to charge as third argument.
    """

    left: Prepare
    right: Prepare
    test: Callable[..., bool]
    unlike: bool = False
    zoned: bool = False
    searches: bool = False


def exists(value: Value) -> bool:
    """Say whether a value is there: null and empty text are not, false, 0 and empty arrays are."""
    return not (value is None or value == "" or value is IGNORE or value is ERASE)


def _text(value: Value, _zone: ZoneInfo) -> str:
    return value if type(value) is str else to_text(value)


def _folded(value: Value, _zone: ZoneInfo) -> str:
    return to_text(value).casefold()


def _number(value: Value, _zone: ZoneInfo) -> float:
    if not exists(value):
        raise Incomparable
    try:
        return to_number(value)
    except ExpressionError as error:
        raise Incomparable from error


def _date(value: Value, zone: ZoneInfo) -> datetime:
    if not exists(value):
        raise Incomparable
    try:
        return to_date(value, zone)
    except ExpressionError as error:
        raise Incomparable from error


def _time(value: Value, zone: ZoneInfo) -> int:
    """Return seconds since midnight, of `H:m[:s]` or of a date in the scenario's zone."""
    if isinstance(value, datetime):
        local = value.astimezone(zone)
        return local.hour * _SECONDS[0] + local.minute * _SECONDS[1] + local.second
    text = to_text(value).strip()
    if isinstance(value, str) and len(text) > _LONGEST_TIME:
        return _time(_date(text, zone), zone)  # a whole date, as JSON brings it
    parts = text.split(":")
    if not 1 < len(parts) <= len(_SECONDS) or not all(part.isascii() and part.isdigit() for part in parts):
        raise Incomparable
    return sum(int(part) * weight for part, weight in zip(parts, _SECONDS, strict=False))


def _version(value: Value, _zone: ZoneInfo) -> tuple[object, ...]:
    """Return a sort key by the rules of semantic versioning: a pre-release comes before its release."""
    match = _VERSION.fullmatch(to_text(value).strip()[:_LONGEST_VERSION])
    if match is None:
        raise Incomparable
    numbers = tuple(int(part or 0) for part in match.group(1, 2, 3))
    pre_release = match.group(4)
    if not pre_release:
        return (*numbers, (1,))
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre_release.split("."))
    return (*numbers, (0, *parts))


def _length(value: Value, _zone: ZoneInfo) -> int:
    return len(to_array(value))


def _members(value: Value, _zone: ZoneInfo) -> list[str]:
    return [to_text(item) for item in to_array(value)]


def _folded_members(value: Value, _zone: ZoneInfo) -> list[str]:
    return [to_text(item).casefold() for item in to_array(value)]


def _boolean(value: Value, _zone: ZoneInfo) -> bool:
    return exists(value) and to_boolean(value)


def _pattern(value: Value, _zone: ZoneInfo) -> Prepared:
    return _compile(to_text(value), "")


def _folded_pattern(value: Value, _zone: ZoneInfo) -> Prepared:
    return _compile(to_text(value), "i")


def _compile(pattern: str, flags: str) -> Pattern:
    try:
        return compile_pattern(pattern, flags)
    except ExpressionError as error:
        message = f"The filter's pattern {pattern[:_SHOWN]!r} cannot be used: {error.message}"
        raise ModuleError(ErrorType.CONFIGURATION, message) from error


def _found(text: str, pattern: Pattern, budget: Budget | None = None) -> bool:
    return pattern.found_in(clean(text), Budget() if budget is None else budget)


def _not_found(text: str, pattern: Pattern, budget: Budget | None = None) -> bool:
    return not _found(text, pattern, budget)


def _contains(container: Prepared, item: Prepared) -> bool:
    return item in container


def _starts(text: str, start: str) -> bool:
    return text.startswith(start)


def _ends(text: str, end: str) -> bool:
    return text.endswith(end)


def _not(test: Callable[[Prepared, Prepared], bool]) -> Callable[[Prepared, Prepared], bool]:
    return lambda left, right: not test(left, right)


_COMPARISONS: Final[dict[str, Callable[[Prepared, Prepared], bool]]] = {
    "equal": operator.eq,
    "notequal": operator.ne,
    "greater": operator.gt,
    "less": operator.lt,
    "greaterorequal": operator.ge,
    "lessorequal": operator.le,
}


def _text_family() -> dict[str, Operator]:
    tests = {"equal": operator.eq, "contain": _contains, "startwith": _starts, "endwith": _ends}
    table: dict[str, Operator] = {}
    for suffix, prepare, pattern in (("", _text, _pattern), (":ci", _folded, _folded_pattern)):
        for name, test in tests.items():
            table[f"text:{name}{suffix}"] = Operator(left=prepare, right=prepare, test=test)
            table[f"text:not{name}{suffix}"] = Operator(left=prepare, right=prepare, test=_not(test))
        table[f"text:pattern{suffix}"] = Operator(left=_text, right=pattern, test=_found, searches=True)
        table[f"text:notpattern{suffix}"] = Operator(left=_text, right=pattern, test=_not_found, searches=True)
    return table


def _ordered_family(family: str, left: Prepare, right: Prepare, *, zoned: bool = False) -> dict[str, Operator]:
    """Six comparisons. Numbers and the like that cannot be read are not equal; dates give no answer at all."""
    return {
        f"{family}:{name}": Operator(
            left=left, right=right, test=test, zoned=zoned, unlike=name == "notequal" and not zoned
        )
        for name, test in _COMPARISONS.items()
    }


def _array_family() -> dict[str, Operator]:
    table = _ordered_family("array", _length, _number)
    for suffix, members, text in (("", _members, _text), (":ci", _folded_members, _folded)):
        table[f"array:contain{suffix}"] = Operator(left=members, right=text, test=_contains)
        table[f"array:notcontain{suffix}"] = Operator(left=members, right=text, test=_not(_contains))
    return table


OPERATORS: Final[dict[str, Operator]] = {
    **_text_family(),
    **_ordered_family("number", _number, _number),
    **_ordered_family("date", _date, _date, zoned=True),
    **_ordered_family("time", _time, _time, zoned=True),
    **_ordered_family("semver", _version, _version),
    **_array_family(),
    "boolean:equal": Operator(left=_boolean, right=_boolean, test=operator.eq),
    "boolean:notequal": Operator(left=_boolean, right=_boolean, test=operator.ne),
}
UNARY: Final = frozenset({"exist", "notexist"})


def unknown_operator(name: str) -> str:
    """Say what is wrong with an operator that is not in the table."""
    if name.startswith("semantic"):
        return f"The filter's operator '{name[:_SHOWN]}' needs a language model and is not supported here."
    return f"The filter uses the operator '{name[:_SHOWN]}', which does not exist."
