"""Giving tokens back (RFC 7009) after their connection is gone: a job with a few tries, best effort.

The connection's rows are deleted with it, so the job carries the token itself, sealed for this and nothing else. Of a
pair the refresh token is given back: providers end the access tokens made from it, too.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from make_bridge.domain.oauth import sealed, store
from make_bridge.domain.oauth.endpoints import Provider
from make_bridge.domain.oauth.grants_store import Grant
from make_bridge.domain.oauth.messages import ApplicationId
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import Backoff, Done, JobResult, JobType, NewJob, RunningJob, Tries
from make_bridge.platform.security.sealing import Sealing

REVOKE: Final = "oauth.revoke"
_TRIES: Final = Tries(most=5, backoff=Backoff(steps=(5.0, 60.0, 600.0, 3600.0)))
_SLACK_SECONDS: Final = 15.0


class ToRevoke(msgspec.Struct, frozen=True, kw_only=True):
    """What is given back to whom: the payload of a job."""

    application_id: int
    connection_id: int
    token_sealed: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoking:
    """See the module."""

    shards: Shards
    sealing: Sealing
    provider: Provider
    jobs: JobQueue = field(repr=False)

    def type(self) -> JobType:
        """Return the type for the composition root."""
        return JobType(
            name=REVOKE, run=self.revoke, tries=_TRIES, seconds=self.provider.limits.call_seconds + _SLACK_SECONDS
        )

    async def enqueue(self, tx: WriteTx, organization_id: OrganizationId, grant: Grant) -> None:
        """Have a grant's token given back, where it has one and the provider takes it."""
        box, hint = grant.refresh_sealed, "refresh"
        if box is None:
            box, hint = grant.access_sealed, "access"
        stored = await store.get(tx, organization_id, grant.application_id)
        if box is None or not stored.application.facts.revoke_url:
            return
        opened = await self.sealing.open(organization_id, sealed.token(grant.connection_id, hint), box)
        await self.enqueue_token(tx, organization_id, grant, (opened, hint))

    async def enqueue_token(
        self, tx: WriteTx, organization_id: OrganizationId, grant: Grant, token: tuple[bytes, str]
    ) -> None:
        """Have one token given back that was just got and is not kept."""
        opened, hint = token
        payload = ToRevoke(
            application_id=grant.application_id,
            connection_id=grant.connection_id,
            token_sealed=await self.sealing.seal(organization_id, sealed.token(grant.connection_id, "revoked"), opened),
            hint=f"{hint}_token",
        )
        job = NewJob(
            type=REVOKE, organization_id=organization_id, team_id=grant.team_id, payload=msgspec.json.encode(payload)
        )
        await self.jobs.enqueue(tx, job)

    async def revoke(self, job: RunningJob) -> JobResult:
        """Make one try; raises ProviderUnclear to have another."""
        wanted = msgspec.json.decode(job.payload, type=ToRevoke)
        organization_id = job.organization_id
        shard = await self.shards.of(organization_id)
        try:
            async with shard.read(organization_id) as tx:
                stored = await store.get(tx, organization_id, ApplicationId(wanted.application_id))
        except NotFound:
            return _done("application_gone")
        if not stored.application.facts.revoke_url:
            return _done("not_offered")
        purpose = sealed.token(ComponentId(wanted.connection_id), "revoked")
        token = await self.sealing.open(organization_id, purpose, wanted.token_sealed)
        client = await sealed.client_of(self.sealing, organization_id, stored)
        taken = await self.provider.revoke(client, token.decode(), wanted.hint)
        return _done("revoked" if taken else "refused")


def _done(outcome: str) -> Done:
    return Done(result=msgspec.json.encode({"outcome": outcome}))
