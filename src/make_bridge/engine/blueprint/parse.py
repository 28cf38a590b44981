"""Reading a blueprint: any of the wrappers it comes in, to the model, with positions in every error.

Called for imports, template publishing and the command line. It is tolerant where Make is (missing
metadata, numbers as text, null mappers, extra keys) and strict about JSON and about size, because a
blueprint is foreign text. What a module means is not looked at here.
"""

import re
from collections.abc import Mapping
from typing import Final

from make_bridge.engine.apps.fields import Field, fields_from_json
from make_bridge.engine.blueprint.findings import BlueprintInvalid, Finding, Severity
from make_bridge.engine.blueprint.model import (
    Blueprint,
    Branch,
    Condition,
    Filter,
    JournalMode,
    Json,
    MergeOutput,
    Module,
    Route,
    Settings,
)
from make_bridge.kernel import json
from make_bridge.kernel.errors import InvalidInput

MAX_BYTES: Final = 10 * 1024 * 1024
MAX_JSON_DEPTH: Final = 400
MAX_MODULES: Final = 1000
MAX_NESTING: Final = 50
MAX_VALUE_DEPTH: Final = 50
MAX_TEXT: Final = 256 * 1024
MAX_CONDITIONS: Final = 500
_MAX_WRAPPERS: Final = 5
_MAX_FINDINGS: Final = 100
_MODULE_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*:[A-Za-z0-9_]+")
_PLACEHOLDER: Final = "placeholder:Placeholder"
_OBJECT: Final = "Write { … }."
_FILTER: Final = 'Write { "name": "", "conditions": [[{ "a": "{{1.x}}", "o": "text:equal", "b": "y" }]] }.'


def parse_blueprint(raw: bytes | str | Mapping[str, object]) -> Blueprint:
    """Return the blueprint, or raise `BlueprintInvalid` with everything that is wrong with its shape."""
    return _Reader().blueprint(_unwrap(raw))


def _unwrap(raw: object) -> Json:
    """Take off `response`, `blueprint` (object or JSON text) and `subflows`."""
    for _ in range(_MAX_WRAPPERS):
        if isinstance(raw, bytes | str):
            raw = _loads(raw)
        if not isinstance(raw, Mapping):
            raise _invalid("", f"A blueprint is a JSON object, not {_kind(raw)}.")
        if "flow" in raw:
            return dict(raw)
        inner = raw.get("response", raw.get("blueprint"))
        if inner is None and isinstance(subflows := raw.get("subflows"), list) and subflows:
            inner = {**raw, **subflows[0]} if isinstance(subflows[0], Mapping) else subflows[0]
        if inner is None:
            break
        raw = inner
    message = 'There is no "flow" in this file, so it is not a blueprint.'
    raise _invalid("", message, "Export the scenario from its editor, or ask the API for its blueprint.")


def _loads(raw: bytes | str) -> object:
    try:
        return json.loads(raw, max_bytes=MAX_BYTES, max_depth=MAX_JSON_DEPTH, allow_nul=True, allow_bom=True)
    except InvalidInput as error:
        raise _invalid("", error.message) from error


def _invalid(position: str, message: str, fix: str | None = None) -> BlueprintInvalid:
    return BlueprintInvalid([Finding(severity=Severity.FATAL, position=position, message=message, fix=fix)])


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "text", list: "an array"}
    return names.get(type(value), "an object")


class _Reader:
    """One reading; collects findings instead of stopping at the first."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.modules = 0

    def blueprint(self, document: Json) -> Blueprint:
        metadata = _mapping(document.get("metadata"))
        blueprint = Blueprint(
            name=_text(document.get("name")),
            description=_text(document.get("description")),
            flow=self.flow(document.get("flow"), "flow", 1),
            settings=_settings(_mapping(metadata.get("scenario"))),
            instant=metadata.get("instant") is True,
            inputs=_declared(document, "input", "input_spec"),
            outputs=_declared(document, "output", "output_spec"),
            scheduling=_scheduling(document.get("scheduling")),
            document=document,
        )
        if self.findings:
            raise BlueprintInvalid(self.findings)
        return blueprint

    def say(self, position: str, message: str, fix: str | None = None, module_id: int | None = None) -> None:
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(
                Finding(severity=Severity.FATAL, position=position, message=message, fix=fix, module_id=module_id)
            )

    def flow(self, raw: object, position: str, depth: int) -> tuple[Module, ...]:
        if raw is None:
            return ()
        if not isinstance(raw, list):
            self.say(position, f"This must be an array of modules, not {_kind(raw)}.", "Write [ … ] around them.")
            return ()
        if depth > MAX_NESTING:
            self.say(position, f"Routes, branches and handlers are nested deeper than {MAX_NESTING}.")
            return ()
        self.modules += len(raw)
        if self.modules > MAX_MODULES:
            self.say(position, f"The blueprint has more than {MAX_MODULES} modules.", "Split it into subscenarios.")
            return ()
        nodes = (self.module(item, f"{position}[{index}]", depth) for index, item in enumerate(raw))
        return tuple(node for node in nodes if node is not None)

    def module(self, raw: object, position: str, depth: int) -> Module | None:
        if not isinstance(raw, Mapping):
            fix = 'Write {"id": …, "module": …, "mapper": {…}}, or remove it.'
            self.say(position, f"A module is an object, not {_kind(raw)}.", fix)
            return None
        name = raw.get("module")
        if not isinstance(name, str) or not _MODULE_NAME.fullmatch(name):
            fix = "Write the app, a colon and the name of the module."
            self.say(f"{position}.module", f"{name!r} is not a module name such as http:MakeRequest.", fix)
            return None
        module_id = _whole(raw.get("id"))
        if module_id is None or module_id < 1:
            if name != _PLACEHOLDER:
                fix = "Give it a number that no other module has; references name it."
                self.say(f"{position}.id", f"The module {name} has no id; it must be a whole number from 1.", fix)
                return None
            module_id = 0
        self.texts(raw.get("parameters"), f"{position}.parameters", module_id=module_id)
        self.texts(raw.get("mapper"), f"{position}.mapper", module_id=module_id)
        metadata = _mapping(raw.get("metadata"))
        return Module(
            id=module_id,
            module=name,
            version=_whole(raw.get("version")),
            label=_text(_mapping(metadata.get("designer")).get("name")),
            position=position,
            parameters=self.json_object(raw.get("parameters"), f"{position}.parameters"),
            mapper=raw.get("mapper"),
            filter=self.filter(raw.get("filter"), f"{position}.filter"),
            routes=self.routes(raw.get("routes"), f"{position}.routes", depth),
            branches=self.branches(raw.get("branches"), f"{position}.branches", depth),
            outputs=self.merge_outputs(raw.get("outputs"), f"{position}.outputs"),
            merge_filters=self.merge_filters(raw.get("filters"), f"{position}.filters"),
            onerror=self.flow(raw.get("onerror"), f"{position}.onerror", depth + 1),
            flags=_mapping(raw.get("flags")),
            disabled=raw.get("disabled") is True,
            expect=fields_from_json(metadata.get("expect")),
            parameter_fields=fields_from_json(metadata.get("parameters")),
            interface=fields_from_json(metadata.get("interface")),
        )

    def json_object(self, raw: object, position: str) -> Json:
        if raw is None or raw == []:  # PHP-made files write an empty object as an empty array
            return {}
        if not isinstance(raw, Mapping):
            self.say(position, f"This must be an object, not {_kind(raw)}.", _OBJECT)
            return {}
        return dict(raw)

    def routes(self, raw: object, position: str, depth: int) -> tuple[Route, ...]:
        return tuple(
            Route(
                flow=self.flow(item.get("flow"), f"{place}.flow", depth + 1),
                disabled=item.get("disabled") is True,
                misplaced_filter=bool(_mapping(item.get("filter")).get("conditions")),
                position=place,
            )
            for item, place in self.objects(raw, position)
        )

    def branches(self, raw: object, position: str, depth: int) -> tuple[Branch, ...]:
        return tuple(
            Branch(
                label=_text(item.get("label")),
                otherwise=item.get("type") == "else",
                merge=item.get("merge") is True,
                disabled=item.get("disabled") is True,
                condition=self.conditions(item, place),
                flow=self.flow(item.get("flow"), f"{place}.flow", depth + 1),
                position=place,
            )
            for item, place in self.objects(raw, position)
        )

    def merge_outputs(self, raw: object, position: str) -> tuple[MergeOutput, ...]:
        found: list[MergeOutput] = []
        for item, place in self.objects(raw, position):
            mappings = item.get("mappings")
            self.texts(mappings, f"{place}.mappings")
            found.append(
                MergeOutput(
                    name=_text(item.get("name")),
                    mappings=tuple(mappings) if isinstance(mappings, list) else (),
                    position=place,
                )
            )
        return tuple(found)

    def merge_filters(self, raw: object, position: str) -> tuple[Filter | None, ...]:
        if not isinstance(raw, list):
            return ()
        return tuple(self.filter(item, f"{position}[{index}]") for index, item in enumerate(raw))

    def filter(self, raw: object, position: str) -> Filter | None:
        if raw is None or raw == []:
            return None
        if not isinstance(raw, Mapping):
            self.say(position, f"A filter is an object, not {_kind(raw)}.", _FILTER)
            return None
        return self.conditions(raw, position)

    def conditions(self, raw: Mapping[str, object], position: str) -> Filter:
        place = f"{position}.conditions"
        groups = raw.get("conditions")
        if groups is None:
            groups = []
        if not isinstance(groups, list):
            self.say(place, f"Conditions are an array of groups, not {_kind(groups)}.", _FILTER)
            groups = []
        if groups and all(isinstance(item, Mapping) for item in groups):
            groups = [groups]  # hand-written files forget the outer array of OR groups
        read = tuple(self.group(group, f"{place}[{index}]") for index, group in enumerate(groups))
        if sum(len(group) for group in read) > MAX_CONDITIONS:
            self.say(place, f"There are more than {MAX_CONDITIONS} conditions.", "Compare with a pattern or a list.")
        return Filter(name=_text(raw.get("name")), groups=tuple(group for group in read if group), position=position)

    def group(self, raw: object, position: str) -> tuple[Condition, ...]:
        self.texts(raw, position)
        return tuple(
            Condition(
                a=item.get("a"),
                operator=operator if isinstance(operator := item.get("o"), str) and operator else "exist",
                b=item.get("b"),
                position=place,
            )
            for item, place in self.objects(raw, position)
        )

    def objects(self, raw: object, position: str) -> list[tuple[Mapping[str, object], str]]:
        if raw is None:
            return []
        if not isinstance(raw, list):
            self.say(position, f"This must be an array, not {_kind(raw)}.", "Write [ … ] around it.")
            return []
        found: list[tuple[Mapping[str, object], str]] = []
        for index, item in enumerate(raw):
            if isinstance(item, Mapping):
                found.append((item, f"{position}[{index}]"))
            else:
                self.say(f"{position}[{index}]", f"This must be an object, not {_kind(item)}.", _OBJECT)
        return found

    def texts(self, raw: object, position: str, *, module_id: int | None = None) -> None:
        """Refuse texts that are too long and values that are nested too deeply."""
        waiting: list[tuple[object, str, int]] = [(raw, position, 0)]
        while waiting:
            value, place, depth = waiting.pop()
            if isinstance(value, str) and len(value) > MAX_TEXT:
                message = f"This text has {len(value)} characters; the limit is {MAX_TEXT}."
                self.say(place, message, module_id=module_id)
            elif isinstance(value, Mapping):
                waiting.extend((item, f"{place}.{key}", depth + 1) for key, item in value.items())
            elif isinstance(value, list):
                waiting.extend((item, f"{place}[{index}]", depth + 1) for index, item in enumerate(value))
            if depth > MAX_VALUE_DEPTH:
                self.say(position, f"This value is nested deeper than {MAX_VALUE_DEPTH} levels.", module_id=module_id)
                return


def _mapping(raw: object) -> Json:
    return dict(raw) if isinstance(raw, Mapping) else {}


def _text(raw: object) -> str:
    return raw if isinstance(raw, str) else ""


def _whole(raw: object) -> int | None:
    """Return a whole number, also from text or from 3.0; None for anything else."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) <= len(str(2**53)):
        return int(raw)
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    return raw if isinstance(raw, int) else None


def _flag(raw: object, *, default: bool) -> bool:
    return raw if isinstance(raw, bool) else default


def _journal_mode(raw: object) -> JournalMode:
    """Anything but a known way of doing with less is the whole journal."""
    match raw:
        case "writes" | "off":
            return raw
        case _:
            return "full"


def _settings(raw: Json) -> Settings:
    fallback = Settings()
    roundtrips, max_errors = _whole(raw.get("roundtrips")), _whole(raw.get("maxErrors"))
    return Settings(
        roundtrips=max(1, fallback.roundtrips if roundtrips is None else roundtrips),
        max_errors=fallback.max_errors if max_errors is None else max_errors,
        auto_commit=_flag(raw.get("autoCommit"), default=True),
        auto_commit_trigger_last=_flag(raw.get("autoCommitTriggerLast"), default=True),
        sequential=_flag(raw.get("sequential"), default=False),
        confidential=_flag(raw.get("confidential"), default=False),
        dataloss=_flag(raw.get("dataloss"), default=False),
        dlq=_flag(raw.get("dlq"), default=False),
        fresh_variables=_flag(raw.get("freshVariables"), default=False),
        journal=_journal_mode(raw.get("journal")),
    )


def _declared(document: Json, new: str, old: str) -> tuple[Field, ...]:
    declared = _mapping(document.get("interface")).get(new)
    return fields_from_json(_mapping(document.get("io")).get(old) if declared is None else declared)


def _scheduling(raw: object) -> Json | None:
    if isinstance(raw, str):
        raw = _loads(raw)
    return dict(raw) if isinstance(raw, Mapping) else None
