"""Things people look for in texts and pages: addresses, numbers, links, pictures.

Used by the text parser. Presets of patterns run on RE2 like every pattern; elements of HTML come from its
tokens. Both give one bundle per find, in reading order.
"""

from collections.abc import Iterator
from typing import Final

from make_bridge.engine.apps.html_tokens import Tag, Text, tokens
from make_bridge.engine.apps.module import Collection
from make_bridge.engine.iml.patterns import clean, compile_pattern
from make_bridge.engine.iml.scope import Budget
from make_bridge.engine.numbers import text_to_number

PRESETS: Final = {
    "email": r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+",
    "url": r"(?:https?|ftp):\/\/[^\s<>\"'`]+[^\s<>\"'`.,;:!?)\]}]",
    "number": r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    "phone": r"\+?[0-9(][0-9()\/ .-]{5,18}[0-9]",
    "ipv4": r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b",
    "uuid": r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
    "date": r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    "hashtag": r"#[\p{L}\p{N}_]+",
    "mention": r"@[A-Za-z0-9_]+",
}
_NOTHING_SILENT: Final[frozenset[str]] = frozenset({"script", "style", "template"})
_ATTRIBUTES: Final = {
    "img": ("src", "alt", "title", "width", "height"),
    "a": ("href", "title", "target", "rel"),
    "iframe": ("src", "title", "width", "height"),
}
ELEMENTS: Final = {"image": "img", "link": "a", "iframe": "iframe"}


def find_preset(name: str, text: str, budget: Budget) -> Iterator[Collection]:
    """Yield what the preset finds in a text; a number comes as a number."""
    pattern = compile_pattern(PRESETS[name], "g")
    for number, match in enumerate(pattern.matches(clean(text), budget), 1):
        found = match.group()
        yield {"i": number, "match": text_to_number(found) if name == "number" else found}


def find_elements(kind: str, source: str) -> Iterator[Collection]:
    """Yield the elements of a kind; links carry their text. An element without its address is left out."""
    tag = ELEMENTS[kind]
    number = 0
    link: Collection | None = None
    words: list[str] = []
    for token in tokens(source, attributes=True, silent=_NOTHING_SILENT):
        if isinstance(token, Text):
            if link is not None:
                words.append(token.text)
            continue
        if link is not None and token.name == "a":
            yield {**link, "text": " ".join("".join(words).split())}
            link = None
        if token.name != tag or token.closing or not _address(token):
            continue
        number += 1
        found: Collection = {"i": number, **{name: token.attributes.get(name) for name in _ATTRIBUTES[tag]}}
        if tag == "a":
            link, words = found, []
        else:
            yield found
    if link is not None:
        yield {**link, "text": " ".join("".join(words).split())}


def _address(tag: Tag) -> str:
    return tag.attributes.get(_ATTRIBUTES[tag.name][0], "")
