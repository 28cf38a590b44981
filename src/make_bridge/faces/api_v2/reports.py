"""Reports (``/reports``): usage and executions of some days, made by a job, downloaded as a file. An extension."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from pydantic import BeforeValidator
from starlette.responses import Response

from make_bridge.domain.reports.messages import DeleteReport, GetReport, GetReportPart, ListReports, MakeReport, Report
from make_bridge.domain.reports.model import (
    Grouping,
    ReportForm,
    ReportKind,
    ReportState,
    file_name,
    is_report_id,
    media_type,
)
from make_bridge.domain.reports.views import MOST
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.downloads import Download
from make_bridge.faces.api_v2.execution_bodies import NewReportBody
from make_bridge.faces.api_v2.operations import ROOT, Operation, access, respond
from make_bridge.faces.api_v2.paging import CurrentPage, narrowed
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound
from make_bridge.kernel.ids import JobId

_USUAL: Final = 100
JsonObject = dict[str, Any]


def _read_id(text: object) -> JobId:
    if isinstance(text, str) and is_report_id(plain := text.replace("-", "").lower()):
        return JobId(plain)
    raise NotFound("There is no such report: its id is 32 hexadecimal characters.")


ReportPath = Annotated[JobId, BeforeValidator(_read_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRoutes:
    """The routes of ``/reports``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        read, write = access("reports:read", size), access("reports:write", size)
        everything, one = "/reports", "/reports/{report_id}"
        return [
            Operation(method="GET", path=everything, endpoint=self.list_reports, access=read),
            Operation(method="POST", path=everything, endpoint=self.make_report, access=write, body=NewReportBody),
            Operation(method="GET", path=one, endpoint=self.get_report, access=read),
            Operation(method="GET", path=f"{one}/content", endpoint=self.get_report_content, access=read),
            Operation(method="DELETE", path=one, endpoint=self.delete_report, access=write),
        ]

    async def list_reports(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List reports, newest first."""
        if page.sort_by not in {None, "createdAt"}:
            raise InvalidInput("Reports can be sorted by createdAt.", code="invalid_page")
        chosen = page if page.direction else page.newest_first()
        limit = _USUAL if page.limit is None else min(page.limit, MOST)
        query = ListReports(newest_first=chosen.direction == "desc", limit=limit, offset=page.offset)
        found = await self.api.queries.ask(call.context, query)
        pg = {"sortBy": "createdAt", "sortDir": chosen.direction, "limit": limit, "offset": page.offset}
        return respond({"reports": [narrowed(_row(report), page) for report in found], "pg": pg})

    async def make_report(self, call: CurrentCall) -> Response:
        """Have a report made; an identical one that is not finished is answered instead of a second."""
        body = parse_object(call.body, NewReportBody, max_depth=self.api.json_depth)
        command = MakeReport(
            kind=ReportKind(body.kind),
            form=ReportForm(body.format),
            first=body.first,
            last=body.last,
            group_by=None if body.group_by is None else tuple(Grouping(one) for one in body.group_by),
        )
        report = await self.api.commands.execute(call.context, command)
        return Response(
            msgspec.json.encode({"report": _row(report)}),
            status_code=202,
            media_type="application/json",
            headers={"location": f"{ROOT}/reports/{report.id}"},
        )

    async def get_report(self, report_id: ReportPath, call: CurrentCall) -> Response:
        """Show one report: how far it is, how large."""
        return respond({"report": _row(await self.api.queries.ask(call.context, GetReport(report_id=report_id)))})

    async def get_report_content(self, report_id: ReportPath, call: CurrentCall) -> Response:
        """Download a finished report."""
        report = await self.api.queries.ask(call.context, GetReport(report_id=report_id))
        if report.state is not ReportState.COMPLETED:
            raise Conflict(f"This report is {report.state}: it can be downloaded when it is completed.", code="state")
        headers = {
            "content-type": media_type(report.order),
            "content-length": str(report.bytes),
            "content-disposition": f'attachment; filename="{file_name(report.order)}"',
            "cache-control": "no-store",
        }
        pieces = self._pieces(call, report)
        return Download(pieces, headers=headers, seconds=self.api.download_seconds)

    async def delete_report(self, report_id: ReportPath, call: CurrentCall) -> Response:
        """Delete a report; one under way is cancelled."""
        await self.api.commands.execute(call.context, DeleteReport(report_id=report_id))
        return respond({"report": {"id": report_id}})

    async def _pieces(self, call: Call, report: Report) -> AsyncIterator[bytes]:
        """Read part after part, each by itself, so that a slow reader holds no transaction."""
        for number in range(report.parts):
            yield await self.api.queries.ask(call.context, GetReportPart(report_id=report.id, number=number))


def _row(report: Report) -> JsonObject:
    order = report.order
    return {
        "id": report.id,
        "teamId": report.team_id,
        "kind": order.kind,
        "from": order.first,
        "to": order.last,
        "groupBy": order.group_by,
        "format": order.form,
        "state": report.state,
        "progress": report.progress,
        "error": report.error or None,
        "rows": report.rows,
        "bytes": report.bytes,
        "createdAt": wire.instant(report.created_at),
        "finishedAt": None if report.finished_at is None else wire.instant(report.finished_at),
    }
