"""``reference``: modules, functions, events, routes, settings, commands, metrics, written from their descriptions.

`make docs` writes the pages in ``docs/reference/`` with it, and a test compares them, so that a page can
neither be forgotten nor say anything the program does not do.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Final

import msgspec
import typer

from make_bridge.cli.commands_page import commands_as_data, commands_page
from make_bridge.cli.metrics_page import metrics_as_data, metrics_page
from make_bridge.cli.options import Json
from make_bridge.cli.output import as_json
from make_bridge.cli.settings_page import settings_as_data, settings_page
from make_bridge.engine.apps.catalogue import APPS, CATALOGUE
from make_bridge.engine.apps.fields import Field
from make_bridge.engine.apps.module import Effect, Kind, ModuleSpec
from make_bridge.engine.iml.functions import FAMILIES
from make_bridge.engine.iml.functions.signature import Example, Family
from make_bridge.engine.values import Value, to_json_text
from make_bridge.kernel.messages import Event
from make_bridge.services import make_api
from make_bridge.services.description import described_bridge
from make_bridge.services.events import EVENTS

_KINDS: Final = {
    Kind.TRIGGER: "trigger",
    Kind.ACTION: "action",
    Kind.TRANSFORMER: "transformer",
    Kind.FEEDER: "iterator",
    Kind.AGGREGATOR: "aggregator",
    Kind.ROUTER: "router",
    Kind.CONDITION: "if-else",
    Kind.MERGE: "merge",
    Kind.DIRECTIVE: "error directive",
    Kind.RETURNER: "return",
    Kind.PLACEHOLDER: "placeholder",
}
_EFFECTS: Final = {
    Effect.READ: "reads: its result is kept for a resumed run",
    Effect.REPEATABLE: "writes, and may safely be repeated",
    Effect.WRITE: "writes: never repeated without knowing how the first attempt ended",
}
NOTE: Final = "<!-- Written by `make docs` from the program itself: change the descriptions there. -->"


class Subject(StrEnum):
    """What there is a reference of."""

    MODULES = "modules"
    FUNCTIONS = "functions"
    EVENTS = "events"
    OPENAPI = "openapi"
    MAKE_API = "make-api"
    SETTINGS = "settings"
    COMMANDS = "commands"
    METRICS = "metrics"


def reference(
    subject: Annotated[Subject, typer.Argument(help="What to write out.")],
    *,
    as_json_: Json = False,
) -> None:
    """Write out modules, functions, events, routes, settings, commands, metrics, as Markdown, JSON or OpenAPI."""
    if subject is Subject.OPENAPI:
        typer.echo(openapi_document(), nl=False)
        return
    page, data = _SUBJECTS[subject]
    if as_json_:
        as_json(data())
    else:
        typer.echo(page(), nl=False)


def openapi_document() -> str:
    """Return the description of every route of both APIs, as OpenAPI 3.1 in JSON."""
    return json.dumps(described_bridge(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def modules_page() -> str:
    """Return the reference of modules."""
    lines = [
        "# Modules",
        "",
        NOTE,
        "",
        f"{len(CATALOGUE)} modules in {len(APPS)} apps. Parameters are fixed when a scenario is set up; mapped fields",
        "are evaluated for every bundle. A module that is in a blueprint but not here is named by `make-bridge",
        "blueprint validate`, and the scenario stays switched off.",
    ]
    for app, label in sorted(APPS.items(), key=lambda item: item[1].lower()):
        specs = [spec for spec in CATALOGUE.values() if spec.app == app]
        if specs:
            lines += ["", f"## {label}"]
        for spec in sorted(specs, key=lambda spec: spec.label.lower()):
            lines += _module(spec)
    return "\n".join(lines) + "\n"


def _module(spec: ModuleSpec) -> Iterator[str]:
    versions = ", ".join(str(version) for version in spec.versions)
    yield from ("", f"### {spec.label}", "", f"`{spec.name}`, version {versions}: {_KINDS[spec.kind]}.")
    if spec.help:
        yield from ("", spec.help)
    facts = []
    if not spec.operations:
        facts.append("Costs no operation.")
    elif not spec.credits:
        facts.append("Costs an operation, but no credits.")
    if isinstance(spec.effect, Effect) and spec.effect in _EFFECTS:
        facts.append(f"It {_EFFECTS[spec.effect]}.")
    elif not isinstance(spec.effect, Effect):
        facts.append("What a repetition would do depends on the call, and decides what is kept of it.")
    if facts:
        yield from ("", " ".join(facts))
    yield from _fields("Parameters", spec.parameters)
    yield from _fields("Mapped fields", spec.mapper)
    if spec.open_mapper:
        yield from ("", "Further mapped fields are the scenario's own.")
    yield from _fields("Output", spec.output, is_output=True)


def _fields(title: str, fields: Sequence[Field], *, is_output: bool = False) -> Iterator[str]:
    rows = [row for field in fields for row in _rows(field)]
    if not rows:
        return
    yield ""
    if is_output:
        yield from (f"| {title} | type | |", "|---|---|---|")
        yield from (f"| {name} | {kind} | {label} |" for name, kind, label, _ in rows)
        return
    yield from (f"| {title} | type | | |", "|---|---|---|---|")
    yield from (f"| {name} | {kind} | {label} | {notes} |" for name, kind, label, notes in rows)


def _rows(field: Field, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    name = f"{prefix}{field.name}"
    notes = []
    if field.required:
        notes.append("required")
    if field.default is not None:
        notes.append(f"default `{_cell(to_json_text(field.default))}`")
    if field.options:
        notes.append("one of " + ", ".join(f"`{_cell(_plain(option.value))}`" for option in field.options))
    bounds = field.validate
    if bounds is not None:
        limits = (("≥", bounds.min), ("≤", bounds.max), ("items ≥", bounds.min_items), ("items ≤", bounds.max_items))
        notes += [f"{sign} {value:g}" for sign, value in limits if value is not None]
    if field.help:
        notes.append(_cell(field.help))
    kind = f"{field.type} of {field.spec[0].type}" if field.scalar_items and field.spec else field.type
    yield f"`{name}`", kind, _cell(field.label), "; ".join(notes)
    if not field.scalar_items:
        for inner in field.spec:
            yield from _rows(inner, f"{name}[]." if field.type == "array" else f"{name}.")


def _plain(value: Value) -> str:
    return value if isinstance(value, str) and value else to_json_text(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()


def functions_page() -> str:
    """Return the reference of functions."""
    total = sum(len(family.functions) for family in FAMILIES)
    lines = [
        "# Functions",
        "",
        NOTE,
        "",
        f"{total} functions of the expression language, written between `{{{{` and `}}}}`. Arguments are separated",
        "by `;`, those in brackets may be left out. The examples are evaluated at 2026-03-31T10:20:30.400Z in UTC;",
        "each of them is a test.",
    ]
    for family in FAMILIES:
        lines += ["", f"## {family.name}", "", family.summary]
        for function in family.functions:
            lines += ["", f"### {function.name}", "", f"`{function.signature}`", "", function.summary, ""]
            lines += [_example(example) for example in function.examples]
    return "\n".join(lines) + "\n"


def _example(example: Example) -> str:
    given = f" where module 1 gave `{_shown(example.given)}`" if example.given is not None else ""
    return f"- `{example.expression}` → `{_shown(example.result)}`{given}"


def _shown(value: Value) -> str:
    return f"bytes {value.hex()}" if isinstance(value, bytes) else to_json_text(value)


def _functions_as_data(family: Family) -> Iterator[dict[str, object]]:
    for function in family.functions:
        yield {
            "name": function.name,
            "family": family.name,
            "signature": function.signature,
            "help": function.summary,
            "examples": [
                {"expression": example.expression, "result": _shown(example.result)} for example in function.examples
            ],
        }


def events_page() -> str:
    """Return the reference of events."""
    lines = [
        "# Events",
        "",
        NOTE,
        "",
        f"{len(EVENTS)} types of events. Each is told in the envelope of CloudEvents 1.0: `id`, `source` (whose it",
        "is), `type`, `subject` (what it is about), `time`, `tenant` (the organization), `trace` (the request that",
        "caused it, where there was one) and `data`. An event is told at least once, always under the same `id`, after",
        "the commit of what it speaks of. `GET /api/v2/events` reads the last days again.",
    ]
    for event in _events_in_order():
        lines += ["", f"## {event.wire_name}", "", _sentence(event), "", "| Data | type |", "|---|---|"]
        lines += [f"| `{name}` | {kind} |" for name, kind in _members(event)]
    return "\n".join(lines) + "\n"


def _events_in_order() -> list[type[Event]]:
    return sorted(EVENTS, key=lambda event: event.wire_name)


def _sentence(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").replace("``", "`").split())


def _members(event: type[Event]) -> Iterator[tuple[str, str]]:
    for member in msgspec.inspect.type_info(event).fields:  # type: ignore[attr-defined]
        yield member.encode_name, _type_name(member.type)


def _type_name(kind: msgspec.inspect.Type) -> str:
    match kind:
        case msgspec.inspect.BoolType():
            return "boolean"
        case msgspec.inspect.IntType():
            return "integer"
        case msgspec.inspect.StrType():
            return "text"
        case msgspec.inspect.DateTimeType():
            return "time (ISO 8601)"
        case msgspec.inspect.NoneType():
            return "null"
        case msgspec.inspect.UnionType(types=kinds):
            return " or ".join(map(_type_name, kinds))
        case msgspec.inspect.VarTupleType(item_type=item):
            return f"array of {_type_name(item)}"
        case _:
            message = f"{kind} has no name in the reference of events: give it one."
            raise TypeError(message)


def _events_as_data() -> list[dict[str, object]]:
    return [
        {"type": event.wire_name, "help": _sentence(event), "data": dict(_members(event))}
        for event in _events_in_order()
    ]


def _all_functions_as_data() -> list[dict[str, object]]:
    return [function for family in FAMILIES for function in _functions_as_data(family)]


def _modules_as_data() -> list[dict[str, object]]:
    return [spec.describe() for spec in CATALOGUE.values()]


def make_api_page() -> str:
    """Return how this server stands to each endpoint of Make's API."""
    found = make_api.rows()
    counts = Counter(row.standing for row in found)
    lines = [
        "# Make's API",
        "",
        NOTE,
        "",
        f"Of {len(found)} endpoints of Make's API {counts['supported']} are supported, {counts['partial']} in part,",
        f"and {counts['absent']} are absent. What this server has beside them stands in",
        "[openapi.json](reference/openapi.json).",
    ]
    for group in make_api.ENDPOINTS:
        lines += ["", f"## {group}", "", "| endpoint | | |", "|---|---|---|"]
        own = [row for row in found if row.group == group]
        lines += [f"| `{row.endpoint.replace('{}', '{id}')}` | {row.standing} | {_cell(row.note)} |" for row in own]
    return "\n".join(lines) + "\n"


def _make_api_as_data() -> list[dict[str, object]]:
    return [asdict(row) for row in make_api.rows()]


_Data = Callable[[], list[dict[str, object]]]
_SUBJECTS: Final[dict[Subject, tuple[Callable[[], str], _Data]]] = {
    Subject.MODULES: (modules_page, _modules_as_data),
    Subject.FUNCTIONS: (functions_page, _all_functions_as_data),
    Subject.EVENTS: (events_page, _events_as_data),
    Subject.MAKE_API: (make_api_page, _make_api_as_data),
    Subject.SETTINGS: (lambda: settings_page(NOTE), settings_as_data),
    Subject.COMMANDS: (lambda: commands_page(NOTE), commands_as_data),
    Subject.METRICS: (lambda: metrics_page(NOTE), metrics_as_data),
}
