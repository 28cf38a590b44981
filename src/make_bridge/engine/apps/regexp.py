"""The app `regexp`: the text parser. Patterns run on RE2, so none can stall a server."""

from typing import Final

from make_bridge.engine.apps.fields import Field, choices
from make_bridge.engine.apps.html_text import html_to_text
from make_bridge.engine.apps.module import Bundles, Collection, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.expression_errors import BudgetExceeded, ExpressionError
from make_bridge.engine.iml.functions.replacing import replace
from make_bridge.engine.iml.patterns import Pattern, clean, compile_pattern
from make_bridge.engine.values import Value, to_text

_SHOWN: Final = 80
_NEWLINES: Final = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}


def _parse(call: ModuleCall) -> Bundles:
    """One bundle per match with its groups; only the first match unless the search is global."""
    settings = {**call.parameters, **call.input}
    pattern = _pattern(settings)
    text = clean(to_text(call.input.get("text")))
    names = {index: name for name, index in pattern.group_names.items()}
    found: list[Collection] = []
    for number, match in enumerate(pattern.matches(text, call.host.budget), 1):
        groups = match.groups()
        bundle: Collection = {"i": number}
        bundle |= {f"${index}": group for index, group in enumerate(groups, 1)}
        bundle |= {names[index]: group for index, group in enumerate(groups, 1) if index in names}
        everything: list[Value] = [match.group(), *groups]
        found.append({**bundle, "__IMTMATCH__": everything})
    return found or ([{}] if settings.get("continueWhenNoRes") is True else [])


def _pattern(settings: Collection) -> Pattern:
    source = to_text(settings.get("pattern"))
    if not source:
        raise ModuleError(ErrorType.CONFIGURATION, "The module has no pattern.")
    try:
        return compile_pattern(source, _flags(settings))
    except ExpressionError as error:
        message = f"The pattern {source[:_SHOWN]!r} cannot be used: {error}"
        raise ModuleError(ErrorType.CONFIGURATION, message) from error


def _flags(settings: Collection) -> str:
    flags = "" if settings.get("sensitive") is True else "i"
    wanted = {"g": "global", "m": "multiline", "s": "singleline"}
    return flags + "".join(flag for flag, name in wanted.items() if settings.get(name) is True)


def _replace(call: ModuleCall) -> Bundles:
    given = call.input
    literal = f"/{to_text(given['pattern'])}/{_flags(given)}"
    text, value = to_text(given.get("text")), to_text(given.get("value"))
    try:
        return [{"text": replace(call.host, text, literal, value)}]
    except BudgetExceeded:
        raise
    except ExpressionError as error:
        raise ModuleError(ErrorType.CONFIGURATION, f"The pattern cannot be used: {error}") from error


def _html_to_text(call: ModuleCall) -> Bundles:
    newline = _NEWLINES.get(to_text(call.input.get("newline")), "\n")
    upper = call.input.get("uppercaseHeadings") is True
    return [{"text": html_to_text(to_text(call.input.get("html")), newline=newline, uppercase_headings=upper)}]


_PATTERN: Final = Field(name="pattern", type="text", label="Pattern", required=True)
_TEXT: Final = Field(name="text", type="text", label="Text", multiline=True)
_MODES: Final = (
    Field(name="global", type="boolean", label="Global match", default=False),
    Field(name="sensitive", type="boolean", label="Case sensitive", default=False),
    Field(name="multiline", type="boolean", label="Multiline", default=False),
    Field(name="singleline", type="boolean", label="Singleline", default=False),
)
_CONTINUE: Final = Field(
    name="continueWhenNoRes",
    type="boolean",
    label="Continue the execution of the route even if the module finds no matches",
    default=False,
)
_MATCHES: Final = (
    Field(name="i", type="uinteger", label="i"),
    Field(name="$1", type="text", label="$1"),
    Field(name="__IMTMATCH__", type="array", label="Match"),
)
_RESULT: Final = (Field(name="text", type="text", label="Text"),)

MODULES: Final = (
    ModuleSpec(
        name="regexp:Parser",
        label="Match pattern",
        kind=Kind.TRANSFORMER,
        help="Finds a pattern in text; one bundle per match.",
        parameters=(_PATTERN, *_MODES, _CONTINUE),
        mapper=(_TEXT,),
        output=_MATCHES,
        run=_parse,
    ),
    ModuleSpec(
        name="regexp:AdvancedParser",
        label="Match pattern (advanced)",
        kind=Kind.TRANSFORMER,
        help="Finds a mapped pattern in text; one bundle per match.",
        parameters=(*_MODES, _CONTINUE),
        mapper=(_PATTERN, _TEXT),
        output=_MATCHES,
        run=_parse,
    ),
    ModuleSpec(
        name="regexp:Replace",
        label="Replace",
        kind=Kind.TRANSFORMER,
        help="Replaces the matches of a pattern.",
        mapper=(_PATTERN, Field(name="value", type="text", label="New value"), *_MODES, _TEXT),
        output=_RESULT,
        run=_replace,
    ),
    ModuleSpec(
        name="regexp:HTMLToText",
        label="HTML to text",
        kind=Kind.TRANSFORMER,
        help="Makes readable text of HTML.",
        mapper=(
            Field(name="html", type="text", label="HTML", multiline=True),
            Field(
                name="newline",
                type="select",
                label="Line break",
                default="lf",
                options=choices(lf="LF", crlf="CRLF", cr="CR"),
            ),
            Field(name="uppercaseHeadings", type="boolean", label="Uppercase headings", default=False),
        ),
        output=_RESULT,
        run=_html_to_text,
    ),
)
