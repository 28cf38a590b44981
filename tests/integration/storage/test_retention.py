"""Runs go when their time is over or their organization has too much of them, and never while they are not over."""

from datetime import UTC, datetime, timedelta

import pytest

from integration.storage.conftest import MIB
from make_bridge.domain.executions import store
from make_bridge.domain.executions.model import Status
from make_bridge.kernel.ids import Retention
from support.endings import parked
from support.past import past_id, run_in_the_past

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")
TABLES = ("executions", "payloads", "outcomes", "execution_logs")


async def runs(place, days, count, **changes):
    return [(await run_in_the_past(place, days, number=number, **changes)).id for number in range(count)]


# --- by age


async def test_two_organizations_keep_their_runs_for_as_long_as_each_says(ground):
    await ground.limit(ground.acme, days=7)
    await ground.limit(ground.other, days=35)
    old = {place: await runs(place, 20, 3) for place in (ground.acme, ground.other)}
    young = {place: await runs(place, 5, 3) for place in (ground.acme, ground.other)}
    gone = await runs(ground.other, 38, 2)
    await ground.care()
    for table in TABLES:
        assert await ground.left(ground.acme, table) == set(young[ground.acme]), table
        assert await ground.left(ground.other, table) == {*old[ground.other], *young[ground.other]}, table
    assert not set(gone) & await ground.left(ground.other)


async def test_the_last_whole_day_that_is_kept_is_kept(ground):
    [kept] = await runs(ground.acme, 30, 1)
    await runs(ground.acme, 31, 1)
    await ground.care(days=30)
    assert await ground.left(ground.acme) == {kept}


async def test_a_day_that_nobody_keeps_any_more_goes_as_a_whole_and_gives_its_space_back(ground):
    await runs(ground.acme, 35, 20, body=100_000)
    size = (
        "SELECT sum(pg_total_relation_size(inhrelid))::bigint AS size FROM pg_inherits WHERE inhparent = %s::regclass"
    )
    [before] = await ground.owner(size, "shard.payloads")
    metrics = await ground.care()
    [after] = await ground.owner(size, "shard.payloads")
    assert before["size"] - after["size"] >= 20 * 100_000
    day = f"{datetime.now(UTC).date() - timedelta(days=35):%Y%m%d}"
    for table in (*TABLES, "journal"):
        assert not any(name.endswith(day) for name in await ground.partitions(table))
    [dropped] = [
        line for line in metrics.render().decode().splitlines() if line.startswith("storage_partitions_dropped_total")
    ]
    assert float(dropped.split()[-1]) >= 15
    assert (await ground.stored(ground.acme))["runs"] == 0


async def test_a_partition_stays_while_anybody_on_the_shard_keeps_its_day(ground):
    await ground.limit(ground.other, days=365)
    [kept] = await runs(ground.other, 36, 1)
    await runs(ground.acme, 36, 2)
    await ground.care()
    day = f"{datetime.now(UTC).date() - timedelta(days=36):%Y%m%d}"
    assert f"executions_1_{day}" in await ground.partitions()
    assert await ground.left(ground.other) == {kept}
    assert await ground.left(ground.acme) == set()


async def test_runs_of_every_class_go(ground):
    await ground.limit(ground.other, days=365)
    for retention in Retention:
        run = ground.acme.run(id=past_id(ground.shard, 33, retention=retention))
        await store.accept(ground.shard, [run])
        await store.settle(ground.shard, [ground.acme.outcome(run)], "me")
    await ground.care()
    assert await ground.left(ground.acme) == set()


async def test_runs_of_a_scenario_that_was_deleted_go_too(ground):
    await ground.limit(ground.other, days=365)
    await runs(ground.acme, 33, 2)
    await ground.owner(
        "INSERT INTO shard.past_scenarios (organization_id, team_id, scenario_id) VALUES (%s, %s, %s)",
        ground.acme.organization_id,
        ground.acme.team_id,
        ground.acme.scenario_id,
    )
    await ground.owner("DELETE FROM shard.scenarios WHERE id = %s", ground.acme.scenario_id)
    await ground.care()
    assert await ground.left(ground.acme) == set()


# --- what is not over


async def unfinished(ground, days):
    """Runs so many days ago that wait, run, are incomplete, were tried again, or were given up; by what they are."""
    place, shard = ground.acme, ground.shard
    waiting = await run_in_the_past(place, days, ends=False, number=1, body=2000)
    running = await run_in_the_past(place, days, ends=False, number=2, body=2000)
    await ground.owner("UPDATE shard.queue SET lease_owner = NULL, lease_until = NULL WHERE id = %s::uuid", waiting.id)
    incomplete = place.run(id=past_id(shard, days, millisecond=3), body=b"x" * 2000)
    await store.accept(shard, [incomplete])
    stopped = place.outcome(incomplete, Status.WARNING, parked=[parked()])
    assert await store.settle(shard, [stopped], "me") == {incomplete.id}
    tried = await run_in_the_past(place, days, number=4, body=2000)
    [record] = await place.records()
    await ground.owner(
        "INSERT INTO shard.incomplete_attempts (incomplete_id, execution_id, organization_id) VALUES (%s, %s, %s)",
        record["id"],
        tried.id,
        place.organization_id,
    )
    given_up = await run_in_the_past(place, days, number=5, body=2000)
    await ground.owner(
        "INSERT INTO shard.dead_letters (id, organization_id, team_id, scenario_id, kind, reason, attempts)"
        " VALUES (%s, %s, %s, %s, 'scenario.execute', 'crashed', 3)",
        given_up.id,
        place.organization_id,
        place.team_id,
        place.scenario_id,
    )
    found = {"waiting": waiting, "running": running, "incomplete": incomplete, "tried": tried, "given up": given_up}
    return {name: run.id for name, run in found.items()}


@pytest.mark.parametrize("everybody", [True, False], ids=["whole partitions", "in batches"])
async def test_nothing_goes_that_is_not_over_however_old(ground, everybody):
    if not everybody:
        await ground.limit(ground.other, days=365)
    kept = await unfinished(ground, 33)
    await runs(ground.acme, 33, 3)
    await ground.care()
    there = await ground.left(ground.acme)
    assert {name for name, run_id in kept.items() if run_id not in there} == set()
    bodies = await ground.left(ground.acme, "payloads")
    assert {name for name, run_id in kept.items() if run_id not in bodies} == set()


async def test_what_was_kept_goes_once_it_is_over(ground):
    await ground.limit(ground.other, days=365)
    kept = await unfinished(ground, 33)
    await ground.care()
    await ground.owner("UPDATE shard.incomplete_executions SET resolved = true, resolved_at = now()")
    await ground.owner("UPDATE shard.dead_letters SET replayed_at = now()")
    await ground.owner("DELETE FROM shard.queue")
    await ground.owner("UPDATE shard.storage_days SET looked_at = '-infinity'")
    await ground.care()
    assert not set(kept.values()) & await ground.left(ground.acme)


async def test_nothing_goes_by_size_that_is_not_over(ground):
    await ground.limit(ground.acme, bytes=MIB)
    kept = await unfinished(ground, 3)
    await runs(ground.acme, 3, 40, body=60_000)
    await ground.owner("UPDATE shard.storage_days SET bytes = bytes * 100")
    await ground.care()
    there = await ground.left(ground.acme, "payloads")
    assert {name for name, run_id in kept.items() if run_id not in there} == set()


# --- by size


async def test_over_its_bytes_an_organization_keeps_runs_without_bodies_the_oldest_first(ground):
    await ground.limit(ground.acme, bytes=2 * MIB)
    oldest, newest = await runs(ground.acme, 9, 30, body=50_000), await runs(ground.acme, 2, 30, body=50_000)
    others = await runs(ground.other, 9, 30, body=50_000)
    await ground.care(batch=5)
    assert await ground.left(ground.acme) == {*oldest, *newest}
    bodies = await ground.left(ground.acme, "payloads")
    assert set(newest) <= bodies
    assert len(set(oldest) & bodies) < 20
    assert await ground.left(ground.other, "payloads") == set(others)
    stored = await ground.stored(ground.acme)
    assert stored["bytes"] <= 2 * MIB
    assert stored["runs"] == 60
    [real] = await ground.owner(
        "SELECT sum(octet_length(body))::bigint AS size FROM shard.payloads WHERE organization_id = %s",
        ground.acme.organization_id,
    )
    assert MIB < real["size"] <= 2 * MIB


async def test_without_bodies_whole_runs_go(ground):
    await ground.limit(ground.acme, bytes=MIB)
    ids = await runs(ground.acme, 9, 10)
    await ground.care()
    await ground.owner("UPDATE shard.storage_days SET bytes = bytes + 1048576, body_bytes = 0")
    await ground.care(batch=2)
    assert len(await ground.left(ground.acme)) < len(ids)


async def test_who_is_within_both_loses_nothing(ground):
    ids = await runs(ground.acme, 9, 10, body=1000)
    for _ in range(3):
        await ground.care()
    for table in TABLES:
        assert await ground.left(ground.acme, table) == set(ids), table


# --- measuring


async def test_each_run_is_measured_once_and_near_what_it_takes(ground):
    ids = await runs(ground.acme, 4, 60, body=20_000)
    await ground.care(batch=7)
    first = await ground.stored(ground.acme)
    await ground.care(batch=7)
    assert await ground.stored(ground.acme) == first
    assert first["runs"] == len(ids)
    day = f"{datetime.now(UTC).date() - timedelta(days=4):%Y%m%d}"
    [real] = await ground.owner(
        "SELECT sum(pg_total_relation_size(inhrelid))::bigint AS size FROM pg_inherits"
        " WHERE inhrelid::regclass::text LIKE %s",
        f"shard.%\\_{day}",
    )
    assert 0.6 < first["bytes"] / real["size"] < 1.4


async def test_a_run_is_measured_when_it_has_settled(ground):
    run = ground.acme.run()
    await store.accept(ground.shard, [run])
    await ground.care(settle_seconds=600.0)
    assert (await ground.stored(ground.acme))["runs"] == 0
    await ground.care(settle_seconds=0.0)
    assert (await ground.stored(ground.acme))["runs"] == 1


async def test_who_leads_no_more_stops(ground):
    await ground.limit(ground.other, days=365)
    ids = await runs(ground.acme, 33, 4)

    async def never():
        return False

    await ground.care(leads=never)
    assert await ground.left(ground.acme) == set(ids)


async def test_bytes_and_ages_are_shown_by_kind(ground):
    await runs(ground.acme, 4, 3, body=20_000)
    metrics = await ground.care()
    said = metrics.render().decode()
    assert 'storage_bytes{kind="payloads",shard="0"}' in said
    [age] = [line for line in said.splitlines() if line.startswith('storage_oldest_seconds{kind="executions"')]
    assert float(age.split()[-1]) >= 0


# --- whom it stays away from


async def test_no_partition_goes_while_an_organization_moves(ground):
    await runs(ground.acme, 35, 1)
    await ground.owner(
        "INSERT INTO shard.movements (organization_id, state, fence) VALUES (%s, 'leaving', 1)",
        ground.other.organization_id,
    )
    before = await ground.partitions()
    await ground.care()
    assert await ground.partitions() == before
    await ground.owner("DELETE FROM shard.movements")
    await ground.care()
    assert await ground.partitions() < before
