"""Events that are told more than once, on real databases: one execution each, whichever way the call came in."""

import asyncio
import json

import psycopg
import pytest

from make_bridge.domain.executions import once
from make_bridge.domain.executions.event_store import Arrival
from make_bridge.domain.executions.incomplete import IncompleteLimits
from make_bridge.domain.executions.once import AlreadyBegun, OnceWriter, forget_events
from make_bridge.domain.executions.targets import Target
from make_bridge.domain.executions.trigger import CallHead, HookSettings
from make_bridge.domain.scenarios.inbound import DedupeRule
from make_bridge.kernel.ids import HookId
from support.blueprints import call, module, webhook
from support.endings import make_place
from support.nodes import node
from support.scheduling import make_scene

COPIES = 50
PATIENCE = 30
IMMEDIATELY = {"type": "immediately"}
BY_HEADER = DedupeRule(header="x-event")
POSTS = call(2, "post", "https://shop.example/", '{"order": "{{1.id}}"}')
COMPOSES = module(2, "util:ComposeTransformer", {"value": "{{1.id}}"})
RESPONDS = module(8, "gateway:WebhookRespond", {"status": "201", "body": "made", "headers": []})
SHIFT = """
UPDATE shard.webhook_events SET received_at = received_at - make_interval(secs => %s),
    expires_at = expires_at - make_interval(secs => %s)
"""


class Hook:
    """A scenario's hook, and what is stored of its calls."""

    def __init__(self, scene, target):
        self.scene, self.target = scene, target

    async def send(self, node, event=None, **body):
        headers = [] if event is None else [("x-event", event)]
        head = CallHead(content_type="application/json", headers=headers)
        async with asyncio.timeout(PATIENCE):
            return await node.ingest.take(self.target, head, json.dumps(body).encode())

    async def count(self, table):
        async with self.scene.shard.read(self.target.organization_id) as tx:
            row = await tx.one(COUNTS[table], (self.target.scenario_id,))
        return row["n"]

    async def events(self):
        async with self.scene.shard.read(self.target.organization_id) as tx:
            return await tx.all("SELECT * FROM shard.webhook_events WHERE hook_id = %s", (self.target.hook_id,))

    async def shift(self, seconds):
        async with self.scene.shard.engine_write() as tx:
            await tx.execute(SHIFT, (seconds, seconds))


COUNTS = {
    "executions": "SELECT count(*) AS n FROM shard.executions WHERE scenario_id = %s",
    "queue": "SELECT count(*) AS n FROM shard.queue WHERE scenario_id = %s",
    "used": "SELECT coalesce(sum(executions), 0) AS n FROM shard.usage_daily WHERE scenario_id = %s",
}


@pytest.fixture
async def hook(shards):
    """Makes hooks; the queue is empty and no event is known."""
    scene = await make_scene(shards)
    async with scene.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
        await tx.execute("DELETE FROM shard.webhook_events")

    async def make(*flow, rule=BY_HEADER, **settings):
        scenario = await scene.scenario(IMMEDIATELY, webhook(), *flow, **settings)
        assert scenario.hook_id is not None
        target = Target(
            hook_id=scenario.hook_id,
            organization_id=scene.context.organization_id,
            team_id=scenario.team_id,
            scenario_id=scenario.id,
            blueprint_version=scenario.blueprint_version,
            settings=HookSettings(),
            dedupe=rule,
        )
        return Hook(scene, target)

    return make


@pytest.mark.parametrize("path", ["at_once", "in_place", "queued"])
async def test_copies_at_the_same_moment_in_two_processes_begin_one_execution(shards, hook, path):
    flow = [COMPOSES] if path == "at_once" else [POSTS]
    told = await hook(*flow, sequential=path == "queued")
    async with node(shards, "one") as one, node(shards, "two") as two:
        sending = [told.send(nodes, "e1", id=number) for number in range(COPIES) for nodes in (one, two)]
        answers = await asyncio.gather(*sending)
        [first] = {execution_id for execution_id, _ in answers}
        assert {answer.status for _, answer in answers} == {200}
        repeated = [answer for _, answer in answers if ("x-duplicate", "true") in answer.headers]
        assert len(repeated) == 2 * COPIES - 1
        rendered = one.metrics.render() + two.metrics.render()
        assert sum(count(rendered, "webhooks_repeated_total")) == 2 * COPIES - 1
        assert sum(count(rendered, f'webhooks_accepted_total{{path="{path}"}}')) == 1
        assert await told.count("executions") == 1
        [event] = await told.events()
        assert event["execution_id"].hex == first
        if path == "queued":
            assert await told.count("queue") == 1
            return
        async with asyncio.timeout(PATIENCE):
            assert await one.waiting.outcome(told.target.organization_id, first, PATIENCE) is not None
        assert len(one.shop.requests) + len(two.shop.requests) == (path == "in_place")
        assert (await told.count("queue"), await told.count("used")) == (0, 1)


def count(rendered, name):
    lines = rendered.decode().splitlines()
    return [float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name]


async def test_each_event_and_each_call_without_an_id_has_its_own_execution(shards, hook):
    told = await hook(COMPOSES)
    async with node(shards, "one") as one:
        answers = [await told.send(one, event) for event in ("e1", "e2", None, None)]
        again = await told.send(one, "e2")
    assert len({execution_id for execution_id, _ in answers}) == 4
    assert (again[0], again[1].body) == (answers[1][0], b"Accepted")
    assert await told.count("executions") == 4


async def test_the_same_id_at_two_hooks_is_two_events(shards, hook):
    first, second = await hook(COMPOSES), await hook(COMPOSES)
    async with node(shards, "one") as one:
        assert (await first.send(one, "e1"))[0] != (await second.send(one, "e1"))[0]


async def test_an_id_can_be_what_an_expression_makes_of_the_call(shards, hook):
    told = await hook(COMPOSES, rule=DedupeRule(expression="{{lower(1.kind)}}-{{1.id}}"))
    async with node(shards, "one") as one:
        first, _ = await told.send(one, kind="Order", id=7)
        assert (await told.send(one, kind="ORDER", id=7, seen="again"))[0] == first
        assert (await told.send(one, kind="Order", id=8))[0] != first


async def test_a_repeat_does_not_wait_for_the_answer_of_the_first(shards, hook):
    told = await hook(POSTS, RESPONDS)
    async with node(shards, "one", shop_is_open=False) as one:
        first = asyncio.create_task(told.send(one, "e1"))
        async with asyncio.timeout(PATIENCE):
            await one.shop.reached.wait()
        repeated, answer = await told.send(one, "e1")
        assert answer.status == 200
        one.shop.is_open.set()
        execution_id, answer = await first
        assert (repeated, answer.status, answer.body) == (execution_id, 201, b"made")
        assert len(one.shop.requests) == 1


async def test_after_its_window_an_event_is_new_and_before_it_is_not(shards, hook):
    told = await hook(COMPOSES, rule=DedupeRule(header="x-event", window_seconds=60))
    async with node(shards, "one") as one:
        first, _ = await told.send(one, "e1")
        await told.shift(50)
        assert (await told.send(one, "e1"))[0] == first
        await told.shift(11)
        copies = await asyncio.gather(*(told.send(one, "e1") for _ in range(10)))
        [second] = {execution_id for execution_id, _ in copies}
        assert second != first
    [event] = await told.events()
    assert event["execution_id"].hex == second


async def test_upkeep_forgets_events_after_their_window_in_batches(shards, hook, monkeypatch):
    monkeypatch.setattr(once, "_BATCH", 2)
    brief = await hook(COMPOSES, rule=DedupeRule(header="x-event", window_seconds=60))
    long = await hook(COMPOSES, rule=DedupeRule(header="x-event", window_seconds=600))
    async with node(shards, "one") as one:
        for number in range(5):
            await brief.send(one, f"e{number}")
            await long.send(one, f"e{number}")
        assert await forget_events(shards) == 0
        await brief.shift(61)
        monkeypatch.setattr(once, "_MOST_BATCHES", 2)
        assert await forget_events(shards) == 4
        assert await forget_events(shards) == 1
    assert (len(await brief.events()), len(await long.events())) == (0, 5)


async def test_a_hook_without_the_rule_leaves_no_event(shards, hook):
    told = await hook(COMPOSES, rule=None)
    async with node(shards, "one") as one:
        assert (await told.send(one, "e1"))[0] != (await told.send(one, "e1"))[0]
    assert await told.events() == []


async def test_an_event_is_seen_by_its_own_organization_only(shards, hook):
    told = await hook(COMPOSES)
    async with node(shards, "one") as one:
        await told.send(one, "e1")
    stranger = await make_place(shards)
    assert await stranger.all("SELECT * FROM shard.webhook_events") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await stranger.execute("DELETE FROM shard.webhook_events")


@pytest.fixture
def writer(place):
    return OnceWriter(place.shard, "me", IncompleteLimits(), lambda outcomes: None)


async def test_a_run_that_cannot_be_stored_leaves_no_event_and_others_are_stored(place, writer):
    def arrival(event, **changes):
        return Arrival(run=place.run(**changes), hook_id=HookId(1), event_id=event, window_seconds=60)

    good, bad = arrival(b"good"), arrival(b"bad", blueprint_version=2**40)
    results = await asyncio.gather(writer.submit(good), writer.submit(bad), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), psycopg.errors.NumericValueOutOfRange]
    again = arrival(b"bad")
    await writer.submit(again)
    with pytest.raises(AlreadyBegun) as known:
        await writer.submit(arrival(b"bad"))
    assert known.value.execution_id == again.run.id


async def test_two_batches_that_hold_the_same_events_in_other_orders_do_not_block_each_other(place):
    def arrivals(order):
        keys = [b"%03d" % number for number in range(100)][::order]
        return [Arrival(run=place.run(), hook_id=HookId(2), event_id=key, window_seconds=60) for key in keys]

    writers = [OnceWriter(place.shard, name, IncompleteLimits(), lambda outcomes: None) for name in ("a", "b", "c")]
    told = [
        writer.submit(arrival) for writer, order in zip(writers, (1, -1, 1), strict=True) for arrival in arrivals(order)
    ]
    results = await asyncio.gather(*told, return_exceptions=True)
    assert {type(result) for result in results} == {type(None), AlreadyBegun}
    assert sum(result is None for result in results) == 100
