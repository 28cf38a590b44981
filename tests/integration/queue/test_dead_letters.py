"""What kills its workers is given up after three of them, told, and replayed when a person says so (F-63)."""

import asyncio
from typing import Any

import msgspec
import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.executions.dead_letter_handlers import DeadLetterHandlers
from make_bridge.domain.executions.dead_letter_messages import ListDeadLetters, ReplayDeadLetters
from make_bridge.domain.executions.resuming import Resuming
from make_bridge.domain.executions.worker import Machinery, Worker, WorkerConfig
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import Conflict, NotFound, Unavailable
from make_bridge.kernel.ids import new_execution_id
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue import leases
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import JobTypes
from support.endings import make_place
from support.organizations import administrator, data_keys_of

PATIENCE = 30.0
_BLUEPRINT = b'{"name":"Orders","flow":[],"metadata":{"version":1}}'


class Breaking:
    """Programs that cannot be had: every attempt meets this error."""

    def __init__(self, error):
        self.error = error
        self.asked = 0

    async def get(self, *_):
        self.asked += 1
        raise self.error


class Told:
    """The waiters."""

    def __init__(self):
        self.outcomes = []

    def settled(self, outcome):
        self.outcomes.append(outcome)


class Scene:
    """One worker on the shard of a place."""

    def __init__(self, shards, place, error):
        self.place, self.told, self.metrics, self.programs = place, Told(), Metrics(), Breaking(error)
        unasked: Any = None
        programs: Any = self.programs
        told: Any = self.told
        machinery = Machinery(
            shards=Shards(shards.directory, {place.shard.number: place.shard}, SystemClock()),
            programs=programs,
            performer=unasked,
            waiting=told,
            metrics=self.metrics,
            resuming=Resuming(programs=programs, documents=unasked),
            payloads=unasked,
            answers=unasked,
        )
        self.worker = Worker(machinery, WorkerConfig(node="me", idle_poll=0.02))

    def count(self, series="dead_letters_total"):
        lines = self.metrics.render().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} "))


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - what is waited for is a row
            await asyncio.sleep(0.01)


async def letters(place):
    return await place.all("SELECT * FROM shard.dead_letters")


async def silence(place):
    """Let whoever holds something have been silent for too long."""
    async with place.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.queue SET lease_until = now() - interval '1s' WHERE lease_until IS NOT NULL")


@pytest.fixture
async def place(shards):
    return await make_place(shards)


async def kill_three_workers(place, run):
    for n in range(3):
        [lease] = await leases.claim(place.shard, f"node-{n}", 10)
        assert lease.id == run.id
        await silence(place)
        await leases.sweep(place.shard)


async def test_a_run_that_three_workers_died_of_is_ended_and_told(shards, place):
    run = place.run(owner=None)
    await store.accept(place.shard, [run])
    await kill_three_workers(place, run)
    scene = Scene(shards, place, RuntimeError("never asked"))
    await scene.worker.start()

    async def is_told():
        return bool(scene.told.outcomes)

    await until(is_told)
    await scene.worker.stop()
    [letter] = await letters(place)
    assert (letter["id"].hex, letter["attempts"], letter["last_node"]) == (run.id, 3, "node-2")
    [outcome] = await place.all("SELECT * FROM shard.outcomes WHERE id = %s", run.id)
    assert outcome["status"] == 3
    detail = msgspec.json.decode(bytes(outcome["detail"]))
    assert detail["error"]["name"] == "WorkerLostError"
    assert "3 times" in detail["error"]["message"]
    assert await place.all("SELECT 1 FROM shard.queue") == []
    assert (scene.count(), scene.programs.asked) == (1, 0)
    assert (await place.events())["execution.failed.v1"] == 1


async def test_a_run_that_breaks_the_worker_each_time_is_ended_with_the_third(shards, place):
    run = place.run(owner=None)
    await store.accept(place.shard, [run])
    scene = Scene(shards, place, KeyError("a mistake of ours"))
    await scene.worker.start()
    for attempt in (1, 2):

        async def is_asked(times=attempt):
            return scene.programs.asked == times

        await until(is_asked)
        await silence(place)
        await leases.sweep(place.shard)
        scene.worker.wake()

    async def is_given_up():
        return bool(await letters(place))

    await until(is_given_up)
    await scene.worker.stop()
    [letter] = await letters(place)
    assert "KeyError" in letter["reason"]
    assert scene.count('retries_total{of="run"}') == 2
    assert (letter["last_node"], scene.programs.asked) == ("me", 3)


async def test_what_cannot_be_done_now_is_put_off_and_was_no_attempt(shards, place):
    run = place.run(owner=None)
    await store.accept(place.shard, [run])
    scene = Scene(shards, place, Unavailable("The keys cannot be had."))
    await scene.worker.start()

    async def is_put_off():
        rows = await place.all("SELECT * FROM shard.queue WHERE attempts = 0 AND ready_at > now() AND fence > 0")
        return bool(rows)

    await until(is_put_off)
    await scene.worker.stop()
    assert await letters(place) == []


@pytest.fixture
async def dead(shards, place):
    """A letter of a run with a payload."""
    run = place.run(owner=None, body=b"payload")
    await store.accept(place.shard, [run])
    await kill_three_workers(place, run)
    scene = Scene(shards, place, RuntimeError("never asked"))
    await scene.worker.start()

    async def is_told():
        return bool(scene.told.outcomes)

    await until(is_told)
    await scene.worker.stop()
    await place.execute(
        "INSERT INTO shard.blueprints (scenario_id, version, organization_id, blueprint) VALUES (%s, 1, %s, %s)",
        place.scenario_id,
        place.organization_id,
        _BLUEPRINT,
    )
    return run


def buses(shards):
    handlers = DeadLetterHandlers(jobs=JobQueue(types=JobTypes()))
    return CommandBus(handlers.commands(), shards, data_keys_of(shards), []), QueryBus(handlers.queries(), shards)


@pytest.mark.parametrize("by", ["id", "range"])
async def test_a_replay_begins_anew_with_the_payload_and_is_audited(shards, place, dead, by):
    commands, queries = buses(shards)
    context = administrator(place.organization_id)
    [letter] = await queries.ask(context, ListDeadLetters())
    assert letter.id == dead.id
    replay = ReplayDeadLetters(ids=(dead.id,)) if by == "id" else ReplayDeadLetters(scenario_id=place.scenario_id)
    [begun] = (await commands.execute(context, replay)).executions
    async with place.shard.read(place.organization_id) as tx:
        row = await store.read_run(tx, place.organization_id, begun)
    assert row is not None
    assert bytes(row["body"]) == b"payload"
    assert [lease.id for lease in await leases.claim(place.shard, "node", 10)] == [begun]
    assert [r["action"] for r in await place.all("SELECT action FROM shard.audit")] == ["dead_letter.replay"]
    assert await queries.ask(context, ListDeadLetters()) == []
    with pytest.raises(Conflict):
        await commands.execute(context, ReplayDeadLetters(ids=(dead.id,)))
    assert (await commands.execute(context, ReplayDeadLetters())).looked_at == 0


async def test_nobody_replays_what_is_not_theirs(shards, dead):
    commands, queries = buses(shards)
    stranger = administrator((await make_place(shards)).organization_id)
    assert await queries.ask(stranger, ListDeadLetters()) == []
    with pytest.raises(NotFound):
        await commands.execute(stranger, ReplayDeadLetters(ids=(dead.id,)))
    with pytest.raises(NotFound):
        await commands.execute(stranger, ReplayDeadLetters(ids=(new_execution_id(),)))
