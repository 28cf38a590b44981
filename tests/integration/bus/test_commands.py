"""The command bus on a real database: permission, one transaction, idempotency, audit and outbox."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from make_bridge.kernel.errors import ConfigurationError, Conflict, PermissionDenied
from make_bridge.kernel.messages import Command, Event, Query, message
from make_bridge.platform.bus.commands import CommandBus, CommandRegistration
from make_bridge.platform.bus.queries import QueryBus, QueryRegistration
from support.organizations import administrator, customer, data_keys_of, make_organization


@message
class NameTeam(Command[str]):
    """Make a team and answer with something secret."""

    name: str
    fail: bool = False


@message
class TeamNamed(Event):
    """A team was made."""

    wire_name = "test.team_named.v1"
    name: str


@message
class CountTeams(Query[int]):
    """How many teams there are."""


async def name_team(work, command):
    await work.tx.execute(
        "INSERT INTO shard.teams (organization_id, name) VALUES (%s, %s)", (work.context.organization_id, command.name)
    )
    work.emit(TeamNamed(name=command.name), subject="team/1")
    work.touch("team/1", name=command.name)
    if command.fail:
        raise Conflict("No.")
    return f"secret of {command.name}"


async def count_teams(tx, context, query):
    row = await tx.one("SELECT count(*) AS n FROM shard.teams WHERE organization_id = %s", (context.organization_id,))
    return row["n"]


REGISTRATION: CommandRegistration[Any, Any] = CommandRegistration(
    command=NameTeam, handler=name_team, result=str, permission="teams:write", action="team.name"
)


@pytest.fixture
async def context(shards):
    return administrator((await make_organization(shards)).organization_id)


@pytest.fixture
def heard():
    return []


@pytest.fixture
def bus(shards, heard):
    return CommandBus([REGISTRATION], shards, data_keys_of(shards), [lambda _, events: heard.extend(events)])


@pytest.fixture
def count(shards, context):
    queries = QueryBus([QueryRegistration(query=CountTeams, view=count_teams, permission="teams:read")], shards)

    async def ask():
        return await queries.ask(context, CountTeams())

    return ask


async def rows(shards, context, statement):
    shard = await shards.of(context.organization_id)
    async with shard.read(context.organization_id) as tx:
        return await tx.all(statement, (context.organization_id,))


def keyed(context, key, body=b"body"):
    return replace(context, idempotency_key=key, body_digest=body)


async def test_a_second_handler_for_a_command_stops_the_start(shards):
    with pytest.raises(ConfigurationError, match="two handlers"):
        CommandBus([REGISTRATION, REGISTRATION], shards, data_keys_of(shards))


async def test_a_second_view_for_a_query_stops_the_start(shards):
    registration = QueryRegistration(query=CountTeams, view=count_teams, permission="x")
    with pytest.raises(ConfigurationError, match="two views"):
        QueryBus([registration, registration], shards)


async def test_without_the_permission_nothing_is_done(bus, context, count):
    before = await count()
    stranger = customer(context.organization_id, "somebody")
    with pytest.raises(PermissionDenied, match="teams:write"):
        await bus.execute(stranger, NameTeam(name="x"))
    assert await count() == before


async def test_rows_event_and_audit_are_written_together(bus, shards, context, heard):
    await bus.execute(context, NameTeam(name="blue"))
    events = await rows(shards, context, "SELECT type, subject, payload FROM shard.outbox WHERE organization_id = %s")
    assert [(e["type"], msgspec.json.decode(bytes(e["payload"]))) for e in events] == [
        ("test.team_named.v1", {"name": "blue"})
    ]
    audit = await rows(shards, context, "SELECT * FROM shard.audit WHERE organization_id = %s AND action = 'team.name'")
    assert [(a["actor_kind"], a["object"], a["request_id"]) for a in audit] == [
        ("administrator", "team/1", context.request_id)
    ]
    assert heard == [TeamNamed(name="blue")]


async def test_a_failing_handler_leaves_no_row_no_event_no_audit(bus, shards, context, count, heard):
    before = await count()
    with pytest.raises(Conflict):
        await bus.execute(context, NameTeam(name="red", fail=True))
    assert await count() == before
    assert not await rows(shards, context, "SELECT 1 FROM shard.outbox WHERE organization_id = %s")
    assert not await rows(
        shards, context, "SELECT 1 FROM shard.audit WHERE organization_id = %s AND action = 'team.name'"
    )
    assert heard == []


async def test_the_same_key_and_body_give_the_same_answer_once_done(bus, context, count):
    before = await count()
    first = await bus.execute(keyed(context, "k1"), NameTeam(name="green"))
    second = await bus.execute(keyed(context, "k1"), NameTeam(name="green"))
    assert first == second == "secret of green"
    assert await count() == before + 1


async def test_the_same_key_with_another_body_is_a_conflict(bus, context):
    await bus.execute(keyed(context, "k2"), NameTeam(name="green"))
    with pytest.raises(Conflict, match="new key") as caught:
        await bus.execute(keyed(context, "k2", b"other"), NameTeam(name="grey"))
    assert caught.value.reason == "idempotency_key_reused"


async def test_two_at_once_under_one_key_do_it_once(bus, context, count):
    before = await count()
    answers = await asyncio.gather(*(bus.execute(keyed(context, "k3"), NameTeam(name="pink")) for _ in range(5)))
    assert set(answers) == {"secret of pink"}
    assert await count() == before + 1


async def test_a_key_is_its_actors_own(bus, context):
    await bus.execute(keyed(context, "k4"), NameTeam(name="a"))
    other = replace(keyed(context, "k4", b"other"), actor=replace(context.actor, reference="another"))
    assert await bus.execute(other, NameTeam(name="b")) == "secret of b"


async def test_a_failed_attempt_does_not_burn_the_key(bus, context):
    with pytest.raises(Conflict):
        await bus.execute(keyed(context, "k5"), NameTeam(name="x", fail=True))
    assert await bus.execute(keyed(context, "k5"), NameTeam(name="y")) == "secret of y"


async def test_a_stored_answer_is_sealed(bus, shards, context):
    await bus.execute(keyed(context, "k6"), NameTeam(name="hidden"))
    stored = await rows(shards, context, "SELECT answer FROM shard.idempotency WHERE organization_id = %s")
    assert stored
    assert all(b"secret of" not in bytes(row["answer"]) for row in stored)
