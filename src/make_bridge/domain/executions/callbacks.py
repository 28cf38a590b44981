"""Telling a URL how a run has ended, where whoever started it by hand has asked for that.

The job is written in the transaction that stores the run, so a run that is accepted is told of. It looks for the
outcome, further and further apart, and hands it over like a message to an endpoint: by https, through the guard of all
calls out, tried again for days. It is not signed, since there is no endpoint whose secret it could be. Of a
confidential run status and kind of error are told, and nothing more.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from make_bridge.domain.deliveries.model import (
    SHOWN_ANSWER,
    DeliveryLimits,
    Ending,
    Meaning,
    asked_to_wait,
    shown_answer,
)
from make_bridge.domain.deliveries.sending import NotDelivered, Out
from make_bridge.domain.deliveries.targets import require_open
from make_bridge.domain.executions import runlog, store
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import Row, WriteTx
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, EgressResponse
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import DELIVERIES, Done, Failed, JobResult, JobType, Later, NewJob, RunningJob

CALL_BACK: Final = "execution.call_back"
_SLACK_SECONDS: Final = 15.0
_SHORTEST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
# A run lasts minutes at most; what has no outcome after days will have none.
_LONGEST_WAIT: Final = 3 * 86_400.0


class ToCallBack(msgspec.Struct, frozen=True, kw_only=True):
    """Which run, and where to: the payload of the job."""

    execution_id: str
    scenario_id: int
    url: str

    def __repr__(self) -> str:
        """Show no address: it may hold a secret of the receiver's."""
        return f"ToCallBack({self.execution_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """Asks for runs to be told of."""

    jobs: JobQueue
    policy: EgressPolicy
    plain_http: bool = False

    async def ask(
        self,
        tx: WriteTx,
        place: tuple[OrganizationId, TeamId, ScenarioId],
        execution_id: ExecutionId,
        url: str,
    ) -> None:
        """Enqueue the job in the transaction that stores the run; raises InvalidInput for a URL that is not open."""
        organization_id, team_id, scenario_id = place
        try:
            require_open(url, self.policy, plain_http=self.plain_http)
        except InvalidInput as error:
            raise InvalidInput(error.message, code="invalid_url", fields={"callbackUrl": error.message}) from None
        wanted = ToCallBack(execution_id=execution_id, scenario_id=scenario_id, url=url)
        payload = msgspec.json.encode(wanted)
        job = NewJob(type=CALL_BACK, organization_id=organization_id, team_id=team_id, payload=payload)
        await self.jobs.enqueue(tx, job)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingBack:
    """The work of the job."""

    shards: Shards
    out: Out
    policy: EgressPolicy
    clock: Clock
    limits: DeliveryLimits = field(default_factory=DeliveryLimits)

    def type(self) -> JobType:
        """Return the type for the composition root."""
        return JobType(name=CALL_BACK, run=self.run, tries=DELIVERIES, seconds=self.limits.seconds + _SLACK_SECONDS)

    async def run(self, job: RunningJob) -> JobResult:
        """Tell how the run has ended, or look again later; raises NotDelivered for a try that failed."""
        wanted = msgspec.json.decode(job.payload, type=ToCallBack)
        execution_id = ExecutionId(wanted.execution_id)
        shard = await self.shards.of(job.organization_id)
        async with shard.read(job.organization_id) as tx:
            row = await store.read_outcome(tx, job.organization_id, execution_id)
        if row is None:
            return self._look_again(job)
        ending = await self._call(wanted, self._body(wanted, row))
        if ending.meaning is Meaning.DELIVERED:
            return Done()
        if ending.meaning is Meaning.GONE:
            return Failed(why="The address answered that it is gone (status 410).")
        if ending.wait is not None:
            return Later(after_seconds=ending.wait, why=ending.why)
        raise NotDelivered(ending.why)

    def _look_again(self, job: RunningJob) -> JobResult:
        age = (self.clock.now() - job.created_at).total_seconds()
        if age > _LONGEST_WAIT:
            return Failed(why="The execution has no outcome after three days.")
        pause = min(max(age / 4, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        return Later(after_seconds=pause, why="The execution has not ended.", counts=False)

    def _body(self, wanted: ToCallBack, row: Row) -> bytes:
        detail = runlog.decode_detail(bytes(row["detail"]))
        told: dict[str, Any] = {
            "executionId": wanted.execution_id,
            "scenarioId": wanted.scenario_id,
            "status": row["status"],
        }
        if detail.error is not None:
            told["error"] = {"name": detail.error.name, "message": detail.error.message}
        whole = msgspec.json.encode(told if detail.outputs is None else told | {"outputs": detail.outputs})
        if len(whole) <= self.limits.body_bytes:
            return whole
        return msgspec.json.encode(told | {"outputsOmitted": True})

    async def _call(self, wanted: ToCallBack, body: bytes) -> Ending:
        """Send; whatever comes of it is an ending."""
        at = self.clock.now()
        request = EgressRequest(
            url=wanted.url,
            method="POST",
            headers=[("Content-Type", "application/json"), ("Accept-Encoding", "identity")],
            body=body,
            timeout=self.limits.seconds,
            follow_redirects=False,
            max_response_bytes=SHOWN_ANSWER,
            cut_response=True,
        )
        try:
            require_open(wanted.url, self.policy, plain_http=self.limits.plain_http)
            async with asyncio.timeout(self.limits.seconds):
                answer = await self.out.send(request)
        except InvalidInput as error:
            return Ending(at=at, duration_ms=0, failure="refused", sentence=error.message)
        except EgressFailure as failure:
            return Ending(at=at, duration_ms=0, failure=failure.kind, sentence=failure.message)
        except TimeoutError:
            why = f"There was no complete answer within {self.limits.seconds:g} s."
            return Ending(at=at, duration_ms=0, failure="timeout", sentence=why)
        return self._ending(answer)

    def _ending(self, answer: EgressResponse) -> Ending:
        now = self.clock.now()
        retry_after = next((value for name, value in answer.headers if name.lower() == "retry-after"), None)
        return Ending(
            at=now,
            duration_ms=0,
            status=answer.status,
            answer=shown_answer(answer.body),
            wait=asked_to_wait(answer.status, retry_after, now),
        )
