"""Running a program: one call is one execution, from the first cycle to the result.

Called by the worker with the claimed execution's request and its ports, and by the command line. A
program without effects never suspends, so it can also be driven without an event loop. Exceptions that
come out of here are not the scenario's: they are the journal's, and mean that the run stopped half-way.
"""

from collections.abc import Iterator
from typing import Final

from make_bridge.engine.apps.module import Collection
from make_bridge.engine.blueprint.program import Node, Program
from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.request import ResumePoint, RunRequest
from make_bridge.engine.runner.result import Ending, RunError, RunResult, RunWarning, Status, Step
from make_bridge.engine.runner.state import Ended, RunState
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
    state = RunState(program, request, ports)
    walker = Walker(state)
    started = state.monotonic()
    cycles, ended = 0, Ended(Ending.FINISHED)
    try:
        for cycle in _cycles(program, request):
            cycles += 1
            await _run_cycle(walker, state, cycle)
            state.end_cycle()
    except Ended as end:
        ended = end
    duration = int((state.monotonic() - started) * _MICROSECONDS)
    return _result(state, ended, cycles, duration)


class _Cycle:
    """How one cycle begins: with a bundle from outside, with a stored place, or with the first module."""

    __slots__ = ("bundle", "entry", "resume")

    def __init__(self, entry: Node, bundle: Collection | None = None, resume: ResumePoint | None = None) -> None:
        self.entry = entry
        self.bundle = bundle
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
        for bundle in request.trigger_bundles[: request.limits.cycles]:
            yield _Cycle(entry, bundle)


async def _run_cycle(walker: Walker, state: RunState, cycle: _Cycle) -> None:
    entry = cycle.entry
    if cycle.resume is not None:
        await _go_on(walker, state, cycle.resume)
    elif entry.spec.external:
        await walker.walk(_receive(walker, state, entry, cycle.bundle))
    else:
        await walker.walk(entry)


def _receive(walker: Walker, state: RunState, entry: Node, bundle: Collection | None) -> Node | None:
    """Let a bundle from outside in, as the trigger's output."""
    operation = state.begin(entry)
    step = state.log.add(Step(module_id=entry.id, module=entry.module, operation=operation, phase="read"), None)
    if bundle is None:
        return None
    state.log.received(step, bundle, state.request.received_bytes)
    return walker.emit(entry, [bundle], None, operation)


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
        error=ended.error if status == "error" else None,
        warnings=warnings,
        incomplete=state.incomplete,
        steps=state.log.steps,
        steps_dropped=state.log.dropped,
        blocked=state.blocked,
        counters=state.counters,
        duration_us=duration_us,
        unexpected=state.unexpected,
    )


def _as_warning(error: RunError) -> RunWarning:
    return RunWarning(error.module_id, error.message)
