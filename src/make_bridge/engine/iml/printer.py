"""From a tree back to text, in the editor's own spelling.

Used by tests (every template must survive parse, print, parse) and by whoever rewrites the references of a
blueprint. Prints one canonical form: double quotes, backticks only where a key needs them, parentheses only
where precedence needs them, ``; `` between arguments.
"""

import re
from collections.abc import Iterable
from typing import Final

from make_bridge.engine.iml.syntax import (
    PRECEDENCE,
    VARIABLES,
    BareText,
    Call,
    Chain,
    Empty,
    Keyword,
    Negation,
    Node,
    Number,
    Part,
    Path,
    Segment,
    Text,
)
from make_bridge.engine.numbers import number_to_text

_PLAIN_KEY: Final = re.compile(r"[A-Za-z$][A-Za-z0-9_$]*")


def print_template(parts: Iterable[Part]) -> str:
    """Print a whole template."""
    return "".join(part if isinstance(part, str) else f"{{{{{_print_whole(part)}}}}}" for part in parts)


def _print_whole(node: Node) -> str:
    """Print what stands between braces: there a lone integer would be a module, so it gets parentheses."""
    return f"({print_node(node)})" if isinstance(node, Number) else print_node(node)


def print_node(node: Node) -> str:
    """Print one expression; recurses once for each level of the tree, whose height the parser bounds."""
    match node:
        case Empty():
            return ""
        case Number(value=number):
            return number_to_text(number)
        case Text(value=text):
            return '"' + text.replace('"', '""') + '"'
        case BareText(value=text) | Keyword(name=text):
            return text
        case Path():
            return _print_path(node)
        case Call(name=name, arguments=arguments):
            return f"{name}({'; '.join(map(print_node, arguments))})"
        case Negation(operand=operand):
            return f"-({print_node(operand)})" if isinstance(operand, Chain) else f"-{print_node(operand)}"
        case Chain(operands=operands):
            return _join_chain(node, list(map(print_node, operands)))


def _join_chain(chain: Chain, printed: list[str]) -> str:
    """Put operators between, and parentheses around each chain that binds no tighter than this one."""
    level = _level(chain)
    for index, operand in enumerate(chain.operands):
        if isinstance(operand, Chain) and _level(operand) >= level:
            printed[index] = f"({printed[index]})"
    pieces = [printed[0]]
    for operator, operand_text in zip(chain.operators, printed[1:], strict=True):
        pieces.append(f", {operand_text}" if operator == "," else f" {operator} {operand_text}")
    return "".join(pieces)


def _print_path(path: Path) -> str:
    segments = "".join(map(_print_segment, path.segments))
    plain = path.head == VARIABLES or (isinstance(path.head, int) and path.segments)
    return f"{path.head}{segments}" if plain else f"`{path.head}`{segments}"


def _print_segment(segment: Segment) -> str:
    if segment is None:
        return "[]"
    if isinstance(segment, int):
        return f"[{segment}]"
    return f".{segment}" if _PLAIN_KEY.fullmatch(segment) else f".`{segment}`"


def _level(chain: Chain) -> int:
    return next(level for level, operators in enumerate(PRECEDENCE) if chain.operators[0] in operators)
