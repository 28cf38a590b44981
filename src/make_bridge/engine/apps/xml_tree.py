"""An XML document as a tree, for queries.

Used by `xml_paths`. Built by expat with the same guards as `xml_text`: no document type declaration, hence no
entities, and limits on depth and number of elements. Names keep their prefixes as written.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from make_bridge.engine.apps.module import Collection, ErrorType, ModuleError
from make_bridge.engine.apps.xml_text import MAX_DEPTH, MAX_ELEMENTS
from make_bridge.engine.values import Value


class _Refused(Exception):
    """The text is XML, but not of the kind that is read here."""


@dataclass(slots=True, eq=False)
class Element:
    """One element; `content` holds its texts and elements in order."""

    name: str
    attributes: dict[str, str]
    parent: "Element | None"
    order: int
    content: "list[str | Element]" = field(default_factory=list)

    @property
    def children(self) -> "Iterator[Element]":
        """The elements directly inside."""
        return (item for item in self.content if isinstance(item, Element))

    def walk(self) -> "Iterator[Element]":
        """Yield this element and all below it in document order, without recursion."""
        waiting: list[Element] = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend([item for item in reversed(element.content) if isinstance(item, Element)])

    def own_text(self) -> str:
        """Return the texts directly inside."""
        return "".join(item for item in self.content if isinstance(item, str))

    def text(self) -> str:
        """Return all text inside, in document order."""
        pieces: list[str] = []
        waiting: list[str | Element] = [self]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                pieces.append(item)
            else:
                waiting.extend(reversed(item.content))
        return "".join(pieces)

    def value(self) -> Value:
        """Return the element as a value, in the shape `xml_text.read_xml` gives; depth is limited."""
        made: Collection = {"_attributes": dict(self.attributes)} if self.attributes else {}
        for child in self.children:
            value = child.value()
            if child.name not in made:
                made[child.name] = value
                continue
            known = made[child.name]
            if isinstance(known, list):
                known.append(value)
            else:
                made[child.name] = [known, value]
        text = self.own_text().strip()
        if not made:
            return text
        return {**made, "_value": text} if text else made


class _Builder:
    def __init__(self) -> None:
        self.document = Element("", {}, None, 0)
        self.open = self.document
        self.depth = 0
        self.elements = 0

    def doctype(self, *_: object) -> None:
        raise _Refused("it has a document type declaration")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        self.depth += 1
        if self.depth > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise _Refused("it has too many elements")
        element = Element(name, attributes, self.open, self.elements)
        self.open.content.append(element)
        self.open = element

    def text(self, text: str) -> None:
        self.open.content.append(text)

    def end(self, _name: str) -> None:
        self.depth -= 1
        self.open = self.open.parent or self.document


def read_tree(body: bytes, what: str) -> Element:
    """Return the document's node, whose only child is the root element; `what` names it in the error."""
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
    return builder.document
