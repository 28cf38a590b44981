"""What can be read of executions."""

from typing import Any

from make_bridge.domain.executions import hook_call_store, runlog, store
from make_bridge.domain.executions.captions import captioned
from make_bridge.domain.executions.hook_call_messages import (
    CountWaitingCalls,
    HookCall,
    ListHookCalls,
    ListWaitingCalls,
)
from make_bridge.domain.executions.messages import (
    Execution,
    ExecutionDetail,
    GetExecution,
    GetUsage,
    ListExecutions,
    UsageDay,
)
from make_bridge.domain.executions.trigger import TickNote
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ExecutionId, is_execution_id
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx, Row
from make_bridge.platform.observability.tracing.spans import trace_id_of


def execution_of(row: Row) -> Execution:
    """Return a row as every face shows it."""
    return Execution(
        id=ExecutionId(row["id"].hex),
        scenario_id=row["scenario_id"],
        status=row["status"] or 0,
        origin=row["origin"],
        created_at=row["created_at"],
        duration_ms=row["duration_ms"] or 0,
        operations=row["operations"] or 0,
        transfer=row["transfer"] or 0,
        waits_until=row.get("waits_until"),
    )


def _wire_error(error: runlog.StoredError | None) -> dict[str, Any] | None:
    """Return an error as the API shows it, with the module that caused it."""
    if error is None:
        return None
    shown: dict[str, Any] = {"name": error.name, "message": error.message}
    if error.module is not None:
        app, _, name = error.module.partition(":")
        shown["causeModule"] = {"name": name, "appName": app}
        shown["moduleId"] = error.module_id
    return shown


def _tick(tick: TickNote | None) -> dict[str, Any] | None:
    return None if tick is None else {"due": tick.due, "missed": tick.missed, "skipped": tick.skipped}


async def list_executions(tx: ReadTx, context: Context, query: ListExecutions) -> list[Execution]:
    """Answer ListExecutions; NotFound for a scenario that is not the organization's."""
    organization_id = context.organization_id
    await scenario_store.get(tx, organization_id, query.scenario_id, None)
    rows = await store.list_executions(tx, organization_id, query.scenario_id, query.before, query.limit)
    return [execution_of(row) for row in rows]


async def get_execution(tx: ReadTx, context: Context, query: GetExecution) -> ExecutionDetail:
    """Answer GetExecution."""
    row = None
    if is_execution_id(query.execution_id):
        row = await store.read_detail(tx, context.organization_id, query.scenario_id, query.execution_id)
    if row is None:
        message = "There is no such execution of this scenario."
        raise NotFound(message)
    detail = runlog.decode_detail(bytes(row["detail"])) if row["detail"] else runlog.StoredDetail()
    return ExecutionDetail(
        execution=execution_of(row),
        outputs=detail.outputs,
        error=_wire_error(detail.error),
        steps=captioned(
            runlog.decode_steps(bytes(row["steps"]) if row["steps"] else None),
            bytes(row["blueprint"]) if row["blueprint"] else None,
        ),
        name=detail.name,
        warnings=tuple(detail.warnings),
        tick=_tick(detail.tick),
        trace_id=trace_id_of(row["trace_context"]),
    )


async def get_usage(tx: ReadTx, context: Context, query: GetUsage) -> list[UsageDay]:
    """Answer GetUsage."""
    await scenario_store.get(tx, context.organization_id, query.scenario_id, None)
    rows = await store.read_usage(tx, context.organization_id, query.scenario_id)
    return [
        UsageDay(date=row["date"], operations=row["operations"], data_transfer=row["data_transfer"]) for row in rows
    ]


async def list_hook_calls(tx: ReadTx, context: Context, query: ListHookCalls) -> list[HookCall]:
    """Answer ListHookCalls."""
    return [_hook_call(row) for row in await hook_call_store.list_calls(tx, context.organization_id, query)]


async def list_waiting_calls(tx: ReadTx, context: Context, query: ListWaitingCalls) -> list[HookCall]:
    """Answer ListWaitingCalls."""
    return [_hook_call(row) for row in await hook_call_store.list_waiting(tx, context.organization_id, query)]


async def count_waiting_calls(tx: ReadTx, context: Context, query: CountWaitingCalls) -> int:
    """Answer CountWaitingCalls."""
    return await hook_call_store.count_waiting(tx, context.organization_id, query.scenario_id)


def _hook_call(row: Row) -> HookCall:
    return HookCall(
        id=ExecutionId(row["id"].hex),
        status=row["status"],
        taken_at=row["created_at"],
        size=row["size"] or 0,
        is_replayable=bool(row["is_replayable"]),
    )


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "scenarios:read"
    return [
        QueryRegistration(query=ListExecutions, view=list_executions, permission=read, may_lag=True),
        QueryRegistration(query=GetExecution, view=get_execution, permission=read),
        QueryRegistration(query=ListHookCalls, view=list_hook_calls, permission=read, may_lag=True),
        QueryRegistration(query=ListWaitingCalls, view=list_waiting_calls, permission=read),
        QueryRegistration(query=CountWaitingCalls, view=count_waiting_calls, permission=read),
        QueryRegistration(query=GetUsage, view=get_usage, permission=read, may_lag=True),
    ]
