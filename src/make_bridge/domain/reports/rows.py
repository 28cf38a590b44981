"""The rows of a report, page after page: from what the store reads to the cells of its columns.

Memory is bounded by the page; nothing is held from page to page but the key that the next begins behind, the names of
scenarios known to be confidential (a bounded number), and the counts of a day's confidential executions (bounded too).
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from make_bridge.domain.executions.model import Status
from make_bridge.domain.reports import sources_store
from make_bridge.domain.reports.model import Grouping, ReportKind, ReportOrder
from make_bridge.domain.reports.rendering import Cell
from make_bridge.domain.reports.sources_store import Scope, UsageKey, UsageQuestion
from make_bridge.kernel.ids import ExecutionId, Retention, ScenarioId, TeamId, execution_id_floor
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import Row

# Long enough that a year takes few statements, short enough that one of them ends in time on a crowded shard.
WINDOW: Final = timedelta(hours=6)
MOST_KNOWN: Final = 2000
MOST_COUNTED: Final = 1000
UNREAD: Final = "(too long to be read)"
_DAY: Final = timedelta(days=1)
_GROUP_COLUMNS: Final = {
    Grouping.DAY: ("day",),
    Grouping.TEAM: ("teamId", "team"),
    Grouping.CUSTOMER: ("customerId", "customerExternalId", "customer"),
    Grouping.SCENARIO: ("scenarioId", "scenario"),
}
_USAGE_COLUMNS: Final = ("executions", "operations", "dataTransfer")
_EXECUTION_COLUMNS: Final = (
    "id", "executions", "scenarioId", "scenario", "customerId", "customerExternalId", "customer", "teamId", "team",
    "origin", "status", "startedAt", "durationMs", "operations", "dataTransfer", "errorType", "errorModule",
    "errorModuleId",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage:
    """Some rows, and which share of the days they complete (0 to 1)."""

    rows: Sequence[Sequence[Cell]]
    share: float


def columns_of(order: ReportOrder) -> tuple[str, ...]:
    """Return the names of a report's columns."""
    if order.kind is ReportKind.EXECUTIONS:
        return _EXECUTION_COLUMNS
    return (*(name for one in order.group_by for name in _GROUP_COLUMNS[one]), *_USAGE_COLUMNS)


def pages_of(shard: Shard, scope: Scope, order: ReportOrder) -> AsyncIterator[RowPage]:
    """Read a report's rows."""
    if order.kind is ReportKind.EXECUTIONS:
        return _Executions(shard, scope, order).pages()
    return _usage_pages(shard, scope, order)


async def _usage_pages(shard: Shard, scope: Scope, order: ReportOrder) -> AsyncIterator[RowPage]:
    """Give usage day by day where days are told apart, else all days in one."""
    spans = [(day, day) for day in order.days] if Grouping.DAY in order.group_by else [(order.first, order.last)]
    for number, (first, last) in enumerate(spans):
        question = UsageQuestion(
            first=first,
            last=last,
            by_team=Grouping.TEAM in order.group_by,
            by_customer=Grouping.CUSTOMER in order.group_by,
            by_scenario=Grouping.SCENARIO in order.group_by,
        )
        after, is_last = UsageKey(), False
        while not is_last:
            async with shard.read_report(scope.organization_id) as tx:
                found = await sources_store.usage_page(tx, scope, question, after, sources_store.USAGE_PAGE)
            is_last = len(found) < sources_store.USAGE_PAGE
            yield RowPage(
                rows=[_usage_cells(order, first, row) for row in found],
                share=(number + int(is_last)) / len(spans),
            )
            if found:
                row = found[-1]
                after = UsageKey(
                    team_id=row["team_id"], customer_id=row["customer_id"], scenario_id=row["scenario_id"]
                )  # fmt: skip


def _usage_cells(order: ReportOrder, day: date, row: Row) -> list[Cell]:
    cells: dict[Grouping, tuple[Cell, ...]] = {
        Grouping.DAY: (day.isoformat(),),
        Grouping.TEAM: (row["team_id"] or None, row["team"]),
        Grouping.CUSTOMER: (row["customer_id"] or None, row["customer_external_id"], row["customer"]),
        Grouping.SCENARIO: (row["scenario_id"], row["scenario"]),
    }
    told = [cell for one in order.group_by for cell in cells[one]]
    return [*told, row["executions"], row["operations"], row["data_transfer"]]


class _Error(msgspec.Struct, frozen=True):
    name: str
    module: str | None = None
    module_id: int | None = None


class _Detail(msgspec.Struct, frozen=True):
    """What is read of an outcome's detail: neither what was said nor what came out."""

    error: _Error | None = None


class _Settings(msgspec.Struct, frozen=True):
    confidential: object = False


class _Metadata(msgspec.Struct, frozen=True):
    scenario: _Settings | None = None


class _Blueprint(msgspec.Struct, frozen=True):
    metadata: _Metadata | None = None


class _Executions:
    """One report's executions; those of confidential scenarios are only counted, by day, team, scenario and status."""

    def __init__(self, shard: Shard, scope: Scope, order: ReportOrder) -> None:
        self._shard = shard
        self._scope = scope
        self._order = order
        self._known: OrderedDict[tuple[ScenarioId, int], bool] = OrderedDict()
        self._counted: dict[tuple[TeamId, ScenarioId, int], list[Cell]] = {}

    async def pages(self) -> AsyncIterator[RowPage]:
        """Read day after day, each class of retention by itself, because ids are in order only within one."""
        days = self._order.days
        for number, day in enumerate(days):
            async for rows in self._day(day):
                yield RowPage(rows=rows, share=number / len(days))
            yield RowPage(rows=self._counts(), share=(number + 1) / len(days))

    async def _day(self, day: date) -> AsyncIterator[list[list[Cell]]]:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for retention in Retention:
            for window in range(_DAY // WINDOW):
                begin = midnight + window * WINDOW
                after = _before(execution_id_floor(begin, retention))
                below = execution_id_floor(begin + WINDOW, retention)
                is_last = False
                while not is_last:
                    found = await self._page(after, below)
                    is_last = len(found) < sources_store.EXECUTION_PAGE
                    if found:
                        after = ExecutionId(found[-1]["id"].hex)
                        yield await self._rows(day, found)

    async def _page(self, after: ExecutionId, below: ExecutionId) -> list[Row]:
        async with self._shard.read_report(self._scope.organization_id) as tx:
            return await sources_store.execution_page(tx, self._scope, after, below, sources_store.EXECUTION_PAGE)

    async def _rows(self, day: date, found: Sequence[Row]) -> list[list[Cell]]:
        rows: list[list[Cell]] = []
        for row in found:
            if await self._is_confidential(row["scenario_id"], row["blueprint_version"]):
                self._count(day, row)
            else:
                rows.append(_execution_cells(row))
        # What is counted is told early when there is too much of it: the counts of a day add up all the same.
        return rows + self._counts() if len(self._counted) > MOST_COUNTED else rows

    def _count(self, day: date, row: Row) -> None:
        status = row["status"] or 0
        key = (row["team_id"], row["scenario_id"], status)
        counts = self._counted.setdefault(key, _count_cells(day, row))
        for place, more in ((1, 1), (13, row["operations"] or 0), (14, row["transfer"] or 0)):
            known = counts[place]
            counts[place] = (known if isinstance(known, int) else 0) + more

    def _counts(self) -> list[list[Cell]]:
        counted, self._counted = self._counted, {}
        return [counted[key] for key in sorted(counted)]

    async def _is_confidential(self, scenario_id: ScenarioId, version: int) -> bool:
        key = (scenario_id, version)
        known = self._known.get(key)
        if known is None:
            async with self._shard.read_report(self._scope.organization_id) as tx:
                known = says_confidential(await sources_store.blueprint(tx, self._scope, scenario_id, version))
            self._known[key] = known
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return known


def says_confidential(blueprint: bytes | None) -> bool:
    """Say whether a blueprint is a confidential scenario's; one that is gone or cannot be read is taken for one."""
    if blueprint is None:
        return True
    try:
        metadata = msgspec.json.decode(blueprint, type=_Blueprint).metadata
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True
    if metadata is None or metadata.scenario is None:
        return False
    return metadata.scenario.confidential not in (False, None)


def _before(execution_id: ExecutionId) -> ExecutionId:
    return ExecutionId(f"{int(execution_id, 16) - 1:032x}")


def _status(number: int | None) -> str:
    return Status(number or 0).name.lower()


def _whose(row: Row) -> list[Cell]:
    return [
        row["scenario_id"], row["scenario"], row["customer_id"], row["customer_external_id"], row["customer"],
        row["team_id"], row["team"],
    ]  # fmt: skip


def _execution_cells(row: Row) -> list[Cell]:
    started = row["created_at"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    figures = [row["duration_ms"], row["operations"], row["transfer"]]
    return [
        row["id"].hex, 1, *_whose(row), row["origin"], _status(row["status"]), started, *figures, *_error_cells(row)
    ]  # fmt: skip


def _count_cells(day: date, row: Row) -> list[Cell]:
    return [None, 0, *_whose(row), None, _status(row["status"]), day.isoformat(), None, 0, 0, None, None, None]


def _error_cells(row: Row) -> list[Cell]:
    if row["is_detail_long"]:
        return [UNREAD, None, None]
    if row["detail"] is None:
        return [None, None, None]
    error = msgspec.json.decode(bytes(row["detail"]), type=_Detail).error
    return [None, None, None] if error is None else [error.name, error.module, error.module_id]
