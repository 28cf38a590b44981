"""HTML to readable text, for the text parser.

Blocks become lines, list items get a dash, scripts and styles vanish, entities become signs. One pass
with plain searches, so that no markup, however broken, costs more than its length.
"""

import html
import re
from typing import Final

_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "fieldset", "footer", "form", "header"}
    | {"hr", "main", "nav", "ol", "pre", "section", "table", "tr", "ul"}
)
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_SILENT: Final = frozenset({"script", "style", "head", "template"})
_CELLS: Final = frozenset({"td", "th"})
_NAME: Final = re.compile(r"/?([A-Za-z][A-Za-z0-9]*)")
_SPACES: Final = re.compile(r"[ \t\r\n\f]+")
_AROUND_LINES: Final = re.compile(r" ?\n ?")
_MANY_LINES: Final = re.compile(r"\n{3,}")


def html_to_text(source: str, *, newline: str = "\n", uppercase_headings: bool = False) -> str:
    """Return the text of a piece of HTML."""
    pieces: list[str] = []
    heading, at = False, 0
    while (start := source.find("<", at)) >= 0:
        end = _end_of_tag(source, start)
        if end < 0:
            break
        name = _NAME.match(source, start + 1)
        if name is None and source[start + 1] not in "!?":
            pieces.append(_words(source[at : start + 1], upper=heading))
            at = start + 1
            continue
        pieces.append(_words(source[at:start], upper=heading))
        at = end
        if name is None:
            continue
        tag, closing = name.group(1).lower(), source[start + 1] == "/"
        if tag in _SILENT and not closing:
            at = _after_element(source, tag, end)
            continue
        pieces.append(_mark(tag, closing=closing))
        if tag in _HEADINGS:
            heading = uppercase_headings and not closing
    pieces.append(_words(source[at:], upper=heading))
    text = _AROUND_LINES.sub("\n", "".join(pieces))
    return _MANY_LINES.sub("\n\n", text).strip().replace("\n", newline)


def _end_of_tag(source: str, start: int) -> int:
    """Return where the tag is over, or -1 when nothing closes it: then nothing after it closes either."""
    if source.startswith("<!--", start):
        end = source.find("-->", start)
        return end + 3 if end >= 0 else -1
    return source.find(">", start) + 1 or -1


def _after_element(source: str, tag: str, start: int) -> int:
    closing = re.compile(f"</{tag}[^<>]*>", re.IGNORECASE).search(source, start)
    return closing.end() if closing else len(source)


def _words(text: str, *, upper: bool) -> str:
    plain = html.unescape(_SPACES.sub(" ", text))
    return plain.upper() if upper else plain


def _mark(tag: str, *, closing: bool) -> str:
    if tag == "br":
        return "\n"
    if tag == "li":
        return "" if closing else "\n- "
    if tag in _CELLS:
        return " " if closing else ""
    if tag == "p" or tag in _HEADINGS:
        return "\n\n"
    return "\n" if tag in _BLOCKS else ""
