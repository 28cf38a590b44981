"""Scenarios with schedules on a real database, and what the scheduler left of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from make_bridge.domain.executions.trigger import TickNote, decode_head
from make_bridge.domain.organizations.messages import OrganizationCreated
from make_bridge.domain.organizations.zones import Zones
from make_bridge.domain.scenarios import handlers
from make_bridge.domain.scenarios.handlers import ScenarioHandlers
from make_bridge.domain.scenarios.messages import ActivateScenario, CreateScenario, Scenario
from make_bridge.kernel.context import Context
from make_bridge.kernel.ids import ScenarioId, TeamId
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from support.blueprints import blueprint, module
from support.organizations import administrator, data_keys_of, make_organization, organizations_of

EVERY_MINUTE = {"type": "indefinitely", "interval": 60}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An organization whose scenarios are made and switched on through the real commands."""

    shards: Shards
    shard: Shard
    organization: OrganizationCreated
    context: Context
    bus: CommandBus

    async def scenario(
        self, scheduling: dict[str, Any] | None = None, *flow: Any, on: bool = True, **settings: Any
    ) -> Scenario:
        """Make a scenario that begins with an action, and switch it on."""
        document = blueprint(*(flow or (module(1, "util:ComposeTransformer", {"value": "x"}),)), **settings)
        command = CreateScenario(
            team_id=TeamId(self.organization.team_id), blueprint=document, scheduling=scheduling or EVERY_MINUTE
        )
        scenario = await self.bus.execute(self.context, command)
        if on:
            await self.bus.execute(self.context, ActivateScenario(scenario_id=scenario.id))
        return scenario

    async def row(self, scenario_id: ScenarioId) -> dict[str, Any]:
        """A scenario's row, as it is."""
        async with self.shard.read(self.context.organization_id) as tx:
            row = await tx.one("SELECT * FROM shard.scenarios WHERE id = %s", (scenario_id,))
        assert row is not None
        return row

    async def runs(self, scenario_id: ScenarioId) -> list[dict[str, Any]]:
        """A scenario's executions with their heads, oldest first; `queued` tells whether the queue still has it."""
        statement = """
            SELECT e.id, e.origin, p.head, q.id IS NOT NULL AS queued, q.ordering_key FROM shard.executions e
            JOIN shard.payloads p ON p.retention = e.retention AND p.id = e.id
            LEFT JOIN shard.queue q ON q.id = e.id WHERE e.scenario_id = %s ORDER BY e.id"""
        async with self.shard.read(self.context.organization_id) as tx:
            return await tx.all(statement, (scenario_id,))

    async def come_due(self, scenario_id: ScenarioId, seconds: float = 0.0) -> None:
        """Let the next tick be so many seconds ago."""
        async with self.shard.write(self.context.organization_id) as tx:
            await tx.execute(
                "UPDATE shard.scenarios SET next_run_at = now() - make_interval(secs => %(late)s), schedule_anchor ="
                " least(schedule_anchor, now() - make_interval(secs => %(late)s)) WHERE id = %(id)s",
                {"late": seconds, "id": scenario_id},
            )


def tick_of(run: dict[str, Any]) -> TickNote:
    """The tick that a stored run tells it was started for."""
    tick = decode_head(bytes(run["head"])).tick
    assert tick is not None
    return tick


async def make_scene(shards: Shards) -> Scene:
    """Make an organization in UTC with the commands on scenarios."""
    organization = await make_organization(shards)
    scenarios = ScenarioHandlers(
        sealing=data_keys_of(shards), zones=Zones(organizations=organizations_of(shards)), shortest_interval=60
    )
    return Scene(
        shards=shards,
        shard=await shards.of(organization.organization_id),
        organization=organization,
        context=administrator(organization.organization_id),
        bus=CommandBus(handlers.commands(scenarios), shards, data_keys_of(shards)),
    )


def seconds_between(earlier: datetime, later: datetime) -> float:
    """How far two moments are apart."""
    return (later - earlier).total_seconds()
