"""Claiming, fencing, sweeping and settling on a real database."""

import asyncio

import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.executions.model import NewRun, Outcome, Status
from make_bridge.kernel.ids import ScenarioId, TeamId, new_execution_id
from make_bridge.platform.queue import leases
from support.organizations import make_organization

_ONE_PARTITION = """
SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'shard.payloads'::regclass LIMIT 1
"""


@pytest.fixture
async def organization(shards):
    return await make_organization(shards)


@pytest.fixture
async def shard(shards, organization):
    opened = await shards.of(organization.organization_id)
    async with opened.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
    return opened


def new_run(organization, *, owner=None, ordering_key=None, scenario=77):
    return NewRun(
        id=new_execution_id(),
        organization_id=organization.organization_id,
        team_id=TeamId(organization.team_id),
        scenario_id=ScenarioId(scenario),
        blueprint_version=1,
        origin="webhook",
        seed=1,
        head=b"{}",
        body=b"\x00\xff body",
        owner=owner,
        ordering_key=ordering_key,
    )


def outcome_of(run, fence, **changes):
    values = {
        "id": run.id,
        "fence": fence,
        "organization_id": run.organization_id,
        "team_id": run.team_id,
        "scenario_id": run.scenario_id,
        "status": Status.SUCCESS,
        "duration_ms": 5,
        "operations": 3,
        "transfer": 10,
        "detail": b"{}",
        "steps": b"[]",
    }
    return Outcome(**{**values, **changes})


async def expire(shard, *runs):
    async with shard.engine_write() as tx:
        ids = [run.id for run in runs]
        await tx.execute(
            "UPDATE shard.queue SET lease_until = now() - interval '1s' WHERE id = ANY(%s::uuid[])", (ids,)
        )


async def outcomes(shard, run):
    async with shard.engine_write() as tx:
        return await tx.all("SELECT status, operations FROM shard.outcomes WHERE id = %s", (run.id,))


async def test_a_run_is_claimed_once_by_many_at_once(shard, organization):
    runs = [new_run(organization) for _ in range(40)]
    await store.accept(shard, runs)
    claimed = await asyncio.gather(*(leases.claim(shard, f"node-{n}", 10) for n in range(8)))
    ids = [lease.id for batch in claimed for lease in batch]
    assert sorted(ids) == sorted(run.id for run in runs)


async def test_a_run_accepted_as_leased_is_not_claimed(shard, organization):
    await store.accept(shard, [new_run(organization, owner="me")])
    assert await leases.claim(shard, "other", 10) == []


async def test_the_payload_comes_back_byte_for_byte(shard, organization):
    run = new_run(organization)
    await store.accept(shard, [run])
    async with shard.read(run.organization_id) as tx:
        row = await store.read_run(tx, run.organization_id, run.id)
    assert row is not None
    assert bytes(row["body"]) == run.body


async def test_settling_ends_a_run_and_counts_its_use(shard, organization):
    run = new_run(organization, owner="me")
    await store.accept(shard, [run])
    assert await store.settle(shard, [outcome_of(run, 1)], "me") == {run.id}
    assert [row["operations"] for row in await outcomes(shard, run)] == [3]
    async with shard.engine_write() as tx:
        assert await tx.one("SELECT 1 FROM shard.queue WHERE id = %s", (run.id,)) is None
        [usage] = await tx.all("SELECT * FROM shard.usage_daily WHERE organization_id = %s", (run.organization_id,))
    assert (usage["operations"], usage["data_transfer"], usage["executions"]) == (3, 10, 1)


async def test_a_holder_that_slept_past_its_lease_is_refused(shard, organization):
    run = new_run(organization, owner="sleeper")
    await store.accept(shard, [run])
    await expire(shard, run)
    assert await leases.sweep(shard) == 1
    [lease] = await leases.claim(shard, "other", 10)
    assert lease.fence > 1
    assert await store.settle(shard, [outcome_of(run, 1, status=Status.ERROR)], "sleeper") == set()
    assert await outcomes(shard, run) == []
    assert await store.settle(shard, [outcome_of(run, lease.fence)], "other") == {run.id}
    assert [row["status"] for row in await outcomes(shard, run)] == [Status.SUCCESS]


async def test_a_settled_run_cannot_be_settled_again(shard, organization):
    run = new_run(organization, owner="me")
    await store.accept(shard, [run])
    results = await asyncio.gather(*(store.settle(shard, [outcome_of(run, 1)], "me") for _ in range(4)))
    assert sum(len(settled) for settled in results) == 1
    assert len(await outcomes(shard, run)) == 1


async def test_a_heartbeat_keeps_what_is_held_and_tells_what_was_lost(shard, organization):
    kept, lost = new_run(organization, owner="me"), new_run(organization, owner="me")
    await store.accept(shard, [kept, lost])
    await expire(shard, lost)
    await leases.sweep(shard)
    assert await leases.beat(shard, [(kept.id, 1), (lost.id, 1)]) == {kept.id}


async def test_a_sweep_leaves_living_leases_alone(shard, organization):
    await store.accept(shard, [new_run(organization, owner="me")])
    assert await leases.sweep(shard) == 0


async def test_a_lease_handed_back_is_claimed_at_once(shard, organization):
    run = new_run(organization, owner="leaving")
    await store.accept(shard, [run])
    assert await leases.hand_back(shard, [(run.id, 1)]) == 1
    [lease] = await leases.claim(shard, "other", 10)
    assert lease.id == run.id
    assert await store.settle(shard, [outcome_of(run, 1)], "leaving") == set()


async def test_runs_in_order_are_claimed_one_at_a_time_in_order_of_arrival(shard, organization):
    runs = [new_run(organization, ordering_key="", scenario=88) for _ in range(3)]
    for run in runs:
        await store.accept(shard, [run])
    seen = []
    for _ in runs:
        claims = await asyncio.gather(*(leases.claim(shard, f"node-{n}", 10) for n in range(3)))
        [lease] = [lease for batch in claims for lease in batch]
        seen.append(lease.id)
        run = next(run for run in runs if run.id == lease.id)
        await store.settle(shard, [outcome_of(run, lease.fence)], "node")
    assert seen == [run.id for run in runs]


async def test_a_run_carried_out_before_it_was_stored_is_whole(shard, organization):
    run = new_run(organization)
    await store.accept_settled(shard, [(run, outcome_of(run, 0))], "me")
    assert len(await outcomes(shard, run)) == 1
    async with shard.read(run.organization_id) as tx:
        detail = await store.read_detail(tx, run.organization_id, run.scenario_id, run.id)
    assert detail is not None
    assert detail["status"] == Status.SUCCESS
    assert await leases.claim(shard, "other", 10) == []


async def test_another_organization_sees_none_of_it(shards, shard, organization):
    run = new_run(organization)
    await store.accept(shard, [run])
    stranger = (await make_organization(shards, "Stranger")).organization_id
    for table in ("executions", "payloads", "queue"):
        async with (await shards.of(stranger)).read(stranger) as tx:
            assert await tx.all(f"SELECT * FROM shard.{table} WHERE id = %s", (run.id,)) == []  # noqa: S608


async def test_the_serving_role_cannot_read_a_partition_directly(shard, organization):
    run = new_run(organization)
    await store.accept(shard, [run])
    async with shard.engine_write() as tx:
        [found] = await tx.all(_ONE_PARTITION)
    with pytest.raises(Exception, match="permission denied"):
        async with shard.engine_write() as tx:
            await tx.all(f"SELECT * FROM {found['name']}")  # noqa: S608
