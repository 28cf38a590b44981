"""Values to XML text: the way back from `xml_text`.

Used by the `xml` and `json` apps. `_attributes` holds an element's attributes, `_value` its text, an array is one
element per item, null is left out. Names are checked, texts escaped: what goes in as data stays data.
"""

import re
from typing import Final

from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.apps.xml_text import MAX_DEPTH, MAX_ELEMENTS
from make_bridge.engine.values import Value, size_of, to_text

MAX_WRITTEN: Final = 16 * 1024 * 1024

_FIRST: Final = "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f"
_NAME: Final = re.compile(f"[{_FIRST}:][{_FIRST}:0-9.\u00b7\u0300-\u036f\u203f-\u2040-]*")
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_QUOTES: Final = _MARKUP | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_SHOWN: Final = 40


def write_xml(document: Value, *, root: str = "root", declaration: bool = True, indent: str = "") -> str:
    """Return the document's text.

    A collection with one key, whose value is no array, is the root element itself; anything else is put into one.
    """
    if size_of(document, MAX_WRITTEN) > MAX_WRITTEN:
        message = f"The value has more than {MAX_WRITTEN} bytes as text; XML of that size is not written."
        raise ModuleError(ErrorType.FILE_SIZE, message)
    writer = _Writer(indent)
    if isinstance(document, dict):
        names = [name for name in document if name not in ("_attributes", "_value")]
        if len(document) == len(names) == 1 and not isinstance(document[names[0]], list):
            root, document = names[0], document[names[0]]
    elif isinstance(document, list):
        document = {"item": document}
    writer.element(root, document, 0)
    break_after = "\n" if declaration and indent else ""
    return (_DECLARATION if declaration else "") + break_after + "".join(writer.parts).removeprefix("\n")


class _Writer:
    def __init__(self, indent: str) -> None:
        self.parts: list[str] = []
        self.elements = 0
        self.indent = indent

    def element(self, name: str, value: Value, depth: int) -> None:
        """Write one element with all that is in it; the depth is limited before Python's own."""
        self.elements += 1
        if depth > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            message = f"The value has more than {MAX_ELEMENTS} elements or {MAX_DEPTH} levels; XML is not made of it."
            raise ModuleError(ErrorType.DATA, message)
        start = f"{self._line(depth)}<{_name(name)}"
        if not isinstance(value, dict):
            text = _text(value)
            self.parts.append(f"{start}>{text}</{name}>" if text else f"{start}/>")
            return
        attributes, text = value.get("_attributes"), _text(value.get("_value"))
        if isinstance(attributes, dict):
            start += "".join(
                f' {_name(key)}="{_attribute(item)}"' for key, item in attributes.items() if item is not None
            )
        children = [(key, item) for key, item in value.items() if key not in ("_attributes", "_value")]
        if not text and not any(item is not None and item != [] for _, item in children):
            self.parts.append(start + "/>")
            return
        self.parts.append(f"{start}>{text}")
        written = len(self.parts)
        self._children(children, depth + 1)
        self.parts.append((self._line(depth) if len(self.parts) > written else "") + f"</{name}>")

    def _children(self, children: list[tuple[str, Value]], depth: int) -> None:
        for name, value in children:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, list):
                    self.element(name, {"item": item}, depth)
                elif item is not None:
                    self.element(name, item, depth)

    def _line(self, depth: int) -> str:
        return "\n" + self.indent * depth if self.indent else ""


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        message = f"{name[:_SHOWN]!r} cannot be the name of an XML element or attribute."
        raise ModuleError(ErrorType.DATA, message)
    return name


def _text(value: Value) -> str:
    return _allowed(to_text(value)).translate(_MARKUP)


def _attribute(value: Value) -> str:
    return _allowed(to_text(value)).translate(_IN_QUOTES)


def _allowed(text: str) -> str:
    """Refuse what no XML can hold, not even escaped."""
    if _FORBIDDEN.search(text):
        message = "The value holds control characters, which XML cannot carry; remove them or encode it as base64."
        raise ModuleError(ErrorType.DATA, message)
    return text
