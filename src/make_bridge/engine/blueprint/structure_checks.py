"""Checks of a module in its place: is it known, may it stand here, is it filled in.

Called by `validate`, which walks the blueprint and knows what surrounds each module.
"""

from collections.abc import Collection as Container
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.apps.module import Kind, ModuleSpec
from make_bridge.engine.blueprint import mistakes
from make_bridge.engine.blueprint.findings import Finding, Severity
from make_bridge.engine.blueprint.model import Module
from make_bridge.engine.blueprint.settings import COMPONENT_KINDS, fallback_index, feeder_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a module stands."""

    first: bool
    in_handler: bool
    after: Sequence[Module]
    previous: Module | None
    upstream: Container[int]
    all_ids: Container[int]
    stores_incomplete: bool


def check_known(node: Module, catalogue: Mapping[str, ModuleSpec]) -> Iterator[Finding]:
    """Say that a module or its version is not known here."""
    spec = catalogue.get(node.module)
    if spec is None:
        yield Finding(
            severity=Severity.FATAL,
            position=f"{node.position}.module",
            message=f"The module {node.module} is not known here.",
            module_id=node.id,
            fix=mistakes.module_fix(node.module, catalogue),
        )
    elif node.version is not None and node.version not in spec.versions:
        known = ", ".join(str(version) for version in spec.versions)
        yield Finding(
            severity=Severity.WARNING,
            position=f"{node.position}.version",
            message=f"Version {node.version} of {node.module} is not known here; it runs as version {known}.",
            module_id=node.id,
        )


def check_place(node: Module, spec: ModuleSpec, place: Place) -> Iterator[Finding]:
    """Return what is wrong with a known module where it stands."""
    say = _Sayer(node)
    if place.first and node.filter is not None and node.filter.groups:
        yield say.warning(".filter", "The first module of a scenario has no filter in Make.", "Move it to the next.")
    if spec.kind is Kind.TRIGGER and not place.first:
        yield say.error("", "A trigger can only be the first module.", "Move it to the beginning, or remove it.")
    if spec.directive is not None and not place.in_handler:
        yield say.error("", f"{spec.label} only works at the end of an error handler.", "Move it into an onerror list.")
    if spec.name == "builtin:Break" and not place.stores_incomplete:
        fix = "Set metadata.scenario.dlq to true (store incomplete executions)."
        yield say.warning("", "Break needs the storing of incomplete executions; without it the run fails.", fix)
    yield from _check_shape(node, spec, place, say)
    yield from _check_required(node.parameters, spec.parameters, ".parameters", say)
    if isinstance(node.mapper, Mapping) or node.mapper is None:
        yield from _check_required(node.mapper or {}, spec.mapper, ".mapper", say)


def _check_shape(node: Module, spec: ModuleSpec, place: Place, say: "_Sayer") -> Iterator[Finding]:
    match spec.kind:
        case Kind.AGGREGATOR:
            yield from _check_feeder(node, place, say)
        case Kind.ROUTER:
            yield from _check_router(node, place, say)
        case Kind.CONDITION:
            yield from _check_branches(node, place, say)
        case Kind.MERGE:
            if place.previous is None or not place.previous.branches:
                fix = "Put it directly after the builtin:BasicIfElse."
                yield say.fatal("", "A merge must directly follow its if-else.", fix)
        case _:
            return


def _check_feeder(node: Module, place: Place, say: "_Sayer") -> Iterator[Finding]:
    feeder = feeder_id(node)
    if feeder is None:
        mistaken = next((key for key in ("feederModule", "source", "sourceModule") if key in node.parameters), None)
        fix = (
            f'Write "feeder" instead of "{mistaken}".'
            if mistaken
            else 'Write the id of the module that starts the loop: "feeder": 2.'
        )
        yield say.fatal(".parameters.feeder", "The aggregator does not say which module it collects from.", fix)
    elif feeder not in place.all_ids:
        yield say.fatal(".parameters.feeder", f"There is no module {feeder} to collect from.")
    elif feeder not in place.upstream:
        message = f"Module {feeder} does not come before this aggregator on its path, so it cannot feed it."
        yield say.fatal(".parameters.feeder", message)


def _check_router(node: Module, place: Place, say: "_Sayer") -> Iterator[Finding]:
    if not any(route.flow for route in node.routes):
        yield say.warning(".routes", "The router has no route with a module in it.")
    if place.after:
        fix = "Move them into a route."
        yield say.warning("", "The modules after this router are never reached: a path ends at its router.", fix)
    if node.onerror:
        yield say.warning(".onerror", "A router cannot have an error handler; this one is ignored.")
    fallback = fallback_index(node)
    if fallback is not None and fallback >= len(node.routes):
        yield say.warning(".parameters.else", f"There is no route {fallback} to fall back to; routes count from 0.")


def _check_branches(node: Module, place: Place, say: "_Sayer") -> Iterator[Finding]:
    merged = bool(place.after) and bool(place.after[0].outputs or place.after[0].module == "builtin:BasicMerge")
    if any(branch.merge for branch in node.branches) and not merged:
        fix = "Add a builtin:BasicMerge directly after it."
        yield say.error("", "Branches that merge need a merge right after the if-else; they end here instead.", fix)
    elif place.after and not merged:
        yield say.warning("", "The modules after this if-else are never reached.", "Add a builtin:BasicMerge.")
    if sum(branch.otherwise for branch in node.branches) > 1:
        yield say.error(".branches", "An if-else has at most one else branch; only the first one counts.")
    for branch in node.branches:
        if not branch.otherwise and not branch.condition.groups:
            at = branch.position.removeprefix(node.position)
            yield say.warning(at, "A branch without conditions is never taken.", 'Use "type": "else" for the rest.')


def _check_required(
    given: Mapping[str, object], fields: Sequence[Field], where: str, say: "_Sayer"
) -> Iterator[Finding]:
    for field in fields:
        value = given.get(field.name)
        if value in (None, "") and field.required and field.default is None:
            if field.name == "feeder":
                continue  # said better by the aggregator's own check
            at, label = f"{where}.{field.name}", field.label or field.name
            if field.type.partition(":")[0] in COMPONENT_KINDS:
                yield say.warning(at, f"'{label}' is not chosen yet.", "Choose it before the scenario is switched on.")
            else:
                yield say.error(at, f"The required field '{label}' is missing.")
        elif field.options and isinstance(value, str) and "{{" not in value and value:
            allowed = {str(option.value).lower() for option in field.options}
            if value.lower() not in allowed:
                known = ", ".join(str(option.value) for option in field.options if option.value != "")
                yield say.warning(f"{where}.{field.name}", f"{value!r} is not one of {known}.")


class _Sayer:
    """Makes findings about one module."""

    def __init__(self, node: Module) -> None:
        self.node = node

    def fatal(self, where: str, message: str, fix: str | None = None) -> Finding:
        return self._finding(Severity.FATAL, where, message, fix)

    def error(self, where: str, message: str, fix: str | None = None) -> Finding:
        return self._finding(Severity.ERROR, where, message, fix)

    def warning(self, where: str, message: str, fix: str | None = None) -> Finding:
        return self._finding(Severity.WARNING, where, message, fix)

    def _finding(self, severity: Severity, where: str, message: str, fix: str | None) -> Finding:
        return Finding(
            severity=severity,
            position=f"{self.node.position}{where}",
            message=message,
            module_id=self.node.id,
            fix=fix,
        )
