"""The map in a real directory: versions, states, pins, and shards that come and go while processes run."""

import asyncio
from dataclasses import replace

import pytest

from integration.sharding.conftest import place
from make_bridge.domain.organizations import shard_store, store
from make_bridge.domain.organizations.facts import require_same_root_key
from make_bridge.domain.organizations.overview import ListedOrganization, overview
from make_bridge.domain.organizations.root_rotation import RootRotation
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound, Unavailable
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security.root_key import RootKey, RootKeys
from make_bridge.platform.sharding import moving_store
from make_bridge.platform.sharding.balance import Balance, imbalance
from make_bridge.platform.sharding.config import BalanceConfig
from make_bridge.platform.sharding.map import read_map
from make_bridge.platform.sharding.moving_plan import plan
from make_bridge.platform.sharding.watching import servers_with, servers_without


async def current(shards):
    async with shards.directory.read() as tx:
        return await read_map(tx)


async def test_the_version_rises_with_each_change_of_a_shard_and_with_nothing_else(installation, shards):
    service = installation.service(shards)
    before = await current(shards)
    await place(shards, 0)
    await installation.process()
    assert (await current(shards)).version == before.version
    await service.weigh(7, 50)
    after = await current(shards)
    assert after.version == before.version + 1
    assert {number: shard.weight for number, shard in after.shards.items()} == {0: 100, 7: 50}
    assert before.shards[7].weight == 100
    with pytest.raises(InvalidInput):
        await service.weigh(7, 1001)
    with pytest.raises(NotFound):
        await service.weigh(9, 100)


async def test_a_pin_comes_before_the_ring(installation, shards):
    service = installation.service(shards)
    somebody = await place(shards, 0)
    shard_map = await current(shards)
    other = 7 if shard_map.proposal(somebody) == 0 else 0

    async def wanted():
        homes = await moving_store.homes(shards.directory)
        return next((step.target for step in plan(homes, shard_map)), homes[somebody].shard)

    assert await wanted() == shard_map.proposal(somebody)
    assert await service.pin(somebody, other) == 0
    assert await wanted() == other
    await service.pin(somebody, None)
    assert await wanted() == shard_map.proposal(somebody)
    with pytest.raises(NotFound):
        await service.pin(somebody, 9)
    with pytest.raises(NotFound):
        await service.pin(somebody + 1024, 0)


async def test_nobody_is_placed_on_a_shard_that_is_being_removed(installation, shards):
    service = installation.service(shards)
    async with shards.directory.write() as tx:
        rows = await tx.all("INSERT INTO directory.organizations (name) VALUES ('Late') RETURNING id")
    organization_id = rows[0]["id"]
    async with shards.directory.write() as tx:
        assert await store.place(tx, organization_id, 7) == 7
        removing = asyncio.create_task(service.remove(7))
        done, _ = await asyncio.wait({removing}, timeout=0.2)
        assert not done, "it waits for who is being placed there"
    with pytest.raises(Conflict, match="1 organizations live on shard 7"):
        await removing

    async with shards.directory.write() as tx:
        await tx.execute("DELETE FROM directory.placements")
    await service.remove(7)
    async with shards.directory.write() as tx:
        with pytest.raises(Unavailable):
            await store.place(tx, organization_id, 7)
    with pytest.raises(Conflict, match="no shard would take"):
        await service.remove(0)
    with pytest.raises(Conflict, match="never given"):
        await service.join(7, await installation.empty(), 100)
    assert [shard.number for shard in (await installation.process()).all()] == [0]


async def test_every_process_opens_what_is_added_and_closes_what_is_removed(installation, shards):
    service, other = installation.service(shards), await installation.process()
    watches = [await installation.watch(one, name) for one, name in ((shards, "a"), (other, "b"))]
    for watch in watches:
        await watch.look()
    assert (await servers_with(shards, 7), await servers_without(shards, 7)) == (2, 0)
    assert (await servers_with(shards, 3), await servers_without(shards, 3)) == (0, 2)
    await service.join(3, await installation.empty(), 200)
    assert shards.propose(await place(shards, 0)) in {0, 7}

    async def seen_by_all(numbers):
        for watch in watches:
            await watch.look()
        return all(sorted(shard.number for shard in one.all()) == numbers for one in (shards, other))

    await eventually(lambda: seen_by_all([0, 3, 7]))
    await eventually(lambda: nobody(watches, servers_without(shards, 3)))
    assert 3 not in {shards.propose(await place(shards, 0)) for _ in range(10)}, "it is joining"
    await service.activate(3)
    await eventually(lambda: knows_weight(watches, shards))
    with pytest.raises(Conflict):
        await service.activate(3)
    assert 3 in {shards.propose(await place(shards, 0)) for _ in range(20)}

    await service.remove(3)
    await eventually(lambda: seen_by_all([0, 7]))
    await eventually(lambda: nobody(watches, servers_with(shards, 3)))
    with pytest.raises(Unavailable):
        shards.numbered(3)


async def test_an_addition_that_broke_off_is_finished_and_what_is_used_is_refused(installation, shards, monkeypatch):
    service, database = installation.service(shards), await installation.empty()
    async with shards.directory.write() as tx:
        await shard_store.begin(tx, 3, 100)
    await installation.opening.prepare_new(3, database)
    await service.join(3, database, 100)
    for number, message in ((4, "is shard 3 of an installation already"), (1024, "from 0 to 1023")):
        with pytest.raises((Conflict, InvalidInput), match=message):
            await service.join(number, database, 100)
    with pytest.raises(Conflict, match="holds the directory"):
        await service.join(4, installation.plan.directory.url, 100)
    assert 4 not in (await current(shards)).shards


async def test_addresses_are_sealed_and_outlive_a_rotation_of_the_root_key(installation, shards, tmp_path):
    await require_same_root_key(shards.directory, installation.roots)
    await installation.service(shards).join(3, await installation.empty(), 100)
    async with shards.directory.read() as tx:
        [row] = await tx.all("SELECT address FROM directory.shards WHERE number = 3")
    assert "dbname" not in row["address"]
    assert "password" not in row["address"]
    RootKey.create(tmp_path / "new.key")
    old, new = RootKey.load(tmp_path / "root.key"), RootKey.load(tmp_path / "new.key")
    await RootRotation(directory=shards.directory, old=old, new=new).begin()
    installation.roots = RootKeys(new)
    other = await installation.process()
    await installation.watch(other, "new")
    await eventually(lambda: opened(other, 3))


async def test_organizations_are_listed_once_in_order_over_pages_and_shards_also_without_one(installation, shards):
    made = [await place(shards, number, f"Integrator {index}") for index, number in enumerate((0, 7, 7, 0, 7))]
    team = "INSERT INTO shard.teams (organization_id, name) VALUES (%s, 'One')"
    for one in made[:2]:
        shard = await shards.of(one)
        async with shard.write(one) as tx:
            await tx.execute(team, (one,))
    found: list[ListedOrganization] = []
    after = 0
    while True:
        page = await overview(shards, after=after, limit=2)
        assert page.silent == {}
        found += page.organizations
        if page.after is None:
            break
        after = page.after
    assert [one.id for one in found] == made
    assert [one.figures and one.figures.teams for one in found] == [1, 1, 0, 0, 0]
    assert [one.id for one in (await overview(shards, shard=7)).organizations] == [made[1], made[2], made[4]]
    async with shards.directory.write() as tx:
        await tx.execute("UPDATE directory.placements SET shard = 0, epoch = 2 WHERE organization_id = %s", (made[2],))
    await shards.dismiss(7)
    page = await overview(shards)
    assert [one.id for one in page.organizations] == made
    assert [one.figures is None for one in page.organizations] == [False, True, False, False, True]
    assert list(page.silent) == [7]
    with pytest.raises(InvalidInput):
        await overview(shards, limit=501)


async def test_a_shard_that_carries_most_shows_as_imbalance(installation, shards):
    metrics = Metrics()
    for number in (0, 7, 7):
        await place(shards, number)

    async def organizations():
        return await installation.service(shards).counts()

    async def moves():
        return await moving_store.standing(shards.directory)

    balance = Balance(shards, organizations, moves, metrics.shards, BalanceConfig(seconds=0.1, most=1.2))
    assert await balance.look() == 1.0
    somebody = await place(shards, 7)
    queue = (
        "INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, class, ready_at, kind) "
        "SELECT gen_random_uuid(), %s, 1, 1, 1, now(), 'execution' FROM generate_series(1, 40)"
    )
    async with shards.numbered(7).engine_statement() as tx:
        await tx.execute(queue, (somebody,))
    assert await balance.look() > 1.9
    told = metrics.render().decode()
    assert 'shard_organizations{shard="7"} 3.0' in told
    assert 'shard_load{shard="7"} 40.0' in told
    assert "shard_imbalance 2.0" in told
    assert 'shard_moves{state="running"} 0.0' in told
    assert imbalance({0: 10.0, 1: 20.0}) == pytest.approx(4 / 3)
    assert imbalance({}) == 1.0


async def eventually(check):
    for _ in range(100):
        if await check():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came")


async def nobody(watches, counting):
    for watch in watches:
        await watch.look()
    return await counting == 0


async def knows_weight(watches, shards):
    for watch in watches:
        await watch.look()
    return shards.map.shards[3] == replace(shards.map.shards[3], state="active", weight=200)


async def opened(shards, number):
    return number in {shard.number for shard in shards.all()}
