"""Custom variables in runs: read once, only where they are named, and the same in every attempt."""

import json
from datetime import UTC, datetime

import pytest

from make_bridge.domain.executions import store as executions
from make_bridge.domain.executions.journal import JournalConfig, StoredJournals
from make_bridge.domain.executions.trigger import CallHead
from make_bridge.domain.executions.variables import StoredVariables, VariablesOfRun
from make_bridge.domain.variables import store
from make_bridge.domain.variables.messages import Variable
from make_bridge.engine.blueprint.model import Settings
from make_bridge.engine.blueprint.variables import NamedVariables
from support.attempts import broken_off_at_last_call, send, take_over, target_of, until_settled
from support.blueprints import call, module
from support.nodes import node
from support.organizations import data_keys_of
from support.scheduling import make_scene

PRICE = NamedVariables(team=frozenset({"price"}))


async def put(place, team_id, name, value, type_id=2):
    """Write a variable; without a team the organization's."""
    organization_id = place.context.organization_id
    variable = Variable(team_id=team_id, name=name, type_id=type_id, value=value)
    async with place.shard.write(organization_id) as tx:
        await store.put(tx, organization_id, variable)


def answers(text):
    return module(2, "gateway:WebhookRespond", {"status": "200", "body": text})


async def answer_of(a_node, target):
    head = CallHead(content_type="application/json")
    _, answer = await a_node.ingest.take(target, head, b'{"name": "price"}')
    return answer.body.decode()


@pytest.fixture
def readings(monkeypatch):
    """How often variables were read from the database, by the names that were asked for."""
    asked, read = [], store.read_named

    async def counted(tx, organization_id, team_id, *, of_organization, of_team):
        asked.append((of_organization, of_team))
        return await read(tx, organization_id, team_id, of_organization=of_organization, of_team=of_team)

    monkeypatch.setattr(store, "read_named", counted)
    return asked


@pytest.mark.parametrize("settings", [{}, {"freshVariables": True}, {"confidential": True}, {"sequential": True}])
async def test_an_answer_shows_them_and_the_next_run_sees_a_change(shards, scene, settings):
    text = "{{var.organization.price}}/{{var.team.price + 1}}/{{var.team.nothing}}"
    target = await target_of(scene, answers(text), **settings)
    await put(scene, None, "price", "dear")
    await put(scene, target.team_id, "price", 7, 1)
    async with node(shards, "one") as one:
        await one.worker.start()
        assert await answer_of(one, target) == "dear/8/"
        await put(scene, target.team_id, "price", 8.5, 1)
        assert await answer_of(one, target) == "dear/9.5/"


async def test_types_arrive_as_what_they_are(shards, scene):
    target = await target_of(scene, answers('{{if(var.team.on; formatDate(var.team.day; "D.M.YYYY"); "off")}}'))
    await put(scene, target.team_id, "day", "2026-03-31T10:20:30.000Z", 4)
    async with node(shards, "one") as one:
        for on, shown in ((True, "31.3.2026"), (False, "off")):
            await put(scene, target.team_id, "on", on, 3)
            assert await answer_of(one, target) == shown


async def test_a_name_that_is_computed_finds_its_variable_and_no_other_teams(shards, scene):
    target = await target_of(scene, answers("{{get(var.team; 1.name)}}{{var.organization.price}}"))
    other = await target_of(await another(shards), answers("x"))
    await put(scene, target.team_id, "price", "ours")
    async with node(shards, "one") as one:
        assert await answer_of(one, target) == "ours"
    assert other.organization_id != target.organization_id


async def another(shards):
    made = await make_scene(shards)
    team = made.organization.team_id
    await put(made, team, "price", "theirs")
    await put(made, None, "price", "theirs")
    return made


async def test_a_program_that_names_none_reads_none(shards, scene, readings):
    plain = await target_of(scene, answers("{{1.name}} {{var.organization.id}} {{var.organization.timezone}}"))
    naming = await target_of(scene, answers("{{var.team.price}}{{var.organization.x}}"))
    async with node(shards, "one") as one:
        assert await answer_of(one, plain) == f"price {plain.organization_id} UTC"
        assert readings == []
        await answer_of(one, naming)
    assert readings == [({"x"}, {"price"})]


@pytest.mark.parametrize(
    "settings", [{}, {"journal": "writes"}, {"confidential": True}, {"freshVariables": True}], ids=str
)
async def test_a_second_attempt_sees_what_the_first_has_read(shards, scene, settings):
    body = '{"x": "{{var.team.price}}", "y": "{{var.organization.price}}"}'
    flow = (call(2, "put", "https://shop.example/a", body), call(3, "put", "https://shop.example/b", body))
    team_id = scene.organization.team_id
    await put(scene, team_id, "price", "first")
    target, execution_id, before = await broken_off_at_last_call(shards, scene, *flow, **settings)
    await put(scene, team_id, "price", "changed")
    await put(scene, None, "price", "new")
    async with node(shards, "two") as two:
        await two.worker.start()
        await until_settled(two, target, execution_id)
        [again] = two.shop.requests
    assert json.loads(again.body or b"")["x"] == "first"
    assert again == before[-1]


async def test_without_a_journal_a_run_starts_over_and_reads_anew(shards, scene):
    flow = (call(2, "get", "https://shop.example/a"), call(3, "put", "https://shop.example/{{var.team.price}}"))
    await put(scene, scene.organization.team_id, "price", "first")
    target, execution_id, _ = await broken_off_at_last_call(shards, scene, *flow, journal="off")
    await put(scene, scene.organization.team_id, "price", "changed")
    async with node(shards, "two") as two:
        await two.worker.start()
        await until_settled(two, target, execution_id)
        assert [request.url.rpartition("/")[2] for request in two.shop.requests] == ["a", "changed"]


@pytest.mark.parametrize("settings", [Settings(), Settings(journal="writes"), Settings(confidential=True)], ids=str)
async def test_each_reading_of_a_run_is_kept_by_itself(shards, place, settings):
    run = place.run()
    await accept(place, run)
    journals = StoredJournals(shards, data_keys_of(shards), JournalConfig())
    day = datetime(2026, 3, 31, 10, 20, 30, tzinfo=UTC)

    class Changing:
        """Something else each time."""

        def __init__(self):
            self.times = 0

        async def read(self, organization_id, team_id, named):
            assert (organization_id, team_id, named) == (place.organization_id, place.team_id, PRICE)
            self.times += 1
            return {}, {"price": self.times, "day": day}

    first = VariablesOfRun(Changing(), run, PRICE, await journals.of(run, settings, 1))
    read = [await first.current(), await first.current()]
    assert [team["price"] for _, team in read] == [1, 2]
    lease = await take_over(place, run)
    second = VariablesOfRun(Changing(), run, PRICE, await journals.of(run, settings, lease.fence))
    assert [await second.current(), await second.current()] == read
    assert (await second.current())[1]["price"] == 1


async def accept(place, run):
    await executions.accept(place.shard, [run])


async def test_a_run_without_effects_keeps_its_reading_too(shards, scene, readings):
    """It may have answered its caller before it was stored: what goes on after it must not tell another truth."""
    target = await target_of(scene, answers("{{var.team.price}}"), sequential=True)
    async with node(shards, "one") as one:
        await one.worker.start()
        execution_id = await send(one, target)
        await until_settled(one, target, execution_id)
    async with scene.shard.read(target.organization_id) as tx:
        [row] = await tx.all("SELECT module_id, operation FROM shard.journal WHERE id = %s", (execution_id,))
    assert (row["module_id"], row["operation"]) == (0, 0)
    assert len(readings) == 1


async def test_reading_is_narrowed_to_names_and_to_the_team(shards, scene):
    team_id = scene.organization.team_id
    for name in ("a", "b"):
        await put(scene, team_id, name, name)
        await put(scene, None, name, name.upper())
    source = StoredVariables(shards)
    organization_id = scene.context.organization_id
    everything = NamedVariables(organization=None, team=None)
    assert await source.read(organization_id, team_id, everything) == ({"a": "A", "b": "B"}, {"a": "a", "b": "b"})
    some = NamedVariables(organization=frozenset({"b"}), team=frozenset({"a", "c"}))
    assert await source.read(organization_id, team_id, some) == ({"b": "B"}, {"a": "a"})
    assert await source.read(organization_id, team_id + 1024, everything) == ({"a": "A", "b": "B"}, {})
