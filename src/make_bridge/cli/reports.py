"""``make-bridge reports``: usage and executions as files. A server that runs makes them; the rest works beside it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json, Organization
from make_bridge.cli.output import as_facts, as_json, as_table, command, complain, measuring, say
from make_bridge.domain.reports.messages import DeleteReport, GetReport, GetReportPart, ListReports, MakeReport, Report
from make_bridge.domain.reports.model import Grouping, ReportForm, ReportKind, ReportState, file_name, is_report_id
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound, Unavailable
from make_bridge.kernel.ids import JobId
from make_bridge.wiring.domain import Domain

_LOOK_SECONDS: Final = 0.3
_UNFINISHED: Final = frozenset({ReportState.WAITING, ReportState.RUNNING})
Id = Annotated[str, typer.Argument(help="The report's id.")]


@command
async def make_report(
    kind: Annotated[ReportKind, typer.Argument(help="What it tells of.")],
    *,
    organization: Organization,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="Its first day (UTC).")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Its last day (UTC).")],
    group_by: Annotated[
        list[Grouping] | None, typer.Option("--group-by", help="What usage is told apart by; repeatable.")
    ] = None,
    form: Annotated[ReportForm, typer.Option("--format", help="How it is written.")] = ReportForm.CSV,
    wait: Annotated[bool, typer.Option(help="Follow it until it has ended.")] = True,
    patience: Annotated[float, typer.Option("--patience", min=1, help="Seconds to wait at most.")] = 900.0,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Have a report made by a server that runs, and follow it until it is finished."""
    order = MakeReport(
        kind=kind, form=form, first=first.date(), last=last.date(), group_by=tuple(group_by) if group_by else None
    )
    async with domain(data_dir, config) as opened:
        context = operator(organization)
        report = await opened.commands.execute(context, order)
        if wait:
            with measuring(f"Report {report.id}") as tell:
                report = await _ended(opened, context, report, patience, tell)
    _show(report, as_json_=as_json_)
    if report.state in {ReportState.FAILED, ReportState.CANCELLED}:
        raise Conflict(report.error or f"The report is {report.state}.")


@command
async def list_reports(
    *,
    organization: Organization,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 100,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """List reports, the newest first."""
    async with domain(data_dir, config) as opened:
        found = await opened.queries.ask(operator(organization), ListReports(limit=limit))
    if as_json_:
        as_json([_facts(report) for report in found])
        return
    columns = ("id", "kind", "from", "to", "format", "state", "progress", "rows", "bytes", "error")
    as_table(columns, [[_facts(report)[name] for name in columns] for report in found])


@command
async def show_report(
    report_id: Id,
    *,
    organization: Organization,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Show one report: how far it is, its size."""
    async with domain(data_dir, config) as opened:
        report = await opened.queries.ask(operator(organization), GetReport(report_id=_id(report_id)))
    _show(report, as_json_=as_json_)


@command
async def download_report(
    report_id: Id,
    *,
    organization: Organization,
    output: Annotated[
        str | None,
        typer.Option("--output", help="The file to write, '-' for the output. Without it: the report's name."),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Write a finished report to a file, or to the output."""
    async with domain(data_dir, config) as opened:
        context = operator(organization)
        report = await opened.queries.ask(context, GetReport(report_id=_id(report_id)))
        if report.state is not ReportState.COMPLETED:
            raise Conflict(f"This report is {report.state}: it can be downloaded when it is completed.")
        pieces = _pieces(opened, context, report)
        if output == "-":
            async for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        path = Path(output or file_name(report.order))
        with measuring(str(path)) as tell:
            await _write(path, pieces, report, tell)
    if as_json_:
        as_json({"id": report.id, "file": str(path), "bytes": report.bytes, "rows": report.rows})
    else:
        say(f"{path}: {report.rows} rows, {report.bytes} bytes.")


@command
async def delete_report(
    report_id: Id,
    *,
    organization: Organization,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """Delete a report; one under way is cancelled."""
    async with domain(data_dir, config) as opened:
        await opened.commands.execute(operator(organization), DeleteReport(report_id=_id(report_id)))
    if as_json_:
        as_json({"id": report_id})
    else:
        say("Deleted.")


async def _ended(
    opened: Domain, context: Context, report: Report, patience: float, tell: Callable[[float], None]
) -> Report:
    """Follow a report until it has ended; raises Unavailable when that takes too long."""
    try:
        async with asyncio.timeout(patience):
            # There is no signal across processes to wait on.
            while report.state in _UNFINISHED:
                tell(report.progress / 100)
                await asyncio.sleep(_LOOK_SECONDS)
                report = await opened.queries.ask(context, GetReport(report_id=report.id))
    except TimeoutError:
        message = (
            f"Report {report.id} is still {report.state} after {patience:g} seconds. "
            "A server has to run to make it; 'make-bridge reports show' tells how far it is."
        )
        raise Unavailable(message) from None
    tell(report.progress / 100)
    return report


async def _pieces(opened: Domain, context: Context, report: Report) -> AsyncIterator[bytes]:
    for number in range(report.parts):
        yield await opened.queries.ask(context, GetReportPart(report_id=report.id, number=number))


async def _write(path: Path, pieces: AsyncIterator[bytes], report: Report, tell: Callable[[float], None]) -> None:
    """Write a file that nothing is written over; what could not be finished is taken away again."""
    try:
        file = path.open("xb")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}.") from error
    written = 0
    try:
        with file:
            async for piece in pieces:
                file.write(piece)
                written += len(piece)
                tell(written / max(report.bytes, 1))
    except BaseException:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        complain(f"{path} was not finished, and is taken away.")
        raise


def _show(report: Report, *, as_json_: bool) -> None:
    if as_json_:
        as_json(_facts(report))
    else:
        as_facts(_facts(report).items())


def _id(text: str) -> JobId:
    if not is_report_id(text):
        raise NotFound("There is no such report: its id is 32 hexadecimal characters.")
    return JobId(text)


def _facts(report: Report) -> dict[str, object]:
    return {
        "id": report.id,
        "teamId": report.team_id,
        "kind": report.order.kind.value,
        "from": report.order.first.isoformat(),
        "to": report.order.last.isoformat(),
        "groupBy": [one.value for one in report.order.group_by],
        "format": report.order.form.value,
        "state": report.state.value,
        "progress": report.progress,
        "error": report.error or None,
        "rows": report.rows,
        "bytes": report.bytes,
        "createdAt": report.created_at.isoformat(),
        "finishedAt": None if report.finished_at is None else report.finished_at.isoformat(),
    }
