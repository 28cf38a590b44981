"""``replace`` (spec §7.3): text for text, or a pattern between slashes with ECMAScript's replacement signs."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, TypeAlias

import re2

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.functions.signature import Run
from make_bridge.engine.iml.patterns import Pattern, clean, read_pattern_literal
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.values import Value, describe

# A replacement is literal text, the number or name of a group, or one of the signs below as a one-item tuple.
_Part: TypeAlias = str | int | tuple[str]
_SIGN: Final = re.compile(r"\$(?:\$|&|`|'|([0-9]{1,2})|<([^>]*)>)")
_LONGEST_REMEMBERED: Final = 200


def replace(scope: Scope, text: str, search: str, replacement: str = "") -> Value:
    """Replace all occurrences of a text, or the matches of a pattern: the first, or with the flag g all."""
    return prepare_replace(search, replacement)(scope, text)


def prepare_replace(search: str, replacement: str = "") -> Run:
    """Compile the pattern once, if it is one."""
    try:
        pattern = read_pattern_literal(search)
    except ExpressionError as error:
        raise ExpressionError(f"{error.message} The pattern is {describe(search)}.", argument=2) from None
    if pattern is None:
        return lambda scope, text: _replace_text(scope, text, search, replacement)
    parts = _parse_replacement(clean(replacement), pattern)
    return lambda scope, text: _replace_matches(scope, clean(text), pattern, parts)


def _replace_text(scope: Scope, text: str, search: str, replacement: str) -> str:
    scope.budget.search(len(text), len(search))
    found = text.count(search) if search else 0
    if not found:
        return text
    scope.budget.step(found >> 3)
    scope.budget.allocate(len(text) + found * (len(replacement) - len(search)))
    return text.replace(search, replacement)


def _replace_matches(scope: Scope, text: str, pattern: Pattern, parts: tuple[_Part, ...]) -> str:
    budget = scope.budget
    pieces: list[str] = []
    at = 0
    plain = parts[0] if len(parts) == 1 and isinstance(parts[0], str) else None
    for match in pattern.places(text, budget):
        start, end = match.span()
        budget.allocate(start - at)
        pieces.append(text[at:start])
        at = end
        if plain is not None:
            budget.allocate(len(plain))
            pieces.append(plain)
            continue
        for first, last, literal in _expand(parts, match, text):
            budget.step()
            budget.allocate(last - first)
            pieces.append(literal[first:last])
    budget.allocate(len(text) - at)
    pieces.append(text[at:])
    return "".join(pieces)


def _parse_replacement(replacement: str, pattern: Pattern) -> tuple[_Part, ...]:
    names = tuple(sorted(pattern.group_names.items()))
    groups = pattern.regexp.groups
    if len(replacement) > _LONGEST_REMEMBERED:
        return tuple(_read_parts(replacement, groups, names))
    return _remembered_parts(replacement, groups, names)


@lru_cache(maxsize=256)
def _remembered_parts(replacement: str, groups: int, names: tuple[tuple[str, int], ...]) -> tuple[_Part, ...]:
    return tuple(_read_parts(replacement, groups, names))


def _read_parts(replacement: str, groups: int, names: tuple[tuple[str, int], ...]) -> Iterator[_Part]:
    """Read ``$&``, ``$1``, ``$<name>``, ``$$``, and the text before and after the match."""
    at = 0
    for sign in _SIGN.finditer(replacement):
        yield replacement[at : sign.start()]
        at = sign.end()
        if sign[1]:
            yield from _read_group(sign[1], groups)
        elif sign[2] is not None:
            yield dict(names).get(sign[2], "") if names else sign[0]
        else:
            yield "$" if sign[0] == "$$" else (sign[0][1],)
    yield replacement[at:]


def _read_group(digits: str, groups: int) -> Iterator[_Part]:
    """Read ``$12`` as group 12, else as group 1 and the text 2, else as it stands."""
    if 0 < int(digits) <= groups:
        yield int(digits)
    elif len(digits) > 1 and 0 < int(digits[0]) <= groups:
        yield int(digits[0])
        yield digits[1]
    else:
        yield "$" + digits


def _expand(
    parts: tuple[_Part, ...], match: "re2._Match[str] | re2._Match[bytes]", text: str
) -> Iterator[tuple[int, int, str]]:
    """Yield slices, not texts: the caller pays for each before it is made."""
    for part in parts:
        if isinstance(part, int):
            start, end = match.span(part)
            if start >= 0:
                yield start, end, text
        elif isinstance(part, str):
            if part:
                yield 0, len(part), part
        elif part[0] == "&":
            yield *match.span(), text
        elif part[0] == "`":
            yield 0, match.start(), text
        else:
            yield match.end(), len(text), text
