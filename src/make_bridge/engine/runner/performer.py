"""Steps that touch the world: done once, written to the journal, replayed by later attempts.

Asked by the walker. Module errors are part of the outcome and are journalled like results; whatever
the journal itself raises is not caught, so that the run stops where it stands.
"""

from make_bridge.engine.apps.module import Collection, Effect, ModuleCall, ModuleError
from make_bridge.engine.blueprint.program import Node
from make_bridge.engine.ports import Intent, Record
from make_bridge.engine.runner.faults import as_module_error
from make_bridge.engine.runner.outcome import Outcome
from make_bridge.engine.runner.state import RunState
from make_bridge.engine.runner.transactions import transact

_MICROSECONDS = 1_000_000
_WRITES = frozenset({Effect.WRITE, Effect.REPEATABLE})


async def perform(run: RunState, node: Node, operation: int, given: Collection) -> Outcome | None:
    """Return the outcome; None when an earlier attempt may have done this write and nobody knows."""
    journal = run.ports.journal
    key = run.key_of(node, operation)
    known = journal.recall(key)
    if isinstance(known, Record):
        return _replay(run, known)
    effect = node.spec.effect_of(given)
    if known is not None and effect is Effect.WRITE:
        return None
    if known is None and effect in _WRITES:
        await journal.intend(Intent(key=key, module_id=node.id, module=node.module, operation=operation))
    call = ModuleCall(node.id, given, node.parameters, run, key)
    started = run.monotonic()
    if run.overlay is not None:
        run.overlay.begin_step(alone=run.program.settings.auto_commit)
    outcome = await (transact(run, node, call, _call) if node.spec.transactional else _call(run, node, call))
    elapsed = int((run.monotonic() - started) * _MICROSECONDS)
    error = outcome.error
    await journal.record(
        Record(
            key=key,
            module_id=node.id,
            operation=operation,
            outputs=tuple(outcome.bundles),
            error_type=None if error is None else error.error_type,
            error_message="" if error is None else error.message,
            error_detail=None if error is None else error.detail,
            elapsed_us=elapsed,
            transfer=call.transfer,
            remembered=run.memory.get(node.id),
            state=None if run.overlay is None else run.overlay.taken(),
        )
    )
    run.advance(elapsed)
    run.transfer += call.transfer
    return outcome


async def _call(run: RunState, node: Node, call: ModuleCall) -> Outcome:
    perform_module = node.spec.perform
    if perform_module is None:
        raise TypeError(f"{node.module} has no effect to perform.")
    try:
        return Outcome(await perform_module(call))
    except Exception as error:  # noqa: BLE001  whatever a module raises is the scenario's error, not ours
        return Outcome([], as_module_error(error, run))


def _replay(run: RunState, record: Record) -> Outcome:
    run.advance(record.elapsed_us)
    run.transfer += record.transfer
    if record.remembered is not None:
        run.remember(record.module_id, record.remembered)
    if record.state is not None:
        run.stores.restore(record.state)
    bundles = [bundle for bundle in record.outputs if isinstance(bundle, dict)]
    if record.error_type is None:
        return Outcome(bundles, replayed=True)
    error = ModuleError(record.error_type, record.error_message, record.error_detail)
    return Outcome(bundles, error, replayed=True)
