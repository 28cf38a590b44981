"""Credentials that runs open: each connection or key that an execution opens has a row in the audit.

The row is committed before the secret is handed out, so that no use is without one, whoever is killed; concurrent runs
share a commit. One row stands for an attempt of an execution and a connection: further openings by the same attempt
are counted (``credentials_opened_total``) and need no row. Runs that open nothing come by here never.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import OrganizationMoved
from make_bridge.kernel.ids import ComponentId, ExecutionId, OrganizationId
from make_bridge.platform.audit import record
from make_bridge.platform.audit.record import AuditRecord
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.group_commit import GroupCommit
from make_bridge.platform.sharding.following import PerShard

ACTION: Final = "credential.open"


class _ShardUses:
    """The rows of one shard, written together."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.writes: GroupCommit[AuditRecord, None] = GroupCommit(
            self._flush, tenant=lambda use: use.context.organization_id
        )

    async def close(self) -> None:
        """Wait until all that was begun is written."""
        await self.writes.close()

    async def _flush(self, records: Sequence[AuditRecord]) -> Sequence[None]:
        async with self._shard.engine_statement() as tx:
            await record.insert_many(tx, records)
        return [None] * len(records)


class CredentialUses:
    """Writes the rows of this process."""

    def __init__(self, shards: Shards, metrics: Metrics) -> None:
        """Begin with nothing written."""
        self._shards = shards
        self._metrics = metrics
        self._by_shard = PerShard(_ShardUses)

    def of(self, organization_id: OrganizationId, execution_id: ExecutionId) -> "UsesOfRun":
        """Return what one attempt of an execution notes its openings with."""
        return UsesOfRun(uses=self, organization_id=organization_id, execution_id=execution_id)

    async def write(self, use: AuditRecord) -> None:
        """Write a row; returns after the commit. Raises Unavailable."""
        organization_id = use.context.organization_id
        shard = await self._shards.of(organization_id)
        try:
            await self._by_shard[shard].writes.submit(use)
        except OrganizationMoved:
            await self._shards.elsewhere(organization_id, lambda found: self._by_shard[found].writes.submit(use))

    def count(self) -> None:
        """Count an opening."""
        self._metrics.audit.credentials_opened.inc()

    async def close(self) -> None:
        """Wait until all that was begun is written."""
        await self._by_shard.close(_ShardUses.close)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsesOfRun:
    """What one attempt of an execution has opened so far."""

    uses: CredentialUses
    organization_id: OrganizationId
    execution_id: ExecutionId
    _seen: set[ComponentId] = field(init=False, default_factory=set)

    async def note(self, kind: str, type_: str, component_id: ComponentId) -> None:
        """Take down that a connection or key was opened; raises Unavailable, and then it must not be used."""
        self.uses.count()
        if component_id in self._seen:
            return
        context = Context(
            organization_id=self.organization_id,
            actor=Actor(kind=ActorKind.SYSTEM, reference="executions"),
            permissions=frozenset(),
            request_id=f"execution {self.execution_id}",
        )
        detail = msgspec.json.encode({"execution": self.execution_id, "type": type_})
        await self.uses.write(
            AuditRecord(context=context, action=ACTION, object=f"{kind}/{component_id}", detail=detail)
        )
        self._seen.add(component_id)
