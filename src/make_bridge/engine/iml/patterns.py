"""Regular expressions from users: always RE2, which reads text once, never Python's ``re``.

Used by ``replace`` and by the apps that match patterns. RE2 makes one search linear; what is left to bound is
the product of text and pattern, charged before a search, and the sum over many matches. That sum can still be
quadratic when each match lets the next one look ahead to the end; no count predicts it, so processor time, far above
what any honest text needs, is charged too, and ends a search that does not end by itself.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import AnyStr, Final

import re2

from make_bridge.engine.expression_errors import BudgetExceeded, ExpressionError
from make_bridge.engine.iml import limits
from make_bridge.engine.iml.pattern_translation import translate
from make_bridge.engine.iml.scope import Budget
from make_bridge.engine.values import encode_text

_COST_OF_A_PATTERN: Final = 50
_COST_OF_A_MATCH: Final = 4
_MATCHES_BETWEEN_LOOKS: Final = 16
_SECONDS_FORGIVEN: Final = 0.02

_LITERAL: Final = re.compile(r"/(.+)/([dgimsuvy]*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A compiled pattern. ``everywhere`` is the flag ``g``."""

    regexp: "re2._Regexp[str]"
    everywhere: bool

    @property
    def group_names(self) -> dict[str, int]:
        return self.regexp.groupindex

    def matches(self, text: str, budget: Budget) -> "Iterator[re2._Match[str]]":
        """Yield the matches in ``text``, only the first unless ``everywhere``; positions are characters.

        Text with half a surrogate pair must have been cleaned with ``clean`` before.
        """
        return self._charged(self.regexp.finditer(text), len(text), budget)

    def places(self, text: str, budget: Budget) -> "Iterator[re2._Match[str]] | Iterator[re2._Match[bytes]]":
        """Yield the matches for their positions alone: ASCII is searched as bytes, in half the time."""
        if not text.isascii():
            return self.matches(text, budget)
        searcher: re2._Regexp[bytes] = self.regexp  # type: ignore[assignment]  # it reads both kinds
        return self._charged(searcher.finditer(text.encode()), len(text), budget)

    def _charged(
        self, found: "Iterator[re2._Match[AnyStr]]", length: int, budget: Budget
    ) -> "Iterator[re2._Match[AnyStr]]":
        size = self.regexp.programsize
        budget.step(_COST_OF_A_PATTERN + (size >> 2) + (length * size >> 8))
        started = time.thread_time()
        last_span = (-1, -1)
        for count, match in enumerate(found):
            budget.step(_COST_OF_A_MATCH)
            span = match.span()
            if span == last_span:
                continue  # the library finds an empty match that it had to search for twice
            last_span = span
            yield match
            if not self.everywhere:
                break
            if count % _MATCHES_BETWEEN_LOOKS == 0 and time.thread_time() - started > limits.PATTERN_SECONDS:
                raise BudgetExceeded("The pattern takes too long on this text; make it stricter.")
        spent = time.thread_time() - started
        if spent > _SECONDS_FORGIVEN:  # so that many slow searches end like one that is too slow
            budget.step(int(spent * limits.PATTERN_STEPS_PER_SECOND))

    def found_in(self, text: str, budget: Budget) -> bool:
        """Say whether the pattern matches anywhere."""
        return next(self.matches(text, budget), None) is not None


def clean(text: str) -> str:
    """Return text that RE2 can read: half a surrogate pair becomes U+FFFD."""
    return text if text.isascii() else encode_text(text).decode()


def read_pattern_literal(text: str) -> Pattern | None:
    """Compile ``/pattern/flags``; None when the text is not written like that."""
    if not text.startswith("/"):
        return None
    literal = _LITERAL.fullmatch(text)
    if not literal or len(set(literal[2])) < len(literal[2]):
        return None
    return compile_pattern(literal[1], literal[2])


def compile_pattern(source: str, flags: str = "") -> Pattern:
    """Compile an ECMAScript pattern with the flags ``g i m s u``; raises ``ExpressionError`` saying what is wrong."""
    if len(source) > limits.PATTERN:
        raise ExpressionError(f"The pattern is longer than {limits.PATTERN} characters.")
    if "y" in flags:
        raise ExpressionError("The flag y (sticky) of patterns is not supported.")
    return _compile(source, "".join(sorted(flags)))


@lru_cache(maxsize=limits.PATTERNS_REMEMBERED)
def _compile(source: str, flags: str) -> Pattern:
    modes = "".join(flag for flag in "im" if flag in flags)
    translated = translate(clean(source), dot_matches_line_ends="s" in flags)
    options = re2.Options()
    options.max_mem = limits.PATTERN_MEMORY
    options.log_errors = False
    try:
        regexp = re2.compile(f"(?{modes}){translated}" if modes else translated, options)
    except re2.error as error:
        raise ExpressionError(f"The pattern is not valid: {_reason(error)}.") from None
    return Pattern(regexp=regexp, everywhere="g" in flags)


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "it cannot be read"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
