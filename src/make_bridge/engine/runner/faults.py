"""What happens when a module fails: the decision order of errors in one place.

Asked by the walker for every error. First the module's own handler, then the store of incomplete
runs, then the end of the run. The answer is the node to go on with, None when the bundle ends here,
or `Ended`.
"""

from typing import Final

from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.blueprint.program import Node
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.runner.holding import PARKED
from make_bridge.engine.runner.result import Ending, IncompleteRun, Retry, RetryMode, RunError
from make_bridge.engine.runner.state import Ended, RunState
from make_bridge.engine.values import Value, to_boolean, to_number, to_text

STORED_WITH_RETRY: Final = frozenset(
    {ErrorType.CONNECTION, ErrorType.RATE_LIMIT, ErrorType.TIMEOUT, ErrorType.OUT_OF_SPACE}
)
STORED: Final = frozenset(
    {
        ErrorType.DATA,
        ErrorType.DUPLICATE_DATA,
        ErrorType.CONFIGURATION,
        ErrorType.ACCESS_TOKEN,
        ErrorType.UNEXPECTED,
        ErrorType.FILE_SIZE,
        ErrorType.RESULTS,
    }
)
NEVER_STORED: Final = frozenset({"InconsistencyError"})
_BACKOFF_ATTEMPTS: Final = 8
MAX_ATTEMPTS: Final = 10_000
MAX_MINUTES: Final = 44_640


def as_module_error(error: Exception, run: RunState) -> ModuleError:
    """Return the scenario's view of an exception; one that nobody foresaw is kept for the server's log."""
    if isinstance(error, ModuleError):
        return error
    if isinstance(error, ExpressionError):
        return ModuleError(ErrorType.BUNDLE_VALIDATION, str(error))
    run.unexpected.append(error)
    return ModuleError(ErrorType.UNEXPECTED, f"The module failed in a way nobody foresaw ({type(error).__name__}).")


def run_error(node: Node, error: ModuleError, operation: int) -> RunError:
    """Return the error with the place it happened in."""
    return RunError(error.error_type, error.message, node.id, node.module, operation, error.detail)


def decide(run: RunState, node: Node, error: RunError) -> Node | None:
    """Return the handler's first node, or None when the bundle ends here; else the run is `Ended`."""
    handler = node.handler
    if handler is not None:
        run.errors[node.id] = error
        run.put(node.id, {"error": {"type": error.type, "message": error.message, "detail": error.detail}})
        if handler.filter is None:
            return handler
        try:
            run.renew(handler)
            if handler.filter(run):
                return handler
        except (ModuleError, ExpressionError) as failure:
            return decide(run, handler, run_error(handler, as_module_error(failure, run), error.operation))
    _unhandled(run, node, error)
    return None


def _unhandled(run: RunState, node: Node, error: RunError) -> None:
    settings = run.program.settings
    if error.type == ErrorType.FILE_SIZE and settings.dataloss and node is not run.program.entry:
        run.warn(node.id, error.message)
        return
    storable = error.type in STORED_WITH_RETRY or error.type in STORED
    if error.type in NEVER_STORED or not _may_store(run, node) or not (storable or is_resumed(run)):
        raise Ended(Ending.FAILED, error)
    automatic = error.type in STORED_WITH_RETRY
    retry = Retry(mode=RetryMode.BACKOFF, attempts=_BACKOFF_ATTEMPTS) if automatic else Retry(mode=RetryMode.NONE)
    store_incomplete(run, node, error, retry)
    if error.type == ErrorType.ACCESS_TOKEN:
        raise Ended(Ending.HELD)


def is_resumed(run: RunState) -> bool:
    """Say whether this run goes on from a stored place.

    Whatever stops its bundle moves that place: a later attempt does not repeat what has succeeded meanwhile.
    """
    return run.request.resume is not None


def _may_store(run: RunState, node: Node) -> bool:
    """What the first module met is never stored: nothing has begun that could go on."""
    return is_resumed(run) or (run.program.settings.dlq and node is not run.program.entry)


def error_of(run: RunState, guarded: Node) -> RunError:
    """Return the error a handler is at work on; one that came from a stored run is in the bundles only."""
    known = run.errors.get(guarded.id)
    if known is not None:
        return known
    bundle = run.bundle(guarded.id)
    stored = bundle.get("error") if isinstance(bundle, dict) else None
    told = stored if isinstance(stored, dict) else {}
    kind, message = to_text(told.get("type")) or ErrorType.UNEXPECTED, to_text(told.get("message"))
    return RunError(kind, message, guarded.id, guarded.module, 0, told.get("detail"))


def park_possibly_done(run: RunState, node: Node, operation: int) -> None:
    """Store a write that an earlier attempt may have done: neither handlers nor retries may decide that."""
    message = f"An earlier attempt may have completed this call of {node.module}; nobody can know from here."
    error = RunError(ErrorType.POSSIBLY_DONE, message, node.id, node.module, operation)
    store_incomplete(run, node, error, Retry(mode=RetryMode.NONE))


def break_off(run: RunState, directive: Node, given: dict[str, Value]) -> None:
    """Do what Break asks: store the bundle that failed at the guarded module."""
    node = directive.guarded
    if node is None:
        return
    error = error_of(run, node)
    if not _may_store(run, node):
        raise Ended(Ending.FAILED, error)
    wanted = to_boolean(given.get("retry"))
    attempts = min(max(int(to_number(given.get("count"))), 1), MAX_ATTEMPTS)
    interval = min(max(int(to_number(given.get("interval"))), 1), MAX_MINUTES)
    retry = Retry(mode=RetryMode.FIXED, attempts=attempts, interval_minutes=interval)
    store_incomplete(run, node, error, retry if wanted else Retry(mode=RetryMode.NONE))


def store_incomplete(run: RunState, node: Node, error: RunError, retry: Retry) -> None:
    """Keep the bundle for later; a scenario that runs in order does nothing more until it is solved."""
    if run.holding is not None:
        run.hold_more((PARKED, node.id), run.holding.on_path())
    run.incomplete.append(
        IncompleteRun(
            module_id=node.id,
            module=node.module,
            error=error,
            bundles=tuple((module, bundle) for module, bundle in run.bundles.items() if module != node.id),
            cycle_variables=dict(run.cycle_variables),
            run_variables=dict(run.run_variables),
            retry=retry,
            step_key=run.key_used(node, error.operation),
            possibly_done=error.type == ErrorType.POSSIBLY_DONE,
        )
    )
    if run.program.settings.sequential:
        raise Ended(Ending.HELD)
