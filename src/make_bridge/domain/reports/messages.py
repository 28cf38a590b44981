"""What can be asked of reports, and done with them."""

from datetime import date, datetime

from make_bridge.domain.reports.model import Grouping, ReportForm, ReportKind, ReportOrder, ReportState
from make_bridge.kernel.ids import JobId, TeamId
from make_bridge.kernel.messages import Command, Query, message


@message
class Report:
    """One report; its id is that of the job that makes it. ``team_id`` is None for one of the whole organization."""

    id: JobId
    team_id: TeamId | None
    order: ReportOrder
    state: ReportState
    progress: int
    error: str
    rows: int
    bytes: int
    parts: int
    created_at: datetime
    finished_at: datetime | None


@message
class MakeReport(Command[Report]):
    """Have a report made; an identical one that is not finished is answered instead of a second."""

    kind: ReportKind
    form: ReportForm
    first: date
    last: date
    group_by: tuple[Grouping, ...] | None = None


@message
class DeleteReport(Command[None]):
    """Drop a report with its content; one under way is cancelled."""

    report_id: JobId


@message
class ListReports(Query[list[Report]]):
    """Reports of the organization (or the team it is narrowed to)."""

    newest_first: bool = True
    limit: int = 100
    offset: int = 0


@message
class GetReport(Query[Report]):
    """One report."""

    report_id: JobId


@message
class GetReportPart(Query[bytes]):
    """One piece of a finished report's content; pieces are numbered from 0."""

    report_id: JobId
    number: int
