"""What can be read of reports. Who is bound to one team sees the reports made of that team."""

from typing import Any, Final

from make_bridge.domain.reports import store
from make_bridge.domain.reports.messages import GetReport, GetReportPart, ListReports, Report
from make_bridge.kernel.context import Context
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx

MOST: Final = 1000


async def list_reports(tx: ReadTx, context: Context, query: ListReports) -> list[Report]:
    """Answer ListReports."""
    page = (min(query.limit, MOST), query.offset)
    return await store.list_reports(
        tx, context.organization_id, context.team_id, newest_first=query.newest_first, page=page
    )


async def get_report(tx: ReadTx, context: Context, query: GetReport) -> Report:
    """Answer GetReport; raises NotFound."""
    return await store.get(tx, context.organization_id, context.team_id, query.report_id)


async def get_part(tx: ReadTx, context: Context, query: GetReportPart) -> bytes:
    """Answer GetReportPart; raises NotFound, also for a report that is not finished."""
    return await store.part(tx, context.organization_id, context.team_id, query.report_id, query.number)


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "reports:read"
    return [
        QueryRegistration(query=ListReports, view=list_reports, permission=read, may_lag=True),
        QueryRegistration(query=GetReport, view=get_report, permission=read),
        QueryRegistration(query=GetReportPart, view=get_part, permission=read),
    ]
