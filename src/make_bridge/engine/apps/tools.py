"""The app `util`: variables, counters, sleep, switch, text and the aggregators of texts and numbers."""

from typing import Final

from make_bridge.engine.apps.aggregations import FEEDER, NumericAggregation, TableAggregation, TextAggregation
from make_bridge.engine.apps.fields import Bounds, Field, Option, choices
from make_bridge.engine.apps.module import (
    Bundles,
    Collection,
    Effect,
    ErrorType,
    Kind,
    ModuleCall,
    ModuleError,
    ModuleSpec,
)
from make_bridge.engine.expression_errors import BudgetExceeded, ExpressionError
from make_bridge.engine.iml.patterns import clean, compile_pattern
from make_bridge.engine.values import Value, encode_text, size_of, to_array, to_number, to_text

MAX_SLEEP: Final = 300
MAX_TEXT: Final = 16 * 1024 * 1024
CODEPAGES: Final = (
    *("utf-8", "utf-16", "utf-16le", "utf-16be", "utf-32", "us-ascii", "iso-8859-1", "iso-8859-2", "iso-8859-3"),
    *("iso-8859-4", "iso-8859-5", "iso-8859-6", "iso-8859-7", "iso-8859-8", "iso-8859-9", "iso-8859-10"),
    *("iso-8859-13", "iso-8859-14", "iso-8859-15", "iso-8859-16", "windows-1250", "windows-1251", "windows-1252"),
    *("windows-1253", "windows-1254", "windows-1255", "windows-1256", "windows-1257", "windows-1258", "koi8-r"),
    *("koi8-u", "cp437", "cp850", "cp852", "cp866", "mac-roman", "shift_jis", "euc-jp", "iso-2022-jp", "euc-kr"),
    *("gbk", "gb18030", "big5"),
)


def _set_variable(call: ModuleCall) -> Bundles:
    given = call.input
    name, value = to_text(given["name"]), given.get("value")
    call.host.set_variable(name, value, for_run=given["scope"] == "execution")
    return [{name: value}]


def _set_variables(call: ModuleCall) -> Bundles:
    for_run = call.input["scope"] == "execution"
    variables = call.input.get("variables")
    bundle: Collection = {}
    for item in variables if isinstance(variables, list) else []:
        if isinstance(item, dict):
            name, value = to_text(item.get("name")), item.get("value")
            call.host.set_variable(name, value, for_run=for_run)
            bundle[name] = value
    return [bundle]


def _get_variable(call: ModuleCall) -> Bundles:
    name = to_text(call.input["name"])
    return [{name: call.host.variable_of_run(name)}]


def _get_variables(call: ModuleCall) -> Bundles:
    names = [_variable_name(item) for item in to_array(call.input.get("variables"))]
    return [{name: call.host.variable_of_run(name) for name in names}]


def _variable_name(item: Value) -> str:
    """Names come bare, and from some editors as {name} or {value}."""
    return to_text(item.get("name", item.get("value")) if isinstance(item, dict) else item)


def _increment(call: ModuleCall) -> Bundles:
    return [{"i": call.host.increment(call.module_id, to_text(call.parameters.get("reset")) or "run")}]


async def _sleep(call: ModuleCall) -> list[Collection]:
    await call.host.ports.sleeper.sleep(float(to_number(call.input["duration"])))
    return [{}]


def _switch(call: ModuleCall) -> Bundles:
    given = call.input
    subject, as_pattern = to_text(given.get("input")), given.get("useRegExpMatch") is True
    for case in to_array(given.get("casesTable")):
        if isinstance(case, dict) and _matches(call, subject, to_text(case.get("pattern")), as_pattern=as_pattern):
            return [{"output": case.get("output")}]
    otherwise = given.get("elseOutput")
    return [] if otherwise is None or otherwise == "" else [{"output": otherwise}]


def _matches(call: ModuleCall, subject: str, pattern: str, *, as_pattern: bool) -> bool:
    if not as_pattern:
        return subject == pattern
    try:
        return compile_pattern(pattern).found_in(clean(subject), call.host.budget)
    except BudgetExceeded:
        raise
    except ExpressionError as error:
        raise ModuleError(ErrorType.CONFIGURATION, f"The pattern {pattern[:80]!r} cannot be used: {error}") from error


def _compose(call: ModuleCall) -> Bundles:
    return [{"value": to_text(_measured(call.input.get("value")))}]


def _measured(value: Value) -> Value:
    """Refuse what would be a huge text, before it is made: one value may stand in many places."""
    if size_of(value, MAX_TEXT) > MAX_TEXT:
        raise ModuleError(ErrorType.FILE_SIZE, f"The value has more than {MAX_TEXT} bytes as text.")
    return value


def _convert_encoding(call: ModuleCall) -> Bundles:
    """Read bytes in one codepage and write them in another; text is taken as what it is."""
    given = _measured(call.input.get("data"))
    text = _read_codepage(given, _codepage(call, "inputCodepage")) if isinstance(given, bytes) else to_text(given)
    if call.input.get("outputAs") == "text":
        return [{"data": text}]
    codepage = _codepage(call, "outputCodepage")
    lenient = call.input.get("replaceUnknown") is not False
    try:
        made = encode_text(text) if codepage == "utf-8" else text.encode(codepage, "replace" if lenient else "strict")
    except UnicodeEncodeError as error:
        message = f"The character {text[error.start]!r} does not exist in {codepage}."
        raise ModuleError(ErrorType.DATA, message) from error
    return [{"data": made}]


def _read_codepage(data: bytes, codepage: str) -> str:
    try:
        return data.decode(codepage).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ModuleError(ErrorType.DATA, f"The data is not {codepage}: byte {error.start} does not fit.") from error


def _codepage(call: ModuleCall, name: str) -> str:
    """Return a codepage of the list; other codecs of Python do other things than reading text."""
    wanted = to_text(call.input.get(name)).strip().lower() or "utf-8"
    found = {"utf8": "utf-8", "utf16": "utf-16", "ascii": "us-ascii", "latin1": "iso-8859-1"}.get(wanted, wanted)
    if found not in CODEPAGES:
        raise ModuleError(ErrorType.CONFIGURATION, f"The codepage {wanted[:40]!r} is not known.")
    return found


def _emit_values(call: ModuleCall) -> Bundles:
    """Each entry of `values` is a list of names and values: one bundle."""
    return [_named(entry) for entry in to_array(call.parameters.get("values"))]


def _named(entry: Value) -> Collection:
    pairs = to_array(entry.get("spec")) if isinstance(entry, dict) else []
    return {to_text(pair.get("name")): pair.get("value") for pair in pairs if isinstance(pair, dict)}


_NAME: Final = Field(name="name", type="text", label="Variable name", required=True)
_VALUE: Final = Field(name="value", type="any", label="Variable value")
_SCOPE: Final = Field(
    name="scope",
    type="select",
    label="Variable lifetime",
    required=True,
    default="roundtrip",
    options=choices(roundtrip="One cycle", execution="One execution"),
)
_ROW_SEPARATOR: Final = Field(
    name="rowSeparator",
    type="select",
    label="Row separator",
    options=(
        Option(value="", label="Empty"),
        Option(value="\n", label="New row"),
        Option(value="\t", label="Tab"),
        Option(value="other", label="Other"),
    ),
)
_OTHER_ROW_SEPARATOR: Final = Field(name="otherRowSeparator", type="text", label="Separator")


def _setter(name: str) -> ModuleSpec:
    return ModuleSpec(
        name=name,
        label="Set variable",
        kind=Kind.ACTION,
        help="Keeps a value for other routes of the same cycle or run.",
        mapper=(_NAME, _SCOPE, _VALUE),
        output=(_VALUE,),
        run=_set_variable,
    )


def _getter(name: str) -> ModuleSpec:
    return ModuleSpec(
        name=name,
        label="Get variable",
        kind=Kind.ACTION,
        help="Gives the value of a variable set before; null when it is not set.",
        mapper=(_NAME,),
        output=(_VALUE,),
        run=_get_variable,
    )


MODULES: Final = (
    _setter("util:SetVariable2"),
    _setter("util:SetVariable"),
    _getter("util:GetVariable2"),
    _getter("util:GetVariable"),
    ModuleSpec(
        name="util:SetVariables",
        label="Set multiple variables",
        kind=Kind.ACTION,
        help="Keeps several values for other routes of the same cycle or run.",
        mapper=(_SCOPE, Field(name="variables", type="array", label="Variables", spec=(_NAME, _VALUE))),
        run=_set_variables,
    ),
    ModuleSpec(
        name="util:GetVariables",
        label="Get multiple variables",
        kind=Kind.ACTION,
        help="Gives the values of several variables set before.",
        mapper=(Field(name="variables", type="array", label="Variables"),),
        run=_get_variables,
    ),
    ModuleSpec(
        name="util:FunctionIncrement",
        label="Increment function",
        kind=Kind.ACTION,
        help="Counts how often it was reached.",
        parameters=(
            Field(
                name="reset",
                type="select",
                label="Reset a value",
                default="run",
                options=choices(run="After one cycle", execution="After one scenario run", scenario="Never"),
            ),
        ),
        output=(Field(name="i", type="number", label="i"),),
        run=_increment,
        remembers=lambda parameters: parameters.get("reset") == "scenario",
    ),
    ModuleSpec(
        name="util:FunctionSleep",
        label="Sleep",
        kind=Kind.ACTION,
        help="Waits before the scenario goes on.",
        mapper=(
            Field(
                name="duration",
                type="uinteger",
                label="Delay (seconds)",
                required=True,
                validate=Bounds(min=1, max=MAX_SLEEP),
            ),
        ),
        perform=_sleep,
        effect=Effect.READ,
    ),
    ModuleSpec(
        name="util:Switcher",
        label="Switch",
        kind=Kind.TRANSFORMER,
        help="Gives the output of the first case that matches the input.",
        mapper=(
            Field(name="input", type="text", label="Input"),
            Field(name="useRegExpMatch", type="boolean", label="Use regular expressions to match", default=False),
            Field(
                name="casesTable",
                type="array",
                label="Cases",
                spec=(
                    Field(name="pattern", type="text", label="Pattern"),
                    Field(name="output", type="any", label="Output"),
                ),
            ),
            Field(name="elseOutput", type="any", label="Else"),
        ),
        output=(Field(name="output", type="any", label="Output"),),
        run=_switch,
    ),
    ModuleSpec(
        name="util:ComposeTransformer",
        label="Compose a string",
        kind=Kind.TRANSFORMER,
        help="Makes text of whatever is mapped.",
        mapper=(Field(name="value", type="any", label="Text", multiline=True),),
        output=(Field(name="value", type="text", label="Text"),),
        run=_compose,
    ),
    ModuleSpec(
        name="util:BasicTrigger",
        label="Basic trigger",
        kind=Kind.TRIGGER,
        help="Starts the scenario with bundles written down here.",
        parameters=(
            Field(
                name="values",
                type="array",
                label="Bundles",
                required=True,
                spec=(
                    Field(
                        name="spec",
                        type="array",
                        label="Items",
                        spec=(
                            Field(name="name", type="text", label="Name", required=True),
                            Field(name="value", type="text", label="Value", required=True),
                        ),
                    ),
                ),
            ),
        ),
        run=_emit_values,
    ),
    ModuleSpec(
        name="util:TextAggregator",
        label="Text aggregator",
        kind=Kind.AGGREGATOR,
        help="Joins the texts of a loop.",
        parameters=(FEEDER, _ROW_SEPARATOR, _OTHER_ROW_SEPARATOR),
        mapper=(Field(name="value", type="text", label="Text", multiline=True),),
        output=(Field(name="text", type="text", label="Text"),),
        aggregate=TextAggregation,
    ),
    ModuleSpec(
        name="util:FunctionAggregator2",
        label="Numeric aggregator",
        kind=Kind.AGGREGATOR,
        help="Sums, counts or compares the numbers of a loop.",
        parameters=(
            FEEDER,
            Field(
                name="fn",
                type="select",
                label="Aggregate function",
                required=True,
                options=choices(avg="Average", sum="Sum", count="Count", max="Maximum", min="Minimum"),
            ),
        ),
        mapper=(Field(name="value", type="any", label="Value"),),
        output=(Field(name="result", type="number", label="Result"),),
        aggregate=NumericAggregation,
    ),
    ModuleSpec(
        name="util:AggregateAggregator",
        label="Table aggregator",
        kind=Kind.AGGREGATOR,
        help="Writes the bundles of a loop as rows of text.",
        parameters=(
            FEEDER,
            Field(name="columnSeparator", type="text", label="Column separator"),
            Field(name="otherColumnSeparator", type="text", label="Separator"),
            Field(name="rowSeparator", type="text", label="Row separator"),
            _OTHER_ROW_SEPARATOR,
        ),
        output=(Field(name="text", type="text", label="Text"),),
        open_mapper=True,
        aggregate=TableAggregation,
    ),
    ModuleSpec(
        name="util:ConvertEncoding",
        label="Convert the encoding of a text",
        kind=Kind.TRANSFORMER,
        help="Reads data in one codepage and writes it in another.",
        mapper=(
            Field(
                name="data",
                type="any",
                label="Input data",
                required=True,
                help="A file's data is read in the input codepage; text needs none.",
            ),
            Field(
                name="inputCodepage",
                type="select",
                label="Input data codepage",
                default="utf-8",
                options=choices(*CODEPAGES),
            ),
            Field(
                name="outputCodepage",
                type="select",
                label="Output data codepage",
                default="utf-8",
                options=choices(*CODEPAGES),
            ),
            Field(
                name="outputAs",
                type="select",
                label="Output",
                default="buffer",
                options=choices(buffer="Data in the output codepage", text="Text"),
            ),
            Field(
                name="replaceUnknown",
                type="boolean",
                label="Replace characters the codepage does not have",
                default=True,
                help="They become question marks; otherwise they are an error.",
            ),
        ),
        output=(Field(name="data", type="any", label="Data"),),
        run=_convert_encoding,
    ),
)
