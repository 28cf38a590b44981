"""The jobs of this slice: one attempt to deliver a message, and sending what a pause has kept.

An attempt has three steps: take a place among the few that an endpoint may have, call, write down what came of it. The
call stands outside of every transaction, so a process that dies between call and record leaves a job that another
worker takes up: the message is delivered again, under the same id. What the receiver answered decides what follows;
when it is tried again is the queue's to say (`platform.queue.jobs.DELIVERIES`), unless the receiver asked for a pause.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from make_bridge.domain.deliveries import sending_store, store
from make_bridge.domain.deliveries.messages import EndpointDisabled, EndpointId, MessageId
from make_bridge.domain.deliveries.model import (
    RELEASE,
    SEND,
    SHOWN_ANSWER,
    DeliveryLimits,
    Ending,
    EndpointState,
    Meaning,
    MessageState,
    asked_to_wait,
    busy_pause,
    shown_answer,
    shown_id,
)
from make_bridge.domain.deliveries.sending_store import Delivery, Turn
from make_bridge.domain.deliveries.signatures import read_secret, signature_header
from make_bridge.domain.deliveries.targets import require_open
from make_bridge.domain.deliveries.telling import DISABLED, ToSend, job_for
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import BridgeError, InvalidInput, NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, EgressResponse
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import DELIVERIES, Done, JobResult, JobType, Later, RunningJob
from make_bridge.platform.security.sealing import Sealing

PIECE: Final = 200
_SLACK_SECONDS: Final = 15.0
_RELEASE_SECONDS: Final = 300.0
_KIND: Final = "webhook_endpoint"


class NotDelivered(BridgeError):
    """The message was not delivered."""

    code = "not_delivered"


class Out(Protocol):
    """The way out of the process; the guarded client."""

    async def send(self, request: EgressRequest) -> EgressResponse:
        """Return the answer, or raise EgressFailure."""
        ...


class ToRelease(msgspec.Struct, frozen=True, kw_only=True):
    """Whose messages: the payload of a job."""

    endpoint_id: int


def purpose_of(endpoint_id: EndpointId) -> tuple[str, int, str]:
    """Return what an endpoint's secret is sealed for."""
    return _KIND, endpoint_id, "secret"


def address_of(endpoint_id: EndpointId) -> str:
    """Return how audit and events name an endpoint."""
    return f"{_KIND}/{endpoint_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivering:
    """See the module."""

    shards: Shards
    sealing: Sealing
    out: Out
    policy: EgressPolicy
    clock: Clock
    metrics: Metrics
    jobs: JobQueue
    limits: DeliveryLimits = field(default_factory=DeliveryLimits)

    def types(self) -> list[JobType]:
        """Return the types for the composition root. They tell nothing: telling would be delivered in turn."""
        seconds = self.limits.seconds + _SLACK_SECONDS
        return [
            JobType(name=SEND, run=self.send, tries=DELIVERIES, seconds=seconds),
            JobType(name=RELEASE, run=self.release, seconds=_RELEASE_SECONDS),
        ]

    async def send(self, job: RunningJob) -> JobResult:
        """Make one attempt."""
        delivery = _delivery(job)
        places, seconds = self.limits.in_flight, self.limits.seconds + _SLACK_SECONDS

        async def take(tx: WriteTx) -> Turn | None:
            turn = await sending_store.take(tx, delivery, places=places, seconds=seconds)
            if turn is not None and turn.state is not EndpointState.ACTIVE:
                await _put_down(tx, delivery, turn.state)
            return turn

        turn = await self.shards.write(job.organization_id, take)
        if turn is None or turn.state is not EndpointState.ACTIVE:
            return Done()
        if turn.busy:
            self.metrics.deliveries.attempts.labels("put_off").inc()
            pause = busy_pause(turn.waiting, places)
            return Later(after_seconds=pause, why="Other messages are being sent to this endpoint.", counts=False)
        ending = await self._call(delivery, turn)
        self.metrics.deliveries.attempts.labels(ending.meaning.value).inc()
        await self.shards.write(
            job.organization_id, lambda tx: self._write_down(tx, delivery, job.number_of_try, ending)
        )
        return _result(job.number_of_try, ending)

    async def release(self, job: RunningJob) -> JobResult:
        """Send what a pause has kept, piece by piece, for as long as the endpoint is active."""
        endpoint_id = EndpointId(msgspec.json.decode(job.payload, type=ToRelease).endpoint_id)
        shard = await self.shards.of(job.organization_id)
        released = 0
        while True:
            async with shard.write(job.organization_id) as tx:
                piece = await self._release_piece(tx, job.organization_id, endpoint_id)
            released += piece
            if piece < PIECE:
                return Done(result=msgspec.json.encode({"released": released}))

    async def _release_piece(self, tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId) -> int:
        try:
            endpoint = (await store.lock(tx, organization_id, endpoint_id)).endpoint
        except NotFound:
            return 0
        if endpoint.state != EndpointState.ACTIVE:
            return 0
        held = await store.lock_held(tx, organization_id, endpoint_id, PIECE)
        jobs = [
            await self.jobs.enqueue(
                tx, job_for(organization_id, ToSend(endpoint_id=endpoint_id, message_id=message_id))
            )
            for message_id in held
        ]
        await store.queue(tx, organization_id, held, jobs)
        return len(held)

    async def _call(self, delivery: Delivery, turn: Turn) -> Ending:
        """Sign and send; whatever comes of it is an ending."""
        purpose = purpose_of(delivery.endpoint_id)
        opened = [await self.sealing.open(delivery.organization_id, purpose, sealed) for sealed in turn.secrets]
        materials = [read_secret(secret.decode()) for secret in opened]
        at = self.clock.now()
        started = self.clock.monotonic()
        try:
            require_open(turn.url, self.policy, plain_http=self.limits.plain_http)
            async with asyncio.timeout(self.limits.seconds):
                answer = await self.out.send(self._request(delivery.message_id, turn, materials, at))
        except InvalidInput as error:
            return Ending(at=at, duration_ms=0, failure="refused", sentence=error.message)
        except EgressFailure as failure:
            return Ending(at=at, duration_ms=self._since(started), failure=failure.kind, sentence=failure.message)
        except TimeoutError:
            why = f"There was no complete answer within {self.limits.seconds:g} s."
            return Ending(at=at, duration_ms=self._since(started), failure="timeout", sentence=why)
        retry_after = next((value for name, value in answer.headers if name.lower() == "retry-after"), None)
        return Ending(
            at=at,
            duration_ms=self._since(started),
            status=answer.status,
            answer=shown_answer(answer.body),
            wait=asked_to_wait(answer.status, retry_after, self.clock.now()),
        )

    def _since(self, started: float) -> int:
        return round((self.clock.monotonic() - started) * 1000)

    def _request(self, message_id: MessageId, turn: Turn, materials: list[bytes], at: datetime) -> EgressRequest:
        shown, timestamp = shown_id(message_id), int(at.timestamp())
        headers = [
            ("Content-Type", "application/json"),
            ("Accept-Encoding", "identity"),
            ("webhook-id", shown),
            ("webhook-timestamp", str(timestamp)),
            ("webhook-signature", signature_header(shown, timestamp, turn.body, materials)),
        ]
        return EgressRequest(
            url=turn.url,
            method="POST",
            headers=headers,
            body=turn.body,
            timeout=self.limits.seconds,
            follow_redirects=False,
            max_response_bytes=SHOWN_ANSWER,
            cut_response=True,
        )

    async def _write_down(self, tx: WriteTx, delivery: Delivery, tries: int, ending: Ending) -> None:
        """Log the attempt, move the message on, and draw the consequences for the endpoint."""
        if not await sending_store.lock_endpoint(tx, delivery):
            return
        state, pause = _following(tries, ending)
        why = "" if state is MessageState.DELIVERED else ending.why
        number = await sending_store.end(tx, delivery, state, why, attempts=1)
        if number is None:
            return
        next_at = None if pause is None else self.clock.now() + timedelta(seconds=pause)
        await sending_store.log(tx, delivery, number, ending, next_at)
        if number > self.limits.logged_attempts:
            await sending_store.cut_log(tx, delivery, number - self.limits.logged_attempts)
        days = self.limits.disable_days
        failures, for_days = await sending_store.judge(tx, delivery, ending.meaning, days)
        if ending.meaning is Meaning.GONE:
            await self._disable(tx, delivery, "It answered that it is gone (status 410).", failures)
        elif for_days and failures >= self.limits.disable_attempts:
            await self._disable(tx, delivery, f"Every attempt of {days} days has failed. {ending.why}", failures)

    async def _disable(self, tx: WriteTx, delivery: Delivery, reason: str, failures: int) -> None:
        """Stop sending, say so in the audit, and tell the organization's other endpoints."""
        if not await sending_store.disable(tx, delivery, reason):
            return
        context = Context(
            organization_id=delivery.organization_id,
            actor=Actor(kind=ActorKind.SYSTEM, reference="webhooks"),
            permissions=frozenset(),
            request_id=delivery.job_id,
        )
        subject = address_of(delivery.endpoint_id)
        work = UnitOfWork(tx, context)
        work.touch(subject, reason=reason)
        work.emit(EndpointDisabled(endpoint_id=delivery.endpoint_id, reason=reason, failures=failures), subject=subject)
        await work.write_record("shard", "webhook_endpoint.disable")
        self.metrics.deliveries.disabled.inc()


def _delivery(job: RunningJob) -> Delivery:
    wanted = msgspec.json.decode(job.payload, type=ToSend)
    return Delivery(
        organization_id=job.organization_id,
        endpoint_id=EndpointId(wanted.endpoint_id),
        message_id=MessageId(wanted.message_id),
        job_id=job.id,
    )


async def _put_down(tx: WriteTx, delivery: Delivery, state: EndpointState) -> None:
    """Keep a message for a paused endpoint, or give it up for a disabled one."""
    is_paused = state is EndpointState.PAUSED
    ends_as = MessageState.HELD if is_paused else MessageState.FAILED
    await sending_store.end(tx, delivery, ends_as, "" if is_paused else DISABLED, attempts=0)


def _following(tries: int, ending: Ending) -> tuple[MessageState, float | None]:
    """Return how far a message is after an attempt, and about how long until the next."""
    if ending.meaning is Meaning.DELIVERED:
        return MessageState.DELIVERED, None
    if ending.meaning is Meaning.GONE or tries >= DELIVERIES.most:
        return MessageState.FAILED, None
    return MessageState.WAITING, DELIVERIES.backoff.after(tries) if ending.wait is None else ending.wait


def _result(tries: int, ending: Ending) -> JobResult:
    """Return what the queue is told; raises NotDelivered to have the next try at the queue's own time."""
    state, _ = _following(tries, ending)
    if state is not MessageState.WAITING:
        # A message that failed for good stands in its own log and is replayed from there: no dead letter beside it.
        return Done(result=msgspec.json.encode({"state": state.value}))
    if ending.wait is not None:
        return Later(after_seconds=ending.wait, why=ending.why)
    raise NotDelivered(ending.why)
