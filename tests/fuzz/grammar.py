"""From bytes to well-formed templates: every choice of the grammar is a byte, so mutated bytes are other programs.

Blind mutation of text mostly makes what does not parse; this reaches the functions behind the parser.
"""

from typing import Final

from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.iml.syntax import KEYWORDS

_DEEPEST: Final = 7
_OPERATORS: Final = ("+", "-", "*", "/", "%", "=", "!=", "<", ">", "<=", ">=", "&", "|", ",")
_LEAVES: Final = (
    *sorted(KEYWORDS),
    *("1.t", "1.u", "1.a", "1.c", "1.b", "1.d", "1.n", "1.rows", "1.rows[]", "1.rows[2].k", "1.c.d.e[3]", "`1`"),
    *("1.ignored", "1.erased", "1.missing.x", "9.x", "var.input.name", "1.a[6]", "1.a[7]"),
    *("0", "1", "-1", "2.5", "1e308", "9007199254740993", "0.1", "100", "1e-7", "86400"),
    *('""', '"a"', '","', '" "', '"k"', '"n"', '"k.n"', '"[2].k"', '"desc"', '"asc ci"', '"x,y"', '"$&$1"', '"é😀"'),
    *('"/a|b/gi"', '"/(.*)*/"', '"/./gs"', '"/(?<x>\\w)\\b/g"', '"hex"', '"base64"', '"utf8"', '"symmetric"'),
    *('"YYYY-MM-DD HH:mm:ss Z"', '"X"', '"GGGG-[W]WW-E"', '"Europe/Prague"', '"monday"', '"months"', '"2026-03-29"'),
    *('"9999-12-31"', '"0001-01-01"', '"<b>x</b>"', '"a b&c=%zz+"', '"1 234,5"', '"0x1f"', '"false"'),
)
_NAMES: Final = tuple(FUNCTIONS)


def template_from(data: bytes) -> str:
    """Return a template that the bytes describe; when they are used up, every choice is the first."""
    return _Growth(data).template()


class _Growth:
    """One walk over the bytes."""

    def __init__(self, data: bytes) -> None:
        self._choices = iter(data)

    def template(self) -> str:
        parts = ["{{" + self._expression(0) + "}}" for _ in range(1 + self._choose(3))]
        return ("" if self._choose(2) else " and ").join(parts)

    def _choose(self, among: int) -> int:
        return next(self._choices, 0) % among

    def _expression(self, depth: int) -> str:
        kind = self._choose(8) if depth < _DEEPEST else 0
        if kind in {1, 2, 3, 4}:
            return self._call(depth)
        if kind == 5:
            operator = _OPERATORS[self._choose(len(_OPERATORS))]
            return f"({self._expression(depth + 1)} {operator} {self._expression(depth + 1)})"
        if kind == 6:
            return f"-{self._expression(depth + 1)}"
        return _LEAVES[self._choose(len(_LEAVES))]

    def _call(self, depth: int) -> str:
        function = FUNCTIONS[_NAMES[self._choose(len(_NAMES))]]
        count = min(function.most, function.required + self._choose(3))
        return f"{function.name}({'; '.join(self._expression(depth + 1) for _ in range(count))})"
