"""Running a program: one call is one execution, from the first cycle to the result.

Called by the worker with the claimed execution's request and its ports, and by the command line. A
program without effects never suspends, so it can also be driven without an event loop. Exceptions that
come out of here are not the scenario's: they are the journal's, and mean that the run stopped half-way.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from make_bridge.engine.apps.module import Collection, Kind
from make_bridge.engine.blueprint.program import MergeNode, Node, Program
from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.beginning import check_inputs, refresh_variables
from make_bridge.engine.runner.calling import CallingState, CallingWalker
from make_bridge.engine.runner.request import ResumePoint, RunRequest
from make_bridge.engine.runner.result import Ending, RunError, RunResult, RunWarning, Status, Step
from make_bridge.engine.runner.state import Ended, RunState
from make_bridge.engine.runner.transactions import close, end_cycle
from make_bridge.engine.runner.walk import Walker
from make_bridge.kernel.errors import NotFound

_MICROSECONDS: Final = 1_000_000
_STATUSES: Final[dict[Ending, Status]] = {
    Ending.FINISHED: "success",
    Ending.COMMITTED: "success",
    Ending.ROLLED_BACK: "error",
    Ending.FAILED: "error",
    Ending.INTERRUPTED: "warning",
    Ending.HELD: "warning",
}


async def run(program: Program, request: RunRequest, ports: Ports) -> RunResult:
    """Run the program and return what came of it."""
    state, walker = _begin(program, request, ports)
    started = state.monotonic()
    cycles, ended = 0, Ended(Ending.FINISHED)
    try:
        check_inputs(state)
        for cycle in _cycles(program, request):
            cycles += 1
            state.taken += len(cycle.bundles)
            await refresh_variables(state)
            await _run_cycle(walker, state, cycle)
            await end_cycle(state)
            state.end_cycle()
            if _ran_dry(state):
                break
    except Ended as end:
        ended = await close(state, end)
    duration = int((state.monotonic() - started) * _MICROSECONDS)
    return _result(state, ended, cycles, duration)


def _begin(program: Program, request: RunRequest, ports: Ports) -> tuple[RunState, Walker]:
    if program.functions and ports.functions is not None:
        calling = CallingState(program, request, ports, ports.functions)
        return calling, CallingWalker(calling, ports.functions)
    state = RunState(program, request, ports)
    return state, Walker(state)


def _ran_dry(state: RunState) -> bool:
    """Say whether the trigger had nothing more to give, so that further cycles would only ask it again."""
    entry = state.program.entry
    return entry is not None and state.ran_dry is entry and entry.spec.kind is Kind.TRIGGER


class _Cycle:
    """How one cycle begins: with a bundle from outside, with a stored place, or with the first module."""

    __slots__ = ("bundles", "entry", "resume")

    def __init__(self, entry: Node, bundles: Sequence[Collection] = (), resume: ResumePoint | None = None) -> None:
        self.entry = entry
        self.bundles = bundles
        self.resume = resume


def _cycles(program: Program, request: RunRequest) -> Iterator[_Cycle]:
    entry = program.entry
    if entry is None:
        return
    if request.resume is not None:
        yield _Cycle(entry, resume=request.resume)
    elif not entry.spec.external:
        for _ in range(min(program.settings.roundtrips, request.limits.cycles)):
            yield _Cycle(entry)
    elif not request.trigger_bundles:
        yield _Cycle(entry)
    else:
        yield from _taking(program, request, entry)


def _taking(program: Program, request: RunRequest, entry: Node) -> Iterator[_Cycle]:
    """Hand out the bundles from outside: one per cycle, or (not instant) as many as the trigger takes at once."""
    bundles, cycles, most = request.trigger_bundles, request.limits.cycles, 1
    if not request.instant:
        cycles = min(program.settings.roundtrips, cycles)
        asked = entry.parameters.get("maxResults")
        most = max(1, int(asked)) if isinstance(asked, int | float) else len(bundles)
    for start in range(0, min(len(bundles), cycles * most), most):
        yield _Cycle(entry, bundles[start : start + most])


async def _run_cycle(walker: Walker, state: RunState, cycle: _Cycle) -> None:
    entry = cycle.entry
    if cycle.resume is not None:
        await _go_on(walker, state, cycle.resume)
    elif entry.spec.external:
        with walker.watching(entry):
            received = _receive(walker, state, entry, cycle.bundles)
        await walker.walk(received)
    else:
        await walker.walk(entry)


def _receive(walker: Walker, state: RunState, entry: Node, bundles: Sequence[Collection]) -> Node | None:
    """Let bundles from outside in, as the trigger's output."""
    operation = state.begin(entry)
    step = state.log.add(Step(module_id=entry.id, module=entry.module, operation=operation, phase="read"), None)
    if not bundles:
        return None
    if len(bundles) > 1:
        return walker.emit(entry, list(bundles), step, operation)
    state.log.received(step, bundles[0], state.request.received_bytes)
    return walker.emit(entry, [bundles[0]], None, operation, state.request.received_bytes)


async def _go_on(walker: Walker, state: RunState, point: ResumePoint) -> None:
    """Continue at the module an incomplete run stopped at."""
    for module_id, bundle in point.bundles:
        state.put(module_id, bundle)
    state.cycle_variables.update(point.cycle_variables)
    state.run_variables.update(point.run_variables)
    if point.step_key is not None:
        state.keep_key(point.module_id, point.step_key)
    node = state.program.nodes.get(point.module_id)
    if node is None:
        raise NotFound(f"The incomplete run stopped at module {point.module_id}, which this blueprint does not have.")
    if isinstance(node, MergeNode):
        node = node.on_path({module_id for module_id, _ in point.bundles})
    walker.reopen(node)
    await walker.walk(node, admitted=True)


def _result(state: RunState, ended: Ended, cycles: int, duration_us: int) -> RunResult:
    status = _STATUSES[ended.ending]
    warnings = list(state.warnings)
    if ended.ending is Ending.INTERRUPTED and ended.error is not None:
        warnings.append(_as_warning(ended.error))
    if status == "success" and (warnings or state.incomplete):
        status = "warning"
    return RunResult(
        status=status,
        ending=ended.ending,
        outputs=None if status == "error" else state.outputs,
        response=state.response,
        operations=state.operations,
        credits=state.credits,
        transfer=state.transfer,
        cycles=cycles,
        taken=state.taken,
        cycles_committed=state.cycles_committed,
        error=ended.error if status == "error" else None,
        warnings=warnings,
        incomplete=state.incomplete,
        steps=state.log.steps,
        steps_dropped=state.log.dropped,
        blocked=state.blocked,
        counters=state.kept_counters if status == "error" else state.counters,
        memory=state.kept_memory if status == "error" else state.memory,
        name=state.name,
        duration_us=duration_us,
        unexpected=state.unexpected,
    )


def _as_warning(error: RunError) -> RunWarning:
    return RunWarning(error.module_id, error.message)
