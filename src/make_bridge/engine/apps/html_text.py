"""HTML to readable text, for the text parser.

Blocks become lines, list items get a dash, scripts and styles vanish, entities become signs. The document
comes as tokens in one pass, so that no markup, however broken, costs more than its length.
"""

import re
from typing import Final

from make_bridge.engine.apps.html_tokens import Text, tokens

_BLOCKS: Final = frozenset(
    {"address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "fieldset", "footer", "form", "header"}
    | {"hr", "main", "nav", "ol", "pre", "section", "table", "tr", "ul"}
)
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_CELLS: Final = frozenset({"td", "th"})
_SPACES: Final = re.compile(r"[ \t\r\n\f]+")
_AROUND_LINES: Final = re.compile(r" ?\n ?")
_MANY_LINES: Final = re.compile(r"\n{3,}")


def html_to_text(source: str, *, newline: str = "\n", uppercase_headings: bool = False) -> str:
    """Return the text of a piece of HTML."""
    pieces: list[str] = []
    heading = False
    for token in tokens(source):
        if isinstance(token, Text):
            words = _SPACES.sub(" ", token.text)
            pieces.append(words.upper() if heading else words)
            continue
        pieces.append(_mark(token.name, closing=token.closing))
        if token.name in _HEADINGS:
            heading = uppercase_headings and not token.closing
    text = _AROUND_LINES.sub("\n", "".join(pieces))
    return _MANY_LINES.sub("\n\n", text).strip().replace("\n", newline)


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
