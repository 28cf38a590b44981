"""Organizations on a real database: made whole or finished later, keys in two slots, tokens used once."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from make_bridge.domain.organizations import store
from make_bridge.domain.organizations.keys import ApiTokens, DataKeys, PortalKeys, TokenLedger
from make_bridge.domain.organizations.messages import NewOrganization
from make_bridge.kernel.clock import ManualClock, SystemClock
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.transactions import ConnectionLost
from make_bridge.platform.security.key_wrapping import wrap_data_key
from make_bridge.platform.security.root_key import RootKey, RootKeys
from make_bridge.platform.security.sealing import SealBroken
from support.organizations import ROOTS, data_keys_of, make_organization, organizations_of, service_of

NEW = NewOrganization(
    name="Acme CRM", origins=("https://acme.example", "http://localhost:3000"), timezone="Europe/Prague"
)


@pytest.fixture
def clock():
    return ManualClock(SystemClock().now())


@pytest.fixture
def service(shards, clock):
    return service_of(shards, clock)


@pytest.fixture
def portal_keys(shards, clock):
    return PortalKeys(shards.directory, data_keys_of(shards, clock), clock)


@pytest.fixture
def rows(shards):
    """Run a statement on the directory and return its rows."""

    async def run(statement, *parameters):
        async with shards.directory.write() as tx:
            return await tx.all(statement, parameters)

    return run


async def test_an_organization_is_made_with_everything_an_integrator_needs(service, shards, portal_keys, clock):
    made = await service.create(NEW)
    organization = await organizations_of(shards).get(made.organization_id)
    assert (organization.name, organization.timezone, organization.is_demo) == ("Acme CRM", "Europe/Prague", False)
    assert organization.origins == ("http://localhost:3000", "https://acme.example")
    assert organization.root_team_id == made.team_id
    assert (await shards.of(made.organization_id)).number == shards.propose(made.organization_id)
    key = await portal_keys.find(made.key_id)
    assert key is not None
    assert (key.organization_id, key.secret, key.algorithm) == (made.organization_id, made.secret.encode(), "HS256")
    assert key.permissions == {"*"}
    token = await ApiTokens(shards.directory, clock).find(made.api_token)
    assert token is not None
    assert (token.organization_id, token.permissions) == (made.organization_id, frozenset({"*"}))


async def test_no_secret_is_stored_in_the_clear(service, rows):
    made = await service.create(NEW)
    dump = str(
        [
            await rows("SELECT * FROM directory.organizations"),
            await rows("SELECT * FROM directory.portal_keys"),
            await rows("SELECT * FROM directory.api_tokens"),
            await rows("SELECT * FROM directory.data_keys"),
            await rows("SELECT * FROM directory.audit"),
        ]
    )
    assert str(made.organization_id) in dump
    assert made.secret not in dump
    assert made.api_token not in dump
    assert made.secret not in repr(made)


async def test_making_an_organization_is_audited(service, rows):
    made = await service.create(NEW)
    audit = await rows(
        "SELECT action, actor FROM directory.audit WHERE organization_id = %s ORDER BY id", made.organization_id
    )
    assert [(row["action"], row["actor"]) for row in audit] == [
        ("organization.create", "operator"),
    ]


@pytest.mark.parametrize(
    "new",
    [
        NewOrganization(name=" "),
        NewOrganization(name="A", origins=("https://acme.example/",)),
        NewOrganization(name="A", timezone="Mars/Olympus"),
    ],
)
async def test_a_wrong_organization_is_not_begun(service, rows, new):
    [before] = await rows("SELECT count(*) AS n FROM directory.organizations")
    with pytest.raises(InvalidInput):
        await service.create(new)
    assert [before] == await rows("SELECT count(*) AS n FROM directory.organizations")


class Broken(Exception):
    """The process dies here."""


@pytest.fixture
def shard_is_lost(shards, monkeypatch):
    """Let the making break off between directory and shard."""

    def lost(number):
        raise Broken

    monkeypatch.setattr(shards, "numbered", lost)
    yield
    monkeypatch.undo()


async def test_what_broke_off_is_invisible_and_is_finished_when_asked_again(service, shards, clock, rows, request):
    new = NewOrganization(name=f"Broken off {request.node.name}")
    request.getfixturevalue("shard_is_lost")
    with pytest.raises(Broken):
        await service.create(new)
    request.getfixturevalue("monkeypatch").undo()
    [begun] = await rows("SELECT id FROM directory.organizations WHERE name = %s", new.name)
    with pytest.raises(NotFound):
        await organizations_of(shards).get(begun["id"])
    clock.advance(3600)
    made = await service.create(new)
    assert made.organization_id == begun["id"]
    assert (await organizations_of(shards).get(made.organization_id)).root_team_id == made.team_id
    keys = await rows("SELECT kid FROM directory.portal_keys WHERE organization_id = %s", made.organization_id)
    assert [row["kid"] for row in keys] == [made.key_id]
    assert (await service.create(new)).organization_id != made.organization_id  # finished ones are nobody's to take


async def test_one_that_is_being_made_right_now_is_not_taken_over(service, rows, request):
    new = NewOrganization(name=f"Under way {request.node.name}")
    request.getfixturevalue("shard_is_lost")
    with pytest.raises(Broken):
        await service.create(new)
    request.getfixturevalue("monkeypatch").undo()
    made = await service.create(new)
    assert len(await rows("SELECT id FROM directory.organizations WHERE name = %s", new.name)) == 2
    assert made.team_id is not None


@pytest.mark.attack("A05")
async def test_that_a_key_does_not_exist_is_remembered_too(portal_keys, shards, monkeypatch):
    assert await portal_keys.find("invented-key") is None
    monkeypatch.setattr(shards.directory, "read", None)  # another look-up would fail
    assert await portal_keys.find("invented-key") is None


async def test_an_expired_or_odd_api_token_is_nobodys(service, shards, rows):
    made = await service.create(NEW)
    tokens = ApiTokens(shards.directory, SystemClock())
    for odd in (
        "",
        "x",
        made.api_token.upper(),
        made.api_token + "\n",
        "\ud800",
        "00000000-0000-4000-8000-000000000000",
    ):
        assert await tokens.find(odd) is None
    await rows(
        "UPDATE directory.api_tokens SET expires_at = now() WHERE organization_id = %s RETURNING 1",
        made.organization_id,
    )
    assert await tokens.find(made.api_token) is None


async def test_an_unknown_organization_is_not_there(shards):
    with pytest.raises(NotFound):
        await organizations_of(shards).get(OrganizationId(2**40))
    with pytest.raises(NotFound):
        await data_keys_of(shards).seal(OrganizationId(2**40), ("hook", 1, "token"), b"x")


@pytest.mark.attack("H02")
async def test_a_secret_opens_only_for_its_own_organization_and_purpose(shards):
    one, other = [(await make_organization(shards)).organization_id for _ in range(2)]
    keys = data_keys_of(shards)
    sealed = await keys.seal(one, ("hook", 1, "token"), b"s3cret")
    assert b"s3cret" not in sealed.encode()
    assert await keys.open(one, ("hook", 1, "token"), sealed) == b"s3cret"
    assert await data_keys_of(shards).open(one, ("hook", 1, "token"), sealed) == b"s3cret"
    for organization_id, purpose in (
        (other, ("hook", 1, "token")),
        (one, ("hook", 2, "token")),
        (one, ("key", 1, "token")),
        (one, ("hook", 1, "values")),
    ):
        with pytest.raises(SealBroken):
            await keys.open(organization_id, purpose, sealed)


@pytest.mark.attack("H04")
async def test_under_another_root_key_nothing_opens(shards):
    made = await make_organization(shards)
    strange = DataKeys(shards.directory, RootKeys(RootKey(bytes(range(1, 33)))), SystemClock())
    with pytest.raises(SealBroken):
        await strange.seal(made.organization_id, ("hook", 1, "token"), b"x")


async def test_a_newer_data_key_seals_and_the_older_still_opens(shards, rows):
    organization_id = (await make_organization(shards)).organization_id
    node, other_node = data_keys_of(shards), data_keys_of(shards)
    old = await node.seal(organization_id, ("hook", 1, "token"), b"old")
    await other_node.open(organization_id, ("hook", 1, "token"), old)  # it now remembers the first version alone
    wrapped = await wrap_data_key(ROOTS, organization_id, 2, None)
    await rows(
        "INSERT INTO directory.data_keys (organization_id, version, wrapped) VALUES (%s, 2, %s) RETURNING 1",
        organization_id,
        wrapped.text,
    )
    new = await data_keys_of(shards).seal(organization_id, ("hook", 1, "token"), b"new")
    assert new.split(".")[1] != old.split(".")[1]
    assert await other_node.open(organization_id, ("hook", 1, "token"), new) == b"new"
    assert await other_node.open(organization_id, ("hook", 1, "token"), old) == b"old"


@pytest.mark.attack("A17")
async def test_a_token_is_used_once_over_all_nodes(shards, clock):
    nodes = [TokenLedger(shards.directory) for _ in range(4)]
    soon = clock.now() + timedelta(seconds=120)
    attempts = [node.consume("kid-0001", "jti-0001", OrganizationId(1024), soon) for node in nodes for _ in range(25)]
    assert sum(await asyncio.gather(*attempts)) == 1


class LosingAnswers(Directory):
    """A directory whose connections break when a statement is committed and its answer is on the way."""

    def __init__(self, directory, losses):
        self.directory = directory
        self.losses = losses

    def read(self):
        return self.directory.read()

    @asynccontextmanager
    async def statement(self):
        async with self.directory.statement() as tx:
            yield tx
        if self.losses:
            self.losses -= 1
            raise ConnectionLost


@pytest.mark.parametrize("losses", [1, 2])
async def test_a_use_whose_answer_was_lost_is_known_as_ones_own(shards, clock, losses):
    losing, other = TokenLedger(LosingAnswers(shards.directory, losses)), TokenLedger(shards.directory)
    token = ("kid-0001", f"lost-{losses}", OrganizationId(1024), clock.now() + timedelta(seconds=120))
    assert await losing.consume(*token)
    assert not await other.consume(*token)


@pytest.mark.attack("A17")
async def test_a_use_whose_answer_was_lost_is_not_mistaken_for_anothers(shards, clock):
    losing, other = TokenLedger(LosingAnswers(shards.directory, 1)), TokenLedger(shards.directory)
    token = ("kid-0001", "anothers", OrganizationId(1024), clock.now() + timedelta(seconds=120))
    assert await other.consume(*token)
    assert not await losing.consume(*token)


@pytest.mark.attack("A20")
async def test_the_same_jti_of_another_organization_or_key_is_another_token(shards, clock):
    ledger = TokenLedger(shards.directory)
    soon = clock.now() + timedelta(seconds=120)
    for kid, jti, organization_id in (
        ("kid-a", "jti-b", 1),
        ("kid-a", "jti-b", 2),
        ("kid-c", "jti-b", 1),
        ("kid-a", "jti-d", 1),
        ("kid-", "ajti-b", 1),
    ):
        assert await ledger.consume(kid, jti, OrganizationId(organization_id), soon)
        assert not await ledger.consume(kid, jti, OrganizationId(organization_id), soon)


@pytest.mark.attack("A19")
async def test_a_use_is_forgotten_only_long_after_its_token_ended(shards, clock):
    ledger = TokenLedger(shards.directory)
    now = clock.now()
    await ledger.consume("kid", "long-ago", OrganizationId(1), now - timedelta(minutes=11))
    await ledger.consume("kid", "just-ended", OrganizationId(1), now - timedelta(minutes=9))
    assert await ledger.purge() == 1
    assert not await ledger.consume("kid", "just-ended", OrganizationId(1), now)
    assert await ledger.consume("kid", "long-ago", OrganizationId(1), now)


async def test_facts_of_the_installation_are_kept(shards):
    async with shards.directory.write() as tx:
        assert await store.read_fact(tx, "demo") is None
        await store.write_fact(tx, "demo", "one")
        await store.write_fact(tx, "demo", "two")
        assert await store.read_fact(tx, "demo") == "two"
