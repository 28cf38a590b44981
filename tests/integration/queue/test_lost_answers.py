"""The database commits an outcome and dies before it says so: the run has ended, once, and its waiter is told."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psycopg
import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.executions.model import NewRun, Outcome, Status
from make_bridge.domain.executions.perform import Performance
from make_bridge.domain.executions.worker import Machinery, Worker, WorkerConfig
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.ids import ScenarioId, TeamId, new_execution_id
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue import leases
from support.organizations import make_organization

PATIENCE = 20.0


class LosingShard(Shard):
    """A shard whose server process is killed once: before a statement (it is undone) or after it (it is committed)."""

    def __init__(self, shard, owner_dsn):
        super().__init__(shard.number, shard._app, shard.engine)  # noqa: SLF001 - a stand-in for it
        self._owner_dsn = owner_dsn
        self.lose = None
        self.before_retry = None

    @asynccontextmanager
    async def engine_statement(self):
        losing, self.lose = self.lose, None
        if losing is None and self.before_retry is not None:
            await self.before_retry()
        async with super().engine_statement() as tx:
            if losing == "before":
                await self._kill(tx)
            yield tx
            if losing == "after":
                await self._kill(tx)

    async def _kill(self, tx):
        row = await tx.one("SELECT pg_backend_pid() AS pid")
        async with await psycopg.AsyncConnection.connect(self._owner_dsn, autocommit=True) as connection:
            await connection.execute("SELECT pg_terminate_backend(%s, 5000)", (row["pid"],))
        await tx.execute("SELECT 1")


class Told:
    """The waiters: notes which outcomes they were told of."""

    def __init__(self):
        self.ids = []

    def settled(self, outcome):
        self.ids.append(outcome.id)


class Performer:
    """Carries nothing out and has the outcome at once."""

    async def perform(self, run, program, bundles, *, fence, **more):
        return Performance(outcome=outcome_of(run, fence), result=None)


def outcome_of(run, fence):
    return Outcome(
        id=run.id,
        fence=fence,
        organization_id=run.organization_id,
        team_id=run.team_id,
        scenario_id=run.scenario_id,
        status=Status.SUCCESS,
        duration_ms=5,
        operations=3,
        transfer=10,
        detail=b"{}",
        steps=b"[]",
    )


class Scene:
    """A worker with one run, on a shard that can lose an answer."""

    def __init__(self, organization, shard, directory):
        self.shard = shard
        self.told = Told()
        self.metrics = Metrics()
        self.run = NewRun(
            id=new_execution_id(shard=shard.number),
            organization_id=organization.organization_id,
            team_id=TeamId(organization.team_id),
            scenario_id=ScenarioId(77),
            blueprint_version=1,
            origin="webhook",
            seed=1,
            head=b"{}",
            body=b"",
            owner="me",
        )
        # What a run needs to begin is not asked for: this one only ends.
        unasked: Any = None
        performer: Any = Performer()
        told: Any = self.told
        machinery = Machinery(
            shards=Shards(directory, {shard.number: shard}, SystemClock()),
            programs=unasked,
            performer=performer,
            waiting=told,
            metrics=self.metrics,
            resuming=unasked,
            payloads=unasked,
            answers=unasked,
        )
        self.worker = Worker(machinery, WorkerConfig(node="me"))

    async def carry_out(self, lose, before_retry=None):
        """Accept the run leased to this worker and carry it out; a worker that has stopped is done with it."""
        await store.accept(self.shard, [self.run])
        self.shard.lose, self.shard.before_retry = lose, before_retry
        program: Any = None
        self.worker.begin(self.shard, self.run, program, [], None)
        async with asyncio.timeout(PATIENCE):
            await self.worker.stop()

    async def stored_by(self):
        async with self.shard.engine_write() as tx:
            return [
                row["node"] for row in await tx.all("SELECT node FROM shard.outcomes WHERE id = %s", (self.run.id,))
            ]

    def count(self, name):
        lines = self.metrics.render().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


@pytest.fixture
async def scene(shards, postgres, layout):
    organization = await make_organization(shards)
    shard = LosingShard(await shards.of(organization.organization_id), postgres.owner_dsn)
    return Scene(organization, shard, shards.directory)


@pytest.mark.parametrize("lose", ["after", "before"])
async def test_an_outcome_whose_answer_was_lost_counts_once_and_is_told(scene, lose):
    await scene.carry_out(lose)
    assert await scene.stored_by() == ["me"]
    assert scene.told.ids == [scene.run.id]
    assert scene.count("settles_refused_total") == 0
    assert scene.count("executions_total") == 1


@pytest.mark.parametrize("node", ["other", "me"])
async def test_an_outcome_that_another_was_quicker_with_is_refused_all_the_same(scene, node):
    async def take_over():
        scene.shard.before_retry = None
        async with scene.shard.engine_write() as tx:
            await tx.execute(
                "UPDATE shard.queue SET lease_until = now() - interval '1s' WHERE id = %s", (scene.run.id,)
            )
        await leases.sweep(scene.shard)
        [lease] = await leases.claim(scene.shard, node, 1)
        scene.shard.before_retry = None
        slower = msgspec.structs.replace(outcome_of(scene.run, lease.fence), duration_ms=6)
        assert await store.settle(scene.shard, [slower], node) == {scene.run.id}

    await scene.carry_out("before", take_over)
    assert await scene.stored_by() == [node]
    assert scene.told.ids == []
    assert scene.count("settles_refused_total") == 1


async def test_a_heartbeat_between_the_lost_answer_and_the_retry_cancels_nothing(scene, monkeypatch):
    beaten, beat = asyncio.Event(), leases.beat

    async def beats(shard, held):
        kept = await beat(shard, held)
        if scene.run.id not in kept:
            asyncio.get_running_loop().call_soon(beaten.set)
        return kept

    monkeypatch.setattr(leases, "beat", beats)
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.01)
    await scene.worker.start()
    await scene.carry_out("after", beaten.wait)
    assert scene.told.ids == [scene.run.id]
    assert (scene.count("leases_lost_total"), scene.count("settles_refused_total")) == (0, 0)
