"""From a template's text to its tree.

One pass over the characters: where ``}}`` closes an expression depends on quotes and backticks, so finding
expressions and reading them is one job. Open parentheses and calls wait on a list, not on Python's stack, so
no text can exhaust it; the depth of the tree is bounded as well, for those who walk it.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from make_bridge.engine.expression_errors import ExpressionSyntaxError
from make_bridge.engine.iml import limits
from make_bridge.engine.iml.reader import Reader
from make_bridge.engine.iml.syntax import PRECEDENCE, Call, Chain, Empty, Negation, Node, Part

_OPENING: Final = re.compile(r"\{\{+")


def parse_template(text: str) -> tuple[Part, ...]:
    """Read literal text and expressions; raises ``ExpressionSyntaxError`` with the position of the trouble."""
    return tuple(part for _, part in parse_parts(text))


def parse_parts(text: str) -> list[tuple[int, Part]]:
    """Read the parts with the position each begins at."""
    parts: list[tuple[int, Part]] = []
    at = 0
    room = limits.EXPRESSION
    while found := _OPENING.search(text, at):
        opening = found.end() - 2  # of three braces in a row the last two open, since no expression begins with one
        if opening > at:
            parts.append((at, text[at:opening]))
        reader = Reader(text, opening, room)
        parts.append((opening, reader.lone_module() or _Expression(reader).read()))
        at = reader.at + 2
        room -= at - opening
    if at < len(text):
        parts.append((at, text[at:]))
    return parts


@dataclass(slots=True, kw_only=True)
class _Tree:
    """A finished part of the tree and how high it is."""

    node: Node
    height: int = 1


@dataclass(slots=True, kw_only=True)
class _Frame:
    """A bracket that is still open: the whole expression, a parenthesis, or the call of ``name``."""

    opening: int
    name: str | None = None
    arguments: list[_Tree] = field(default_factory=list)
    operands: list[_Tree] = field(default_factory=list)
    operators: list[tuple[str, int]] = field(default_factory=list)
    signs: list[int] = field(default_factory=list)

    @property
    def untouched(self) -> bool:
        """Whether nothing has been read since the bracket or the last semicolon."""
        return not (self.operands or self.operators or self.signs)

    @property
    def complete(self) -> bool:
        """Whether the last thing read was an operand."""
        return len(self.operands) > len(self.operators)

    def add(self, tree: _Tree) -> None:
        """Take an operand, and put the signs that stand before it on it."""
        for position in reversed(self.signs):
            tree = _Tree(node=Negation(operand=tree.node, position=position), height=tree.height + 1)
        self.signs.clear()
        self.operands.append(tree)

    def take_expression(self) -> _Tree:
        """Sort out the precedence of what was read in a row."""
        operands, operators = self.operands, self.operators
        for level in PRECEDENCE:
            if operators:
                operands, operators = _gather(operands, operators, level)
        self.operands, self.operators = [], []
        return operands[0]

    def take_call(self, name: str) -> _Tree:
        arguments = tuple(tree.node for tree in self.arguments)
        height = 1 + max((tree.height for tree in self.arguments), default=0)
        return _Tree(node=Call(name=name, arguments=arguments, position=self.opening), height=height)


class _Expression:
    """The reading of one expression, up to but without its closing braces."""

    __slots__ = ("frames", "nesting", "opening", "reader")

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.opening = reader.opening
        self.frames = [_Frame(opening=reader.opening)]
        self.nesting = 0

    def read(self) -> Node:
        self.reader.skip_space()
        if self.reader.sees("}}"):
            return Empty()
        while True:
            self._read_operand()
            self.reader.check_length()
            while self._closes_bracket():
                pass
            if len(self.frames) == 1 and self.frames[0].complete and self.reader.sees("}}"):
                return self._checked(self.frames[0].take_expression()).node

    def _read_operand(self) -> None:
        """Read up to the end of one operand, opening the brackets on the way."""
        reader = self.reader
        while True:
            reader.skip_space()
            frame = self.frames[-1]
            position = reader.at
            if self._leaves_argument_out(frame):
                return
            if reader.ended() or reader.sees("}}"):
                raise self._not_closed()
            if reader.takes("-"):
                frame.signs.append(position)
                self._descend(position)
            elif reader.takes("("):
                self._open(_Frame(opening=position))
            elif call := reader.call():
                self._open(_Frame(opening=position, name=call[0]))
            else:
                self.nesting -= len(frame.signs)
                frame.add(_Tree(node=reader.leaf()))
                return

    def _leaves_argument_out(self, frame: _Frame) -> bool:
        """Recognise ``f(…; ; …)`` and ``f(…; )``, and ``f()``, which has no argument at all."""
        if frame.name is None or not frame.untouched:
            return False
        if self.reader.sees(")"):
            if frame.arguments:
                frame.add(_Tree(node=Empty()))
            return True
        if self.reader.sees(";"):
            frame.add(_Tree(node=Empty()))
            return True
        return False

    def _closes_bracket(self) -> bool:
        """Read what may follow an operand; True when that ended a bracket, which then is an operand itself."""
        reader = self.reader
        reader.skip_space()
        frame = self.frames[-1]
        if frame.operands and (operator := reader.operator()):
            frame.operators.append(operator)
            return False
        if frame.name is not None and reader.takes(";"):
            frame.arguments.append(frame.take_expression())
            return False
        if len(self.frames) > 1 and reader.takes(")"):
            self._close(frame)
            return True
        if len(self.frames) == 1 and reader.sees("}}"):
            return False
        raise self._not_closed() if reader.ended() or reader.sees("}}") else reader.unexpected()

    def _open(self, frame: _Frame) -> None:
        self._descend(frame.opening)
        self.frames.append(frame)

    def _close(self, frame: _Frame) -> None:
        if frame.operands:
            frame.arguments.append(self._checked(frame.take_expression()))
        tree = frame.arguments[0] if frame.name is None else self._checked(frame.take_call(frame.name))
        self.frames.pop()
        parent = self.frames[-1]
        self.nesting -= 1 + len(parent.signs)
        parent.add(tree)

    def _descend(self, position: int) -> None:
        self.nesting += 1
        if self.nesting > limits.NESTING:
            raise ExpressionSyntaxError(
                f"The expression nests more than {limits.NESTING} levels deep.", position=position
            )

    def _checked(self, tree: _Tree) -> _Tree:
        if tree.height > limits.HEIGHT:
            raise ExpressionSyntaxError("The expression nests too many operators.", position=self.opening)
        return tree

    def _not_closed(self) -> ExpressionSyntaxError:
        """Say which bracket is open where the expression, or the text, ends."""
        frame = self.frames[-1]
        if frame.name is not None:
            return ExpressionSyntaxError(f"The call of {frame.name}() is not closed.", position=frame.opening)
        if len(self.frames) > 1:
            return ExpressionSyntaxError("The parenthesis is not closed.", position=frame.opening)
        if self.reader.ended():
            return ExpressionSyntaxError(
                'The expression is not closed: }} is missing. Literal braces are written {{"{{"}}.',
                position=self.opening,
            )
        return ExpressionSyntaxError("A value is missing before }}.", position=self.reader.at)


def _gather(
    operands: list[_Tree], operators: list[tuple[str, int]], level: frozenset[str]
) -> tuple[list[_Tree], list[tuple[str, int]]]:
    """Turn each run of operators of one precedence into a ``Chain``."""
    gathered: list[_Tree] = []
    remaining: list[tuple[str, int]] = []
    run = [operands[0]]
    pending: list[tuple[str, int]] = []
    for operator, operand in zip(operators, operands[1:], strict=True):
        if operator[0] in level:
            pending.append(operator)
            run.append(operand)
        else:
            gathered.append(_chain(run, pending))
            remaining.append(operator)
            run, pending = [operand], []
    gathered.append(_chain(run, pending))
    return gathered, remaining


def _chain(operands: list[_Tree], operators: list[tuple[str, int]]) -> _Tree:
    if not operators:
        return operands[0]
    chain = Chain(
        operands=tuple(tree.node for tree in operands),
        operators=tuple(symbol for symbol, _ in operators),
        positions=tuple(position for _, position in operators),
    )
    return _Tree(node=chain, height=1 + max(tree.height for tree in operands))
