"""Two organizations on one shard, with partitions of days that have gone by, and the care of runs without rests."""

from dataclasses import dataclass
from typing import Any

import pytest
from psycopg import sql

from make_bridge.domain.storage import store as storage_store
from make_bridge.domain.storage.keeping import StorageCare
from make_bridge.domain.storage.messages import StorageLimits
from make_bridge.domain.storage.model import StorageConfig
from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.coordination.leadership import leases
from make_bridge.platform.observability.metrics import Metrics
from support.endings import Place, make_place
from support.past import make_past, owner_of

DAYS_BACK = 40
MIB = 2**20
_EMPTY = """
TRUNCATE shard.executions, shard.payloads, shard.outcomes, shard.execution_logs, shard.journal, shard.queue,
    shard.incomplete_executions, shard.incomplete_attempts, shard.dead_letters, shard.storage_days, shard.storage_limits
"""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The places, and how to care for them."""

    postgres: Any
    shards: Any
    acme: Place
    other: Place

    @property
    def shard(self):
        return self.acme.shard

    async def limit(self, place, **limits):
        async with place.shard.write(place.organization_id) as tx:
            await storage_store.set_limits(tx, place.organization_id, StorageLimits(**limits))

    async def care(self, leads=None, metrics=None, **changes):
        """Do one round; everything counts as measured at once, and there are no rests."""

        async def always():
            return True

        config = StorageConfig(**{"days": 30, "settle_seconds": 0.0, "busy_percent": 100.0, "batch": 50, **changes})
        metrics = metrics or Metrics()
        care = StorageCare(self.shards, metrics.storage, SystemClock(), config, leases("test"))
        await care.round(self.shard, leads or always)
        return metrics

    async def stored(self, place):
        async with place.shard.read(place.organization_id) as tx:
            return await storage_store.stored(tx, place.organization_id)

    async def left(self, place, table="executions"):
        """The ids of runs that are still in a table."""
        statement = sql.SQL("SELECT id FROM {} WHERE organization_id = %s").format(sql.Identifier("shard", table))
        rows = await self.owner(statement, place.organization_id)
        return {row["id"].hex for row in rows}

    async def partitions(self, table="executions"):
        statement = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = %s::regclass"
        return {row["name"].removeprefix("shard.") for row in await self.owner(statement, f"shard.{table}")}

    async def owner(self, statement, *values):
        """Do something as the owner of the tables, who sees and may do all."""
        async with owner_of(self.postgres, self.shard) as owner:
            cursor = await owner.execute(statement, values)
            return await cursor.fetchall() if cursor.description else []


@pytest.fixture
async def ground(postgres, shards):
    acme, other = await make_place(shards), await make_place(shards)
    made = Ground(postgres=postgres, shards=shards, acme=acme, other=other)
    await make_past(postgres, made.shard, DAYS_BACK)
    await made.owner(_EMPTY)
    await made.owner("UPDATE shard.storage_cursors SET upto = '00000000-0000-0000-0000-000000000000'")
    return made
