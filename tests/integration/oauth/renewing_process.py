"""A process of its own that takes tokens as runs do, and says which; where the database is comes as an argument."""

import asyncio
import json
import sys

from make_bridge.domain.oauth.endpoints import Provider
from make_bridge.domain.oauth.keeping import TokenKeeper
from make_bridge.domain.oauth.model import OAuthLimits
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.database.pools import Directory, PoolLimits, Shard, open_pool
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.observability.metrics import Metrics
from support.organizations import data_keys_of


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(wanted):
    dsn, number, pools = wanted["dsn"], wanted["shard"], PoolLimits(max_size=3)
    async with (
        open_pool(dsn, "bridge_directory", pools) as directory,
        open_pool(dsn, "bridge_app", pools) as app,
        open_pool(dsn, "bridge_engine", pools) as engine,
        EgressClient(EgressConfig(policy=EgressPolicy.parse(["127.0.0.1"]))) as out,
    ):
        shards = Shards(Directory(directory), {number: Shard(number, app, engine)}, SystemClock())
        limits = OAuthLimits(plain_http=True, call_seconds=wanted["call_seconds"])
        keeper = TokenKeeper(shards, data_keys_of(shards), Provider(out=out, limits=limits), Metrics())
        say("ready")
        sys.stdin.readline()
        organization_id, connection_id = OrganizationId(wanted["organization"]), ComponentId(wanted["connection"])
        tokens = await asyncio.gather(
            *[keeper.token(organization_id, connection_id, url=wanted["url"]) for _ in range(wanted["runs"])]
        )
        say(json.dumps([token.access for token in tokens]))
        await keeper.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
