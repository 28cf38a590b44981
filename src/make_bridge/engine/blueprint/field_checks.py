"""Checks of what is filled in: required fields, choices, values written down, components to be chosen.

Called by `structure_checks` for a known module's parameters and mapper. Only what stands in the blueprint itself is
judged; what an expression will give is known when it runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.apps.http_calls import AUTHENTICATION_PARAMETERS
from make_bridge.engine.apps.module import ModuleSpec
from make_bridge.engine.blueprint import mistakes
from make_bridge.engine.blueprint.findings import Finding, Sayer
from make_bridge.engine.blueprint.mapping import checked_collection
from make_bridge.engine.blueprint.model import Module
from make_bridge.engine.blueprint.settings import COMPONENT_KINDS, component_id
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.patterns import compile_pattern
from make_bridge.engine.values import Value

_LATER = "Choose it before the scenario is switched on."
_SHOWN_OPTIONS = 12
_MAX_PROBLEMS = 3
_KINDS = {
    "array": "an array",
    "integer": "a whole number",
    "json": "JSON",
    "uinteger": "a whole number",
    "url": "an address",
}
_PATTERNS = {"regexp:Parser": "parameters", "regexp:AdvancedParser": "mapper", "regexp:Replace": "mapper"}


def check_fields(node: Module, spec: ModuleSpec, say: Sayer) -> Iterator[Finding]:
    """Return what is wrong with the parameters and the mapper."""
    yield from _check_given(node.parameters, spec.parameters, ".parameters", say)
    if isinstance(node.mapper, Mapping) or node.mapper is None:
        given = node.mapper or {}
        yield from _check_given(given, spec.mapper, ".mapper", say)
        yield from _check_written(given, spec.mapper, say)
    yield from _check_credentials(node, say)
    yield from _check_pattern(node, say)


def _check_given(given: Mapping[str, object], fields: Sequence[Field], where: str, say: Sayer) -> Iterator[Finding]:
    for field in fields:
        value, at = given.get(field.name), f"{where}.{field.name}"
        if field.name == "feeder":
            continue  # said better by the aggregator's own check
        if field.type.partition(":")[0] in COMPONENT_KINDS:
            yield from _check_component(field, value, at, say)
        elif value in (None, "") and field.required and field.default is None:
            fix = _missing_fix(field, given, fields, where.removeprefix("."))
            yield say.error(at, f"The required field '{field.label or field.name}' is missing.", fix)
        elif field.options and isinstance(value, str) and "{{" not in value and value:
            yield from _check_choice(field, value, at, say)


def _check_component(field: Field, value: object, at: str, say: Sayer) -> Iterator[Finding]:
    """A connection and its like: a number from elsewhere is replaced at import, a text in its place is a gap."""
    if value in (None, "") and not field.required:
        return
    if component_id(value) is None:
        yield say.warning(at, f"'{field.label or field.name}' is not chosen yet.", _LATER)


def _missing_fix(field: Field, given: Mapping[str, object], fields: Sequence[Field], where: str) -> str:
    known = {known.name for known in fields}
    strangers = [key for key in given if key not in known]
    meant = next((key for key in strangers if field.name.lower() in key.lower() or key.lower() in field.name), None)
    meant = meant or mistakes.nearest(field.name, strangers, cutoff=0.6)
    if meant:
        return f'Write "{field.name}" instead of "{meant}".'
    return f'Add "{field.name}" to the {where}.'


def _check_choice(field: Field, value: str, at: str, say: Sayer) -> Iterator[Finding]:
    names = [str(option.value) for option in field.options if option.value != ""]
    if value.lower() in {name.lower() for name in names}:
        return
    shown = ", ".join(name if name.strip() else repr(name) for name in names[:_SHOWN_OPTIONS])
    more = " …" if len(names) > _SHOWN_OPTIONS else ""
    meant = mistakes.nearest(value, names, cutoff=0.7)
    fix = f"Did you mean {meant}?" if meant else "Write one of them."
    yield say.warning(at, f"{value!r} is not one of {shown}{more}.", fix)


def _check_written(given: Mapping[str, object], fields: Sequence[Field], say: Sayer) -> Iterator[Finding]:
    """Say which values without expressions do not fit their fields, as they will fail in every run."""
    for field in fields:
        value = given.get(field.name)
        if value in (None, "") or not _constant(value):
            continue
        written: Value = value  # type: ignore[assignment]  # JSON is a subset of the values
        _, problems = checked_collection({field.name: written}, [replace(field, required=False)], strict=False)
        for problem in problems[:_MAX_PROBLEMS]:
            yield say.error(f".mapper.{field.name}", problem, _kind_of(field))


def _kind_of(field: Field) -> str:
    """Say what the field takes."""
    if field.spec and not field.scalar_items:
        shape = "a list of objects" if field.type == "array" else "an object"
        return f"Write {shape} with {', '.join(item.name for item in field.spec)}."
    kind = _KINDS.get(field.type, f"a {field.type}")
    bounds = field.validate
    if bounds is None or (bounds.min is None and bounds.max is None):
        return f"The field takes {kind}."
    least = "" if bounds.min is None else f" from {bounds.min:g}"
    most = "" if bounds.max is None else f" up to {bounds.max:g}"
    return f"The field takes {kind}{least}{most}."


def _constant(value: object) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and "{{" in item:
            return False
        if isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return True


def _check_credentials(node: Module, say: Sayer) -> Iterator[Finding]:
    """http:MakeRequest names its credentials in a field that depends on the kind."""
    kind = node.parameters.get("authenticationType") if node.module == "http:MakeRequest" else None
    name = AUTHENTICATION_PARAMETERS.get(kind) if isinstance(kind, str) else None
    if name is not None and component_id(node.parameters.get(name)) is None:
        yield say.warning(f".parameters.{name}", f"The credentials for '{kind}' are not chosen yet.", _LATER)


def _check_pattern(node: Module, say: Sayer) -> Iterator[Finding]:
    where = _PATTERNS.get(node.module)
    holder = {"parameters": node.parameters, "mapper": node.mapper}.get(where or "")
    pattern = holder.get("pattern") if isinstance(holder, Mapping) else None
    if not isinstance(pattern, str) or not pattern or "{{" in pattern:
        return
    try:
        compile_pattern(pattern)
    except ExpressionError as error:
        fix = "Patterns run on RE2, which knows no look-around and no back references."
        yield say.error(f".{where}.pattern", error.message, fix)
