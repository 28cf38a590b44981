"""What a report can be: kinds, forms, what its days are grouped by, and which orders are refused. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import TeamId, is_execution_id

EARLIEST: Final = date(2000, 1, 1)
PART_BYTES: Final = 256 * 1024


class ReportKind(StrEnum):
    """What a report tells of."""

    USAGE = "usage"
    EXECUTIONS = "executions"


class ReportForm(StrEnum):
    """How a report is written."""

    CSV = "csv"
    JSON = "json"


class ReportState(StrEnum):
    """Where a report stands: its job's state, until it is finished."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Grouping(StrEnum):
    """What usage is told apart by; this order is that of the columns."""

    DAY = "day"
    TEAM = "team"
    CUSTOMER = "customer"
    SCENARIO = "scenario"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLimits:
    """How many days a report spans, how large it gets, and how many an organization keeps."""

    days: int = 366
    bytes: int = 100 * 1024 * 1024
    reports: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOrder:
    """What a report is about; both days belong to it, as days of UTC. The payload of its job."""

    kind: ReportKind
    form: ReportForm
    first: date
    last: date
    group_by: tuple[Grouping, ...] = ()

    @property
    def days(self) -> list[date]:
        """Return its days in order."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    def key(self, team_id: TeamId | None) -> str:
        """Return what identical orders have in common."""
        return f"{self.kind} {self.form} {self.first} {self.last} {','.join(self.group_by)} {team_id or ''}"


def grouped(kind: ReportKind, asked: Sequence[Grouping] | None) -> tuple[Grouping, ...]:
    """Return the grouping in its order; usage without one is told apart by everything. Raises InvalidInput."""
    if kind is ReportKind.EXECUTIONS:
        if asked:
            raise InvalidInput("A report of executions has a row for each: only usage can be grouped.", code="group_by")
        return ()
    return tuple(one for one in Grouping if asked is None or one in asked)


def check(order: ReportOrder, limits: ReportLimits, today: date) -> None:
    """Raise InvalidInput for days that make no report."""
    if order.last < order.first:
        raise InvalidInput("A report's last day (to) is not before its first (from).", code="report_days")
    if order.first < EARLIEST or order.last > today:
        raise InvalidInput(f"A report's days lie between {EARLIEST} and today, {today} (UTC).", code="report_days")
    if (order.last - order.first).days >= limits.days:
        raise InvalidInput(f"A report spans at most {limits.days} days.", code="report_days")


def file_name(order: ReportOrder) -> str:
    """Return the name of its file: letters, digits, '-' and '.' only."""
    ending = "jsonl" if (order.kind, order.form) == (ReportKind.EXECUTIONS, ReportForm.JSON) else order.form.value
    return f"{order.kind}-{order.first.isoformat()}-{order.last.isoformat()}.{ending}"


def media_type(order: ReportOrder) -> str:
    """Return what its content is called on the wire."""
    if order.form is ReportForm.CSV:
        return "text/csv; charset=utf-8; header=present"
    return "application/json" if order.kind is ReportKind.USAGE else "application/x-ndjson"


def is_report_id(text: str) -> bool:
    """Say whether this is an id as reports have them: that of the job that makes it."""
    return is_execution_id(text)
