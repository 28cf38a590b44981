"""Customers on a real database: made on first sight, once; removed with what was theirs, and only then."""

import asyncio
from dataclasses import replace

import pytest

from make_bridge.domain.customers import handlers, views
from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.domain.customers.messages import CreateCustomer, DeleteCustomer, GetCustomer, ListCustomers
from make_bridge.kernel.clock import ManualClock, SystemClock
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from support.organizations import administrator, customer, data_keys_of, make_organization, organizations_of

ADD_SCENARIO = """
INSERT INTO shard.scenarios (organization_id, team_id, name, state, used_packages, scheduling, interface)
VALUES (%s, %s, 'Mine', 'inactive', '{}', '{}', '{}')
"""
ADD_KEY = """
INSERT INTO shard.connections (organization_id, team_id, kind, type, name, secret_sealed)
VALUES (%s, %s, 'key', 'basicauth', 'Mine', 'sealed')
"""


@pytest.fixture
def clock():
    return ManualClock(SystemClock().now())


@pytest.fixture
def directory(shards, clock):
    return CustomerDirectory(shards, clock)


@pytest.fixture
def bus(shards, directory):
    return CommandBus(handlers.commands(directory, organizations_of(shards)), shards, data_keys_of(shards))


@pytest.fixture(scope="module")
def ask(shards):
    return QueryBus(views.queries(), shards).ask


@pytest.fixture
async def organization_id(shards):
    return (await make_organization(shards)).organization_id


@pytest.fixture
def context(organization_id):
    return administrator(organization_id)


@pytest.fixture
def rows(shards, organization_id):
    """Run a statement on the organization's shard and return its rows."""

    async def run(statement, *parameters):
        shard = await shards.of(organization_id)
        async with shard.write(organization_id) as tx:
            if statement.lstrip().startswith("INSERT"):
                await tx.execute(statement, (organization_id, *parameters))
                return []
            return await tx.all(statement, parameters)

    return run


async def test_the_first_request_of_a_sub_makes_a_customer_with_a_team(directory, organization_id, rows):
    made = await directory.resolve(organization_id, "dana@acme.example", request_id="r1")
    assert (made.external_id, made.name, made.operations_limit) == ("dana@acme.example", "dana@acme.example", None)
    assert await directory.has_team(organization_id, made.team_id)
    [audit] = await rows("SELECT actor_kind, actor, action, object, request_id FROM shard.audit")
    assert audit == {
        "actor_kind": "customer",
        "actor": "dana@acme.example",
        "action": "customer.first_seen",
        "object": f"customer/{made.id}",
        "request_id": "r1",
    }


async def test_the_same_sub_is_the_same_customer_on_every_node(directory, organization_id, shards):
    made = await directory.resolve(organization_id, "dana")
    assert await directory.resolve(organization_id, "dana") == made
    assert await CustomerDirectory(shards, SystemClock()).resolve(organization_id, "dana") == made


async def test_many_first_requests_at_once_end_at_one_customer(organization_id, shards, rows):
    nodes = [CustomerDirectory(shards, SystemClock()) for _ in range(20)]
    made = await asyncio.gather(*(node.resolve(organization_id, "rush") for node in nodes))
    assert len({(customer.id, customer.team_id) for customer in made}) == 1
    assert len(await rows("SELECT 1 FROM shard.customers")) == 1
    assert len(await rows("SELECT 1 FROM shard.teams")) == 2  # the root team and the customer's: no orphan
    assert len(await rows("SELECT 1 FROM shard.audit")) == 1


@pytest.mark.attack("G12")
async def test_subs_that_look_alike_are_two_customers(directory, organization_id):
    one, other = [await directory.resolve(organization_id, sub) for sub in ("caf\u00e9", "cafe\u0301")]
    assert one.id != other.id


async def test_a_sub_belongs_to_its_organization(directory, organization_id, shards):
    other_id = (await make_organization(shards)).organization_id
    one, other = await directory.resolve(organization_id, "dana"), await directory.resolve(other_id, "dana")
    assert (one.id, one.team_id) != (other.id, other.team_id)
    assert not await directory.has_team(organization_id, other.team_id)


@pytest.mark.parametrize("sub", ["", "*", "a\x00", "x" * 256])
async def test_what_cannot_name_a_customer_is_refused(directory, organization_id, sub):
    with pytest.raises(InvalidInput):
        await directory.resolve(organization_id, sub)


async def test_a_customer_changed_elsewhere_is_seen_within_five_seconds(
    directory, organization_id, clock, bus, context, shards
):
    made = await directory.resolve(organization_id, "dana")
    elsewhere = handlers.commands(CustomerDirectory(shards, SystemClock()), organizations_of(shards))
    await CommandBus(elsewhere, shards, data_keys_of(shards)).execute(context, DeleteCustomer(customer_id=made.id))
    assert (await directory.resolve(organization_id, "dana")).id == made.id
    clock.advance(5.1)
    assert (await directory.resolve(organization_id, "dana")).id != made.id


async def test_who_reads_a_customer_before_its_removal_is_committed_does_not_keep_it_alive(
    shards, directory, organization_id, context
):
    made = await directory.resolve(organization_id, "dana")
    seen = []

    def slowly(registration):
        async def handle(work, command):
            result = await registration.handler(work, command)
            seen.append(await directory.resolve(organization_id, "dana"))
            return result

        return replace(registration, handler=handle)

    slow = [slowly(registration) for registration in handlers.commands(directory, organizations_of(shards))]
    await CommandBus(slow, shards, data_keys_of(shards)).execute(context, DeleteCustomer(customer_id=made.id))
    assert seen == [made]
    assert (await directory.resolve(organization_id, "dana")).id != made.id


async def test_a_customer_is_made_listed_and_read(bus, ask, context):
    made = await bus.execute(context, CreateCustomer(name=" Dana Miller ", external_id="dana", operations_limit=100))
    assert (made.name, made.external_id, made.operations_limit) == ("Dana Miller", "dana", 100)
    assert await ask(context, ListCustomers()) == [made]
    assert await ask(context, ListCustomers(external_id="dana")) == [made]
    assert await ask(context, ListCustomers(external_id="nobody")) == []
    assert await ask(context, GetCustomer(customer_id=made.id)) == made


async def test_an_external_id_is_taken_once(bus, context, directory, rows):
    await directory.resolve(context.organization_id, "dana")
    teams = len(await rows("SELECT 1 FROM shard.teams"))
    with pytest.raises(Conflict, match="'dana'"):
        await bus.execute(context, CreateCustomer(name="Dana", external_id="dana"))
    assert len(await rows("SELECT 1 FROM shard.teams")) == teams


async def test_customers_may_share_a_team(bus, context, directory):
    first = await bus.execute(context, CreateCustomer(name="A", external_id="a"))
    second = await bus.execute(context, CreateCustomer(name="B", external_id="b", team_id=first.team_id))
    assert second.team_id == first.team_id
    assert (await directory.resolve(context.organization_id, "b")).team_id == first.team_id


async def test_a_team_of_another_organization_is_not_there(bus, context, directory, shards):
    stranger = await make_organization(shards)
    for team_id in (stranger.team_id, TeamId(2**40)):
        with pytest.raises(NotFound):
            await bus.execute(context, CreateCustomer(name="A", external_id="a", team_id=team_id))


async def test_removing_a_customer_takes_its_team_and_credentials(bus, ask, context, directory, rows):
    made = await directory.resolve(context.organization_id, "dana")
    await rows(ADD_KEY, made.team_id)
    await bus.execute(context, DeleteCustomer(customer_id=made.id))
    assert await ask(context, ListCustomers()) == []
    assert await rows("SELECT 1 FROM shard.connections") == []
    assert not await directory.has_team(context.organization_id, made.team_id)
    again = await directory.resolve(context.organization_id, "dana")  # not the one remembered
    assert again.id != made.id


async def test_a_customer_with_scenarios_stays(bus, ask, context, directory, rows):
    made = await directory.resolve(context.organization_id, "dana")
    await rows(ADD_SCENARIO, made.team_id)
    with pytest.raises(Conflict, match="scenarios"):
        await bus.execute(context, DeleteCustomer(customer_id=made.id))
    assert await ask(context, ListCustomers()) == [made]


async def test_a_shared_teams_scenarios_and_credentials_stay_with_the_others(bus, context, rows, directory):
    first = await bus.execute(context, CreateCustomer(name="A", external_id="a"))
    await bus.execute(context, CreateCustomer(name="B", external_id="b", team_id=first.team_id))
    await rows(ADD_SCENARIO, first.team_id)
    await rows(ADD_KEY, first.team_id)
    await bus.execute(context, DeleteCustomer(customer_id=first.id))
    assert await directory.has_team(context.organization_id, first.team_id)
    assert len(await rows("SELECT 1 FROM shard.connections")) == 1


async def test_the_root_team_outlives_its_customers(bus, context, rows, directory, shards):
    root_team_id = (await organizations_of(shards).get(context.organization_id)).root_team_id
    made = await bus.execute(context, CreateCustomer(name="A", external_id="a", team_id=root_team_id))
    await rows(ADD_KEY, root_team_id)
    await bus.execute(context, DeleteCustomer(customer_id=made.id))
    assert await directory.has_team(context.organization_id, root_team_id)
    assert len(await rows("SELECT 1 FROM shard.connections")) == 1


async def test_an_unknown_or_foreign_customer_is_not_there(bus, ask, context, directory, shards):
    made = await directory.resolve(context.organization_id, "dana")
    stranger = administrator((await make_organization(shards)).organization_id)
    assert await ask(stranger, ListCustomers()) == []
    with pytest.raises(NotFound):
        await ask(stranger, GetCustomer(customer_id=made.id))
    with pytest.raises(NotFound):
        await bus.execute(stranger, DeleteCustomer(customer_id=made.id))
    assert (await directory.resolve(context.organization_id, "dana")).id == made.id


async def test_a_customers_own_token_sees_that_customer_only(bus, ask, context, directory):
    dana = await directory.resolve(context.organization_id, "dana")
    other = await directory.resolve(context.organization_id, "mallory")
    mine = customer(context.organization_id, "dana", dana.team_id)
    assert await ask(mine, ListCustomers()) == [dana]
    assert await ask(mine, ListCustomers(external_id="mallory")) == [dana]
    assert await ask(mine, GetCustomer(customer_id=dana.id)) == dana
    with pytest.raises(NotFound):
        await ask(mine, GetCustomer(customer_id=other.id))
    with pytest.raises(PermissionDenied):
        await bus.execute(mine, DeleteCustomer(customer_id=dana.id))


async def test_pages_follow_one_another(ask, context, directory):
    made = [(await directory.resolve(context.organization_id, f"c{number}")).id for number in range(3)]
    first = await ask(context, ListCustomers(limit=2))
    rest = await ask(context, ListCustomers(after=first[-1].id, limit=2))
    assert [item.id for item in (*first, *rest)] == made
