"""Commit and rollback: when a run's changes to data stores take effect, and what happens when they cannot.

Asked by the performer for every module that changes a store, and by `run` at the end of a cycle. With `autoCommit` a
module's changes are committed right after its own operation; a conflict with another run is then settled by doing that
operation again, while nobody else may change the store: ever so many runs on one record each get their turn. Otherwise
everything waits for the end of the cycle, and a conflict there is an inconsistency: other modules have acted on what
can no longer be kept.

`Unavailable` is nobody's error here: whether the commit came through is not known, so the run stops where it stands,
and its next attempt finds out.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from make_bridge.engine.apps.module import ErrorType, ModuleCall, ModuleError
from make_bridge.engine.blueprint.program import Node
from make_bridge.engine.runner.outcome import Outcome
from make_bridge.engine.runner.result import Ending, RunError
from make_bridge.engine.runner.state import Ended, RunState
from make_bridge.engine.store_overlay import StoreOverlay
from make_bridge.engine.stores import StoreConflict, StoreFull, StoreMissing
from make_bridge.engine.values import Value

_KEEPING: Final = frozenset({Ending.COMMITTED, Ending.HELD})
Call = Callable[[RunState, Node, ModuleCall], Awaitable[Outcome]]


async def transact(run: RunState, node: Node, call: ModuleCall, work: Call) -> Outcome:
    """Carry a module's operation out and, with `autoCommit`, commit it."""
    stores, alone = run.stores, run.program.settings.auto_commit
    run.last_writer = node
    stores.begin_step(alone=alone)
    if not alone:
        return await _operate(run, node, call, work)
    try:
        try:
            return await _operate_and_commit(run, node, call, work)
        except StoreConflict:
            contended = stores.touched_stores()
        stores.begin_step(alone=True)
        async with stores.holding(contended):
            return await _operate_and_commit(run, node, call, work)
    except StoreConflict as error:
        return _refused(stores, ErrorType.INCONSISTENCY, error.message)
    except StoreFull as error:
        return _refused(stores, ErrorType.OUT_OF_SPACE, error.message)
    except StoreMissing as error:
        return _refused(stores, ErrorType.CONFIGURATION, error.message)


async def _operate_and_commit(run: RunState, node: Node, call: ModuleCall, work: Call) -> Outcome:
    outcome = await _operate(run, node, call, work)
    if outcome.error is None:
        await run.stores.commit()
    else:
        run.stores.forget()
    return outcome


async def _operate(run: RunState, node: Node, call: ModuleCall, work: Call) -> Outcome:
    earlier = await run.stores.earlier(call.key)
    outcome = _repeated(earlier) if earlier is not None else await work(run, node, call)
    if outcome.error is None:
        run.stores.note(call.key, tuple(outcome.bundles))
    return outcome


def _repeated(bundles: tuple[Value, ...]) -> Outcome:
    return Outcome([bundle for bundle in bundles if isinstance(bundle, dict)], replayed=True)


def _refused(stores: StoreOverlay, kind: ErrorType, message: str) -> Outcome:
    stores.forget()
    return Outcome([], ModuleError(kind, message))


async def end_cycle(run: RunState) -> None:
    """Commit what the cycle has changed; the run ends when that cannot be done."""
    if run.overlay is not None:
        await _commit(run, run.overlay)
    run.cycles_committed += 1


async def close(run: RunState, ended: Ended) -> Ended:
    """Commit or forget what a run has changed that ends before its last module; return how it ends then."""
    if ended.ending not in _KEEPING:
        if run.overlay is not None:
            run.overlay.forget()
        settings = run.program.settings
        if settings.auto_commit and not settings.auto_commit_trigger_last:
            run.cycles_committed += 1  # the trigger had committed before the others began
        return ended
    try:
        await end_cycle(run)
    except Ended as failed:
        return failed
    return ended


async def _commit(run: RunState, stores: StoreOverlay) -> None:
    try:
        await stores.commit()
    except (StoreConflict, StoreFull, StoreMissing) as error:
        stores.forget()
        raise Ended(Ending.FAILED, _inconsistency(run, error.message)) from error


def _inconsistency(run: RunState, reason: str) -> RunError:
    node = run.last_writer
    message = f"The changes of this cycle could not be committed and are undone. {reason}"
    if node is None:
        return RunError(ErrorType.INCONSISTENCY, message, 0, "", 0)
    return RunError(ErrorType.INCONSISTENCY, message, node.id, node.module, run.operations_of.get(node.id, 0))
