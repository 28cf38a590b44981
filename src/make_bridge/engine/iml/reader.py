"""The words of an expression: what stands at one place in the text.

The parser asks this reader for one leaf after another. Everything is a method of a place in the text, because
what a character means depends on where it stands: ``1.5`` is a number and ``1.a`` a reference, braces inside
quotes close nothing. The regular expressions are constants without overlapping choices, hence linear.
"""

import re
from typing import Final

from make_bridge.engine.expression_errors import ExpressionSyntaxError
from make_bridge.engine.iml import limits
from make_bridge.engine.iml.syntax import KEYWORDS, VARIABLES, BareText, Keyword, Node, Number, Path, Segment, Text
from make_bridge.engine.numbers import text_to_number

_LONGEST_INTEGER: Final = 15

_SPACE: Final = re.compile(r"\s*")
_NUMBER: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w$`])")
_MODULE: Final = re.compile(r"([0-9]+)(?=\.[^\W0-9]|\.[$`]|\[)")
_LONE_INTEGER: Final = re.compile(r"\s*([0-9]+)\s*(?=\}\})")
_CALL: Final = re.compile(r"((?:[^\W0-9]|\$)[\w$]*)\s*\(")
_WORD: Final = re.compile(r"(?:[^\W0-9]|\$)[\w$]*")
_DOTTED_WORDS: Final = re.compile(r"(?:\.(?:[^\W0-9]|\$)[\w$]*)+")
_PLAIN_KEY: Final = re.compile(r"[\w$]+")
_INDEX: Final = re.compile(r"\[\s*([0-9]*)\s*\]")
_OPERATOR: Final = re.compile(r"<=|>=|!=|[-+*/%<>=&|,]|(?:and|or|mod)(?![\w$])")
_OPERATOR_WORDS: Final = {"and": "&", "or": "|", "mod": "%"}


class Reader:
    """A place in a template's text that moves as words are read."""

    __slots__ = ("at", "limit", "opening", "text")

    def __init__(self, text: str, opening: int, room: int) -> None:
        """``opening`` is where the braces of the expression stand, which may have ``room`` characters."""
        self.text = text
        self.opening = opening
        self.at = opening + 2
        self.limit = opening + room

    def check_length(self) -> None:
        """Refuse an expression that is too long; called often enough that a long one is not read to its end."""
        if self.at > self.limit:
            raise ExpressionSyntaxError(
                f"The expressions of one text may have {limits.EXPRESSION} characters in all.", position=self.opening
            )

    def skip_space(self) -> None:
        space = _SPACE.match(self.text, self.at)
        if space:
            self.at = space.end()

    def sees(self, sign: str) -> bool:
        return self.text.startswith(sign, self.at)

    def takes(self, sign: str) -> bool:
        """Step over ``sign`` if it stands here."""
        found = self.text.startswith(sign, self.at)
        if found:
            self.at += len(sign)
        return found

    def ended(self) -> bool:
        return self.at >= len(self.text)

    def operator(self) -> tuple[str, int] | None:
        """Read an operator, in its saved spelling, with its position."""
        match = _OPERATOR.match(self.text, self.at)
        if not match:
            return None
        self.at = match.end()
        return _OPERATOR_WORDS.get(match[0], match[0]), match.start()

    def lone_module(self) -> Path | None:
        """Read ``3`` when it is the whole expression: the bundle of that module."""
        match = _LONE_INTEGER.match(self.text, self.at)
        if not match or len(match[1]) > _LONGEST_INTEGER:
            return None
        self.at = match.end()
        return Path(head=self._integer(match[1], match.start(1)), segments=())

    def call(self) -> tuple[str, int] | None:
        """Read a function's name and its opening parenthesis; return the name and its position."""
        match = _CALL.match(self.text, self.at)
        if not match:
            return None
        self.at = match.end()
        return match[1], match.start()

    def leaf(self) -> Node:
        """Read a literal, keyword or reference."""
        character = self.text[self.at : self.at + 1]
        if character and character in "\"'":
            return Text(value=self._quoted(character))
        if character == "`":
            return self._backticked_reference()
        if character.isdigit() or character == ".":
            return self._number_or_reference()
        return self._word()

    def unexpected(self) -> ExpressionSyntaxError:
        return ExpressionSyntaxError(f"'{self.text[self.at]}' is not expected here.", position=self.at)

    def _word(self) -> Node:
        """Read a variable, a keyword, or text that lacks its quotes."""
        end = self.limit + 2  # a word that is cut there is too long, which is said right after
        word = _WORD.match(self.text, self.at, end)
        if not word:
            raise self.unexpected()
        self.at = word.end()
        if word[0] == VARIABLES:
            return Path(head=VARIABLES, segments=self._segments())
        dotted = _DOTTED_WORDS.match(self.text, self.at, end)
        if dotted:
            self.at = dotted.end()
            return BareText(value=word[0] + dotted[0])
        return Keyword(name=word[0]) if word[0] in KEYWORDS else BareText(value=word[0])

    def _quoted(self, quote: str) -> str:
        """Read a text literal; the quote itself is written twice, nothing else is special."""
        pieces: list[str] = []
        at = self.at + 1
        while (end := self.text.find(quote, at)) >= 0:
            pieces.append(self.text[at:end])
            if not self.text.startswith(quote, end + 1):
                self.at = end + 1
                return quote.join(pieces)
            at = end + 2
            if at > self.limit:
                self.at = at
                self.check_length()
        raise ExpressionSyntaxError("The quotation mark is not closed.", position=self.at)

    def _number_or_reference(self) -> Node:
        module = _MODULE.match(self.text, self.at)
        if module:
            self.at = module.end()
            return Path(head=self._integer(module[1], module.start()), segments=self._segments())
        match = _NUMBER.match(self.text, self.at)
        value = text_to_number(match[0]) if match else None
        if not match or value is None:
            raise ExpressionSyntaxError("This is neither a number nor a reference.", position=self.at)
        self.at = match.end()
        return Number(value=value)

    def _backticked_reference(self) -> Node:
        position = self.at
        name = self._backticked()
        head = self._integer(name, position) if name.isascii() and name.isdigit() else name
        return Path(head=head, segments=self._segments())

    def _segments(self) -> tuple[Segment, ...]:
        segments: list[Segment] = []
        while True:
            self.check_length()
            if self.takes("."):
                segments.append(self._key())
            elif index := _INDEX.match(self.text, self.at):
                segments.append(self._integer(index[1], index.start()) if index[1] else None)
                self.at = index.end()
            else:
                return tuple(segments)

    def _key(self) -> str:
        if self.sees("`"):
            return self._backticked()
        key = _PLAIN_KEY.match(self.text, self.at)
        if not key:
            raise ExpressionSyntaxError("A key is expected after the dot.", position=self.at)
        self.at = key.end()
        return key[0]

    def _backticked(self) -> str:
        end = self.text.find("`", self.at + 1)
        if end < 0:
            raise ExpressionSyntaxError("The backtick is not closed.", position=self.at)
        name = self.text[self.at + 1 : end]
        self.at = end + 1
        return name

    def _integer(self, digits: str, position: int) -> int:
        if len(digits) > _LONGEST_INTEGER:
            raise ExpressionSyntaxError("The number is too long.", position=position)
        return int(digits)
