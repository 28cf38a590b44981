"""The walk: depth first through a program, with a stack of its own.

Made by `run` for each execution. A step returns the node that comes next; when a path ends, the frame
on top of the stack gives the next bundle or the next route. Frames hold iterators, so a loop of ten
thousand elements is never laid out, and no blueprint makes Python recurse.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from make_bridge.engine.apps.module import Bundles, Collection, Directive, ErrorType, Kind, ModuleCall, ModuleError
from make_bridge.engine.blueprint.filters import Passes
from make_bridge.engine.blueprint.program import (
    AggregatorNode,
    ConditionNode,
    DirectiveNode,
    MergeNode,
    Node,
    RouterNode,
    WorkNode,
)
from make_bridge.engine.ports import Watch, Working
from make_bridge.engine.runner.faults import (
    as_module_error,
    break_off,
    decide,
    error_of,
    park_possibly_done,
    run_error,
)
from make_bridge.engine.runner.frames import Collector, Frame, LoopFrame, RouteFrame
from make_bridge.engine.runner.holding import BUNDLE, COLLECTED, LARGE, LIST
from make_bridge.engine.runner.log import UNMEASURED
from make_bridge.engine.runner.outcome import Outcome
from make_bridge.engine.runner.performer import perform
from make_bridge.engine.runner.result import Ending, Step
from make_bridge.engine.runner.state import Ended, RunState
from make_bridge.engine.values import Value, size_of, to_text

_MICROSECONDS: Final = 1_000_000
# Seconds. What one module may compute is bounded by its budget, so nobody waits much longer than this.
_LONGEST_TURN: Final = 0.02
_PHASES: Final = {
    Kind.TRIGGER: "read",
    Kind.ACTION: "write",
    Kind.TRANSFORMER: "transform",
    Kind.FEEDER: "feed",
    Kind.AGGREGATOR: "aggregate",
    Kind.CONDITION: "decide",
    Kind.MERGE: "merge",
    Kind.DIRECTIVE: "handle",
    Kind.RETURNER: "return",
}
_NONE_GIVEN: Final[Collection] = {}
_UNWATCHED: Final = nullcontext()


class Walker:
    """One walk through a program."""

    __slots__ = ("_aggregated", "_collectors", "_pause_at", "_resumed", "_run", "_stack", "_watch", "_working")

    def __init__(self, run: RunState) -> None:
        """Stand before the first module."""
        self._run = run
        self._stack: list[Frame] = []
        self._collectors: dict[int, Collector] = {}
        self._aggregated = 0
        self._pause_at = run.limits.pause_every
        self._resumed = run.step_started
        watch = run.ports.watch
        self._watch = watch if watch is not None and watch.is_watching() else None
        self._working: Working | None = None

    async def walk(self, node: Node | None, *, admitted: bool = False) -> None:
        """Go from `node` to the end of everything that follows; `admitted` skips the first filter."""
        stack = self._stack
        while True:
            while node is not None:
                if node.gate is not None and not admitted:
                    entered = self._admit(node, node.gate)
                    if entered is not node:
                        node = entered
                        continue
                admitted = False
                if self._watch is not None:
                    node = await self._watched(node, self._watch)
                elif node.performs:
                    node = await self._perform(node)
                else:
                    node = STEPS[node.__class__](self, node)
                if self._pause_at and self._is_due():
                    await self._pause()
            if not stack:
                return
            # A loop whose filter lets nothing through has no operations, and must not hold the others up either.
            if self._pause_at and self._is_due():
                await self._pause()
            node = self._advance(stack[-1])

    async def _watched(self, node: Node, watch: Watch) -> Node | None:
        """Step over a node like any other, while somebody measures it."""
        with watch.module(node.id, node.module) as self._working:
            return await self._perform(node) if node.performs else STEPS[node.__class__](self, node)

    def watching(self, node: Node) -> AbstractContextManager[object]:
        """Have somebody measure what is done with a node outside of the walk."""
        return _UNWATCHED if self._watch is None else self._watch.module(node.id, node.module)

    def _is_due(self) -> bool:
        """Say whether the run has had its turn: so many operations, or so long a time."""
        run = self._run
        return run.operations >= self._pause_at or run.monotonic() - self._resumed > _LONGEST_TURN

    async def _pause(self) -> None:
        """Let others go first."""
        run = self._run
        self._pause_at = run.operations + run.limits.pause_every
        await run.ports.sleeper.sleep(0)
        self._resumed = run.monotonic()

    def emit(
        self, node: Node, bundles: Bundles, step: Step | None, operation: int, size: int = UNMEASURED
    ) -> Node | None:
        """Let a module's bundles go on: one directly (of ``size``, where that is known), many through a frame."""
        run = self._run
        if not bundles:
            run.ran_dry = node
        if not node.aggregators and isinstance(bundles, list) and len(bundles) <= 1:
            if not bundles:
                return None
            bundle = bundles[0]
            run.put(node.id, bundle)
            self._hold(node, bundle, run.log.output(step, bundle) if size == UNMEASURED else size)
            return node.next
        frame = self._open(node, iter(bundles), node.aggregators, step, operation)
        if isinstance(bundles, list) and len(bundles) > 1:
            frame.is_held = True
            whole: list[Value] = [*bundles]
            run.hold((LIST, len(self._stack)), size_of(whole, run.limits.memory_bytes))
        return None

    def _hold(self, node: Node, bundle: Collection, size: int) -> None:
        """Count a large bundle of the path."""
        if size == UNMEASURED:
            size = size_of(bundle, self._run.limits.memory_bytes)
        if size > LARGE:
            self._run.hold((BUNDLE, node.id), size)

    def reopen(self, node: Node) -> None:
        """Rebuild the loops around a module where an incomplete run goes on; their feeders have no more bundles."""
        run = self._run
        order = {module_id: index for index, module_id in enumerate(run.trail)}
        feeders = {aggregator.feeder_id for aggregator in node.enclosing}
        for feeder in sorted(feeders & order.keys(), key=order.__getitem__):
            aggregators = tuple(found for found in node.enclosing if found.feeder_id == feeder)
            self._open(run.program.nodes[feeder], iter(()), aggregators, None, 0, mark=order[feeder])

    def _open(
        self,
        node: Node,
        bundles: Iterator[Collection],
        aggregators: tuple[AggregatorNode, ...],
        step: Step | None,
        operation: int,
        mark: int | None = None,
    ) -> LoopFrame:
        for aggregator in aggregators:
            self._collectors[aggregator.id] = Collector(aggregator)
        at = len(self._run.trail) if mark is None else mark
        frame = LoopFrame(node, bundles, at, aggregators, step, operation)
        self._stack.append(frame)
        return frame

    def _admit(self, node: Node, gate: Passes) -> Node | None:
        """Return the node when its filter lets the bundle in; else where an error leads, or None."""
        run = self._run
        run.renew(node)
        try:
            if gate(run):
                return node
        except Exception as error:  # noqa: BLE001  the scenario's error, or kept as ours
            return self._failed(node, 0, None, error)
        run.blocked[node.id] = run.blocked.get(node.id, 0) + 1
        return None

    # Coming back.

    def _advance(self, frame: Frame) -> Node | None:
        self._run.rewind(frame.mark)
        return self._next_bundle(frame) if isinstance(frame, LoopFrame) else self._next_route(frame)

    def _next_bundle(self, frame: LoopFrame) -> Node | None:
        run, node = self._run, frame.node
        try:
            bundle = next(frame.bundles, None)
        except Exception as error:  # noqa: BLE001  the module's own generator failed
            self._pop()
            return self._failed(node, frame.operation, None, error)
        if bundle is not None:
            run.count_bundle(node)
            run.put(node.id, bundle)
            size = run.log.output(frame.step, bundle)
            if not frame.is_held:
                self._hold(node, bundle, size)
            return node.next
        if frame.closed < len(frame.aggregators):
            aggregator = frame.aggregators[frame.closed]
            frame.closed += 1
            return self._close(aggregator)
        self._pop()
        return None

    def _pop(self) -> None:
        """Leave a loop, and let go of its bundles."""
        self._run.let_go((LIST, len(self._stack)))
        self._stack.pop()

    def _next_route(self, frame: RouteFrame) -> Node | None:
        routes = frame.node.routes
        while frame.tried < len(routes):
            first = routes[frame.tried]
            frame.tried += 1
            entered = first if first.filter is None else self._admit(first, first.filter)
            if entered is not None:
                frame.taken = True
                return entered
        self._stack.pop()
        fallback = frame.node.fallback
        if fallback is None or frame.taken:
            return None
        return fallback if fallback.filter is None else self._admit(fallback, fallback.filter)

    # Steps.

    def _module(self, node: Node) -> Node | None:
        run = self._run
        operation = run.begin(node)
        given: Collection | None = None
        try:
            given = node.mapper.evaluate(run)
            bundles = _code(node)(ModuleCall(node.id, given, node.parameters, run))
        except Exception as error:  # noqa: BLE001  the scenario's error, or kept as ours
            return self._failed(node, operation, given, error)
        return self.emit(node, bundles, self._note(node, operation, given), operation)

    async def _perform(self, node: Node) -> Node | None:
        run = self._run
        operation = run.begin(node)
        try:
            given = node.mapper.evaluate(run)
        except Exception as error:  # noqa: BLE001  the scenario's error, or kept as ours
            return self._failed(node, operation, None, error)
        return self._performed(node, operation, given, await perform(run, node, operation, given))

    def _performed(self, node: Node, operation: int, given: Collection, outcome: Outcome | None) -> Node | None:
        """Go on with what came of a call; None is that nobody knows."""
        run = self._run
        if outcome is None:
            park_possibly_done(run, node, operation)
            return None
        if outcome.error is not None:
            return self._failed(node, operation, given, outcome.error)
        step = self._note(node, operation, given)
        if step is not None:
            step.replayed = outcome.replayed
        return self.emit(node, outcome.bundles, step, operation)

    def _router(self, node: Node) -> Node | None:
        if isinstance(node, RouterNode):
            self._stack.append(RouteFrame(node, len(self._run.trail)))
        return None

    def _condition(self, node: Node) -> Node | None:
        run = self._run
        operation = run.begin(node)
        if not isinstance(node, ConditionNode):
            return None
        try:
            taken = next((found for found in node.exits if found.passes is None or found.passes(run)), None)
        except Exception as error:  # noqa: BLE001  the scenario's error, or kept as ours
            return self._failed(node, operation, None, error)
        step = self._note(node, operation, _NONE_GIVEN)
        if taken is None:
            return None
        run.log.output(step, {"branch": taken.label})
        return taken.first

    def _merge(self, node: Node) -> Node | None:
        run = self._run
        operation = run.begin(node)
        if not isinstance(node, MergeNode):
            return None
        try:
            bundle: Collection = {name: evaluate(run) for name, evaluate in node.outputs}
        except Exception as error:  # noqa: BLE001  the scenario's error, or kept as ours
            return self._failed(node, operation, None, error)
        return self.emit(node, [bundle], self._note(node, operation, _NONE_GIVEN), operation)

    def _collect(self, node: Node) -> Node | None:
        """Take a bundle into the aggregator; its path ends here and goes on when the loop is over."""
        if not isinstance(node, AggregatorNode):
            return None
        run = self._run
        run.renew(node)
        given: Collection | None = None
        try:
            given = self._item(node)
            key = None if node.group_by is None else to_text(node.group_by(run))
            self._add(node, key, given)
        except Exception as error:  # noqa: BLE001  the scenario's error, or kept as ours
            return self._failed(node, 0, given, error)
        return None

    def _item(self, node: AggregatorNode) -> Collection:
        run = self._run
        if node.whole_bundle:
            whole = run.bundle(node.feeder_id)
            return whole if isinstance(whole, dict) else {}
        return node.mapper.evaluate(run)

    def _add(self, node: AggregatorNode, key: str | None, item: Collection) -> None:
        size = size_of(item)
        self._aggregated += size
        if self._aggregated > self._run.limits.aggregated_bytes:
            message = "The aggregator has collected more data than one run may hold; work in smaller portions."
            raise ModuleError(ErrorType.RESULTS, message)
        self._collectors[node.id].add(key, item)
        self._run.hold_more((COLLECTED, node.id), size)

    def _close(self, node: AggregatorNode) -> Node | None:
        """The feeder's operation is over: let the result go on."""
        run = self._run
        operation = run.begin(node)
        try:
            results = self._collectors.pop(node.id).results()
        except Exception as error:  # noqa: BLE001  the scenario's error, or kept as ours
            return self._failed(node, operation, None, error)
        run.let_go((COLLECTED, node.id))
        return self.emit(node, results, self._note(node, operation, _NONE_GIVEN), operation)

    def _directive(self, node: Node) -> Node | None:
        run = self._run
        operation = run.begin(node)
        if node.guarded is None:
            message = f"{node.spec.label} only works in an error handler."
            return self._failed(node, operation, None, ModuleError(ErrorType.CONFIGURATION, message))
        try:
            given = node.mapper.evaluate(run)
        except Exception as error:  # noqa: BLE001  the scenario's error, or kept as ours
            return self._failed(node, operation, None, error)
        self._note(node, operation, given)
        match node.spec.directive:
            case Directive.RESUME:
                return self._resume(node.guarded, given, operation)
            case Directive.BREAK:
                break_off(run, node, given)
            case Directive.COMMIT:
                raise Ended(Ending.COMMITTED)
            case Directive.ROLLBACK:
                raise Ended(Ending.ROLLED_BACK, error_of(run, node.guarded))
            case _:
                return None
        return None

    def _resume(self, guarded: Node, substitute: Collection, operation: int) -> Node | None:
        """Go on after the failed module as if it had given the substitute."""
        if isinstance(guarded, AggregatorNode) and guarded.id in self._collectors:
            try:
                self._add(guarded, None, substitute)
            except ModuleError as error:  # its handler has had its turn
                raise Ended(Ending.FAILED, run_error(guarded, error, operation)) from error
            return None
        return self.emit(guarded, [substitute], None, operation)

    # Writing down.

    def _note(self, node: Node, operation: int, given: Collection) -> Step | None:
        run = self._run
        spec = node.spec
        step = Step(
            module_id=node.id,
            module=node.module,
            operation=operation,
            phase=_PHASES[spec.kind],
            duration_us=int((run.monotonic() - run.step_started) * _MICROSECONDS),
        )
        return run.log.add(step, node.mapper.shown(given))

    def _failed(self, node: Node, operation: int, given: Collection | None, failure: Exception) -> Node | None:
        """Write the error down and return where it leads."""
        run = self._run
        if isinstance(failure, Ended):
            raise failure
        error = run_error(node, as_module_error(failure, run), operation)
        if self._working is not None:
            self._working.fail(error.type)
        step = self._note(node, operation, given or _NONE_GIVEN)
        run.log.fail(step, error)
        return decide(run, node, error)


def _code(node: Node) -> Callable[[ModuleCall], Bundles]:
    code = node.spec.run
    if code is None:
        raise TypeError(f"{node.module} has no code to run.")
    return code


STEPS: Final[dict[type[Node], Callable[[Walker, Node], Node | None]]] = {
    WorkNode: Walker._module,  # noqa: SLF001  the table is part of the class
    RouterNode: Walker._router,  # noqa: SLF001
    ConditionNode: Walker._condition,  # noqa: SLF001
    MergeNode: Walker._merge,  # noqa: SLF001
    AggregatorNode: Walker._collect,  # noqa: SLF001
    DirectiveNode: Walker._directive,  # noqa: SLF001
}
