"""What ``blueprint run`` shows of a run: a block per operation with its bundles, then how it ended.

A block and not a row of a table: bundles are wide, and what a column cuts off is what its reader is looking for.
Values are cut only when they are very long, with their length and the way to see them whole.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from make_bridge.cli.output import as_json, say
from make_bridge.engine.ports import WebhookResponse
from make_bridge.engine.runner.memory_stores import MemoryStores
from make_bridge.engine.runner.result import IncompleteRun, RetryMode, RunError, RunResult, Step

_LONGEST: Final = 1_000
_BUNDLES: Final = 20
_STEPS: Final = 300
_MILLISECOND: Final = 1_000
_STYLES: Final = {"success": "green", "warning": "yellow", "error": "red"}


def show_run(result: RunResult, stores: MemoryStores, *, full: bool) -> None:
    """Print a run for people; `full` cuts nothing."""
    shown = result.steps if full else result.steps[:_STEPS]
    for step in shown:
        _show_step(step, full=full)
    hidden = len(result.steps) - len(shown)
    if hidden:
        say(f"… {hidden} more operations; --full shows them.")
    if result.steps_dropped:
        say(f"… {result.steps_dropped} operations more than a run writes down.")
    _show_ending(result, full=full)
    for store_id, records in stores.contents().items():
        say(f"data store {store_id}" + ("" if records else " is empty"))
        for key, record in records.items():
            say(f"  {key}  {_value(record, full=full)}")


def _show_step(step: Step, *, full: bool) -> None:
    number = f", operation {step.operation}" if step.operation > 1 else ""
    took = f"  {step.duration_us / _MILLISECOND:.0f} ms" if step.duration_us >= _MILLISECOND else ""
    say(f"{step.module_id:>3} {step.module}{number}{took}", style="bold")
    if isinstance(step.input, dict) and step.input:
        say(f"    in    {_value(step.input, full=full)}")
    if step.error is not None:
        say(f"    error {step.error.type}: {_indented(step.error.message)}", style="red")
        if step.error.detail is not None:
            say(f"    {_detail(step.error.detail, full=full)}")
        return
    outputs = step.outputs if full else step.outputs[:_BUNDLES]
    for bundle in outputs:
        say(f"    out   {_value(bundle, full=full)}")
    more = max(step.output_count, len(step.outputs)) - len(outputs)
    if more:
        say(f"    …     {more} more bundles")
    elif not outputs and step.phase not in {"handle", "decide"}:
        say("    out   nothing: the path ends here")


def _indented(text: str) -> str:
    return text.replace("\n", "\n          ")


def _detail(detail: object, *, full: bool) -> str:
    text = _cut(_indented(detail), full=full) if isinstance(detail, str) else _value(detail, full=full)
    return f"      {text}"


def _show_ending(result: RunResult, *, full: bool) -> None:
    took = f"{result.duration_us / _MILLISECOND:.0f} ms"
    named = f" ({result.name})" if result.name else ""
    counts = f"{_counted(result.operations, 'operation')} in {_counted(result.cycles, 'cycle')}, {took}"
    say(f"\n{result.status}{named}: {counts}", style=_STYLES[result.status])
    if result.error is not None:
        place = f" in module {result.error.module_id} ({result.error.module})" if result.error.module_id else ""
        say(f"{result.error.type}{place}: {result.error.message}")
    for warning in result.warnings:
        say(f"warning of module {warning.module_id}: {warning.message}")
    for stored in result.incomplete:
        say(
            f"incomplete at module {stored.module_id} ({stored.module}): "
            f"{stored.error.type}: {stored.error.message} {_retry(stored)}"
        )
    for module_id, count in sorted(result.blocked.items()):
        say(f"the filter of module {module_id} stopped {_counted(count, 'bundle')}")
    if result.outputs is not None:
        say(f"outputs {_value(result.outputs, full=full)}")
    if result.response is not None:
        _show_response(result.response, full=full)


def _retry(stored: IncompleteRun) -> str:
    """Say what a server would do with it: here nothing is stored."""
    retry = stored.retry
    match retry.mode:
        case RetryMode.FIXED:
            minutes = _counted(retry.interval_minutes, "minute")
            return f"A server would try again up to {_counted(retry.attempts, 'time')}, every {minutes}."
        case RetryMode.BACKOFF:
            return f"A server would try again up to {_counted(retry.attempts, 'time')}, at growing intervals."
        case _:
            return "A server would keep it for a person."


def _show_response(response: WebhookResponse, *, full: bool) -> None:
    say(f"response {response.status}")
    for name, value in response.headers:
        say(f"  {name}: {value}")
    if response.body:
        say(f"  {_cut(response.body.decode(errors='replace'), full=full)}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _value(value: object, *, full: bool) -> str:
    return _cut(msgspec.json.encode(value, enc_hook=str).decode(), full=full)


def _cut(text: str, *, full: bool) -> str:
    if full or len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}… ({len(text)} characters; --full shows them)"


def run_as_json(result: RunResult, stores: MemoryStores) -> None:
    """Print everything a run has given as one JSON document."""
    as_json(
        {
            "status": result.status,
            "ending": result.ending,
            "name": result.name,
            "operations": result.operations,
            "credits": result.credits,
            "cycles": result.cycles,
            "transfer": result.transfer,
            "duration": result.duration_us // _MILLISECOND,
            "outputs": result.outputs,
            "response": _response(result.response),
            "error": _error(result.error),
            "warnings": [{"moduleId": warning.module_id, "message": warning.message} for warning in result.warnings],
            "incomplete": [_incomplete(stored) for stored in result.incomplete],
            "blocked": {str(module_id): count for module_id, count in result.blocked.items()},
            "steps": _steps(result.steps),
            "stepsDropped": result.steps_dropped,
            "dataStores": stores.contents(),
        }
    )


def _steps(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [
        {
            "moduleId": step.module_id,
            "module": step.module,
            "operation": step.operation,
            "phase": step.phase,
            "input": step.input,
            "outputs": step.outputs,
            "outputCount": max(step.output_count, len(step.outputs)),
            "truncated": step.truncated,
            "duration": step.duration_us // _MILLISECOND,
            "error": _error(step.error),
        }
        for step in steps
    ]


def _error(error: RunError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "name": error.type,
        "message": error.message,
        "moduleId": error.module_id,
        "module": error.module,
        "operation": error.operation,
        "detail": error.detail,
    }


def _incomplete(stored: IncompleteRun) -> dict[str, Any]:
    retry = stored.retry
    return {
        "moduleId": stored.module_id,
        "module": stored.module,
        "error": _error(stored.error),
        "bundles": {str(module_id): bundle for module_id, bundle in stored.bundles},
        "retry": {"mode": retry.mode, "attempts": retry.attempts, "interval": retry.interval_minutes},
    }


def _response(answer: WebhookResponse | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {
        "status": answer.status,
        "headers": [list(pair) for pair in answer.headers],
        "body": answer.body.decode(errors="replace"),
    }
