"""The consumer that turns events into messages to endpoints, each with the job that sends it.

Messages and jobs are written in the transaction that moves the consumer's position, so an event is told exactly to
those who listened when it was taken, and is never lost between. A paused endpoint's messages are kept; a disabled one's
are put down as failed, for a replay when it works again. Beyond the number an endpoint may leave undelivered, further
ones are dropped and counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

import msgspec

from make_bridge.domain.deliveries import telling_store
from make_bridge.domain.deliveries.messages import EndpointId
from make_bridge.domain.deliveries.model import (
    SEND,
    DeliveryLimits,
    EndpointState,
    MessageState,
    is_told,
    message_id_for,
)
from make_bridge.domain.deliveries.telling_store import Listening, NewMessage
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import NewJob

DISABLED: Final = "The endpoint was disabled when this happened: enable it and replay."


class ToSend(msgspec.Struct, frozen=True, kw_only=True):
    """Which message: the payload of a job."""

    endpoint_id: int
    message_id: str


def job_for(organization_id: OrganizationId, message: ToSend, trace_context: str | None = None) -> NewJob:
    """Return the job that sends a message: work of the organization, with a turn beside its teams."""
    payload = msgspec.json.encode(message)
    return NewJob(type=SEND, organization_id=organization_id, payload=payload, trace_context=trace_context)


def body_of(event: dict[str, Any]) -> bytes:
    """Return what is sent of a CloudEvent; ``timestamp`` is the name that Standard Webhooks has for its time."""
    return msgspec.json.encode({**event, "timestamp": event["time"]})


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingEndpoints:
    """See the module."""

    jobs: JobQueue
    limits: DeliveryLimits
    metrics: Metrics

    @property
    def name(self) -> str:
        """Return under which name its position is kept."""
        return "webhooks"

    @property
    def types(self) -> tuple[str, ...] | None:
        """Ask for all types: each endpoint chooses."""
        return None

    async def consume(self, tx: WriteTx, envelopes: Sequence[Envelope]) -> None:
        """Make messages and jobs of a batch of events."""
        endpoints = await telling_store.listening(tx, {envelope.organization_id for envelope in envelopes})
        if not endpoints:
            return
        messages, dropped = await self._within_bounds(tx, _messages(envelopes, endpoints))
        if messages:
            made = await telling_store.insert(tx, messages)
            jobs = {
                message.id: await self.jobs.enqueue(tx, _job(message))
                for message in messages
                if message.id in made and message.state is MessageState.WAITING
            }
            await telling_store.name_jobs(tx, jobs)
        await telling_store.count_dropped(tx, dropped)
        self.metrics.deliveries.dropped.inc(dropped.total())

    async def _within_bounds(
        self, tx: WriteTx, messages: Sequence[NewMessage]
    ) -> tuple[list[NewMessage], Counter[EndpointId]]:
        """Leave out what there is no room for, per endpoint."""
        room: dict[EndpointId, int] = {}
        fitting: list[NewMessage] = []
        dropped: Counter[EndpointId] = Counter()
        for message in messages:
            endpoint_id = message.endpoint_id
            if endpoint_id not in room:
                is_failed = message.state is MessageState.FAILED
                states = [MessageState.FAILED] if is_failed else [MessageState.WAITING, MessageState.HELD]
                most = self.limits.unfinished
                room[endpoint_id] = most - await telling_store.kept(tx, endpoint_id, states, most)
            if room[endpoint_id] > 0 and len(message.body) <= self.limits.body_bytes:
                room[endpoint_id] -= 1
                fitting.append(message)
            else:
                dropped[endpoint_id] += 1
        return fitting, dropped


def _messages(envelopes: Sequence[Envelope], endpoints: Sequence[Listening]) -> list[NewMessage]:
    found = []
    for envelope in envelopes:
        listeners = [
            endpoint
            for endpoint in endpoints
            if endpoint.organization_id == envelope.organization_id
            and is_told(endpoint.events, endpoint.id, envelope.type, envelope.data)
        ]
        if listeners:
            body = body_of(envelope.render())
            found += [_message(envelope, endpoint, body) for endpoint in listeners]
    return found


def _message(envelope: Envelope, endpoint: Listening, body: bytes) -> NewMessage:
    state = _first_state(endpoint.state)
    return NewMessage(
        id=message_id_for(envelope.id, endpoint.id),
        organization_id=endpoint.organization_id,
        endpoint_id=endpoint.id,
        event_id=envelope.id,
        type=envelope.type,
        body=body,
        state=state,
        error=DISABLED if state is MessageState.FAILED else "",
        trace_context=envelope.trace_context,
    )


def _first_state(state: EndpointState) -> MessageState:
    match state:
        case EndpointState.ACTIVE:
            return MessageState.WAITING
        case EndpointState.PAUSED:
            return MessageState.HELD
        case EndpointState.DISABLED:
            return MessageState.FAILED
        case never:
            assert_never(never)


def _job(message: NewMessage) -> NewJob:
    wanted = ToSend(endpoint_id=message.endpoint_id, message_id=message.id)
    return job_for(message.organization_id, wanted, message.trace_context)


async def forget_messages(shards: Shards, days: int) -> int:
    """Drop old messages with their attempts, and mend what was left behind, on every shard; return how many."""

    async def forget(shard: Shard) -> int:
        async with shard.engine_write() as tx:
            gone = await telling_store.forget(tx, days)
            await telling_store.mend(tx)
        return gone

    return await shards.everywhere("webhook_messages_forgotten", forget)
