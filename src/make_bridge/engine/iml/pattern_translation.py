r"""ECMAScript's regular expressions in RE2's spelling.

Users write patterns as they would for JavaScript. Most of the spelling is shared; this module rewrites what
differs (``\s``, ``.``, ``\u2028``, ``[^]``, named groups, brackets inside classes) and refuses, by name, what RE2
leaves out on purpose because it needs backtracking: look-around and back-references.
"""

import re
from typing import Final

from make_bridge.engine.expression_errors import ExpressionError

_SPACE_MEMBERS: Final = r"\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
_NO_SPACE_MEMBERS: Final = (
    r"\x00-\x08\x0e-\x1f!-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}"
    r"\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}"
)
_ANY_BUT_LINE_END: Final = r"[^\n\r\x{2028}\x{2029}]"
_ANYTHING: Final = r"(?s:.)"
_NOTHING: Final = r"[^\x00-\x{10ffff}]"
_SHARED_ESCAPES: Final = frozenset("dDwWtnrfv")
_CLASS_ESCAPES: Final = frozenset("dDwWsSpP")
_QUANTIFIER: Final = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_MODIFIERS: Final = re.compile(r"\(\?[ims]*(?:-[ims]+)?:")
_NAMED: Final = re.compile(r"\(\?<([A-Za-z_][A-Za-z0-9_]*)>")
_CODE_POINT: Final = re.compile(r"u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})")
_LOW_SURROGATE: Final = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_PROPERTY: Final = re.compile(r"[pP]\{(?:(?:Script|sc|General_Category|gc)=)?([A-Za-z_]+)\}")
_HIGH_SURROGATES: Final = range(0xD800, 0xDC00)


def translate(source: str, *, dot_matches_line_ends: bool) -> str:
    """Return the pattern for RE2; raises for what RE2 cannot do."""
    return _Translation(source, dot_matches_line_ends=dot_matches_line_ends).run()


class _Translation:
    """One pass over a pattern."""

    __slots__ = ("at", "dot", "source")

    def __init__(self, source: str, *, dot_matches_line_ends: bool) -> None:
        self.source = source
        self.at = 0
        self.dot = _ANYTHING if dot_matches_line_ends else _ANY_BUT_LINE_END

    def run(self) -> str:
        pieces: list[str] = []
        while self.at < len(self.source):
            pieces.append(self._next())
        return "".join(pieces)

    def _next(self) -> str:
        character = self.source[self.at]
        match character:
            case "\\":
                return self._escape(in_class=False)
            case "[":
                return self._class()
            case "(":
                return self._group()
            case "{":
                quantifier = _QUANTIFIER.match(self.source, self.at)
                return self._take(quantifier[0]) if quantifier else self._take("{", r"\{")
            case "}" | "]":
                return self._take(character, "\\" + character)
            case ".":
                return self._take(".", self.dot)
            case _:
                return self._take(character)

    def _take(self, written: str, instead: str | None = None) -> str:
        self.at += len(written)
        return written if instead is None else instead

    def _group(self) -> str:
        if not self.source.startswith("(?", self.at):
            return self._take("(")
        if self.source.startswith(("(?=", "(?!", "(?<=", "(?<!"), self.at):
            raise ExpressionError("The pattern looks ahead or behind, which is not supported: write it without (?= ….")
        if named := _NAMED.match(self.source, self.at):
            return self._take(named[0], f"(?P<{named[1]}>")
        if modifiers := _MODIFIERS.match(self.source, self.at):
            return self._take(modifiers[0])
        raise ExpressionError("The pattern has a group of an unknown kind.")

    def _escape(self, *, in_class: bool) -> str:
        """Translate a backslash and what belongs to it."""
        self.at += 1
        letter = self.source[self.at : self.at + 1]
        if not letter:
            raise ExpressionError("The pattern ends with a lone backslash.")
        if letter in _SHARED_ESCAPES:
            return self._take(letter, "\\" + letter)
        if letter in "123456789" or (letter == "k" and not in_class and self.source.startswith("<", self.at + 1)):
            raise ExpressionError("The pattern refers back to a group, which is not supported.")
        if letter in "sS":
            return self._take(letter, self._white_space(letter, in_class=in_class))
        if letter in "bB":
            return self._take(letter, r"\x08" if in_class else "\\" + letter)
        if letter in "uxc0pP":
            return self._code_point(letter)
        # Any other escaped character means itself; RE2 allows that for punctuation only.
        plain = letter.isalnum() or letter == "_" or not letter.isascii()
        return self._take(letter, letter if plain else "\\" + letter)

    def _white_space(self, letter: str, *, in_class: bool) -> str:
        members = _SPACE_MEMBERS if letter == "s" else _NO_SPACE_MEMBERS
        return members if in_class else f"[{members}]"

    def _code_point(self, letter: str) -> str:
        if number := _CODE_POINT.match(self.source, self.at):
            self.at = number.end()
            return self._paired(int(number[1] or number[2] or number[3], 16))
        if name := _PROPERTY.match(self.source, self.at):
            return self._take(name[0], f"\\{letter}{{{name[1]}}}")
        control = self.source[self.at + 1 : self.at + 2]
        if letter == "c" and control.isascii() and control.isalpha():
            return self._take("c" + control, f"\\x{{{ord(control) % 32:x}}}")
        return self._take(letter, r"\x00" if letter == "0" else letter)

    def _paired(self, unit: int) -> str:
        r"""Join the two halves of a surrogate pair, as in ``\ud83d\ude00``."""
        low = _LOW_SURROGATE.match(self.source, self.at) if unit in _HIGH_SURROGATES else None
        if low:
            self.at = low.end()
            unit = 0x10000 + (unit - 0xD800) * 0x400 + int(low[1], 16) - 0xDC00
        return f"\\x{{{unit:x}}}"

    def _class(self) -> str:
        r"""Translate ``[…]``; inside, brackets are ordinary and a dash beside a class such as ``\d`` is one too."""
        negated = self.source.startswith("[^", self.at)
        self.at += 2 if negated else 1
        if self.source.startswith("]", self.at):
            return self._take("]", _ANYTHING if negated else _NOTHING)
        pieces = ["[^" if negated else "["]
        after_class = False
        while not self.source.startswith("]", self.at):
            if self.at >= len(self.source):
                raise ExpressionError("A bracket of the pattern is not closed.")
            pieces.append(self._member(first=len(pieces) == 1, after_class=after_class))
            after_class = pieces[-1] in {r"\d", r"\D", r"\w", r"\W", _SPACE_MEMBERS, _NO_SPACE_MEMBERS}
        return "".join([*pieces, self._take("]")])

    def _member(self, *, first: bool, after_class: bool) -> str:
        character = self.source[self.at]
        if character == "\\":
            return self._escape(in_class=True)
        if character == "-":
            following = self.source[self.at + 1 : self.at + 3]
            literal = first or after_class or following.startswith("]")
            literal = literal or (following.startswith("\\") and following[1:] in _CLASS_ESCAPES)
            return self._take("-", r"\-" if literal else "-")
        return self._take(character, f"\\{character}" if character in "[^" else character)
