"""Date formats: the tokens of moment.js, split once and remembered.

``date_format`` and ``date_parse`` give the tokens their meaning. ``[text]`` is literal; so is every character that
begins no token. The longest token wins: ``MMMM`` is one month's name, not two numbers.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml import limits
from make_bridge.engine.values import describe

MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
SUNDAY: Final = 7  # in the ISO week, which begins on Monday with 1

_TOKENS: Final = (
    *("YYYY", "YY", "Y", "Qo", "Q", "MMMM", "MMM", "MM", "Mo", "M"),
    *("DDDD", "DDDo", "DDD", "DD", "Do", "D", "dddd", "ddd", "dd", "do", "d", "E"),
    *("wo", "ww", "w", "Wo", "WW", "W", "gggg", "gg", "GGGG", "GG"),
    *("HH", "H", "hh", "h", "kk", "k", "A", "a", "mm", "m", "ss", "s"),
    *("S" * count for count in range(9, 0, -1)),
    *("ZZ", "Z", "X", "x"),
)
_SPLITTER: Final = re.compile(rf"\[([^\]]*)\]|({'|'.join(_TOKENS)})|(.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatPart:
    """A token, or literal text."""

    text: str
    is_token: bool


def check_format(pattern: str) -> None:
    """Refuse a format of unreasonable length, before anything is spent on it."""
    if len(pattern) > limits.DATE_FORMAT:
        raise ExpressionError(
            f"The date format {describe(pattern)} is longer than {limits.DATE_FORMAT} characters.", argument=2
        )


@lru_cache(maxsize=256)
def split_format(pattern: str) -> tuple[FormatPart, ...]:
    """Split a format into tokens and literal text."""
    return tuple(
        FormatPart(text=match[2], is_token=True)
        if match[2]
        else FormatPart(text=match[1] if match[1] is not None else match[0], is_token=False)
        for match in _SPLITTER.finditer(pattern)
    )
