"""Functions for addresses, HTML, Markdown and emoji (spec §7.3)."""

import re
from string import ascii_letters, digits
from typing import Final
from urllib.parse import quote, unquote

from make_bridge.engine.iml.functions.parameters import text
from make_bridge.engine.iml.functions.signature import Example, Function, OnNull, Run, example
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.values import Value, encode_text

_EMPTY: Final = OnNull(value="")
_UNRESERVED: Final = "!~*'()"  # what encodeURIComponent leaves alone beside letters, digits and -._
_UNRESERVED_BYTES: Final = (ascii_letters + digits + "-._" + _UNRESERVED).encode()
_ENTITIES: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;"))
_MARKDOWN_SIGNS: Final = "\\`*_{}[]()#+-.!|<>~"  # the backslash first: what follows writes more of them
_TAG_START: Final = re.compile(r"<(?:!--|[A-Za-z/!?])")

# Emoji are signs that are pictures by themselves, and written signs that U+FE0F makes pictures.
_PICTURES: Final = (
    "\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2604\u260e\u2611"
    "\u2614\u2615\u2618\u261d\u2620\u2622\u2623\u2626\u262a\u262e\u262f\u2638-\u263a\u2640\u2642\u2648-\u2653\u265f\u2660"
    "\u2663\u2665\u2666\u2668\u267b\u267e\u267f\u2692-\u2697\u2699\u269b\u269c\u26a0\u26a1\u26a7\u26aa\u26ab\u26b0\u26b1"
    "\u26bd\u26be\u26c4\u26c5\u26c8\u26ce\u26cf\u26d1\u26d3\u26d4\u26e9\u26ea\u26f0-\u26f5\u26f7-\u26fa\u26fd\u2702\u2705"
    "\u2708-\u270d\u270f\u2712\u2714\u2716\u271d\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763"
    "\u2764\u2795-\u2797\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\U0001f004\U0001f0cf\U0001f18e"
    "\U0001f191-\U0001f19a\U0001f201\U0001f21a\U0001f22f\U0001f232-\U0001f236\U0001f238-\U0001f23a\U0001f250\U0001f251"
    "\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7eb\U0001f7f0\U0001f90c-\U0001f9ff\U0001fa70-\U0001faff"
)
_WRITTEN: Final = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u24c2\u3030\u303d\u3297\u3299\U0001f170\U0001f171"
    "\U0001f17e\U0001f17f\U0001f202\U0001f237"
)
_ONE: Final = f"(?:[{_PICTURES}]\ufe0f?|[{_WRITTEN}]\ufe0f)[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*"
_FLAG: Final = "[\U0001f1e6-\U0001f1ff]{2}"
_KEYCAP: Final = "[#*0-9]\ufe0f?\u20e3"
_EMOJI: Final = re.compile(f"{_FLAG}|{_KEYCAP}|{_ONE}(?:\u200d{_ONE})*")


def _encode_url(scope: Scope, value: str) -> Value:
    scope.budget.scan(len(value))
    scope.budget.allocate(len(value) if value.isascii() else 3 * len(value))
    data = encode_text(value)
    scope.budget.allocate(2 * len(data.translate(None, _UNRESERVED_BYTES)))
    return quote(data, safe=_UNRESERVED)


def _decode_url(scope: Scope, value: str) -> Value:
    scope.budget.scan(len(value))
    scope.budget.allocate(len(value))
    return unquote(value.replace("+", " "), errors="replace")


def _escape_html(scope: Scope, value: str) -> Value:
    scope.budget.scan(len(value))
    scope.budget.allocate(len(value) + sum(value.count(sign) * len(entity) for sign, entity in _ENTITIES))
    for sign, entity in _ENTITIES:
        value = value.replace(sign, entity)
    return value


def _strip_html(scope: Scope, value: str) -> Value:
    """Drop tags and comments; a ``<`` that opens nothing, as in ``a < b``, stays."""
    scope.budget.scan(len(value))
    scope.budget.allocate(len(value))
    last_comment = value.rfind("-->")
    pieces: list[str] = []
    at = 0
    while tag := _TAG_START.search(value, at):
        closing = "-->" if tag[0] == "<!--" and tag.end() <= last_comment else ">"
        end = value.find(closing, tag.end())
        if end < 0:
            break
        scope.budget.step()
        pieces.append(value[at : tag.start()])
        at = end + len(closing)
    pieces.append(value[at:])
    return "".join(pieces)


def _escape_markdown(scope: Scope, value: str) -> Value:
    scope.budget.scan(len(_MARKDOWN_SIGNS) * len(value))
    scope.budget.allocate(len(value) + sum(map(value.count, _MARKDOWN_SIGNS)))
    for sign in _MARKDOWN_SIGNS:
        value = value.replace(sign, "\\" + sign)
    return value


def _replace_emoji(scope: Scope, value: str, replacement: str = "") -> Value:
    scope.budget.scan(16 * len(value))
    found = sum(1 for _ in _EMOJI.finditer(value))
    scope.budget.step(found)
    scope.budget.allocate(len(value) + found * len(replacement))
    return _EMOJI.sub(lambda _: replacement, value)


def _of_text(name: str, summary: str, run: Run, *examples: Example) -> Function:
    return Function(
        name=name, summary=summary, run=run, parameters=(text("text"),), required=1, on_null=_EMPTY, examples=examples
    )


MARKUP: Final = (
    _of_text(
        "encodeURL",
        "Writes a text so that it can be part of an address.",
        _encode_url,
        example('encodeURL("a b&c=ü")', "a%20b%26c%3D%C3%BC"),
    ),
    _of_text(
        "decodeURL",
        "Reads a text that was part of an address.",
        _decode_url,
        example('decodeURL("a%20b")', "a b"),
        example('decodeURL("a+b")', "a b"),
    ),
    _of_text(
        "escapeHTML",
        "Writes & < > and quotes as entities.",
        _escape_html,
        example('escapeHTML("<b>")', "&lt;b&gt;"),
    ),
    _of_text(
        "stripHTML",
        "Takes tags and comments away and keeps the text between them.",
        _strip_html,
        example('stripHTML("<b>x</b> y")', "x y"),
    ),
    _of_text(
        "escapeMarkdown",
        "Puts a backslash before every sign that means something in Markdown.",
        _escape_markdown,
        example('escapeMarkdown("# a")', "\\# a"),
    ),
    Function(
        name="replaceEmojiCharacters",
        summary="Replaces every emoji.",
        run=_replace_emoji,
        parameters=(text("text"), text("replacement")),
        required=1,
        on_null=_EMPTY,
        examples=(example('replaceEmojiCharacters("hi 😀"; ":)")', "hi :)"),),
    ),
)
