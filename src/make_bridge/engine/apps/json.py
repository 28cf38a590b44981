"""The app `json`: text to bundles and back."""

from typing import Final

from make_bridge.engine.apps.aggregations import FEEDER, JsonAggregation
from make_bridge.engine.apps.fields import Field, Option
from make_bridge.engine.apps.json_text import read, write
from make_bridge.engine.apps.module import Bundles, Collection, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.apps.xml_writing import write_xml
from make_bridge.engine.values import Value, to_text

MAX_CHARACTERS: Final = 16_000_000


def _parse(call: ModuleCall) -> Bundles:
    """An object is one bundle, an array one bundle per element."""
    value = read(_source(call), "Source")
    items = value if isinstance(value, list) else [value]
    return [_bundle(item) for item in items]


def _source(call: ModuleCall) -> str | bytes:
    """Return the text; a collection or array is its own JSON, so that what is parsed already passes."""
    given = call.input["json"]
    text = given if isinstance(given, bytes) else write(given) if isinstance(given, dict | list) else to_text(given)
    if len(text) > MAX_CHARACTERS:
        message = f"The JSON has {len(text)} characters; at most {MAX_CHARACTERS} are read."
        raise ModuleError(ErrorType.FILE_SIZE, message)
    if isinstance(text, bytes):
        return text.removeprefix(b"\xef\xbb\xbf")
    return text.removeprefix("\ufeff")


def _bundle(item: Value) -> Collection:
    return item if isinstance(item, dict) else {"value": item}


def _create(call: ModuleCall) -> Bundles:
    return [{"json": write(_given(call.input), to_text(call.parameters.get("space")))}]


def _given(fields: Collection) -> Collection:
    """Leave out what was not filled in: an unset optional key is absent, not null."""
    return {key: value for key, value in fields.items() if value is not None}


def _transform(call: ModuleCall) -> Bundles:
    return [{"json": write(call.input.get("object"), to_text(call.parameters.get("space")))}]


def _to_xml(call: ModuleCall) -> Bundles:
    """An object with a single key names the root; an array becomes the items of one."""
    return [{"xml": write_xml(read(_source(call), "Source"))}]


class _Items(JsonAggregation):
    """An array of items, written as Create JSON writes them."""

    def add(self, item: Collection) -> None:
        """Append what was filled in."""
        super().add(_given(item))


_SPACE: Final = Field(
    name="space",
    type="select",
    label="Indentation",
    options=(
        Option(value="", label="None"),
        Option(value="tab", label="Tab"),
        Option(value="2", label="2 spaces"),
        Option(value="4", label="4 spaces"),
    ),
)
_STRUCTURE: Final = Field(name="type", type="udt", label="Data structure", help="Only shapes the editor.")
_JSON: Final = (Field(name="json", type="text", label="JSON string"),)

MODULES: Final = (
    ModuleSpec(
        name="json:ParseJSON",
        label="Parse JSON",
        kind=Kind.TRANSFORMER,
        help="Turns JSON text into a bundle, or an array into one bundle per element.",
        parameters=(_STRUCTURE,),
        mapper=(Field(name="json", type="any", label="JSON string", required=True, multiline=True),),
        run=_parse,
    ),
    ModuleSpec(
        name="json:CreateJSON",
        label="Create JSON",
        kind=Kind.TRANSFORMER,
        help="Writes the fields of a data structure as JSON text.",
        parameters=(_STRUCTURE, _SPACE),
        output=_JSON,
        open_mapper=True,
        run=_create,
    ),
    ModuleSpec(
        name="json:TransformToJSON",
        label="Transform to JSON",
        kind=Kind.TRANSFORMER,
        help="Writes any value as JSON text.",
        parameters=(_SPACE,),
        mapper=(Field(name="object", type="any", label="Object", required=True),),
        output=_JSON,
        run=_transform,
    ),
    ModuleSpec(
        name="json:AggregateToJSON",
        label="Aggregate to JSON",
        kind=Kind.AGGREGATOR,
        help="Collects the bundles of a loop into one JSON array.",
        parameters=(FEEDER, _STRUCTURE, _SPACE),
        output=_JSON,
        open_mapper=True,
        aggregate=_Items,
    ),
    ModuleSpec(
        name="json:ConvertToXML",
        label="Convert JSON to XML",
        kind=Kind.TRANSFORMER,
        help="Reads JSON text and writes it as XML text.",
        mapper=(Field(name="json", type="any", label="JSON string", required=True, multiline=True),),
        output=(Field(name="xml", type="text", label="XML"),),
        run=_to_xml,
    ),
)
