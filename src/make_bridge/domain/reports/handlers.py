"""What people do with reports: have one made, delete one."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from make_bridge.domain.reports import store
from make_bridge.domain.reports.generating import GENERATE
from make_bridge.domain.reports.messages import DeleteReport, MakeReport, Report
from make_bridge.domain.reports.model import ReportLimits, ReportOrder, check, grouped
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Conflict, NotFound
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import NewJob

_ENDING: Final = "The same report is being cancelled: try again in a few seconds."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHandlers:
    """The slice's commands."""

    jobs: JobQueue
    clock: Clock
    limits: ReportLimits = field(default_factory=ReportLimits)

    async def make(self, work: UnitOfWork, command: MakeReport) -> Report:
        """Enqueue the job that makes a report, or find that of an identical one; raises InvalidInput, Conflict."""
        order = ReportOrder(
            kind=command.kind,
            form=command.form,
            first=command.first,
            last=command.last,
            group_by=grouped(command.kind, command.group_by),
        )
        check(order, self.limits, self.clock.now().date())
        organization_id, team_id = work.context.organization_id, work.context.team_id
        kept = await store.count(work.tx, organization_id)
        job = NewJob(
            type=GENERATE,
            organization_id=organization_id,
            team_id=team_id,
            payload=msgspec.json.encode(order),
            unique_key=order.key(team_id),
        )
        report_id = await self.jobs.enqueue(work.tx, job)
        work.touch(f"report/{report_id}", order=order)
        found = await store.find_ordered(work.tx, organization_id, report_id)
        if found is None:
            await self._require_room(work, report_id, kept)
            await store.add(work.tx, organization_id, team_id, report_id, order)
            return await store.get(work.tx, organization_id, team_id, report_id)
        report, is_ending = found
        if is_ending:
            raise Conflict(_ENDING, code="report_ending")
        return report

    async def delete(self, work: UnitOfWork, command: DeleteReport) -> None:
        """Drop a report; its job, if it has one that is not finished, is cancelled. Raises NotFound."""
        context = work.context
        work.touch(f"report/{command.report_id}")
        await store.delete(work.tx, context.organization_id, context.team_id, command.report_id)
        with suppress(Conflict, NotFound):
            await self.jobs.cancel(work.tx, context.organization_id, command.report_id, context.team_id)

    async def _require_room(self, work: UnitOfWork, report_id: str, kept: int) -> None:
        """Raise Conflict when there are too many reports, or when the job found is that of a deleted one."""
        if await store.is_ending(work.tx, work.context.organization_id, report_id):
            raise Conflict(_ENDING, code="report_ending")
        if kept >= self.limits.reports:
            most = self.limits.reports
            raise Conflict(f"There are {most} reports, which is the most: delete one first.", code="too_many_reports")

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        write = "reports:write"
        return [
            CommandRegistration(
                command=MakeReport, handler=self.make, result=Report, permission=write, action="report.make"
            ),
            CommandRegistration(
                command=DeleteReport, handler=self.delete, result=None, permission=write, action="report.delete"
            ),
        ]
