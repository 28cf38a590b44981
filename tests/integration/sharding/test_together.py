"""What all servers together may open: those that run, in the order in which they came, each with its own pools."""

import pytest

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.database.budget import KEPT_FREE, most_connections
from make_bridge.platform.sharding.together import Demand, demands, require_room


async def test_servers_are_counted_in_the_order_in_which_they_came(installation, shards):
    size = installation.opening.limits.max_size
    each = most_connections(size, directories=1, shards=len(shards.all()))
    assert [(one.servers, one.most) for one in await demands(shards)] == [(0, 0)]
    watches = [await installation.watch(shards, name) for name in ("b", "a")]
    for watch in watches:
        await watch.look()
    assert [(one.servers, one.most) for one in await demands(shards)] == [(2, 2 * each)]
    names = [watch._server for watch in watches]  # noqa: SLF001 - what it calls itself
    assert [one.servers for name in names for one in await demands(shards, name)] == [1, 2]
    assert [one.servers for one in await demands(shards, "nobody")] == [0]


async def test_who_is_one_too_many_is_told_what_to_do(installation, shards):
    watch = await installation.watch(shards, "huge")
    await watch.look()
    async with shards.directory.statement() as tx:
        await tx.execute("UPDATE directory.shard_views SET connections = 1000")
    with pytest.raises(ConfigurationError, match="have to stay free: lower MAKE_BRIDGE_DATABASE_CONNECTIONS"):
        await require_room(shards, watch._server, within=0.0)  # noqa: SLF001
    async with shards.directory.statement() as tx:
        await tx.execute("UPDATE directory.shard_views SET seen_at = now() - interval '11 seconds'")
    await require_room(shards, watch._server, within=0.0)  # noqa: SLF001


@pytest.mark.parametrize(("most", "is_too_much"), [(100 - KEPT_FREE, False), (100 - KEPT_FREE + 1, True)])
def test_some_stay_free(most, is_too_much):
    demand = Demand(where=("localhost", "5432"), servers=2, most=most, allowed=100)
    assert demand.is_too_much is is_too_much
