"""What leaves a row in the audit besides a command's own: what it changed, what was refused, what runs opened."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec
import pytest

from make_bridge.domain.connections.opening import ComponentOpener, OpenedComponent
from make_bridge.domain.executions.credential_uses import CredentialUses
from make_bridge.domain.executions.credentials import TeamComponents
from make_bridge.domain.oauth.keeping import TokenKeeper
from make_bridge.engine.ports import CredentialUnavailable
from make_bridge.kernel.errors import NotFound, PermissionDenied, Unavailable
from make_bridge.kernel.ids import ExecutionId, TeamId
from make_bridge.kernel.messages import Command, Query, message
from make_bridge.platform.bus.commands import CommandBus, CommandRegistration
from make_bridge.platform.bus.queries import QueryBus, QueryRegistration
from make_bridge.platform.observability.metrics import Metrics
from support.organizations import administrator, customer, data_keys_of, make_organization

ROWS = "SELECT * FROM shard.audit WHERE organization_id = %s ORDER BY id"
EXECUTION = ExecutionId("0197a3b4c5d6700080000000000000aa")


@dataclass(frozen=True)
class Thing:
    name: str
    secret: str


@message
class Rename(Command[None]):
    """Rename something that also holds a secret."""

    name: str


@message
class Look(Query[int]):
    """Something a team may not see."""


async def rename(work, command):
    work.touch("thing/1", to=command.name)
    work.change(before=Thing("old", "s3cret"), after=Thing(command.name, "s3cret"))


async def look(tx, context, query):
    raise PermissionDenied("This is the whole organization's.")


RENAME: CommandRegistration[Any, Any] = CommandRegistration(
    command=Rename, handler=rename, result=None, permission="things:write", action="thing.rename",
    audited=frozenset({"name"}),
)  # fmt: skip


@pytest.fixture
async def organization_id(shards):
    return (await make_organization(shards)).organization_id


@pytest.fixture
def bus(shards):
    return CommandBus([RENAME], shards, data_keys_of(shards))


@pytest.fixture
def rows(shards, organization_id):
    async def read():
        shard = await shards.of(organization_id)
        async with shard.read(organization_id) as tx:
            return await tx.all(ROWS, (organization_id,))

    return read


async def test_a_row_shows_the_declared_fields_before_and_after_and_where_it_came_from(bus, rows, organization_id):
    await bus.execute(replace(administrator(organization_id), address="192.0.2.7"), Rename(name="n"))
    [row] = await rows()
    assert (bytes(row["before"]), bytes(row["after"])) == (b'{"name":"old"}', b'{"name":"n"}')
    assert (row["address"], row["sequence"], row["seal"]) == ("192.0.2.7", None, None)
    assert b"s3cret" not in bytes(row["detail"])


async def test_a_refused_command_has_a_row_and_does_nothing(bus, rows, organization_id):
    with pytest.raises(PermissionDenied):
        await bus.execute(customer(organization_id, "dana"), Rename(name="n"))
    [row] = await rows()
    assert (row["action"], row["object"], row["actor_kind"], row["actor"]) == (
        "permission.refused", "thing.rename", "customer", "dana",
    )  # fmt: skip
    assert "things:write" in bytes(row["detail"]).decode()


async def test_a_query_that_its_view_refuses_has_a_row(shards, rows, organization_id):
    queries = QueryBus([QueryRegistration(query=Look, view=look, permission="things:read")], shards)
    with pytest.raises(PermissionDenied):
        await queries.ask(administrator(organization_id), Look())
    [row] = await rows()
    assert (row["action"], row["object"]) == ("permission.refused", "Look")


@pytest.fixture
def metrics():
    return Metrics()


class Opener(ComponentOpener):
    """Has one connection."""

    async def open(self, organization_id, team_id, component_id):
        if component_id != 5:
            raise NotFound("There is no such connection or key.")
        return OpenedComponent(kind="connection", type="basicauth", values={"user": "u", "password": "s3cret"})


@pytest.fixture
async def uses(shards, metrics):
    uses = CredentialUses(shards, metrics)
    yield uses
    await uses.close()


@pytest.fixture
def components(shards, uses, organization_id):
    """Make the port of one attempt of a run."""

    def port():
        opener = Opener(shards=shards, sealing=data_keys_of(shards))
        run = uses.of(organization_id, EXECUTION)
        keeper = cast("TokenKeeper", None)  # no connection here is one of OAuth
        return TeamComponents(
            opener=opener, tokens=keeper, organization_id=organization_id, team_id=TeamId(1), uses=run
        )

    return port


async def test_a_credential_that_a_run_opens_has_one_row_for_the_execution_and_is_counted_each_time(
    components, metrics, rows
):
    port = components()
    for _ in range(3):
        assert (await port.credential(5, url="https://x.example")).secret == "s3cret"
    [row] = await rows()
    assert (row["action"], row["object"], row["request_id"]) == (
        "credential.open", "connection/5", f"execution {EXECUTION}",
    )  # fmt: skip
    assert msgspec.json.decode(bytes(row["detail"])) == {"execution": EXECUTION, "type": "basicauth"}
    assert "credentials_opened_total 3.0" in metrics.render().decode()


async def test_runs_at_once_have_a_row_each(components, rows):
    await asyncio.gather(*(components().credential(5, url="") for _ in range(20)))
    assert len(await rows()) == 20


async def test_what_cannot_be_opened_has_no_row(components, rows):
    with pytest.raises(CredentialUnavailable):
        await components().credential(6, url="")
    assert await rows() == []


async def test_a_credential_whose_row_cannot_be_written_is_not_handed_out(uses, components):
    await uses.close()
    with pytest.raises(Unavailable):
        await components().credential(5, url="")
