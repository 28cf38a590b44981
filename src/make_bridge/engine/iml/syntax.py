"""The tree of an expression, as the parser makes it and the printer and the compiler read it.

Operators of one precedence stand side by side in one ``Chain``, so a tree is only as deep as the text nests
brackets, calls and signs, which the parser bounds; a long sum is wide, not deep. Positions are offsets in the
template's text and no part of equality: two spellings of one expression are equal.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

KEYWORDS: Final = frozenset(
    {
        "carriagereturn",
        "emptyarray",
        "emptystring",
        "erase",
        "executionId",
        "false",
        "ignore",
        "nbsp",
        "newline",
        "now",
        "null",
        "pi",
        "random",
        "space",
        "tab",
        "timestamp",
        "true",
        "uuid",
    }
)

# The operators of each precedence, the tightest first.
PRECEDENCE: Final[tuple[frozenset[str], ...]] = (
    frozenset({"*", "/", "%"}),
    frozenset({"+", "-"}),
    frozenset({"=", "!=", "<", ">", "<=", ">="}),
    frozenset({"&"}),
    frozenset({"|"}),
    # No operator of the language: text that belongs to the argument. Files written by people and models have it
    # where a semicolon was meant; read this way they can be imported, and a run says which argument is missing.
    frozenset({","}),
)

VARIABLES: Final = "var"

# A key is a str, a 1-based position an int, ``[]`` is None.
Segment: TypeAlias = str | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """An argument that was left out, or ``{{}}``: null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    value: int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BareText:
    """A word that is neither keyword nor reference, and so stands for itself: ``formatDate(now; YYYY)``."""

    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyword:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A reference. The head is a module's id, ``var``, or another name in backticks, which finds nothing."""

    head: int | str
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    name: str
    arguments: tuple["Node", ...]
    position: int = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Negation:
    operand: "Node"
    position: int = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """``operands[0] operators[0] operands[1] …``, read from the left; all operators bind equally."""

    operands: tuple["Node", ...]
    operators: tuple[str, ...]
    positions: tuple[int, ...] = field(compare=False)


Node: TypeAlias = Empty | Number | Text | BareText | Keyword | Path | Call | Negation | Chain

# A template is literal text (str) and expressions in the order of writing.
Part: TypeAlias = str | Node
