"""What people do with jobs: cancel one, begin one again."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.jobs.messages import CancelJob, RetryJob
from make_bridge.kernel.ids import JobId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.queue.job_queue import JobQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHandlers:
    """The slice's commands."""

    jobs: JobQueue

    async def cancel(self, work: UnitOfWork, command: CancelJob) -> str:
        """Cancel a job; raises NotFound, Conflict."""
        work.touch(f"job/{command.job_id}")
        context = work.context
        return await self.jobs.cancel(work.tx, context.organization_id, command.job_id, context.team_id)

    async def retry(self, work: UnitOfWork, command: RetryJob) -> JobId:
        """Begin a job again; raises NotFound, Conflict."""
        work.touch(f"job/{command.job_id}")
        context = work.context
        await self.jobs.retry(work.tx, context.organization_id, command.job_id, context.team_id)
        return command.job_id

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        write = "jobs:write"
        return [
            CommandRegistration(
                command=CancelJob, handler=self.cancel, result=str, permission=write, action="job.cancel"
            ),
            CommandRegistration(command=RetryJob, handler=self.retry, result=str, permission=write, action="job.retry"),
        ]
