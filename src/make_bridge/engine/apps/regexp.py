"""The app `regexp`: the text parser. Patterns run on RE2, so none can stall a server."""

from itertools import islice
from typing import Final

from make_bridge.engine.apps.fields import Field, Option, choices
from make_bridge.engine.apps.html_text import html_to_text
from make_bridge.engine.apps.module import Bundles, Collection, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.apps.text_elements import ELEMENTS, PRESETS, find_elements, find_preset
from make_bridge.engine.expression_errors import BudgetExceeded, ExpressionError
from make_bridge.engine.iml.functions.replacing import replace
from make_bridge.engine.iml.patterns import Pattern, clean, compile_pattern
from make_bridge.engine.values import Value, to_text

MAX_HTML: Final = 4_000_000
MAX_FOUND: Final = 10_000

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


def _elements_of_text(call: ModuleCall) -> Bundles:
    settings = {**call.parameters, **call.input}
    wanted = to_text(settings.get("pattern"))
    if wanted not in PRESETS:
        raise ModuleError(ErrorType.CONFIGURATION, f"There is nothing named {wanted[:_SHOWN]!r} to look for in text.")
    found = find_preset(wanted, to_text(call.input.get("text")), call.host.budget)
    return _found(list(islice(found, MAX_FOUND + 1)), settings)


def _elements_of_html(call: ModuleCall) -> Bundles:
    settings = {**call.parameters, **call.input}
    wanted = to_text(settings.get("type"))
    if wanted not in ELEMENTS:
        raise ModuleError(ErrorType.CONFIGURATION, f"There are no elements named {wanted[:_SHOWN]!r} to look for.")
    return _found(list(islice(find_elements(wanted, _html(call)), MAX_FOUND + 1)), settings)


def _found(found: list[Collection], settings: Collection) -> Bundles:
    if len(found) > MAX_FOUND:
        message = f"There are more than {MAX_FOUND} elements; work on smaller pieces."
        raise ModuleError(ErrorType.RESULTS, message)
    return found or ([{}] if settings.get("continueWhenNoRes") is True else [])


def _html(call: ModuleCall) -> str:
    source = to_text(call.input.get("html"))
    if len(source) > MAX_HTML:
        message = f"The HTML has {len(source)} characters; at most {MAX_HTML} are read."
        raise ModuleError(ErrorType.FILE_SIZE, message)
    return source


def _html_to_text(call: ModuleCall) -> Bundles:
    newline = _NEWLINES.get(to_text(call.input.get("newline")), "\n")
    upper = call.input.get("uppercaseHeadings") is True
    return [{"text": html_to_text(_html(call), newline=newline, uppercase_headings=upper)}]


_PATTERN: Final = Field(name="pattern", type="text", label="Pattern", required=True)
_TEXT: Final = Field(name="text", type="text", label="Text", multiline=True)
_MODES: Final = (
    Field(name="global", type="boolean", label="Global match", default=False),
    Field(name="sensitive", type="boolean", label="Case sensitive", default=False),
    Field(name="multiline", type="boolean", label="Multiline", default=False),
    Field(name="singleline", type="boolean", label="Singleline", default=False),
)
_IGNORE_LOOPS: Final = Field(
    name="ignoreInfiniteLoopsWhenGlobal",
    type="boolean",
    label="Ignore infinite loops when search is set to global",
    default=False,
    help="Accepted and not needed: no pattern can loop here.",
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
_INDEX: Final = Field(name="i", type="uinteger", label="Number of the find")
_HTML: Final = Field(name="html", type="text", label="HTML", multiline=True)
_RESULT: Final = (Field(name="text", type="text", label="Text"),)

MODULES: Final = (
    ModuleSpec(
        name="regexp:Parser",
        label="Match pattern",
        kind=Kind.TRANSFORMER,
        help="Finds a pattern in text; one bundle per match.",
        parameters=(_PATTERN, *_MODES, _CONTINUE, _IGNORE_LOOPS),
        mapper=(_TEXT,),
        output=_MATCHES,
        run=_parse,
    ),
    ModuleSpec(
        name="regexp:AdvancedParser",
        label="Match pattern (advanced)",
        kind=Kind.TRANSFORMER,
        help="Finds a mapped pattern in text; one bundle per match.",
        parameters=(*_MODES, _CONTINUE, _IGNORE_LOOPS),
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
            _HTML,
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
    ModuleSpec(
        name="regexp:GetElementsFromText",
        label="Get elements from text",
        kind=Kind.TRANSFORMER,
        help="Finds e-mail addresses, links, numbers and the like in text; one bundle per find.",
        parameters=(
            Field(
                name="pattern",
                type="select",
                label="Pattern",
                required=True,
                options=(
                    Option(value="email", label="E-mail address"),
                    Option(value="url", label="URL"),
                    Option(value="number", label="Number"),
                    Option(value="phone", label="Phone number"),
                    Option(value="ipv4", label="IPv4 address"),
                    Option(value="uuid", label="UUID"),
                    Option(value="date", label="Date (ISO 8601)"),
                    Option(value="hashtag", label="Hashtag"),
                    Option(value="mention", label="Mention"),
                ),
            ),
            _CONTINUE,
        ),
        mapper=(_TEXT,),
        output=(_INDEX, Field(name="match", type="any", label="Match")),
        run=_elements_of_text,
    ),
    ModuleSpec(
        name="regexp:GetElementsFromHTML",
        label="Get elements from HTML",
        kind=Kind.TRANSFORMER,
        help="Finds the images, links or frames of HTML; one bundle per element.",
        parameters=(
            Field(
                name="type",
                type="select",
                label="Elements type",
                required=True,
                options=choices(image="Image", link="Link", iframe="Iframe"),
            ),
            _CONTINUE,
        ),
        mapper=(_HTML,),
        output=(
            _INDEX,
            Field(name="src", type="url", label="Address of an image or frame"),
            Field(name="href", type="url", label="Address of a link"),
            Field(name="text", type="text", label="Text of a link"),
            Field(name="alt", type="text", label="Alternative text of an image"),
            Field(name="title", type="text", label="Title"),
            Field(name="width", type="text", label="Width"),
            Field(name="height", type="text", label="Height"),
            Field(name="target", type="text", label="Target of a link"),
            Field(name="rel", type="text", label="Relation of a link"),
        ),
        run=_elements_of_html,
    ),
)
