"""Checks of a module in its place: is it known, may it stand here, does its loop begin before it.

Called by `validate`, which walks the blueprint and knows what surrounds each module. What is filled in is looked at
by `field_checks`, where it leads by `routing_checks`.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from make_bridge.engine.apps.module import Kind, ModuleSpec
from make_bridge.engine.blueprint import mistakes
from make_bridge.engine.blueprint.field_checks import check_fields
from make_bridge.engine.blueprint.findings import Finding, Sayer, Severity
from make_bridge.engine.blueprint.model import Module
from make_bridge.engine.blueprint.routing_checks import check_branches, check_directive, check_router
from make_bridge.engine.blueprint.settings import feeder_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a module stands."""

    first: bool
    in_handler: bool
    after: Sequence[Module]
    previous: Module | None
    upstream: Collection[int]
    all_ids: Container[int]
    disabled_ids: Container[int]
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
        known = " or ".join(str(version) for version in spec.versions)
        yield Finding(
            severity=Severity.WARNING,
            position=f"{node.position}.version",
            message=f"Version {node.version} of {node.module} is not known here; it runs as version {known}.",
            module_id=node.id,
            fix=f'Write "version": {spec.versions[-1]}, and look whether its fields are the same.',
        )


def check_place(node: Module, spec: ModuleSpec, place: Place) -> Iterator[Finding]:
    """Return what is wrong with a known module where it stands."""
    say = Sayer(node)
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
    yield from check_fields(node, spec, say)


def _check_shape(node: Module, spec: ModuleSpec, place: Place, say: Sayer) -> Iterator[Finding]:
    match spec.kind:
        case Kind.AGGREGATOR:
            yield from _check_feeder(node, place, say)
        case Kind.ROUTER:
            yield from check_router(node, place.after, say)
        case Kind.CONDITION:
            yield from check_branches(node, place.after, say)
        case Kind.DIRECTIVE if place.in_handler:
            yield from check_directive(spec.label, place.after, say)
        case Kind.MERGE:
            if place.previous is None or not place.previous.branches:
                fix = "Put it directly after the builtin:BasicIfElse."
                yield say.fatal("", "A merge must directly follow its if-else.", fix)
        case _:
            return


def _check_feeder(node: Module, place: Place, say: Sayer) -> Iterator[Finding]:
    feeder = feeder_id(node)
    if feeder is None:
        mistaken = next((key for key in ("feederModule", "source", "sourceModule") if key in node.parameters), None)
        fix = (
            f'Write "feeder" instead of "{mistaken}".'
            if mistaken
            else 'Write the id of the module that starts the loop: "feeder": 2.'
        )
        yield say.fatal(".parameters.feeder", "The aggregator does not say which module it collects from.", fix)
    elif feeder in place.disabled_ids and not place.first:
        message = f"Module {feeder} is disabled: the aggregator collects what the module before it gives."
        yield say.warning(".parameters.feeder", message, "Switch it on, or write the id of another module.")
    elif feeder not in place.all_ids:
        yield say.fatal(".parameters.feeder", f"There is no module {feeder} to collect from.", _one_of(place.upstream))
    elif feeder not in place.upstream:
        message = f"Module {feeder} does not come before this aggregator on its path, so it cannot feed it."
        yield say.fatal(".parameters.feeder", message, _one_of(place.upstream))


def _one_of(ids: Iterable[int]) -> str:
    shown = ", ".join(str(number) for number in ids)
    return (
        f"Write the id of a module before it: {shown}." if shown else "Put the module that starts the loop before it."
    )
