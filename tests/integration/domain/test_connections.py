"""Connections and keys on a real database: sealed, seen by their team only, opened only for a run of that team."""

import pytest

from make_bridge.domain.connections import handlers, views
from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.connections.messages import CreateComponent, DeleteComponent, ListComponents
from make_bridge.domain.connections.opening import ComponentOpener
from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import ComponentId, TeamId
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.security.sealing import SealBroken
from support.organizations import administrator, customer, data_keys_of, make_organization

VALUES = {"key": "s3cret-key", "name": "X-API-Key"}


@pytest.fixture(scope="module")
def bus(shards):
    return CommandBus(handlers.commands(ComponentHandlers(sealing=data_keys_of(shards))), shards, data_keys_of(shards))


@pytest.fixture(scope="module")
def ask(shards):
    return QueryBus(views.queries(), shards).ask


@pytest.fixture(scope="module")
def opener(shards):
    return ComponentOpener(shards=shards, sealing=data_keys_of(shards))


@pytest.fixture
async def organization(shards):
    return await make_organization(shards)


@pytest.fixture
def context(organization):
    return administrator(organization.organization_id)


@pytest.fixture
def new(organization):
    """Write the command for a key of the root team."""

    def command(**changes):
        members = {"team_id": organization.team_id, "kind": "key", "type": "apikeyauth", "name": "Shop"}
        return CreateComponent(**{**members, "values": VALUES, **changes})

    return command


@pytest.fixture
async def dana(shards, organization):
    """A customer's context, with its own team."""
    directory = CustomerDirectory(shards, SystemClock())
    found = await directory.resolve(organization.organization_id, "dana")
    return customer(organization.organization_id, "dana", found.team_id)


async def test_a_key_is_stored_sealed_and_opens_for_its_team(bus, opener, context, organization, new, shards):
    made = await bus.execute(context, new())
    assert (made.kind, made.type, made.name, made.team_id) == ("key", "apikeyauth", "Shop", organization.team_id)
    shard = await shards.of(context.organization_id)
    async with shard.read(context.organization_id) as tx:
        stored = await tx.all("SELECT * FROM shard.connections")
        audit = await tx.all("SELECT convert_from(detail, 'UTF8') AS detail FROM shard.audit")
    assert "s3cret-key" not in f"{stored} {audit}"
    opened = await opener.open(context.organization_id, organization.team_id, made.id)
    assert (opened.kind, opened.type) == ("key", "apikeyauth")
    assert opened.values == {"key": "s3cret-key", "placement": "header", "name": "X-API-Key"}
    assert "s3cret-key" not in repr(opened)


async def test_a_command_shows_no_secret(new):
    assert "s3cret-key" not in repr(new())


async def test_wrong_values_are_refused_beside_their_names(bus, context, new):
    with pytest.raises(InvalidInput) as caught:
        await bus.execute(context, new(values={"placement": "cookie"}))
    assert set(caught.value.fields) == {"key", "placement"}
    with pytest.raises(InvalidInput, match="telepathy"):
        await bus.execute(context, new(kind="connection", type="telepathy"))


async def test_a_teams_components_are_listed_by_kind_and_type(bus, ask, context, organization, new):
    one = await bus.execute(context, new())
    other = await bus.execute(context, new(type="basicauth", name="Mail", values={"user": "u"}))
    team_id = organization.team_id
    assert await ask(context, ListComponents(team_id=team_id)) == [one, other]
    assert await ask(context, ListComponents(team_id=team_id, kind="connection")) == []
    assert await ask(context, ListComponents(team_id=team_id, kind="key", type="basicauth")) == [other]


async def test_a_customer_works_with_its_own_team_only(bus, ask, context, organization, new, dana):
    theirs = await bus.execute(context, new())
    mine = await bus.execute(dana, new(team_id=dana.team_id))
    assert await ask(dana, ListComponents(team_id=dana.team_id)) == [mine]
    for attempt in (
        bus.execute(dana, new()),
        bus.execute(dana, DeleteComponent(component_id=theirs.id)),
        ask(dana, ListComponents(team_id=organization.team_id)),
    ):
        with pytest.raises(NotFound):
            await attempt
    await bus.execute(dana, DeleteComponent(component_id=mine.id))
    assert await ask(dana, ListComponents(team_id=dana.team_id)) == []


@pytest.mark.attack("E33")
async def test_another_organization_neither_sees_nor_removes_a_key(bus, ask, context, organization, new, shards):
    made = await bus.execute(context, new())
    other = await make_organization(shards)
    stranger = administrator(other.organization_id)
    assert await ask(stranger, ListComponents(team_id=organization.team_id)) == []
    with pytest.raises(NotFound):
        await bus.execute(stranger, DeleteComponent(component_id=made.id))
    with pytest.raises(NotFound):
        await bus.execute(stranger, new())
    assert len(await ask(context, ListComponents(team_id=organization.team_id))) == 1


@pytest.mark.attack("E33")
async def test_a_run_of_another_organization_cannot_open_it(bus, opener, context, organization, new, shards):
    made = await bus.execute(context, new())
    other = await make_organization(shards)
    with pytest.raises(NotFound):
        await opener.open(other.organization_id, organization.team_id, made.id)


@pytest.mark.attack("E33")
async def test_a_run_of_another_team_cannot_open_it(bus, opener, context, organization, new, dana):
    made = await bus.execute(context, new())
    for team_id in (dana.team_id, TeamId(1)):
        with pytest.raises(NotFound):
            await opener.open(context.organization_id, team_id, made.id)
    with pytest.raises(NotFound):
        await opener.open(context.organization_id, organization.team_id, ComponentId(2**40))


@pytest.mark.attack("H02")
async def test_a_sealed_row_that_was_copied_to_another_does_not_open(bus, opener, context, organization, new, shards):
    source = await bus.execute(context, new())
    target = await bus.execute(context, new(values={"key": "other"}))
    shard = await shards.of(context.organization_id)
    async with shard.write(context.organization_id) as tx:
        await tx.execute(
            "UPDATE shard.connections SET secret_sealed = (SELECT secret_sealed FROM shard.connections WHERE id = %s)"
            " WHERE id = %s",
            (source.id, target.id),
        )
    with pytest.raises(SealBroken):
        await opener.open(context.organization_id, organization.team_id, target.id)


async def test_creating_and_removing_are_audited_without_the_secret(bus, context, new, shards):
    made = await bus.execute(context, new())
    await bus.execute(context, DeleteComponent(component_id=made.id))
    shard = await shards.of(context.organization_id)
    async with shard.read(context.organization_id) as tx:
        rows = await tx.all("SELECT action, object FROM shard.audit ORDER BY id")
    assert [(row["action"], row["object"]) for row in rows] == [
        ("component.create", f"key/{made.id}"),
        ("component.delete", f"key/{made.id}"),
    ]
