"""``replace`` (spec §7.3): text for text, or a pattern between slashes with ECMAScript's replacement signs."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, TypeAlias

import re2

from make_bridge.engine.iml.patterns import Pattern, clean, read_pattern_literal
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.values import Value

# A replacement is literal text, the number or name of a group, or one of the signs below as a one-item tuple.
_Part: TypeAlias = str | int | tuple[str]
_SIGN: Final = re.compile(r"\$(?:\$|&|`|'|([0-9]{1,2})|<([^>]*)>)")
_LONGEST_REMEMBERED: Final = 200


def replace(scope: Scope, text: str, search: str, replacement: str = "") -> Value:
    """Replace all occurrences of a text, or the matches of a pattern: the first, or with the flag g all."""
    pattern = read_pattern_literal(search)
    if pattern is None:
        return _replace_text(scope, text, search, replacement)
    return _replace_matches(scope, clean(text), pattern, clean(replacement))


def _replace_text(scope: Scope, text: str, search: str, replacement: str) -> str:
    scope.budget.scan(len(text) + len(search))
    found = text.count(search) if search else 0
    if not found:
        return text
    scope.budget.step(found >> 3)
    scope.budget.allocate(len(text) + found * (len(replacement) - len(search)))
    return text.replace(search, replacement)


def _replace_matches(scope: Scope, text: str, pattern: Pattern, replacement: str) -> str:
    parts = _parse_replacement(replacement, pattern)
    pieces: list[str] = []
    at = 0
    for match in pattern.matches(text, scope.budget):
        start, end = match.span()
        scope.budget.allocate(start - at)
        pieces.append(text[at:start])
        for first, last, literal in _expand(parts, match, text):
            scope.budget.step()
            scope.budget.allocate(last - first)
            pieces.append(literal[first:last])
        at = end
    scope.budget.allocate(len(text) - at)
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


def _expand(parts: tuple[_Part, ...], match: "re2._Match[str]", text: str) -> Iterator[tuple[int, int, str]]:
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
