"""The app `xml`: text to bundles and back, and queries. Document type declarations are refused everywhere."""

from typing import Final

from make_bridge.engine.apps.fields import Bounds, Field
from make_bridge.engine.apps.module import Bundles, Collection, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.apps.xml_path_values import Leaf, Node, as_text
from make_bridge.engine.apps.xml_paths import MAX_EXPRESSION, Query
from make_bridge.engine.apps.xml_text import read_xml
from make_bridge.engine.apps.xml_tree import read_tree
from make_bridge.engine.apps.xml_writing import write_xml
from make_bridge.engine.numbers import normalize
from make_bridge.engine.values import Value, to_buffer, to_text

MAX_BYTES: Final = 8_000_000
MAX_FOUND: Final = 10_000


def _source(call: ModuleCall) -> bytes:
    body = to_buffer(call.input["xml"])
    if len(body) > MAX_BYTES:
        message = f"The XML has {len(body)} bytes; at most {MAX_BYTES} are read."
        raise ModuleError(ErrorType.FILE_SIZE, message)
    return body


def _parse(call: ModuleCall) -> Bundles:
    document = read_xml(_source(call), "The source")
    return [document if isinstance(document, dict) else {"value": document}]


def _query(call: ModuleCall) -> Bundles:
    query = Query(to_text(call.input["xpath"]))
    result = query.run(read_tree(_source(call), "The source"), call.host.budget)
    if isinstance(result, list):
        if len(result) > MAX_FOUND:
            raise ModuleError(ErrorType.RESULTS, f"The XPath finds more than {MAX_FOUND} nodes; make it stricter.")
        return [_bundle(number, node) for number, node in enumerate(result, 1)]
    return [{"i": 1, "name": None, "value": _scalar(result), "node": None}]


def _bundle(number: int, node: Node) -> Collection:
    if isinstance(node, Leaf):
        return {"i": number, "name": node.name, "value": node.value, "node": None}
    return {"i": number, "name": node.name, "value": node.text().strip(), "node": node.value()}


def _scalar(result: str | float) -> Value:
    if isinstance(result, bool):
        return result
    return normalize(result) if isinstance(result, float) else as_text(result)


def _settings(call: ModuleCall) -> tuple[bool, str]:
    indent = " " * 2 if call.parameters.get("pretty") is True else ""
    return call.parameters.get("declaration") is not False, indent


def _create(call: ModuleCall) -> Bundles:
    declaration, indent = _settings(call)
    given: Value = {name: value for name, value in call.input.items() if value is not None}
    return [{"xml": write_xml(given, declaration=declaration, indent=indent)}]


def _transform(call: ModuleCall) -> Bundles:
    declaration, indent = _settings(call)
    root = to_text(call.input.get("root")) or "root"
    return [{"xml": write_xml(call.input.get("object"), root=root, declaration=declaration, indent=indent)}]


_XML: Final = Field(name="xml", type="any", label="XML", required=True, multiline=True, help="Text, or a file's data.")
_RESULT: Final = (Field(name="xml", type="text", label="XML"),)
_STRUCTURE: Final = Field(name="type", type="udt", label="Data structure", help="Only shapes the editor.")
_WRITING: Final = (
    Field(name="declaration", type="boolean", label="Begin with an XML declaration", default=True),
    Field(name="pretty", type="boolean", label="One line per element", default=False),
)

MODULES: Final = (
    ModuleSpec(
        name="xml:ParseXML",
        label="Parse XML",
        kind=Kind.TRANSFORMER,
        help="Reads XML into one bundle: attributes under _attributes, text beside them under _value.",
        parameters=(_STRUCTURE,),
        mapper=(_XML,),
        run=_parse,
    ),
    ModuleSpec(
        name="xml:CreateXML",
        label="Create XML",
        kind=Kind.TRANSFORMER,
        help="Writes the fields of a data structure as XML text.",
        parameters=(_STRUCTURE, *_WRITING),
        output=_RESULT,
        open_mapper=True,
        run=_create,
    ),
    ModuleSpec(
        name="xml:TransformToXML",
        label="Transform to XML",
        kind=Kind.TRANSFORMER,
        help="Writes any value as XML text.",
        parameters=_WRITING,
        mapper=(
            Field(name="object", type="any", label="Object", required=True),
            Field(
                name="root",
                type="text",
                label="Root element",
                default="root",
                help="Not used when the object is a collection with a single key: that is the root then.",
            ),
        ),
        output=_RESULT,
        run=_transform,
    ),
    ModuleSpec(
        name="xml:PerformXPathQuery",
        label="Perform XPath query",
        kind=Kind.TRANSFORMER,
        help="Finds elements, attributes or texts of XML; one bundle per find.",
        mapper=(
            _XML,
            Field(
                name="xpath",
                type="text",
                label="XPath",
                required=True,
                help="Short forms of XPath 1.0, as //order[@id='7']/total.",
                validate=Bounds(max=MAX_EXPRESSION),
            ),
        ),
        output=(
            Field(name="i", type="uinteger", label="Number of the find"),
            Field(name="name", type="text", label="Name"),
            Field(name="value", type="any", label="Text"),
            Field(name="node", type="any", label="Element"),
        ),
        run=_query,
    ),
)
