"""A webhook that is called, the look at who is silent, and time that goes by."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.gaps.looking import DUTY, GapWatch
from make_bridge.domain.gaps.model import GapRules
from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.coordination.leadership import Leadership, leases
from make_bridge.platform.observability.metrics import Metrics
from support.endings import Place, make_place
from support.past import owner_of

RULES = GapRules(factor=2.0, floor=900.0, calls=3, learning=1800.0, late=300.0)
_HOOK = """
INSERT INTO shard.hooks (organization_id, team_id, name, token_digest, token_sealed, scenario_id)
VALUES (%s, %s, 'Orders', sha256(random()::text::bytea), '', %s) RETURNING id
"""
# Time goes by for what was noted, and not for the looks: these go on as they do.
_LATER = (
    "UPDATE shard.executions SET created_at = created_at - make_interval(secs => %s)",
    "UPDATE shard.hook_rhythms SET since = since - make_interval(secs => %s)",
    "UPDATE shard.hook_rhythms SET first_heard_at = first_heard_at - make_interval(secs => %s)",
    "UPDATE shard.hook_rhythms SET heard_at = heard_at - make_interval(secs => %s)",
    "UPDATE shard.hook_expectations SET set_at = set_at - make_interval(secs => %s)",
    "UPDATE shard.scenarios SET next_run_at = next_run_at - make_interval(secs => %s)",
    "UPDATE shard.late_schedules SET due_at = due_at - make_interval(secs => %s)",
    "UPDATE shard.gap_outages SET began_at = began_at - make_interval(secs => %s)",
    "UPDATE shard.gap_outages SET ended_at = ended_at - make_interval(secs => %s)",
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One webhook of one scenario."""

    postgres: Any
    shards: Any
    place: Place
    hook_id: int

    @property
    def shard(self):
        return self.place.shard

    async def call(self):
        await store.accept(self.shard, [self.place.run(owner=None)])

    async def later(self, seconds):
        for statement in _LATER:
            await self.owner(statement, seconds)

    async def away(self, seconds):
        """Let nobody look for so long."""
        await self.later(seconds)
        await self.owner("UPDATE shard.gap_looks SET looked_at = looked_at - make_interval(secs => %s)", seconds)

    async def rhythm(self, every=300, times=10):
        """Be called regularly."""
        for _ in range(times):
            await self.call()
            await self.look()
            await self.later(every)

    def watch(self, node="one", rules=RULES, receives=True, metrics=None):
        async def answers():
            return receives

        return GapWatch(self.shards, (metrics or Metrics()).gaps, SystemClock(), rules, leases(node), answers)

    async def look(self, node="one", **changes):
        leadership = Leadership(self.shard, DUTY, node)
        fence = await leadership.hold()
        assert fence is not None
        await self.watch(node, **changes).look(self.shard, leadership, fence)

    async def told(self, kind=None):
        rows = await self.place.all("SELECT type, subject, payload FROM shard.outbox ORDER BY sequence")
        gaps = [row for row in rows if row["type"].split(".")[0] in ("hook", "schedule")]
        if kind is None:
            return [row["type"].removesuffix(".v1") for row in gaps]
        return [msgspec.json.decode(row["payload"]) for row in gaps if row["type"] == f"{kind}.v1"]

    async def owner(self, statement, *values):
        async with owner_of(self.postgres, self.shard) as owner:
            cursor = await owner.execute(statement, values)
            return await cursor.fetchall() if cursor.description else []


@pytest.fixture
async def scene(postgres, shards):
    place = await make_place(shards)
    async with place.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.leaders SET until = now()")
    async with place.shard.write(place.organization_id) as tx:
        row = await tx.one(_HOOK, (place.organization_id, place.team_id, place.scenario_id))
    assert row is not None
    made = Scene(postgres=postgres, shards=shards, place=place, hook_id=row["id"])
    await made.owner("UPDATE shard.gap_looks SET looked_at = clock_timestamp()")
    await made.owner("DELETE FROM shard.gap_outages")
    await made.owner("UPDATE shard.scenarios SET next_run_at = NULL WHERE id <> %s", place.scenario_id)
    return made
