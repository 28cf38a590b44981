"""What people do with endpoints: make, change, pause, resume, rotate, test, replay."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from make_bridge.domain.deliveries import store
from make_bridge.domain.deliveries.messages import (
    CreateEndpoint,
    DeleteEndpoint,
    Endpoint,
    EndpointId,
    EndpointWithSecret,
    MessageId,
    PauseEndpoint,
    PingEndpoint,
    ReplayedMessages,
    ReplayFailedMessages,
    ReplayMessage,
    ResumeEndpoint,
    RotateEndpointSecret,
    UpdateEndpoint,
)
from make_bridge.domain.deliveries.model import (
    PING,
    RELEASE,
    DeliveryLimits,
    EndpointState,
    MessageState,
    checked_description,
    checked_patterns,
)
from make_bridge.domain.deliveries.sending import ToRelease, address_of, purpose_of
from make_bridge.domain.deliveries.signatures import new_secret
from make_bridge.domain.deliveries.targets import require_open
from make_bridge.domain.deliveries.telling import ToSend, body_of, job_for
from make_bridge.domain.deliveries.views import require_whole_organization
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.entropy import random_hex
from make_bridge.kernel.errors import Conflict, LimitExceeded
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import NewJob
from make_bridge.platform.security.sealing import Sealing

_ID_BYTES: Final = 16
# Without its address: a query may hold a secret.
_AUDITED: Final = frozenset({"description", "events", "state"})
_DISABLED: Final = "This endpoint is disabled: resume it first."


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryHandlers:
    """The slice's commands."""

    sealing: Sealing
    jobs: JobQueue
    clock: Clock
    policy: EgressPolicy
    limits: DeliveryLimits = field(default_factory=DeliveryLimits)

    async def create(self, work: UnitOfWork, command: CreateEndpoint) -> EndpointWithSecret:
        """Make an endpoint; raises InvalidInput with a sentence per field, LimitExceeded."""
        organization_id = self._organization(work)
        wanted = self._checked(command.url, command.description, command.events)
        if await store.count(work.tx, organization_id) >= self.limits.endpoints:
            raise LimitExceeded(
                f"An organization has at most {self.limits.endpoints} webhook endpoints: delete one first.",
                code="too_many_endpoints",
            )
        endpoint_id = await store.new_id(work.tx)
        secret, sealed = await self._new_secret(organization_id, endpoint_id)
        await store.insert(work.tx, organization_id, endpoint_id, wanted, sealed)
        work.touch(address_of(endpoint_id))
        made = await store.get(work.tx, organization_id, endpoint_id)
        return EndpointWithSecret(endpoint=made.endpoint, secret=secret)

    async def update(self, work: UnitOfWork, command: UpdateEndpoint) -> Endpoint:
        """Change an endpoint; raises InvalidInput, NotFound."""
        organization_id = self._organization(work)
        now = (await store.lock(work.tx, organization_id, command.endpoint_id)).endpoint
        wanted = self._checked(
            now.url if command.url is None else command.url,
            now.description if command.description is None else command.description,
            now.events if command.events is None else command.events,
        )
        await store.update(work.tx, organization_id, command.endpoint_id, wanted)
        changed = await self._changed(work, command.endpoint_id)
        work.change(before=now, after=changed)
        return changed

    async def delete(self, work: UnitOfWork, command: DeleteEndpoint) -> None:
        """Remove an endpoint; raises NotFound."""
        organization_id = self._organization(work)
        await store.lock(work.tx, organization_id, command.endpoint_id)
        await store.delete(work.tx, organization_id, command.endpoint_id)
        work.touch(address_of(command.endpoint_id))

    async def rotate(self, work: UnitOfWork, command: RotateEndpointSecret) -> EndpointWithSecret:
        """Make a new secret; at most two sign, so one that was still on its way out is dropped at once."""
        organization_id = self._organization(work)
        await store.lock(work.tx, organization_id, command.endpoint_id)
        secret, sealed = await self._new_secret(organization_id, command.endpoint_id)
        await store.rotate(work.tx, organization_id, command.endpoint_id, sealed, self.limits.overlap_hours)
        return EndpointWithSecret(endpoint=await self._changed(work, command.endpoint_id), secret=secret)

    async def pause(self, work: UnitOfWork, command: PauseEndpoint) -> Endpoint:
        """Keep messages from now on; raises NotFound, and Conflict for a disabled endpoint."""
        organization_id = self._organization(work)
        await self._require_enabled(work, command.endpoint_id)
        await store.set_state(work.tx, organization_id, command.endpoint_id, EndpointState.PAUSED)
        return await self._changed(work, command.endpoint_id)

    async def resume(self, work: UnitOfWork, command: ResumeEndpoint) -> Endpoint:
        """Send again; what a pause has kept is released by a job, because it may be much."""
        organization_id = self._organization(work)
        await store.lock(work.tx, organization_id, command.endpoint_id)
        await store.set_state(work.tx, organization_id, command.endpoint_id, EndpointState.ACTIVE)
        payload = msgspec.json.encode(ToRelease(endpoint_id=command.endpoint_id))
        await self.jobs.enqueue(work.tx, NewJob(type=RELEASE, organization_id=organization_id, payload=payload))
        return await self._changed(work, command.endpoint_id)

    async def ping(self, work: UnitOfWork, command: PingEndpoint) -> MessageId:
        """Send a test event; raises NotFound, Conflict."""
        organization_id = self._organization(work)
        state = await self._require_enabled(work, command.endpoint_id)
        most = self.limits.unfinished
        if not await store.has_room(work.tx, organization_id, command.endpoint_id, most):
            raise LimitExceeded(f"An endpoint leaves at most {most} messages undelivered.", code="too_many_messages")
        message_id = MessageId(random_hex(_ID_BYTES))
        envelope = Envelope(
            id=message_id,
            position=0,
            organization_id=organization_id,
            type=PING,
            subject=address_of(command.endpoint_id),
            time=self.clock.now(),
            data=msgspec.json.encode({"endpoint_id": command.endpoint_id}),
            trace=work.context.request_id,
        )
        told = (message_id, PING, body_of(envelope.render()))
        await store.insert_message(work.tx, organization_id, command.endpoint_id, message_id, told, MessageState.HELD)
        await self._send(work, command.endpoint_id, message_id, state)
        return message_id

    async def replay(self, work: UnitOfWork, command: ReplayMessage) -> MessageId:
        """Send a message again, whatever became of it; raises NotFound, Conflict."""
        state = await self._require_enabled(work, command.endpoint_id)
        organization_id = self._organization(work)
        await store.lock_message(work.tx, organization_id, command.endpoint_id, command.message_id)
        await self._send(work, command.endpoint_id, command.message_id, state)
        return command.message_id

    async def replay_failed(self, work: UnitOfWork, command: ReplayFailedMessages) -> ReplayedMessages:
        """Send what failed again, as one batch; raises NotFound, and Conflict unless the endpoint is active."""
        organization_id, endpoint_id = self._organization(work), command.endpoint_id
        if await self._require_enabled(work, endpoint_id) is not EndpointState.ACTIVE:
            raise Conflict("This endpoint is paused: resume it first.", code="endpoint_paused")
        work.touch(address_of(endpoint_id), since=command.since.isoformat())
        most = self.jobs.limits.batch_jobs
        found = await store.lock_failed(work.tx, organization_id, endpoint_id, command.since, most + 1)
        chosen = found[:most]
        if not chosen:
            return ReplayedMessages(batch_id=None, messages=0, more=False)
        jobs = [job_for(organization_id, ToSend(endpoint_id=endpoint_id, message_id=each)) for each in chosen]
        batch = await self.jobs.enqueue_batch(work.tx, jobs)
        await store.queue(work.tx, organization_id, chosen, batch.jobs)
        return ReplayedMessages(batch_id=batch.id, messages=len(chosen), more=len(found) > most)

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        table: list[tuple[Any, Any, Any, str]] = [
            (CreateEndpoint, self.create, EndpointWithSecret, "create"),
            (UpdateEndpoint, self.update, Endpoint, "update"),
            (DeleteEndpoint, self.delete, None, "delete"),
            (RotateEndpointSecret, self.rotate, EndpointWithSecret, "rotate_secret"),
            (PauseEndpoint, self.pause, Endpoint, "pause"),
            (ResumeEndpoint, self.resume, Endpoint, "resume"),
            (PingEndpoint, self.ping, str, "ping"),
            (ReplayMessage, self.replay, str, "replay"),
            (ReplayFailedMessages, self.replay_failed, ReplayedMessages, "replay_failed"),
        ]
        return [
            CommandRegistration(
                command=command, handler=handler, result=result, permission="webhooks:write",
                action=f"webhook_endpoint.{verb}", audited=_AUDITED,
            )
            for command, handler, result, verb in table
        ]  # fmt: skip

    def _organization(self, work: UnitOfWork) -> OrganizationId:
        require_whole_organization(work.context)
        return work.context.organization_id

    def _checked(self, url: str, description: str, events: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]]:
        require_open(url, self.policy, plain_http=self.limits.plain_http)
        return url.strip(), checked_description(description), checked_patterns(events, self.limits.known_types)

    async def _new_secret(self, organization_id: OrganizationId, endpoint_id: EndpointId) -> tuple[str, str]:
        secret = new_secret()
        return secret, await self.sealing.seal(organization_id, purpose_of(endpoint_id), secret.encode())

    async def _require_enabled(self, work: UnitOfWork, endpoint_id: EndpointId) -> EndpointState:
        organization_id = self._organization(work)
        state = EndpointState((await store.lock(work.tx, organization_id, endpoint_id)).endpoint.state)
        if state is EndpointState.DISABLED:
            raise Conflict(_DISABLED, code="endpoint_disabled")
        return state

    async def _send(
        self, work: UnitOfWork, endpoint_id: EndpointId, message_id: MessageId, state: EndpointState
    ) -> None:
        organization_id = work.context.organization_id
        work.touch(address_of(endpoint_id), message=message_id)
        if state is EndpointState.PAUSED:
            await store.hold(work.tx, organization_id, message_id)
            return
        job = job_for(organization_id, ToSend(endpoint_id=endpoint_id, message_id=message_id))
        await store.queue(work.tx, organization_id, [message_id], [await self.jobs.enqueue(work.tx, job)])

    async def _changed(self, work: UnitOfWork, endpoint_id: EndpointId) -> Endpoint:
        work.touch(address_of(endpoint_id))
        return (await store.get(work.tx, work.context.organization_id, endpoint_id)).endpoint
