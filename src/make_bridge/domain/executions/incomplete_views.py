"""What can be read of incomplete executions."""

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from make_bridge.domain.executions import incomplete_store
from make_bridge.domain.executions.incomplete import as_json, decode_point, needs_answer
from make_bridge.domain.executions.incomplete_messages import (
    GetIncompleteBlueprint,
    GetIncompleteBundles,
    GetIncompleteExecution,
    IncompleteDetail,
    IncompleteExecution,
    ListIncompleteAttempts,
    ListIncompleteExecutions,
)
from make_bridge.domain.executions.messages import Execution
from make_bridge.domain.executions.parking import Documents
from make_bridge.domain.executions.views import execution_of
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.messages import Scenario
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import Gone, NotFound, PermissionDenied
from make_bridge.kernel.ids import ExecutionId
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx, Row

_ID: Final = re.compile(r"[0-9a-f]{32}")
_COUNTED: Final = 1000
_UNKNOWN = "There is no such incomplete execution."


def record_of(row: Row, runs_behind: int = 0) -> IncompleteExecution:
    """Return a row as every face shows it."""
    return IncompleteExecution(
        id=row["id"].hex,
        scenario_id=row["scenario_id"],
        organization_id=row["organization_id"],
        execution_id=ExecutionId(row["execution_id"].hex),
        error_type=row["error_type"],
        reason=row["reason"],
        module_id=row["module_id"],
        size=row["size"],
        retry=row["retry"] and not row["resolved"],
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        is_retrying=row["retry_execution_id"] is not None,
        resolved=row["resolved"],
        created_at=row["created_at"],
        possibly_done=needs_answer(row["error_type"], row["answer"]) and not row["resolved"],
        answer=row["answer"],
        ordering_key=row["ordering_key"],
        runs_behind=runs_behind,
    )


async def find_record(tx: ReadTx, context: Context, record_id: str, *, whole: bool = False) -> Row:
    """Return a record that the caller may see; raises NotFound."""
    row = None
    if _ID.fullmatch(record_id):
        row = await incomplete_store.get(tx, context.organization_id, record_id, whole=whole)
    if row is None:
        raise NotFound(_UNKNOWN)
    await require_owner(tx, context, row)
    return row


async def require_owner(tx: ReadTx, context: Context, row: Row) -> Scenario:
    """Return the record's scenario; one of another team is not found."""
    try:
        return await scenario_store.get(tx, context.organization_id, row["scenario_id"], context.team_id)
    except NotFound:
        raise NotFound(_UNKNOWN) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompleteViews:
    """The views, with what opens sealed documents."""

    documents: Documents

    async def list_records(
        self, tx: ReadTx, context: Context, query: ListIncompleteExecutions
    ) -> list[IncompleteExecution]:
        """Answer ListIncompleteExecutions."""
        await scenario_store.get(tx, context.organization_id, query.scenario_id, context.team_id)
        rows = await incomplete_store.list_records(tx, context.organization_id, query.scenario_id, query.limit)
        behind = await incomplete_store.count_behind(tx, context.organization_id, [row["id"] for row in rows], _COUNTED)
        return [record_of(row, behind.get(row["id"], 0)) for row in rows]

    async def get_record(self, tx: ReadTx, context: Context, query: GetIncompleteExecution) -> IncompleteDetail:
        """Answer GetIncompleteExecution."""
        row = await find_record(tx, context, query.record_id)
        scenario = await require_owner(tx, context, row)
        behind = await incomplete_store.count_behind(tx, context.organization_id, [row["id"]], _COUNTED)
        return IncompleteDetail(record=record_of(row, behind.get(row["id"], 0)), scenario_name=scenario.name)

    async def get_bundles(self, tx: ReadTx, context: Context, query: GetIncompleteBundles) -> dict[int, object]:
        """Answer GetIncompleteBundles."""
        row = await find_record(tx, context, query.record_id, whole=True)
        if row["is_sealed"]:
            raise PermissionDenied("The data of a confidential scenario can be neither read nor edited.")
        if row["resolved"]:
            raise Gone("This incomplete execution is resolved; its data was erased.")
        point = decode_point(bytes(row["document"]), row["module_id"])
        return {module_id: as_json(bundle) for module_id, bundle in point.bundles}

    async def get_blueprint(self, tx: ReadTx, context: Context, query: GetIncompleteBlueprint) -> dict[str, Any]:
        """Answer GetIncompleteBlueprint."""
        row = await find_record(tx, context, query.record_id, whole=True)
        raw = row["blueprint"]
        if raw is None:
            raw = await scenario_store.get_blueprint(
                tx, context.organization_id, row["scenario_id"], row["blueprint_version"]
            )
        return msgspec.json.decode(bytes(raw), type=dict[str, Any])

    async def list_attempts(self, tx: ReadTx, context: Context, query: ListIncompleteAttempts) -> list[Execution]:
        """Answer ListIncompleteAttempts."""
        await find_record(tx, context, query.record_id)
        rows = await incomplete_store.list_attempts(tx, context.organization_id, query.record_id)
        return [execution_of(row) for row in rows]

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the queries for the composition root."""
        read = "scenarios:read"
        return [
            QueryRegistration(query=ListIncompleteExecutions, view=self.list_records, permission=read, may_lag=True),
            QueryRegistration(query=GetIncompleteExecution, view=self.get_record, permission=read),
            QueryRegistration(query=GetIncompleteBundles, view=self.get_bundles, permission=read),
            QueryRegistration(query=GetIncompleteBlueprint, view=self.get_blueprint, permission=read),
            QueryRegistration(query=ListIncompleteAttempts, view=self.list_attempts, permission=read, may_lag=True),
        ]
