"""The audit chain on real databases: sealing by one leader, what verification finds, what nobody may do."""

import asyncio
import contextlib
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import pytest

from make_bridge.domain.organizations.audit_key import AuditKey
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.audit import record, store
from make_bridge.platform.audit.record import AuditRecord
from make_bridge.platform.audit.sealer import Sealer, SealerConfig, ShardSealer
from make_bridge.platform.audit.signing import Head
from make_bridge.platform.audit.verification import Verification
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from support.organizations import ROOTS, administrator, make_organization
from support.waiting import until_async

SEALED = "SELECT sequence, object FROM shard.audit WHERE organization_id = %s ORDER BY id"


class Deluded(ShardSealer):
    """Thinks that it leads, whatever the database says."""

    async def step(self):
        self._lead = Lead(name="audit", owner="nobody", fence=0)
        return await self._act()

    async def _leads(self, home, tx):
        return True


@dataclass(frozen=True)
class Trail:
    """One organization's trail, with the owner's way to it."""

    shards: Shards
    shard: Shard
    organization_id: OrganizationId
    owner: psycopg.AsyncConnection
    directory_owner: psycopg.AsyncConnection

    async def act(self, *objects, action="thing.do"):
        async with self.shard.write(self.organization_id) as tx:
            for name in objects:
                act = AuditRecord(context=administrator(self.organization_id), action=action, object=name)
                await record.insert(tx, "shard", act)

    def sealer(self, node=None, kind=ShardSealer, **config):
        return kind(
            self.shard, self.shards, AuditKey(directory=self.shards.directory, roots=ROOTS), Metrics(),
            SealerConfig(node=node or secrets.token_hex(4), **config), with_directory=True,
        )  # fmt: skip

    async def seal(self, **config):
        """Seal all there is, as a leader that resigns."""
        sealer = self.sealer(**config)
        while await sealer.step():
            pass
        await sealer.stop()

    async def rows(self):
        async with self.shard.read(self.organization_id) as tx:
            return [(row["sequence"], row["object"]) for row in await tx.all(SEALED, (self.organization_id,))]

    async def change(self, statement, *values):
        """Do what somebody with all rights on the database does."""
        await self.owner.execute(statement, values or (self.organization_id,))

    async def verify(self, *elsewhere, page=3, home="shard"):
        signer = await AuditKey(directory=self.shards.directory, roots=ROOTS).signer()
        verification = Verification(self.shards, signer, elsewhere, page=page)
        verdicts = [verdict async for verdict in verification.organization(self.organization_id)]
        return next(verdict for verdict in verdicts if verdict.home == home)

    async def head(self):
        async with self.shard.engine_statement() as tx:
            kept = await store.head_of(tx, "shard", self.organization_id)
        assert kept is not None
        return kept.head


@asynccontextmanager
async def owning(postgres, pool_connection_name):
    async with await psycopg.AsyncConnection.connect(postgres.dsn(pool_connection_name), autocommit=True) as owner:
        yield owner


@pytest.fixture
async def trail(postgres, shards):
    organization_id = (await make_organization(shards)).organization_id
    shard = await shards.of(organization_id)
    async with shard.engine_statement() as tx:
        name = (await tx.one("SELECT current_database() AS name"))["name"]
        await tx.execute("UPDATE shard.leaders SET until = now()")
    async with shards.directory.statement() as tx:
        other = (await tx.one("SELECT current_database() AS name"))["name"]
    async with owning(postgres, name) as owner, owning(postgres, other) as directory_owner:
        yield Trail(shards, shard, organization_id, owner, directory_owner)
        # A broken chain stays broken, and would be met by the sealers of other tests.
        await owner.execute("DELETE FROM shard.audit")


async def test_rows_get_their_places_in_order_and_the_chain_holds(trail):
    await trail.act("a", "b", "c")
    await trail.seal()
    await trail.act("d", "e", "f", "g")
    await trail.seal()
    assert await trail.rows() == [(n, name) for n, name in enumerate("abcdefg", start=1)]
    verdict = await trail.verify()
    assert (verdict.broken, verdict.rows, verdict.last, verdict.waiting) == (None, 7, 7, 0)
    assert (await trail.verify(home="directory")).rows == 1


async def test_a_trail_without_acts_holds_and_rows_that_wait_are_told(trail):
    assert (await trail.verify()).broken is None
    await trail.act("a")
    verdict = await trail.verify()
    assert (verdict.broken, verdict.rows, verdict.waiting) == (None, 0, 1)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "'somebody'"),
        ("actor_kind", "'system'"),
        ("action", "'thing.not'"),
        ("object", "'z'"),
        ("detail", "'{\"x\":1}'"),
        ("before", "'{}'"),
        ("after", "'{}'"),
        ("request_id", "'other'"),
        ("address", "'192.0.2.9'"),
        ("created_at", "created_at + interval '1 microsecond'"),
        ("seal", "set_byte(seal, 31, 255 - get_byte(seal, 31))"),
    ],
)
async def test_h13_a_change_of_any_column_of_a_row_is_found_and_named(trail, column, value):
    await trail.act("a", "b", "c", "d", "e")
    await trail.seal()
    change = f"UPDATE shard.audit SET {column} = {value} WHERE organization_id = %s AND sequence = 4"  # noqa: S608
    await trail.change(change)
    verdict = await trail.verify()
    assert verdict.sequence == 4
    assert "Row 4" in verdict.broken
    assert "was changed" in verdict.broken


async def test_h13_a_deleted_row_is_found(trail):
    await trail.act("a", "b", "c", "d", "e")
    await trail.seal()
    await trail.change("DELETE FROM shard.audit WHERE organization_id = %s AND sequence = 2")
    verdict = await trail.verify()
    assert (verdict.sequence, verdict.broken) == (2, "Row 2 is missing; the signed head is row 5.")


async def test_h13_a_deleted_row_is_found_also_when_the_others_close_up(trail):
    await trail.act("a", "b", "c", "d", "e")
    await trail.seal()
    await trail.change("DELETE FROM shard.audit WHERE organization_id = %s AND sequence = 2")
    for sequence in (3, 4, 5):
        await trail.change(
            "UPDATE shard.audit SET sequence = sequence - 1 WHERE organization_id = %s AND sequence = %s",
            trail.organization_id, sequence,
        )  # fmt: skip
    assert (await trail.verify()).sequence == 2


async def test_h13_a_tail_that_was_cut_off_is_found(trail):
    await trail.act("a", "b", "c", "d", "e")
    await trail.seal()
    await trail.change("DELETE FROM shard.audit WHERE organization_id = %s AND sequence > 3")
    assert (await trail.verify()).broken == "Row 4 is missing; the signed head is row 5."


async def test_h13_a_tail_cut_off_together_with_an_older_head_is_found_by_the_anchor(trail):
    await trail.act("a", "b")
    await trail.seal()
    rows = await (
        await trail.owner.execute(
            "SELECT sequence, hash, signature FROM shard.audit_heads WHERE organization_id = %s",
            (trail.organization_id,),
        )
    ).fetchone()
    await trail.act("c", "d")
    await trail.seal(anchor_rows=1)
    newest = await trail.head()
    await trail.change("DELETE FROM shard.audit WHERE organization_id = %s AND sequence > 2")
    await trail.change(
        "UPDATE shard.audit_heads SET sequence = %s, hash = %s, signature = %s WHERE organization_id = %s",
        *rows, trail.organization_id,
    )  # fmt: skip
    assert "The tail is cut off" in (await trail.verify()).broken
    await trail.change("DELETE FROM shard.audit_checkpoints WHERE organization_id = %s")
    assert (await trail.verify()).broken is None
    assert "row 4 was anchored" in (await trail.verify(newest)).broken


async def test_h13_rows_in_another_order_are_found(trail):
    await trail.act("a", "b", "c", "d")
    await trail.seal()
    await trail.change(
        "UPDATE shard.audit SET sequence = CASE sequence WHEN 2 THEN 103 ELSE 102 END"
        " WHERE organization_id = %s AND sequence IN (2, 3)"
    )
    await trail.change("UPDATE shard.audit SET sequence = sequence - 100 WHERE organization_id = %s AND sequence > 100")
    assert (await trail.verify()).sequence == 2


async def test_h13_a_chain_computed_anew_is_found_by_its_head_because_only_the_installation_can_sign(trail):
    await trail.act("a", "b", "c")
    await trail.seal()
    kept = await trail.head()
    forged = Head(home="shard", organization_id=trail.organization_id, sequence=3, hash=secrets.token_bytes(32))
    await trail.change(
        "UPDATE shard.audit_heads SET hash = %s WHERE organization_id = %s", forged.hash, trail.organization_id
    )
    assert kept != forged
    assert "has not signed it" in (await trail.verify()).broken


async def test_nothing_is_chained_to_a_head_that_was_changed_and_others_go_on(trail, shards):
    await trail.act("a")
    await trail.seal()
    await trail.change("UPDATE shard.audit_heads SET sequence = 7 WHERE organization_id = %s")
    await trail.act("b")
    await trail.seal()
    assert await trail.rows() == [(1, "a"), (None, "b")]
    await trail.change("DELETE FROM shard.audit_heads WHERE organization_id = %s")
    await trail.seal()
    assert await trail.rows() == [(1, "a"), (None, "b")]
    assert "head" in (await trail.verify()).broken


async def test_a_chain_somebody_has_written_into_does_not_stop_the_others(trail, shards):
    other = (await make_organization(shards)).organization_id
    await trail.act("a")
    await trail.seal()
    await trail.change(
        "INSERT INTO shard.audit"
        " (organization_id, actor_kind, actor, action, object, detail, request_id, sequence, seal)"
        " VALUES (%s, 'system', 'x', 'x', 'x', '', '', 2, '')"
    )
    await trail.act("b")
    async with trail.shard.write(other) as tx:
        await record.insert(tx, "shard", AuditRecord(context=administrator(other), action="x", object="y"))
    sealer = trail.sealer()
    for _ in range(6):
        await sealer.turn()
    await sealer.stop()
    async with trail.shard.read(other) as tx:
        assert (await tx.one("SELECT sequence FROM shard.audit WHERE organization_id = %s", (other,)))["sequence"] == 1


async def test_serving_roles_can_neither_change_nor_delete_a_sealed_row_nor_write_a_sealed_one(trail, shards):
    await trail.act("a")
    await trail.seal()
    denied = pytest.raises(psycopg.errors.InsufficientPrivilege)
    for statement in (
        "DELETE FROM shard.audit",
        "UPDATE shard.audit SET object = 'b'",
        (
            "INSERT INTO shard.audit (organization_id, actor_kind, actor, action, object, detail, request_id, seal)"
            " VALUES (1, '', '', '', '', '', '', '')"
        ),
        "TRUNCATE shard.audit",
        "DELETE FROM shard.audit_heads",
        "DELETE FROM shard.audit_checkpoints",
        "UPDATE shard.audit_checkpoints SET sequence = 0",
    ):
        for begin in (lambda: trail.shard.write(trail.organization_id), trail.shard.engine_write):
            with denied:
                async with begin() as tx:
                    await tx.execute(statement)
        with denied:
            async with shards.directory.write() as tx:
                await tx.execute(statement.replace("shard.", "directory."))
    async with trail.shard.engine_write() as tx:
        assert await tx.execute("UPDATE shard.audit SET seal = '', sequence = 9") == 0
    async with shards.directory.write() as tx:
        assert await tx.execute("UPDATE directory.audit SET seal = '', sequence = 9") == 0
    with denied:
        async with trail.shard.write(trail.organization_id) as tx:
            await tx.execute("UPDATE shard.audit SET seal = '', sequence = 9")
    assert (await trail.verify()).broken is None


async def test_serving_roles_drop_nothing_without_a_checkpoint_and_nothing_young(trail):
    await trail.act("a")
    await trail.seal()
    head = await trail.head()

    async def drop(*, checkpoint):
        async with trail.shard.engine_write() as tx:
            if checkpoint:
                await store.add_checkpoint(tx, "dropped", head, b"")
            await store.drop(tx, head)

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="behind a checkpoint only"):
        await drop(checkpoint=False)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="30 days"):
        await drop(checkpoint=True)
    assert await trail.rows() == [(1, "a")]


async def test_what_is_too_old_goes_behind_a_signed_checkpoint_and_the_rest_still_verifies(trail):
    await trail.act(*"abcdef")
    await trail.seal(anchor_rows=1)
    # What the clock does in years; the chain is sealed over it, as it would have been then.
    await trail.change("DELETE FROM shard.audit WHERE organization_id = %s")
    await trail.change("DELETE FROM shard.audit_heads WHERE organization_id = %s")
    await trail.change("DELETE FROM shard.audit_checkpoints WHERE organization_id = %s")
    await trail.act(*"abcdef")
    await trail.change(
        "UPDATE shard.audit SET created_at = now() - interval '40 days' WHERE organization_id = %s AND object < 'd'"
    )
    await trail.seal(anchor_rows=1, kept_days=100)
    assert len(await trail.rows()) == 6
    await trail.seal(kept_days=35)
    assert await trail.rows() == [(4, "d"), (5, "e"), (6, "f")]
    verdict = await trail.verify()
    assert (verdict.broken, verdict.rows, verdict.last) == (None, 3, 6)
    await trail.change("UPDATE shard.audit_checkpoints SET hash = '' WHERE organization_id = %s AND kind = 'dropped'")
    assert "dropped rows was not signed" in (await trail.verify()).broken


async def test_anchors_are_written_and_told_after_so_many_rows(trail):
    await trail.act(*"abcde")
    await trail.seal(anchor_rows=5)
    async with trail.shard.read(trail.organization_id) as tx:
        anchors = await tx.all("SELECT sequence FROM shard.audit_checkpoints")
        told = await tx.all("SELECT payload FROM shard.outbox WHERE type = 'audit.anchored.v1'")
    assert [row["sequence"] for row in anchors] == [5]
    assert (await trail.head()).hash.hex() in bytes(told[0]["payload"]).decode()


async def test_a_head_that_grew_is_anchored_after_a_day(trail):
    await trail.act("a")
    await trail.seal()
    await trail.change(
        "UPDATE shard.audit_heads SET anchored_at = now() - interval '25 hours' WHERE organization_id = %s"
    )
    await trail.seal()
    async with trail.shard.read(trail.organization_id) as tx:
        assert [row["sequence"] for row in await tx.all("SELECT sequence FROM shard.audit_checkpoints")] == [1]


async def test_of_two_processes_only_the_leader_chains_and_the_next_goes_on_without_a_gap(trail):
    first, second = trail.sealer("first"), trail.sealer("second")
    await trail.act("a", "b")
    assert await first.step()
    assert not await second.step()
    await trail.act("c")
    await second.step()
    assert await trail.rows() == [(1, "a"), (2, "b"), (None, "c")]
    # The first is killed: it resigns nothing, its term runs out.
    async with trail.shard.engine_statement() as tx:
        await tx.execute("UPDATE shard.leaders SET until = now() WHERE name = 'audit'")
    second = trail.sealer("second")
    await second.step()
    assert [sequence for sequence, _ in await trail.rows()] == [1, 2, 3]
    await trail.act("d")
    # The first wakes, and still thinks it leads: its fence holds no more.
    await first.step()
    assert (await trail.rows())[-1] == (None, "d")
    await second.step()
    assert (await trail.verify()).rows == 4
    await first.stop()
    await second.stop()


async def test_two_that_seal_at_once_make_one_chain(trail):
    sealers = [trail.sealer(kind=Deluded), trail.sealer(kind=Deluded)]
    for number in range(10):
        await trail.act(*(f"{number}.{i}" for i in range(7)))
        await asyncio.gather(*(sealer.step() for sealer in sealers))
    for sealer in sealers:
        while await sealer.step():
            pass
    assert sorted(sequence for sequence, _ in await trail.rows()) == list(range(1, 71))
    verdict = await trail.verify(page=10)
    assert (verdict.broken, verdict.rows) == (None, 70)


async def test_a_row_is_chained_within_a_second_of_its_commit_by_a_process_that_runs(trail, shards):
    sealer = Sealer(
        shards, AuditKey(directory=shards.directory, roots=ROOTS), Metrics(), SealerConfig(node=secrets.token_hex(4))
    )
    await sealer.start()
    try:
        await trail.act("a")

        async def is_sealed():
            return (await trail.rows())[0][0] == 1

        await until_async(is_sealed, "the row is chained", within=5.0)
        clock = asyncio.get_running_loop().time
        await trail.act("b")
        began = clock()

        async def both():
            return [sequence for sequence, _ in await trail.rows()] == [1, 2]

        await until_async(both, "the second row is chained", within=5.0)
        assert clock() - began < 1.5
    finally:
        await sealer.stop()


async def test_verification_goes_beside_acts_and_sealing(trail):
    await trail.act(*"abcdefghij")
    await trail.seal()

    async def go_on():
        for number in range(10):
            await trail.act(f"more {number}")
            await trail.seal()

    going = asyncio.create_task(go_on())
    try:
        while not going.done():
            assert (await trail.verify(page=2)).broken is None
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await going
    assert (await trail.verify()).last == 20


async def test_a_whole_trail_that_is_gone_is_found(trail):
    await trail.seal()
    assert (await trail.verify(home="directory")).broken is None
    for table in ("audit", "audit_heads", "audit_checkpoints"):
        await trail.directory_owner.execute(
            f"DELETE FROM directory.{table} WHERE organization_id = %s",  # noqa: S608
            (trail.organization_id,),
        )
    signer = await AuditKey(directory=trail.shards.directory, roots=ROOTS).signer()
    verdicts = [one async for one in Verification(trail.shards, signer).everything()]
    [found] = [one for one in verdicts if one.organization_id == trail.organization_id]
    assert found.home == "directory"
    assert "whole trail is gone" in (found.broken or "")
