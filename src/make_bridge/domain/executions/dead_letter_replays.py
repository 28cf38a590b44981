"""Replaying a range of dead letters as a job: piece by piece, with progress, taken up again where a worker died.

Each piece is the ordinary command, in its own transaction with its own audit record. Letters that came after the job
was asked for are left out, so what dies again is not replayed again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from make_bridge.domain.executions.dead_letter_messages import ReplayDeadLetters
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.ids import ScenarioId
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.queue.jobs import Done, JobType, RunningJob
from make_bridge.platform.queue.leases import LOW

REPLAY: Final = "executions.replay_dead_letters"
PIECE: Final = 100
_SECONDS: Final = 600.0


class ReplayRange(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters: the payload of the job. ``letters`` is how many there were when it was asked for."""

    until: datetime
    letters: int
    since: datetime | None = None
    scenario_id: ScenarioId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayingDeadLetters:
    """The work of the job."""

    commands: CommandBus

    def type(self) -> JobType:
        """Return the type for the composition root."""
        return JobType(name=REPLAY, run=self.run, queue_class=LOW, seconds=_SECONDS, tells=True)

    async def run(self, job: RunningJob) -> Done:
        """Replay piece after piece; what a try before this one has replayed is not chosen again."""
        wanted = msgspec.json.decode(job.payload, type=ReplayRange)
        context = Context(
            organization_id=job.organization_id,
            actor=Actor(kind=ActorKind.SYSTEM, reference=f"job {job.id}"),
            permissions=frozenset({"scenarios:run"}),
            request_id=job.id,
            team_id=job.team_id,
        )
        after: str | None = None
        looked_at = begun = 0
        while True:
            replay = ReplayDeadLetters(
                scenario_id=wanted.scenario_id, since=wanted.since, until=wanted.until, after=after, limit=PIECE
            )
            done = await self.commands.execute(context, replay)
            looked_at, begun = looked_at + done.looked_at, begun + len(done.executions) + len(done.jobs)
            if done.last is None:
                return Done(result=msgspec.json.encode({"replayed": begun, "leftOut": looked_at - begun}))
            after = done.last
            await job.progress(looked_at * 100 // max(wanted.letters, looked_at), f"{begun} replayed")
