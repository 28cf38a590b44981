"""The walk's stack: what is still to do at each place the path may come back to.

Plain data; the walker knows what to do with it. `mark` is how long the path was before the frame's own
bundle, so that going back is cutting the path to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from make_bridge.engine.apps.module import Aggregation, Collection
from make_bridge.engine.blueprint.program import AggregatorNode, Node, RouterNode
from make_bridge.engine.runner.result import Step
from make_bridge.engine.values import Value


@dataclass(slots=True)
class LoopFrame:
    """A module's bundles still to come, then the aggregators that close its loop."""

    node: Node
    bundles: Iterator[Collection]
    mark: int
    aggregators: tuple[AggregatorNode, ...]
    step: Step | None
    operation: int
    closed: int = 0
    is_held: bool = False
    """Its bundles are a list that is there as a whole."""


@dataclass(slots=True)
class RouteFrame:
    """A router's routes still to try."""

    node: RouterNode
    mark: int
    tried: int = 0
    taken: bool = False


Frame = LoopFrame | RouteFrame


class Collector:
    """What has reached one aggregator during its feeder's operation, by group."""

    __slots__ = ("_groups", "_node")

    def __init__(self, node: AggregatorNode) -> None:
        """Begin with nothing."""
        self._node = node
        self._groups: dict[str | None, Aggregation] = {}

    def add(self, key: str | None, item: Collection) -> None:
        """Take one item into its group."""
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = self._new()
        group.add(item)

    def results(self) -> list[Collection]:
        """Return one bundle per group in first-seen order; without items an empty one, unless told to stop."""
        if not self._groups:
            return [] if self._node.stop_if_empty else [self._new().result()]
        if self._node.group_by is None:
            return [group.result() for group in self._groups.values()]
        grouped: list[Collection] = []
        for key, group in self._groups.items():
            named: Value = key
            grouped.append({**group.result(), "__IMTKEY__": named})
        return grouped

    def _new(self) -> Aggregation:
        make = self._node.spec.aggregate
        if make is None:
            raise TypeError(f"{self._node.module} does not aggregate.")
        return make(self._node.parameters)
