"""What the page of metrics takes from databases: how much waits, what is on, and whether promises hold."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from make_bridge.domain.executions import promise_store, store
from make_bridge.domain.executions.promise_store import broken_promises
from make_bridge.domain.scenarios.active_store import count_active
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.readings import Readings
from make_bridge.platform.queue.depth import CLASSES, depth_of
from make_bridge.wiring.readings import readings_of
from support.endings import make_place
from support.postgres import open_shards
from support.waiting import until_async

PATIENCE = 30.0
NONE: dict[str, list[str]] = {"execution_lost": [], "running_without_lease": [], "lane_held_twice": []}
_ADD = """
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, class, ordering_key, lease_until, holds_slot)
VALUES (gen_random_uuid(), %(organization)s, %(team)s, %(scenario)s, %(kind)s, %(class)s, %(key)s,
        now() + %(lease)s * interval '1 second', %(slot)s)
"""

_SWITCH = "UPDATE shard.scenarios SET state = %s, is_paused = %s, is_invalid = %s WHERE id = %s"
_MANY = """
INSERT INTO shard.scenarios (organization_id, team_id, name, state, used_packages, scheduling, interface)
SELECT s.organization_id, s.team_id, 'n', CASE WHEN n %% 10 = 0 THEN 'active' ELSE 'inactive' END, '{}', '{}', '{}'
FROM shard.scenarios s, generate_series(1, 5000) n WHERE s.id = %s
"""


@pytest.fixture
async def place(shards):
    made = await make_place(shards)
    async with made.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
    return made


async def add(place, *, queue_class=1, key=None, lease=None, kind="scenario.execute", slot=False):
    row = {"organization": place.organization_id, "team": place.team_id, "scenario": place.scenario_id}
    async with place.shard.engine_write() as tx:
        await tx.execute(_ADD, {**row, "class": queue_class, "key": key, "lease": lease, "kind": kind, "slot": slot})


async def test_what_waits_is_told_by_class_and_what_is_held_beside_it(place):
    for queue_class, count in enumerate((1, 2, 3, 4)):
        for _ in range(count):
            await add(place, queue_class=queue_class)
    await add(place, key="order-1")
    await add(place, kind="incomplete.retry")
    await add(place, lease=15)
    await add(place, lease=15)
    await add(place, lease=-60)
    depth = await depth_of(place.shard)
    assert depth.waiting == {"high": 1, "default": 2, "low": 3, "deferred": 4, "ordered": 1, "timer": 1}
    assert (depth.held, depth.overdue) == (3, 1)


async def test_what_waits_is_counted_up_to_a_bound(place, monkeypatch):
    monkeypatch.setattr("make_bridge.platform.queue.depth.MOST_COUNTED", 3)
    for _ in range(5):
        await add(place)
    assert (await depth_of(place.shard)).waiting["default"] == 3


async def test_a_scenario_is_active_while_it_is_on_and_runs(place):
    before = await count_active(place.shard)
    for change in (("inactive", False, False), ("active", True, False), ("active", False, True)):
        await place.execute(_SWITCH, *change, place.scenario_id)
        assert await count_active(place.shard) == before - 1
    await place.execute(_SWITCH, "active", False, False, place.scenario_id)
    assert await count_active(place.shard) == before


async def test_scenarios_are_counted_by_an_index_of_their_own(place, owner):
    await owner(_MANY, (place.scenario_id,))
    await owner("VACUUM ANALYZE shard.scenarios")
    [(body,)] = await owner("SELECT prosrc FROM pg_proc WHERE oid = 'shard.count_active_scenarios'::regproc")
    plan = await owner(f"EXPLAIN {body}")
    assert "Index Only Scan using scenarios_active" in str(plan)
    assert await count_active(place.shard) >= 500


async def test_runs_that_wait_are_held_or_have_ended_break_no_promise(place, at_once):
    runs = [place.run(owner=None), place.run()]
    await store.accept(place.shard, runs)
    ended = await place.end()
    found = await broken_promises(place.shard, timedelta(minutes=5))
    assert set(found["execution_lost"]) & {ended.id, *(run.id for run in runs)} == set()
    assert {**found, "execution_lost": []} == NONE


async def test_a_run_that_is_nowhere_is_lost(place, at_once):
    lost, kept = place.run(), place.run()
    await store.accept(place.shard, [lost, kept])
    async with place.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue WHERE id = %s", (lost.id,))
    found = await broken_promises(place.shard, timedelta(minutes=5))
    assert set(found["execution_lost"]) & {lost.id, kept.id} == {lost.id}


async def test_a_run_is_lost_only_a_minute_after_it_was_accepted(place):
    lost = place.run()
    await store.accept(place.shard, [lost])
    async with place.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue WHERE id = %s", (lost.id,))
    assert lost.id not in (await broken_promises(place.shard, timedelta(minutes=5)))["execution_lost"]


async def test_what_runs_without_a_lease_is_found(place):
    await add(place, key="order-1", slot=True)
    found = await broken_promises(place.shard, timedelta(minutes=5))
    assert [len(found[promise]) for promise in NONE] == [0, 1, 0]


async def test_two_of_one_order_held_at_once_are_found(place):
    for key in ("order-1", "order-1", "order-2"):
        await add(place, key=key, lease=15)
    await add(place, key="order-2", lease=-15)
    found = await broken_promises(place.shard, timedelta(minutes=5))
    assert [len(found[promise]) for promise in NONE] == [0, 0, 1]


async def test_the_figures_come_to_the_page_and_stay_when_the_database_goes(postgres):
    async with open_shards(postgres, "two") as opened:
        place = await make_place(opened)
        await add(place)
        metrics, told = Metrics(), asyncio.Event()

        async def count_live():
            told.set()
            return 3

        shards = Shards(opened.directory, {place.shard.number: place.shard}, SystemClock())
        async with readings_of(shards, count_live, metrics, every=0.05, patience=5.0):
            await told.wait()
            await until_async(
                shown(metrics, b'queue_depth{class="default"} 1.0'), "the depth is shown", within=PATIENCE
            )
            await until_async(shown(metrics, b"active_scenarios_total 1.0"), "scenarios are shown", within=PATIENCE)
            await place.shard.engine.close()
            failed = b'reading_failures_total{of="queue"} 2.0'
            await until_async(shown(metrics, failed), "the look fails", within=PATIENCE)
            assert b"active_scenarios_total 1.0" in metrics.render()
            assert b"sessions_live 3.0" in metrics.render()
        for promise in NONE:
            assert f'promises_broken_total{{promise="{promise}"}} 0.0'.encode() in metrics.render()


async def test_a_look_that_hangs_holds_up_no_other_and_grows_old():
    metrics, looks = Metrics(), list[None]()

    async def hang():
        await asyncio.Event().wait()

    async def look():
        looks.append(None)

    async def refuse():
        raise Unavailable("The database does not answer.")

    reads = {"queue": hang, "sessions": look, "scenarios": refuse}
    async with Readings(metrics.readings, reads, every=0.01, patience=0.05):

        async def enough():
            told = metrics.render()
            return len(looks) > 5 and b'reading_failures_total{of="queue"} 3.0' in told

        await until_async(enough, "the others go on", within=PATIENCE)
        ages = {name: age(metrics, name) for name in reads}
    assert ages["sessions"] < ages["queue"]
    assert ages["sessions"] < ages["scenarios"]


async def test_the_lag_of_the_loop_is_noted():
    metrics = Metrics()
    async with Readings(metrics.readings, {}, every=1.0, patience=1.0):

        async def noted():
            return b"event_loop_lag_seconds_count 2.0" in metrics.render()

        await until_async(noted, "the loop was looked at twice", within=PATIENCE)


def test_every_class_that_is_counted_is_declared():
    [declared] = [one for one in Metrics().declared if one.name == "queue_depth"]
    assert declared.labels[0].values == CLASSES


def shown(metrics, line):
    async def is_shown():
        return line in metrics.render()

    return is_shown


def age(metrics, of):
    name = f'reading_age_seconds{{of="{of}"}}'.encode()
    [line] = [line for line in metrics.render().splitlines() if line.startswith(name)]
    return float(line.rpartition(b" ")[2])


@pytest.fixture
def at_once(monkeypatch):
    """Look at runs as soon as they are accepted."""
    monkeypatch.setattr(promise_store, "_AGO", timedelta(seconds=-60))
    monkeypatch.setattr(promise_store, "_MOST", 100_000)


@pytest.fixture
async def owner(postgres, place):
    """Ask as the owner of a shard's database, whom no policy concerns."""
    async with place.shard.engine_write() as tx:
        row = await tx.one("SELECT current_database() AS name")
    async with await psycopg.AsyncConnection.connect(postgres.dsn(row["name"]), autocommit=True) as connection:

        async def ask(statement, parameters=None):
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

        yield ask
