"""What makes a custom function valid beside its code. Pure.

A name has to be a name in both languages: in JavaScript, whose parser sees to that, and in expressions, where it must
not stand for anything else already.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final

from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.iml.syntax import KEYWORDS, VARIABLES
from make_bridge.kernel.errors import Conflict, InvalidInput

MAX_NAME: Final = 64
MAX_DESCRIPTION: Final = 1000
_TAKEN: Final = KEYWORDS | {VARIABLES, "and", "or", "mod"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionLimits:
    """How many functions there may be, and how long; from the settings."""

    per_team: int = 200
    characters: int = 5000
    changes: int = 100
    """Of a function's history; the oldest go first."""


def checked_name(name: str, declared: str) -> str:
    """Return a function's name, or raise InvalidInput; ``declared`` is the one in its code."""
    plain = name.isascii() and name[:1].isalpha() and name.replace("_", "").isalnum()
    if not plain or len(name) > MAX_NAME:
        raise _wrong(
            f"A function's name has 1 to {MAX_NAME} letters, digits and underscores, and begins with a letter."
        )
    if name in FUNCTIONS:
        raise _wrong(f"There is a built-in function {name}(): choose another name.")
    if name in _TAKEN:
        raise _wrong(f"The word '{name}' has a meaning of its own in expressions: choose another name.")
    if name != declared:
        raise _wrong(f"The code declares the function '{declared[:MAX_NAME]}', and its name is to be '{name}'.")
    return name


def checked_description(text: str) -> str:
    """Return a description, or raise InvalidInput."""
    if len(text) > MAX_DESCRIPTION or not is_storable(text):
        message = f"A function's description has at most {MAX_DESCRIPTION} characters and no control characters."
        raise InvalidInput(message, fields={"description": message})
    return text


def is_storable(text: str) -> bool:
    """Say whether a text has no control characters but lines and tabs, and no half pairs."""
    return not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text if character not in "\n\r\t")


def require_room(count: int, limits: FunctionLimits) -> None:
    """Raise Conflict when a team has as many functions as it may."""
    if count >= limits.per_team:
        message = f"A team has at most {limits.per_team} functions: delete one that nobody calls."
        raise Conflict(message, code="functions_limit")


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(message, fields={"name": message})
