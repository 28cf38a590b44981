"""Validation: everything that is wrong, or probably not meant, in a parsed blueprint.

Called by `compile` (which refuses the fatal part), by the command line and by the editor's API. It
walks the blueprint once in running order and keeps account of which modules each module can see.
"""

from collections.abc import Iterator

from make_bridge.engine.blueprint.expression_checks import check_expressions
from make_bridge.engine.blueprint.findings import Finding, Severity
from make_bridge.engine.blueprint.link import Catalogue
from make_bridge.engine.blueprint.model import Blueprint, Branch, Module, Route
from make_bridge.engine.blueprint.settings import feeder_id
from make_bridge.engine.blueprint.structure_checks import Place, check_known, check_place

_MAX_NAME = 120
Upstream = dict[int, None]  # an ordered set


def validate(blueprint: Blueprint, catalogue: Catalogue) -> list[Finding]:
    """Return all findings in reading order."""
    return [
        *_check_whole(blueprint, catalogue),
        *_Walk(blueprint, catalogue).flow(blueprint.flow, {}, in_handler=False),
    ]


def _check_whole(blueprint: Blueprint, catalogue: Catalogue) -> Iterator[Finding]:
    if len(blueprint.name) > _MAX_NAME:
        message = f"The name has {len(blueprint.name)} characters; Make allows {_MAX_NAME}."
        yield Finding(severity=Severity.WARNING, position="name", message=message)
    if not any(not node.skipped for node in blueprint.flow):
        yield Finding(severity=Severity.WARNING, position="flow", message="There is no module to run.")
    yield from _check_ids(blueprint)
    yield from _check_answer(blueprint, catalogue)


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
            yield Finding(severity=Severity.WARNING, position=node.position, message=message, module_id=node.id)


class _Walk:
    """One walk in running order."""

    def __init__(self, blueprint: Blueprint, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.ids = {node.id for node in blueprint.modules() if not node.skipped}
        self.first = next((node.position for node in blueprint.flow if not node.skipped), "")
        self.stores_incomplete = blueprint.settings.dlq

    def flow(self, nodes: tuple[Module, ...], outer: Upstream, *, in_handler: bool) -> Iterator[Finding]:
        """Check a flow; `outer` are the modules before it."""
        upstream = dict(outer)
        active = [node for node in nodes if not node.skipped]
        inside: tuple[int, ...] = ()
        for index, node in enumerate(active):
            yield from check_known(node, self.catalogue)
            yield from check_expressions(node, upstream, inside)
            spec = self.catalogue.get(node.module)
            if spec is not None:
                place = Place(
                    first=node.position == self.first,
                    in_handler=in_handler,
                    after=active[index + 1 :],
                    previous=active[index - 1] if index else None,
                    upstream=upstream,
                    all_ids=self.ids,
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
