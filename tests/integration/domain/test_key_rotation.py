"""Rotating data keys and the root key over real databases, while readers read; destroying an organization's keys."""

import asyncio
import os
import secrets

import pytest

from make_bridge.domain.connections import handlers
from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.connections.messages import CreateComponent
from make_bridge.domain.connections.opening import ComponentOpener
from make_bridge.domain.connections.resealing_store import SealedConnections
from make_bridge.domain.credential_requests import handlers as request_handlers
from make_bridge.domain.credential_requests import prefill
from make_bridge.domain.credential_requests.handlers import CredentialRequestHandlers
from make_bridge.domain.credential_requests.messages import CreateCredentialRequest, Wanted
from make_bridge.domain.credential_requests.resealing_store import SealedPrefills
from make_bridge.domain.deliveries.messages import EndpointId
from make_bridge.domain.deliveries.resealing_store import SealedEndpoints
from make_bridge.domain.deliveries.sending import purpose_of
from make_bridge.domain.organizations import store
from make_bridge.domain.organizations.audit_key import AuditKey
from make_bridge.domain.organizations.data_key_rotation import RotatingDataKeys
from make_bridge.domain.organizations.facts import ROOT_BEFORE, SealedFacts, require_same_root_key
from make_bridge.domain.organizations.keys import ROOT_IN_FORCE, ApiTokens, DataKeys, PortalKeys
from make_bridge.domain.organizations.messages import NewOrganization
from make_bridge.domain.organizations.root_rotation import PIECE, RootRotation
from make_bridge.domain.organizations.rotation_messages import RotateDataKey
from make_bridge.domain.organizations.service import OrganizationService
from make_bridge.domain.scenarios.hook_handlers import secret_purpose
from make_bridge.domain.scenarios.inbound import Inbound, decode_inbound, with_inbound
from make_bridge.domain.scenarios.resealing_store import SealedHooks
from make_bridge.domain.scenarios.signatures import SignatureRule
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import ConfigurationError, Conflict, Gone, NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.audit.signing import Head
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.security.root_key import RootKey, RootKeys, next_key_file, place_next_key
from make_bridge.platform.security.sealing import SealBroken
from support.endings import make_place
from support.jobs import JobScene, until
from support.organizations import ROOTS, administrator, data_keys_of, make_organization, organizations_of, service_of
from support.postgres import open_shards

CREDENTIALS = int(os.environ.get("MAKE_BRIDGE_TEST_CREDENTIALS", "500"))
VALUES: dict[str, object] = {"key": "s3cret-key", "placement": "header", "name": "X-API-Key"}
_COPY = """
INSERT INTO shard.hooks (organization_id, team_id, name, type_name, token_digest, token_sealed, settings)
VALUES (%s, %s, 'Orders', 'web', %s, '', %s) RETURNING id
"""
_ENDPOINT = """
INSERT INTO shard.webhook_endpoints (organization_id, url, description, events, secret_sealed)
VALUES (%s, 'https://hear.example/', '', '{}', '') RETURNING id
"""


@pytest.fixture
async def place(shards):
    return await make_place(shards)


@pytest.fixture
async def scene(shards, place):
    scene = JobScene(shards, place)
    yield scene
    await scene.worker.stop()


@pytest.fixture
def rotating(shards, scene):
    """The rotation of data keys as a job of a worker that runs."""
    made = RotatingDataKeys(
        shards=shards,
        sealing=data_keys_of(shards),
        roots=ROOTS,
        jobs=scene.queue,
        rows=(SealedConnections(), SealedHooks(), SealedEndpoints(), SealedPrefills()),
        settled_after=0.0,
    )
    scene.queue.types.add(made.type())
    return made


async def connect(shards, place, count):
    """Store so many credentials."""
    sealing = data_keys_of(shards)
    bus = CommandBus(handlers.commands(ComponentHandlers(sealing=sealing)), shards, sealing)
    command = CreateComponent(team_id=place.team_id, kind="key", type="apikeyauth", name="Shop", values=VALUES)
    context = administrator(place.organization_id)
    return [(await bus.execute(context, command)).id for _ in range(count)]


async def ask(shards, rotating, place):
    async with place.shard.write(place.organization_id) as tx:
        work = UnitOfWork(tx, administrator(place.organization_id))
        return await rotating.ask(work, RotateDataKey())


async def seals(place, column="secret_sealed", table="connections"):
    async with place.shard.read(place.organization_id) as tx:
        rows = await tx.all(f"SELECT DISTINCT split_part({column}, '.', 2) AS key FROM shard.{table}")  # noqa: S608
    return {row["key"] for row in rows}


class Readers:
    """Nodes that open credentials all the time and count what does not open."""

    def __init__(self, open_one, nodes):
        self._open = open_one
        self._nodes = nodes
        self.read, self.broken = 0, []

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self._go_on(node)) for node in self._nodes]
        return self

    async def __aexit__(self, *error):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def go_on_until(self, count):
        """Wait until so many were read in all."""

        async def is_there():
            return self.read >= count or bool(self.broken)

        await until(is_there)

    async def _go_on(self, node):
        while True:
            try:
                await self._open(node)
                self.read += 1
            except (SealBroken, NotFound, Gone) as error:
                self.broken.append(error)
            await asyncio.sleep(0)


async def test_every_credential_is_sealed_anew_while_it_is_read(shards, place, scene, rotating):
    ids = await connect(shards, place, CREDENTIALS)
    opened = 0

    async def open_one(node):
        nonlocal opened
        opened += 1
        got = await node.open(place.organization_id, place.team_id, ids[opened % len(ids)])
        assert got.values == VALUES

    nodes = [ComponentOpener(shards=shards, sealing=data_keys_of(shards)) for _ in range(2)]
    async with Readers(open_one, nodes) as readers:
        job_id = await ask(shards, rotating, place)
        await scene.worker.start()
        job = await scene.until_state(job_id, "completed")
    assert readers.broken == []
    assert readers.read > 0
    assert bytes(job["result"]) == b'{"version":2}'
    assert await seals(place) == {"d2"}
    assert (await scene.events())["organization.data_key_rotated.v1"] == 1
    # A node that has never read the older version, as after a restart.
    fresh = ComponentOpener(shards=shards, sealing=data_keys_of(shards))
    for component_id in ids:
        assert (await fresh.open(place.organization_id, place.team_id, component_id)).values == VALUES


async def test_what_was_filled_in_beforehand_is_sealed_anew(shards, place, scene, rotating):
    sealing = data_keys_of(shards)
    asking = CredentialRequestHandlers(sealing=sealing, components=ComponentHandlers(sealing=sealing))
    bus = CommandBus(request_handlers.commands(asking), shards, sealing)
    wanted = (
        Wanted(component="keychain", type="basicauth", hard={"password": "s3cret"}),
        Wanted(component="keychain", type="basicauth"),
    )
    context = administrator(place.organization_id)
    await bus.execute(context, CreateCredentialRequest(team_id=place.team_id, wanted=wanted))
    job_id = await ask(shards, rotating, place)
    await scene.worker.start()
    await scene.until_state(job_id, "completed")
    assert await seals(place, "prefill_sealed", "requested_credentials") == {"d2", None}
    async with place.shard.read(place.organization_id) as tx:
        rows = await tx.all("SELECT number, prefill_sealed FROM shard.requested_credentials ORDER BY number")
    opened = await prefill.open_prefill(
        data_keys_of(shards), place.organization_id, rows[0]["number"], rows[0]["prefill_sealed"]
    )
    assert opened.hard == {"password": "s3cret"}


async def test_webhooks_and_what_the_directory_keeps_are_sealed_anew(shards, place, scene, rotating):
    organization_id, sealing = place.organization_id, data_keys_of(shards)
    rule = SignatureRule(scheme="github")
    settings = with_inbound(b'{"headers":true}', Inbound(signature=rule))
    async with place.shard.write(organization_id) as tx:
        [row] = await tx.all(_COPY, (organization_id, place.team_id, secrets.token_bytes(32), settings))
        hook_id = row["id"]
        token = await sealing.seal(organization_id, ("hook", hook_id, "token"), b"the token")
        boxes = [await sealing.seal(organization_id, secret_purpose(hook_id), box) for box in (b"one", b"two")]
        signed = SignatureRule(scheme="github", secrets=boxes)
        settings = with_inbound(settings, Inbound(signature=signed))
        await tx.execute(
            "UPDATE shard.hooks SET token_sealed = %s, settings = %s WHERE id = %s", (token, settings, hook_id)
        )
        endpoint_id = EndpointId((await tx.all(_ENDPOINT, (organization_id,)))[0]["id"])
        kept = [await sealing.seal(organization_id, purpose_of(endpoint_id), box) for box in (b"new", b"old")]
        await tx.execute(
            "UPDATE shard.webhook_endpoints SET secret_sealed = %s, previous_sealed = %s WHERE id = %s",
            (*kept, endpoint_id),
        )
    facts = SealedFacts(directory=shards.directory, data_keys=sealing)
    name = f"demo {organization_id}"
    await facts.write_fact(name, organization_id, b"the fact")
    job_id = await ask(shards, rotating, place)
    await scene.worker.start()
    await scene.until_state(job_id, "completed")
    async with place.shard.read(organization_id) as tx:
        row = await tx.one("SELECT token_sealed, settings FROM shard.hooks WHERE id = %s", (hook_id,))
        told = await tx.one("SELECT secret_sealed, previous_sealed FROM shard.webhook_endpoints")
    fresh = data_keys_of(shards)
    assert row["token_sealed"].split(".")[1] == "d2"
    assert await fresh.open(organization_id, ("hook", hook_id, "token"), row["token_sealed"]) == b"the token"
    signature = decode_inbound(bytes(row["settings"])).signature
    assert signature is not None
    stored = signature.secrets
    assert [box.split(".")[1] for box in stored] == ["d2", "d2"]
    assert [await fresh.open(organization_id, secret_purpose(hook_id), box) for box in stored] == [b"one", b"two"]
    assert b'"headers":true' in bytes(row["settings"])
    boxes = list(told.values())
    assert [box.split(".")[1] for box in boxes] == ["d2", "d2"]
    assert [await fresh.open(organization_id, purpose_of(endpoint_id), box) for box in boxes] == [b"new", b"old"]
    assert await SealedFacts(directory=shards.directory, data_keys=fresh).read_fact(name) == b"the fact"
    async with shards.directory.read() as tx:
        keys = await tx.all(
            "SELECT kid, secret_sealed FROM directory.portal_keys WHERE organization_id = %s", (organization_id,)
        )
    assert [row["secret_sealed"].split(".")[1] for row in keys] == ["d2"]
    assert await PortalKeys(shards.directory, fresh, SystemClock()).find(keys[0]["kid"]) is not None


@pytest.mark.attack("H05")
async def test_a_rotation_whose_worker_died_is_finished_under_the_same_version(
    shards, place, scene, rotating, monkeypatch
):
    await connect(shards, place, 5)
    pieces = 0

    async def two_at_a_time(self, tx, organization_id, ring, most, whole=SealedConnections.reseal):
        nonlocal pieces
        pieces += 1
        if pieces == 2:
            raise OSError("the worker's machine is gone")
        return await whole(self, tx, organization_id, ring, 2)

    monkeypatch.setattr(SealedConnections, "reseal", two_at_a_time)
    job_id = await ask(shards, rotating, place)
    assert await ask(shards, rotating, place) == job_id
    await scene.worker.start()
    await scene.until_tried(job_id)
    assert await seals(place) == {"d1", "d2"}
    await scene.hurry()
    job = await scene.until_state(job_id, "completed")
    assert bytes(job["result"]) == b'{"version":2}'
    assert await seals(place) == {"d2"}
    async with shards.directory.read() as tx:
        assert set(await store.data_keys(tx, place.organization_id)) == {1, 2}


async def test_what_a_node_seals_with_the_version_before_is_found_by_the_last_look(shards, place, scene, rotating):
    behind = data_keys_of(shards)
    await behind.seal(place.organization_id, ("hook", 1, "token"), b"x")  # it now remembers the first version
    patient = RotatingDataKeys(
        shards=shards, sealing=data_keys_of(shards), roots=ROOTS, jobs=scene.queue, rows=rotating.rows
    )
    scene.queue.types._types.clear()  # noqa: SLF001 - the same job, with the pause it has in earnest
    scene.queue.types.add(patient.type())
    job_id = await ask(shards, patient, place)
    await scene.worker.start()
    await scene.until_tried(job_id)
    assert (await scene.job(job_id))["state"] == "waiting"
    bus = CommandBus(handlers.commands(ComponentHandlers(sealing=behind)), shards, behind)
    command = CreateComponent(team_id=place.team_id, kind="key", type="apikeyauth", name="Shop", values=VALUES)
    await bus.execute(administrator(place.organization_id), command)
    assert await seals(place) == {"d1"}
    object.__setattr__(patient, "settled_after", 0.0)
    await scene.hurry()
    await scene.until_state(job_id, "completed")
    assert await seals(place) == {"d2"}


# The root key.


@pytest.fixture
def files(tmp_path):
    """The current root key's file, and one with the new key."""
    paths = tmp_path / "root.key", tmp_path / "new.key"
    for path in paths:
        RootKey.create(path)
    return paths


@pytest.fixture
async def installation(postgres, files):
    """Databases of their own, set up with the key in the file, and some organizations in them."""
    async with open_shards(postgres, "one") as opened:
        await require_same_root_key(opened.directory, RootKeys.load(files[0]))
        yield opened


async def organizations_under(shards, path, count):
    """Make organizations as a node with this key file does."""
    service = OrganizationService(shards.directory, shards, RootKeys.load(path), SystemClock())
    return [(await service.create(NewOrganization(name="Acme"))).organization_id for _ in range(count)]


async def rotate(shards, files):
    rotation = RootRotation(directory=shards.directory, old=RootKey.load(files[0]), new=RootKey.load(files[1]))
    await rotation.begin()
    while await rotation.piece():
        pass
    await rotation.finish()


@pytest.mark.attack("H05")
async def test_the_root_is_rotated_while_nodes_read_and_the_old_one_opens_nothing(installation, files):
    owners = await organizations_under(installation, files[0], 20)
    node = DataKeys(installation.directory, RootKeys.load(files[0]), SystemClock())
    sealed = {owner: await node.seal(owner, ("key", 1, "values"), b"s3cret") for owner in owners}
    turn = 0

    async def open_one(reader):
        nonlocal turn
        turn += 1
        owner = owners[turn % len(owners)]
        reader.forget(owner)
        assert await reader.open(owner, ("key", 1, "values"), sealed[owner]) == b"s3cret"

    # These nodes were started before the rotation, and are never started again.
    nodes = [DataKeys(installation.directory, RootKeys.load(files[0]), SystemClock()) for _ in range(2)]
    old = RootKeys(RootKey.load(files[0]))
    async with Readers(open_one, nodes) as readers:
        place_next_key(*files)
        await rotate(installation, files)
        seen = readers.read
        next_key_file(files[0]).replace(files[0])
        await readers.go_on_until(seen + 2 * len(owners))
    assert readers.broken == []
    # Under the old key alone nothing opens, and no process starts.
    for owner in owners:
        with pytest.raises(SealBroken):
            await DataKeys(installation.directory, old, SystemClock()).open(owner, ("key", 1, "values"), sealed[owner])
    with pytest.raises(ConfigurationError, match="another root key"):
        await require_same_root_key(installation.directory, old)
    await require_same_root_key(installation.directory, RootKeys.load(files[0]))


@pytest.mark.attack("H05")
@pytest.mark.parametrize("dies_after", ["begin", "piece", "finish"])
async def test_a_rotation_that_was_killed_goes_on_where_it_was(installation, files, dies_after, monkeypatch):
    owners = await organizations_under(installation, files[0], 4)
    monkeypatch.setattr("make_bridge.domain.organizations.root_rotation.PIECE", 2)
    first = RootRotation(directory=installation.directory, old=RootKey.load(files[0]), new=RootKey.load(files[1]))
    assert await first.begin() >= 4
    if dies_after != "begin":
        assert await first.piece() == 2
    if dies_after == "finish":
        await rotate(installation, files)
    place_next_key(*files)
    both, old = RootKeys.load(files[0]), RootKeys(RootKey.load(files[0]))
    await require_same_root_key(installation.directory, both)
    for roots in (old, RootKeys(RootKey.load(files[1]))):
        if dies_after != "finish" or roots is old:
            with pytest.raises(ConfigurationError):
                await require_same_root_key(installation.directory, roots)
    if dies_after != "finish":
        with pytest.raises(Conflict):
            await first.finish()
    await rotate(installation, files)
    fresh = DataKeys(installation.directory, RootKeys(RootKey.load(files[1])), SystemClock())
    for owner in owners:
        await fresh.seal(owner, ("key", 1, "values"), b"x")
    async with installation.directory.read() as tx:
        assert await store.read_fact(tx, ROOT_BEFORE) is None
        assert await store.read_fact(tx, ROOT_IN_FORCE) == RootKey.load(files[1]).check


async def test_what_is_made_during_a_rotation_is_wrapped_by_the_new_root(installation, files):
    node = RootKeys.load(files[0])
    service = OrganizationService(installation.directory, installation, node, SystemClock())
    rotation = RootRotation(directory=installation.directory, old=RootKey.load(files[0]), new=RootKey.load(files[1]))
    await rotation.begin()
    with pytest.raises(ConfigurationError, match="give it the new one"):
        await service.create(NewOrganization(name="Made meanwhile"))
    place_next_key(*files)
    made = await service.create(NewOrganization(name="Made meanwhile"))
    async with installation.directory.read() as tx:
        wrapped = await store.data_keys(tx, made.organization_id)
    assert wrapped[1].split(".")[1] == RootKey.load(files[1]).name


async def test_what_signs_the_audit_trail_stays_the_same_over_a_rotation_of_the_root(installation, files):
    head = Head(home="shard", organization_id=1, sequence=1, hash=bytes(32))
    old = AuditKey(directory=installation.directory, roots=RootKeys.load(files[0]))
    signature = (await old.signer()).sign("head", head)
    place_next_key(*files)
    await rotate(installation, files)
    new = AuditKey(directory=installation.directory, roots=RootKeys(RootKey.load(files[1])))
    assert (await new.signer()).accepts("head", head, signature)
    assert (await old.signer()).accepts("head", head, signature)
    stranger = AuditKey(directory=installation.directory, roots=RootKeys(RootKey(secrets.token_bytes(32))))
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        await stranger.signer()


async def test_a_key_that_is_not_in_force_rotates_nothing(installation, files, tmp_path):
    stranger = RootKey.create(tmp_path / "stranger.key")
    rotation = RootRotation(directory=installation.directory, old=stranger, new=RootKey.load(files[1]))
    with pytest.raises(Conflict):
        await rotation.begin()
    place_next_key(*files)
    with pytest.raises(ConfigurationError, match="Another rotation has begun"):
        place_next_key(files[0], tmp_path / "stranger.key")
    assert PIECE > 0


# Destroying keys.


async def test_a_shredded_organization_s_secrets_open_for_nobody_and_nothing_of_it_runs(shards):
    made = await make_organization(shards)
    organization_id, node = made.organization_id, data_keys_of(shards)
    sealed = await node.seal(organization_id, ("key", 1, "values"), b"s3cret")
    place = await make_place(shards)
    for _ in range(2):
        await service_of(shards).shred(organization_id)
    node.forget(organization_id)
    for reader in (node, data_keys_of(shards)):
        with pytest.raises((Gone, NotFound)):
            await reader.open(organization_id, ("key", 1, "values"), sealed)
    assert await PortalKeys(shards.directory, data_keys_of(shards), SystemClock()).find(made.key_id) is None
    assert await ApiTokens(shards.directory, SystemClock()).find(made.api_token) is None
    with pytest.raises(NotFound):
        await organizations_of(shards).get(organization_id)
    async with shards.directory.read() as tx:
        audit = await tx.all(
            "SELECT action FROM directory.audit WHERE organization_id = %s ORDER BY id DESC LIMIT 1",
            (organization_id,),
        )
    assert audit[0]["action"] == "organization.shred"
    with pytest.raises(NotFound):
        await service_of(shards).shred(OrganizationId(2**40))
    # Another organization's scenario goes on; its own stop.
    await service_of(shards).shred(place.organization_id)
    async with place.shard.read(place.organization_id) as tx:
        row = await tx.one("SELECT state FROM shard.scenarios WHERE id = %s", (place.scenario_id,))
        told = await tx.all("SELECT type FROM shard.outbox WHERE type = 'organization.shredded.v1'")
    assert row is not None
    assert row["state"] == "inactive"
    assert len(told) == 1
