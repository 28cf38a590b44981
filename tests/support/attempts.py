"""Runs that are begun by one process and gone on with by another: what tests of second attempts share."""

import asyncio
from typing import Any, Final

from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.targets import Target
from make_bridge.domain.executions.trigger import CallHead, HookSettings
from make_bridge.engine.ports import HttpRequest
from make_bridge.kernel.ids import ExecutionId, HookId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.queue import leases
from make_bridge.platform.queue.leases import Lease
from support.blueprints import webhook
from support.endings import Place
from support.nodes import Node, node
from support.scheduling import Scene

PATIENCE: Final = 30
_IMMEDIATELY: Final = {"type": "immediately"}


async def take_over(place: Place, run: NewRun) -> Lease:
    """Let the run's lease pass to somebody else."""
    async with place.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.queue SET lease_until = now() - interval '1 s' WHERE id = %s", (run.id,))
    await leases.sweep(place.shard)
    [lease] = [lease for lease in await leases.claim(place.shard, "other", 100) if lease.id == run.id]
    return lease


async def target_of(scene: Scene, *flow: Any, **settings: Any) -> Target:
    """Make a scenario over a webhook, switched on, as the ingest knows it."""
    scenario = await scene.scenario(_IMMEDIATELY, webhook(), *flow, **settings)
    return Target(
        hook_id=HookId(scenario.hook_id or 0),
        organization_id=scene.context.organization_id,
        team_id=scenario.team_id,
        scenario_id=scenario.id,
        blueprint_version=scenario.blueprint_version,
        settings=HookSettings(),
    )


async def send(a_node: Node, target: Target) -> ExecutionId:
    """Have a node take a call."""
    head = CallHead(content_type="application/json")
    async with asyncio.timeout(PATIENCE):
        execution_id, _ = await a_node.ingest.take(target, head, b'{"order": "a-17"}')
    return execution_id


async def until_settled(a_node: Node, target: Target, execution_id: ExecutionId) -> Any:
    """Return what is known of a run that has ended."""
    async with asyncio.timeout(PATIENCE):
        return await a_node.waiting.outcome(target.organization_id, execution_id, PATIENCE)


async def broken_off_at_last_call(
    shards: Shards, scene: Scene, *flow: Any, **settings: Any
) -> tuple[Target, ExecutionId, list[HttpRequest]]:
    """Begin a run whose first calls are answered; its process is gone while the last one is out."""
    target = await target_of(scene, *flow, **settings)
    async with node(shards, "one") as one:
        one.shop.opens = len(flow) - 1
        one.shop.is_open.clear()
        execution_id = await send(one, target)
        async with asyncio.timeout(PATIENCE):
            while len(one.shop.requests) < len(flow):
                one.shop.reached.clear()
                await one.shop.reached.wait()
        for held in one.worker._held.values():  # noqa: SLF001  what a kill does, without the process
            assert held.task is not None
            held.task.cancel()
        one.worker._held.clear()  # noqa: SLF001
        requests = list(one.shop.requests)
    async with scene.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.queue SET lease_until = now() - interval '1 s'")
    return target, execution_id, requests
