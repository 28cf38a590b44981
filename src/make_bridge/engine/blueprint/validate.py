"""Validation: everything that is wrong, or probably not meant, in a parsed blueprint.

Called by `compile` (which refuses the fatal part), by the command line and by the editor's API. It
walks the blueprint once in running order and keeps account of which modules each module can see.
"""

from collections.abc import Iterator, Mapping

from make_bridge.engine.apps.module import Kind
from make_bridge.engine.blueprint.expression_checks import Sight, check_expressions
from make_bridge.engine.blueprint.findings import Finding, Severity
from make_bridge.engine.blueprint.link import Catalogue
from make_bridge.engine.blueprint.model import Blueprint, Branch, Module, Route
from make_bridge.engine.blueprint.settings import feeder_id
from make_bridge.engine.blueprint.structure_checks import Place, check_known, check_place
from make_bridge.engine.blueprint.variables import expression_texts
from make_bridge.engine.iml import limits
from make_bridge.engine.schedule.shapes import schedule_mistakes

_MAX_NAME = 120
Upstream = dict[int, None]  # an ordered set


def validate(blueprint: Blueprint, catalogue: Catalogue) -> list[Finding]:
    """Return all findings in reading order; of more expressions than a server compiles nothing but that."""
    length = sum(_expression_length(node) for node in blueprint.modules())
    if length > limits.BLUEPRINT:
        message = (
            f"The expressions of this blueprint have {length} characters; at most {limits.BLUEPRINT} are compiled."
        )
        fix = "Split the scenario into several, or compute long texts in fewer places."
        return [Finding(severity=Severity.FATAL, position="flow", message=message, fix=fix)]
    return [
        *_check_whole(blueprint, catalogue),
        *_Walk(blueprint, catalogue).flow(blueprint.flow, {}, in_handler=False),
    ]


def _expression_length(node: Module) -> int:
    """Return how many characters stand in texts with expressions, wherever a module may have some."""
    return sum(map(len, expression_texts(node)))


def _check_whole(blueprint: Blueprint, catalogue: Catalogue) -> Iterator[Finding]:
    if len(blueprint.name) > _MAX_NAME:
        message = f"The name has {len(blueprint.name)} characters; Make allows {_MAX_NAME}."
        yield Finding(severity=Severity.WARNING, position="name", message=message, fix="Shorten it.")
    if not any(not node.skipped for node in blueprint.flow):
        message = "There is no module to run."
        yield Finding(
            severity=Severity.WARNING, position="flow", message=message, fix="Add a module, or switch one on."
        )
    yield from _check_ids(blueprint)
    yield from _check_answer(blueprint, catalogue)
    yield from _check_outputs(blueprint, catalogue)
    yield from _check_scheduling(blueprint, catalogue)


def _check_ids(blueprint: Blueprint) -> Iterator[Finding]:
    seen: dict[int, str] = {}
    for node in blueprint.modules():
        if node.placeholder:
            continue
        if node.id in seen:
            yield Finding(
                severity=Severity.FATAL,
                position=f"{node.position}.id",
                message=f"The id {node.id} is used twice; the other module is at {seen[node.id]}.",
                module_id=node.id,
                fix="Give each module its own id, and keep the references to it.",
            )
        seen.setdefault(node.id, node.position)


def _check_answer(blueprint: Blueprint, catalogue: Catalogue) -> Iterator[Finding]:
    """A response needs somebody who waits for it."""
    first = next((node for node in blueprint.flow if not node.skipped), None)
    trigger = catalogue.get(first.module) if first is not None else None
    if trigger is None or trigger.external:
        return
    for node in blueprint.modules():
        spec = catalogue.get(node.module)
        if spec is not None and spec.answers and not node.skipped:
            message = "This scenario does not start with a webhook, so nobody receives the response."
            fix = "Begin with gateway:CustomWebHook, or return values with scenario-service:ReturnData."
            yield Finding(
                severity=Severity.WARNING, position=node.position, message=message, module_id=node.id, fix=fix
            )


def _check_outputs(blueprint: Blueprint, catalogue: Catalogue) -> Iterator[Finding]:
    """What is returned under a name that is not declared goes out, and nobody expects it."""
    declared = [field.name for field in blueprint.outputs]
    for node in blueprint.modules():
        spec = catalogue.get(node.module)
        returned = node.mapper if isinstance(node.mapper, Mapping) else {}
        if not declared or spec is None or spec.kind is not Kind.RETURNER or node.skipped:
            continue
        for name in returned.keys() - set(declared):
            yield Finding(
                severity=Severity.WARNING,
                position=f"{node.position}.mapper.{name}",
                message=f"The scenario declares no output '{name}'.",
                module_id=node.id,
                fix=f"Declare it, or use {', '.join(declared)}.",
            )


def _check_scheduling(blueprint: Blueprint, catalogue: Catalogue) -> Iterator[Finding]:
    """Look at the times a scenario is to run, where the file brings them."""
    raw = blueprint.scheduling
    if raw is None:
        return
    for mistake in schedule_mistakes(raw):
        yield Finding(
            severity=Severity.WARNING if mistake.missing else Severity.ERROR,  # a form may still ask for it
            position=f"scheduling.{mistake.member}",
            message=mistake.sentence,
            fix="Mend it, or leave scheduling out and choose it later.",
        )
    kind = raw.get("type")
    first = next((node for node in blueprint.flow if not node.skipped), None)
    trigger = catalogue.get(first.module) if first is not None else None
    if blueprint.inputs and kind not in (None, "on-demand"):
        message = "A scenario with inputs only runs on demand."
        yield Finding(
            severity=Severity.WARNING, position="scheduling.type", message=message, fix='Write "type": "on-demand".'
        )
    elif kind == "immediately" and trigger is not None and not trigger.external:
        message = "Only a scenario that begins with a webhook runs immediately."
        yield Finding(
            severity=Severity.WARNING, position="scheduling.type", message=message, fix='Write "type": "indefinitely".'
        )


class _Walk:
    """One walk in running order."""

    def __init__(self, blueprint: Blueprint, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.ids = {node.id for node in blueprint.modules() if not node.skipped}
        self.disabled_ids = {node.id for node in blueprint.modules() if node.disabled}
        self.first = next((node.position for node in blueprint.flow if not node.skipped), "")
        self.stores_incomplete = blueprint.settings.dlq
        self.inputs = [field.name for field in blueprint.inputs]

    def flow(self, nodes: tuple[Module, ...], outer: Upstream, *, in_handler: bool) -> Iterator[Finding]:
        """Check a flow; `outer` are the modules before it."""
        upstream = dict(outer)
        active = [node for node in nodes if not node.skipped]
        inside: tuple[int, ...] = ()
        for index, node in enumerate(active):
            yield from check_known(node, self.catalogue)
            sight = Sight(modules=upstream, everywhere=self.ids, inputs=self.inputs)
            yield from check_expressions(node, sight, inside)
            spec = self.catalogue.get(node.module)
            if spec is not None:
                place = Place(
                    first=node.position == self.first,
                    in_handler=in_handler,
                    after=active[index + 1 :],
                    previous=active[index - 1] if index else None,
                    upstream=upstream,
                    all_ids=self.ids,
                    disabled_ids=self.disabled_ids,
                    stores_incomplete=self.stores_incomplete,
                )
                yield from check_place(node, spec, place)
            inside = tuple(inner.id for branch in node.branches for inner in branch.flow)
            yield from self._inner(node, upstream, in_handler=in_handler)
            _advance(upstream, node)

    def _inner(self, node: Module, upstream: Upstream, *, in_handler: bool) -> Iterator[Finding]:
        here = {**upstream, node.id: None}
        exits: list[Route | Branch] = [*node.routes, *node.branches]
        for exit_ in exits:
            if not exit_.disabled:
                yield from self.flow(exit_.flow, here, in_handler=in_handler)
        if node.onerror:
            yield from self.flow(node.onerror, here, in_handler=True)


def _advance(upstream: Upstream, node: Module) -> None:
    """Add a module to what the next one sees; an aggregator hides the loop it closes."""
    feeder = feeder_id(node)
    if feeder in upstream:
        while upstream and upstream.popitem()[0] != feeder:
            pass
    upstream[node.id] = None
