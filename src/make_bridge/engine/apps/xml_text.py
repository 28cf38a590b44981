"""XML text to values, for responses that are XML.

Attributes come under `_attributes`, the text of an element that has attributes or children under
`_value`, repeated tags as arrays; an element with text only is that text. Document type declarations
are refused: entities are how small XML becomes large.
"""

from typing import Final
from xml.parsers import expat

from make_bridge.engine.apps.module import Collection, ErrorType, ModuleError
from make_bridge.engine.values import Value

MAX_DEPTH: Final = 200
MAX_ELEMENTS: Final = 200_000


class _Refused(Exception):
    """The text is XML, but not of the kind that is read here."""


class _Builder:
    def __init__(self) -> None:
        self.root: Collection = {}
        self.open: list[tuple[str, Collection, list[str]]] = [("", self.root, [])]
        self.elements = 0

    def doctype(self, *_: object) -> None:
        raise _Refused("it has a document type declaration")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        if len(self.open) > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise _Refused("it has too many elements")
        self.open.append((tag, {"_attributes": dict(attributes)} if attributes else {}, []))

    def text(self, text: str) -> None:
        self.open[-1][2].append(text)

    def end(self, _tag: str) -> None:
        tag, members, texts = self.open.pop()
        text = "".join(texts).strip()
        if text and members:
            members["_value"] = text
        self._add(self.open[-1][1], tag, members or text)

    def _add(self, parent: Collection, tag: str, value: Value) -> None:
        if tag not in parent:
            parent[tag] = value
            return
        known = parent[tag]
        if isinstance(known, list):
            known.append(value)
        else:
            parent[tag] = [known, value]


def read_xml(body: bytes, what: str) -> Value:
    """Return the document as a collection with its root element; `what` names it in the error."""
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(body, True)  # noqa: FBT003  expat's own order: "this was the last piece"
    except (expat.ExpatError, _Refused, ValueError, LookupError) as error:
        raise ModuleError(ErrorType.DATA, f"{what} is not XML that can be read.", detail=str(error)) from error
    return builder.root
