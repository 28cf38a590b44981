"""Linking: modules of a blueprint become nodes that know what follows them.

Called by `compile` for blueprints without fatal findings. Everything that depends only on the
blueprint is decided here: what comes next, which filter is asked by whom, whose loop an aggregator
closes, where a handler's Resume goes back to.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.apps.module import Kind, ModuleSpec
from make_bridge.engine.blueprint.filters import compile_filter
from make_bridge.engine.blueprint.mapping import compile_mapper
from make_bridge.engine.blueprint.model import Branch
from make_bridge.engine.blueprint.model import Module as Source
from make_bridge.engine.blueprint.program import (
    AggregatorNode,
    Component,
    ConditionNode,
    DirectiveNode,
    Exit,
    MergeNode,
    Node,
    RouterNode,
    WorkNode,
)
from make_bridge.engine.blueprint.settings import (
    component_fields,
    component_id,
    fallback_index,
    feeder_id,
    static_parameters,
)
from make_bridge.engine.iml import compile_value

Catalogue = Mapping[str, ModuleSpec]
NodeType = TypeVar("NodeType", bound=Node)

_CLASSES: dict[Kind, type[Node]] = {
    Kind.ROUTER: RouterNode,
    Kind.CONDITION: ConditionNode,
    Kind.MERGE: MergeNode,
    Kind.AGGREGATOR: AggregatorNode,
}


class Linker:
    """One linking of one blueprint."""

    def __init__(self, catalogue: Catalogue, outputs: Sequence[Field] = ()) -> None:
        """`nodes` and `components` are the results, besides the first node; `outputs` type what is returned."""
        self.nodes: dict[int, Node] = {}
        self.components: list[Component] = []
        self._catalogue = catalogue
        self._outputs = tuple(dataclasses.replace(field, required=False) for field in outputs)
        self._made: list[Node] = []
        self._path: list[Node] = []
        self._inside: dict[int, list[Node]] = {}

    def flow(self, sources: tuple[Source, ...], tail: Node | None, guarded: Node | None, *, owned: bool) -> Node | None:
        """Link a flow and return its first node.

        `tail` follows the last module; `owned` means that whoever leads here asks the first filter.
        """
        depth = len(self._path)
        waiting = [source for source in sources if not source.skipped]
        first: Node | None = None
        ends: list[Node] = []
        while waiting and (first is None or ends):
            source = waiting.pop(0)
            node = self._node(source, guarded)
            node.gate = None if owned and first is None else node.filter
            first = first or node
            for end in ends:
                end.next = node
            self._path.append(node)
            ends = [node]
            if isinstance(node, RouterNode):
                self._routes(node, source, guarded)
                ends = []
            elif isinstance(node, ConditionNode):
                merge = waiting.pop(0) if waiting and self._kind(waiting[0]) is Kind.MERGE else None
                ends = self._branches(node, source, merge, guarded)
            elif isinstance(node, AggregatorNode):
                self._close_loop(node)
            self._handler(node, source)
        for end in ends:
            end.next = tail
        del self._path[depth:]
        return first

    def _kind(self, source: Source) -> Kind:
        return self._catalogue[source.module].kind

    def _node(self, source: Source, guarded: Node | None) -> Node:
        spec = self._catalogue[source.module]
        directive = DirectiveNode if spec.directive is not None else WorkNode
        node = self._make(_CLASSES.get(spec.kind, directive), source, guarded)
        if isinstance(node, AggregatorNode):
            group_by = source.flags.get("groupBy")
            node.feeder_id = feeder_id(source) or 0
            node.whole_bundle = spec.open_mapper and not source.mapper
            node.group_by = compile_value(group_by).evaluate if isinstance(group_by, str) and group_by else None
            node.stop_if_empty = source.flags.get("stopIfEmpty") is True
        self._note_components(source, spec)
        return node

    def _make(self, kind: type[NodeType], source: Source, guarded: Node | None) -> NodeType:
        spec = self._catalogue[source.module]
        routing = spec.kind in (Kind.ROUTER, Kind.CONDITION, Kind.MERGE)
        expected = (*source.expect, *self._outputs) if spec.kind is Kind.RETURNER else source.expect
        node = kind(
            id=source.id,
            module=source.module,
            label=source.label,
            spec=spec,
            position=source.position,
            parameters=static_parameters(source, spec),
            mapper=compile_mapper(None if routing else source.mapper, spec.mapper, expected),
            filter=compile_filter(source.filter),
            guarded=guarded,
            performs=not spec.pure,
        )
        self.nodes[source.id] = node
        self._made.append(node)
        return node

    def _note_components(self, source: Source, spec: ModuleSpec) -> None:
        for field in component_fields(source, spec):
            found = component_id(source.parameters.get(field.name))
            if found is not None or field.required:
                self.components.append(
                    Component(
                        module_id=source.id, module=source.module, parameter=field.name, type=field.type, id=found
                    )
                )

    def _routes(self, node: RouterNode, source: Source, guarded: Node | None) -> None:
        fallback = fallback_index(source)
        routes: list[Node] = []
        for index, route in enumerate(source.routes):
            first = None if route.disabled else self.flow(route.flow, None, guarded, owned=True)
            if first is None:
                continue
            if index == fallback:
                node.fallback = first
            else:
                routes.append(first)
        node.routes = tuple(routes)

    def _branches(self, node: ConditionNode, source: Source, merge: Source | None, guarded: Node | None) -> list[Node]:
        """Link the branches; return where the path goes on: one merge node per merging branch."""
        start = len(self._made)
        exits: list[Exit] = []
        merges: list[MergeNode] = []
        for branch in source.branches:
            joint = self._joint(merge, len(merges), guarded) if branch.merge and merge is not None else None
            before = len(self._made)
            found = self._exit(branch, joint, guarded)
            if found is not None:
                exits.append(found)
            if joint is not None:
                joint.branch = frozenset(made.id for made in self._made[before:])
                merges.append(joint)
        for joint in merges:
            joint.siblings = tuple(merges)
        node.exits = tuple(sorted(exits, key=lambda found: found.passes is None))
        self._inside[node.id] = self._made[start:]
        return list(merges)

    def _exit(self, branch: Branch, joint: Node | None, guarded: Node | None) -> Exit | None:
        passes = compile_filter(branch.condition)
        if branch.disabled or (passes is None and not branch.otherwise):
            return None
        first = self.flow(branch.flow, joint, guarded, owned=True)
        return None if first is None else Exit(branch.label, None if branch.otherwise else passes, first)

    def _joint(self, merge: Source, index: int, guarded: Node | None) -> MergeNode:
        """Make the merge as one branch sees it: with that branch's mappings and filter."""
        joint = self._make(MergeNode, merge, guarded)
        filters = merge.merge_filters
        joint.gate = compile_filter(filters[index]) if index < len(filters) else None
        joint.outputs = tuple(
            (output.name, compile_value(output.mappings[index] if index < len(output.mappings) else None).evaluate)
            for output in merge.outputs
        )
        self._handler(joint, merge)
        return joint

    def _handler(self, node: Node, source: Source) -> None:
        if not source.onerror or isinstance(node, RouterNode):
            return
        start = len(self._made)
        node.handler = self.flow(source.onerror, None, node, owned=True)
        self._inside[node.id] = [*self._inside.get(node.id, []), *self._made[start:]]

    def _close_loop(self, aggregator: AggregatorNode) -> None:
        """Tell the feeder, and everything between it and its aggregator, whose loop they are in.

        A feeder that is disabled passes its bundle through, so the module before it takes its place.
        """
        path = self._path[:-1]
        if not any(node.id == aggregator.feeder_id for node in path) and path:
            aggregator.feeder_id = path[-1].id
        for node in reversed(path):
            if node.id == aggregator.feeder_id:
                node.aggregators = (*node.aggregators, aggregator)
                return
            for inner in (node, *self._inside.get(node.id, ())):
                inner.enclosing = (*inner.enclosing, aggregator)
