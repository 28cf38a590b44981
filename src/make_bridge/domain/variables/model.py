"""The rules of custom variables: names, types and values. Pure.

A value is kept as JSON and has the type that it was given: a number is never read out of a text, so that what an
expression computes with is what somebody meant. A date is kept in UTC, and one without an offset is meant so.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from math import isfinite
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.domain.variables.messages import Scalar
from make_bridge.engine.blueprint.variables import SYSTEM
from make_bridge.engine.dates import iso_text, parse_date
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import TeamId

MAX_NAME: Final = 128
_NAME: Final = re.compile(rf"[A-Za-z0-9$_]{{1,{MAX_NAME}}}")
_LARGEST: Final = 2**53
_UTC: Final = ZoneInfo("UTC")


class Type(IntEnum):
    """What a variable holds, by Make's own numbers."""

    NUMBER = 1
    STRING = 2
    BOOLEAN = 3
    DATE = 4


_WORDS: Final = {
    Type.NUMBER: f"a number between -{_LARGEST} and {_LARGEST}",
    Type.STRING: "a text",
    Type.BOOLEAN: "true or false",
    Type.DATE: "a date such as 2026-03-31T10:20:30Z",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableLimits:
    """How many an organization, and each team, may have, bytes of a text, changes kept; from the settings."""

    variables: int = 100
    text_bytes: int = 4096
    changes: int = 1000


def checked_name(name: str, team_id: TeamId | None) -> str:
    """Return a name that a variable may be given, or raise InvalidInput."""
    if not _NAME.fullmatch(name):
        message = f"A variable's name has 1 to {MAX_NAME} of the characters A-Z, a-z, 0-9, $ and _."
        raise InvalidInput(message, fields={"name": message})
    if name in SYSTEM["organization" if team_id is None else "team"]:
        message = f"The variable {name} is the system's own: choose another name."
        raise InvalidInput(message, fields={"name": message})
    return name


def checked_type(number: int) -> Type:
    """Return a type, or raise InvalidInput."""
    try:
        return Type(number)
    except ValueError:
        message = "typeId is 1 (number), 2 (string), 3 (boolean) or 4 (date)."
        raise InvalidInput(message, fields={"typeId": message}) from None


def checked_value(kind: Type, value: Scalar, limits: VariableLimits) -> Scalar:
    """Return a value as it is kept, or raise InvalidInput."""
    match kind, value:
        case (Type.BOOLEAN, bool()):
            return value
        case (Type.NUMBER, int() | float()) if not isinstance(value, bool) and _is_number(value):
            return value
        case (Type.STRING, str()):
            return _checked_text(value, limits)
        case (Type.DATE, str()) if (date := parse_date(value, _UTC)) is not None:
            return iso_text(date)
        case _:
            message = f"The value of a {kind.name.lower()} variable is {_WORDS[kind]}."
            raise InvalidInput(message, fields={"value": message})


def engine_value(kind: int, value: Scalar) -> Value:
    """Return a kept value as expressions see it."""
    return parse_date(value, _UTC) if kind == Type.DATE and isinstance(value, str) else value


def _is_number(value: float) -> bool:
    return isfinite(value) and abs(value) <= _LARGEST


def _checked_text(text: str, limits: VariableLimits) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        message = "The value holds half a character: send the text whole."
        raise InvalidInput(message, fields={"value": message}) from None
    if size > limits.text_bytes:
        message = f"The text of a variable has at most {limits.text_bytes} bytes."
        raise InvalidInput(message, fields={"value": message})
    return text
