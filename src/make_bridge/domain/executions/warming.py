"""Warming up: a server that starts compiles the programs that ran last before anybody asks for them.

Otherwise the first calls after a start all read and compile at once, just when a new server takes over from an old one.
Called once by ``boot``, between opening the databases and serving. Programs alone are worth it: whatever else is
remembered near ends after seconds. It is bounded twice, by a number and by time, and nothing depends on it: what is not
warm by then, or cannot be read or compiled, is so when it is asked for.
"""

import asyncio

import structlog

from make_bridge.domain.executions import warming_store
from make_bridge.domain.executions.programs import Programs
from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.cache.config import WarmConfig
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.sharding.scatter import scatter

_log = structlog.get_logger(__name__)


async def warm_up(shards: Shards, programs: Programs, config: WarmConfig) -> int:
    """Compile what ran last on each shard; return how many programs are warm."""
    opened = shards.all()
    if not config.programs or not opened:
        return 0
    of_each = max(config.programs // len(opened), 1)
    warm: list[int] = []
    began = asyncio.get_running_loop().time()

    async def warm_shard(shard: Shard) -> None:
        async with shard.engine_statement() as tx:
            found = await warming_store.last_run(tx, of_each)
        for organization_id, scenario_id, version in found:
            try:
                await programs.get(organization_id, scenario_id, version)
            except BridgeError:
                continue
            warm.append(scenario_id)

    silent = (await scatter(opened, warm_shard, seconds=config.seconds, at_once=len(opened))).silent
    seconds = asyncio.get_running_loop().time() - began
    _log.info("programs_warm", count=len(warm), seconds=round(seconds, 3), unfinished=sorted(silent))
    return len(warm)
