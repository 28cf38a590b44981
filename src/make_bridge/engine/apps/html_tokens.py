"""HTML as a row of texts and tags, for everything here that reads HTML.

Used by `html_text`, `html_markdown` and `text_elements`. Foreign markup is broken more often than not, so
nothing is refused: what opens no tag is text, what is never closed ends the document. One pass, in which
every search either succeeds or is the last of its kind, so that no input costs more than its length.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

SILENT: Final = frozenset({"script", "style", "head", "template"})
MAX_ATTRIBUTES: Final = 100

_NAME: Final = re.compile(r"/?([A-Za-z][A-Za-z0-9-]*)")
_ATTRIBUTE: Final = re.compile(
    r"""([^\s"'<>/=]+)(?:\s{0,20}=\s{0,20}(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+)))?""", re.DOTALL
)
_NO_ATTRIBUTES: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Characters between tags, entities resolved."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A start or end tag; names are lower case, the first of two equal attributes counts."""

    name: str
    closing: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


def tokens(source: str, *, attributes: bool = False, silent: frozenset[str] = SILENT) -> Iterator[Text | Tag]:
    """Yield the document's texts and tags; the elements of `silent` vanish with what is in them."""
    last = {mark: source.rfind(mark) for mark in ('"', "'", ">", "-->")}
    at = 0
    while (start := source.find("<", at)) >= 0:
        name = _NAME.match(source, start + 1)
        if name is None and source[start + 1 : start + 2] not in {"!", "?"}:
            yield Text(text=html.unescape(source[at : start + 1]))
            at = start + 1
            continue
        end = _end_of_tag(source, start, last)
        if end < 0:
            break
        if start > at:
            yield Text(text=html.unescape(source[at:start]))
        at = end
        if name is None:
            continue
        tag, closing = name.group(1).lower(), source[start + 1] == "/"
        if tag in silent and not closing:
            at = _after_element(source, tag, end)
            continue
        given = _attributes(source, name.end(), end - 1) if attributes and not closing else _NO_ATTRIBUTES
        yield Tag(name=tag, closing=closing, attributes=given)
    if at < len(source):
        yield Text(text=html.unescape(source[at:]))


def _end_of_tag(source: str, start: int, last: Mapping[str, int]) -> int:
    """Return where the tag is over, or -1 when nothing closes it: then nothing after it closes either."""
    if source.startswith("<!--", start):
        return source.find("-->", start) + 3 if last["-->"] > start else -1
    if last[">"] < start:
        return -1
    end = source.find(">", start)
    at = start
    while (quote := _quote_before(source, at, end)) >= 0:
        sign = source[quote]
        if last[sign] <= quote:
            break
        at = source.find(sign, quote + 1) + 1
        if at > end:
            if last[">"] < at:
                break
            end = source.find(">", at)
    return end + 1


def _quote_before(source: str, start: int, end: int) -> int:
    """Return where a quoted value begins before `end`; only after an equals sign do quotes quote."""
    found = _QUOTED.search(source, start, end)
    return found.end() - 1 if found else -1


_QUOTED: Final = re.compile(r"""=\s{0,20}["']""")


def _after_element(source: str, tag: str, start: int) -> int:
    closing = re.compile(f"</{tag}[^<>]*>", re.IGNORECASE).search(source, start)
    return closing.end() if closing else len(source)


def _attributes(source: str, start: int, end: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(source, start, end):
        name, *values = match.groups()
        value = next((value for value in values if value is not None), "")
        found.setdefault(name.lower(), html.unescape(value))
        if len(found) >= MAX_ATTRIBUTES:
            break
    return found
