"""A move that is broken off at every state, two that move one organization, and a copy that is not what it was."""

import asyncio
from contextlib import suppress
from functools import partial

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from make_bridge.kernel.errors import InvalidInput, OrganizationMoved
from make_bridge.platform.sharding import moving_copy, moving_guard, moving_store
from make_bridge.platform.sharding.moving import Mover
from make_bridge.platform.sharding.moving_model import Move, MoveFailed, MoveTaken, MovingConfig
from make_bridge.platform.sharding.moving_several import side_by_side
from make_bridge.platform.sharding.moving_tables import moving_tables
from support.moving import fill, rows_of
from support.organizations import make_organization
from support.waiting import until_async

QUICK = MovingConfig(owner="test", grace=0.0, settle=0.0)
STATES = ("copying", "verifying", "closing", "flipped", "deleting")
_WRITE = "INSERT INTO shard.teams (organization_id, name) VALUES (%s, 'Another')"
_OUTBOX = "outbox"
_A_PARTITION = """
SELECT c.relname AS name FROM pg_partition_tree('shard.executions') t JOIN pg_class c ON c.oid = t.relid
WHERE t.isleaf ORDER BY c.relname LIMIT 1
"""
_WAITING = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE NOT l.granted AND d.datname = current_database()
"""


class Broken(Exception):
    """A runner ends here, as if it was killed."""


def breaking_at(words):
    """Hear of progress, and end the runner at these words, once."""
    left = [words]

    def tell(_move: Move, said: str) -> None:
        if left and said == left[0]:
            left.clear()
            raise Broken

    return tell


def mover_of(ground, tell=None, config=QUICK):
    return Mover(ground.shards.directory, ground.owners, config, tell)


async def begun(ground, word):
    organization_id = (await make_organization(ground.shards, word)).organization_id
    source = (await ground.another_process().of(organization_id)).number
    await fill(ground.owners[source], organization_id)
    return organization_id, source, next(number for number in ground.owners if number != source)


@pytest.mark.parametrize("state", STATES)
async def test_a_move_that_is_broken_off_is_finished_and_has_one_owner_at_each_moment(ground, word, state):
    organization_id, source, target = await begun(ground, word)
    before = await rows_of(ground.owners[source], organization_id)
    with pytest.raises(Broken):
        await mover_of(ground, breaking_at(state)).move(organization_id, target)
    owner = await moving_store.placed(ground.shards.directory, organization_id)
    assert owner == (target if state in {"flipped", "deleting"} else source)
    async with (await ground.another_process().of(organization_id)).write(organization_id) as tx:
        assert await tx.execute(_WRITE, (organization_id,)) == 1
    move = await mover_of(ground).move(organization_id, target)
    if move is None:
        (move,) = await moving_store.under_way(ground.shards.directory)
        move = await mover_of(ground).resume(move)
    assert move.state == "finished"
    after = await rows_of(ground.owners[target], organization_id)
    assert len(after.pop("teams")) == len(before.pop("teams")) + 1
    assert {n: r for n, r in after.items() if n != _OUTBOX} == {n: r for n, r in before.items() if n != _OUTBOX}
    assert await rows_of(ground.owners[source], organization_id) == {}
    assert await moving_store.placed(ground.shards.directory, organization_id) == target


@pytest.mark.parametrize("step", ["forget", "flip"])
async def test_whoever_goes_on_behind_the_point_of_no_return_loses_nothing(ground, word, monkeypatch, step):
    """The mover ends between the last commit at the source and the flip: before the target's commit, and after it."""
    organization_id, source, target = await begun(ground, word)
    before = await rows_of(ground.owners[source], organization_id)
    place = moving_guard if step == "forget" else moving_store
    kept = getattr(place, "close_for_good" if step == "forget" else "flip")

    async def broken(*given):
        if step == "forget":
            assert await kept(*given)
        raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(place, "close_for_good" if step == "forget" else "flip", broken)
        with pytest.raises(Broken):
            await mover_of(ground).move(organization_id, target)
    shard = ground.shards.numbered(source)
    if step == "flip":
        with pytest.raises(OrganizationMoved):
            async with shard.write(organization_id) as tx:
                await tx.execute(_WRITE, (organization_id,))
    move = await mover_of(ground).move(organization_id, target)
    assert move.state == "finished"
    after = await rows_of(ground.owners[target], organization_id)
    assert {n: len(r) for n, r in after.items()} == {n: len(r) for n, r in before.items()}
    assert {n: r for n, r in after.items() if n != _OUTBOX} == {n: r for n, r in before.items() if n != _OUTBOX}


@pytest.mark.parametrize("state", STATES[:3])
async def test_a_move_that_is_given_up_before_the_flip_leaves_nothing_and_can_begin_anew(ground, word, state):
    organization_id, source, target = await begun(ground, word)
    before = await rows_of(ground.owners[source], organization_id)
    with pytest.raises(Broken):
        await mover_of(ground, breaking_at(state)).move(organization_id, target)
    assert (await mover_of(ground).abandon(organization_id)).state == "abandoned"
    assert await moving_store.placed(ground.shards.directory, organization_id) == source
    assert await rows_of(ground.owners[target], organization_id) == {}
    assert await rows_of(ground.owners[source], organization_id) == before
    assert await moving_store.of(ground.shards.directory, organization_id) is None
    async with ground.shards.numbered(source).write(organization_id) as tx:
        assert await tx.execute(_WRITE, (organization_id,)) == 1
    assert (await mover_of(ground).move(organization_id, target)).state == "finished"
    assert len((await rows_of(ground.owners[target], organization_id))["teams"]) == len(before["teams"]) + 1


async def test_giving_up_that_broke_off_is_repeated_or_the_move_copies_everything_anew(ground, word, monkeypatch):
    organization_id, source, target = await begun(ground, word)
    with pytest.raises(Broken):
        await mover_of(ground, breaking_at("closing")).move(organization_id, target)

    async def broken(*_given):
        raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(moving_copy, "forget_changes", broken)
        with pytest.raises(Broken):
            await mover_of(ground).abandon(organization_id)
    async with ground.shards.numbered(source).write(organization_id) as tx:
        assert await tx.execute(_WRITE, (organization_id,)) == 1
    here = await rows_of(ground.owners[source], organization_id)
    assert (await mover_of(ground).move(organization_id, target)).state == "finished"
    there = await rows_of(ground.owners[target], organization_id)
    assert {n: r for n, r in there.items() if n != _OUTBOX} == {n: r for n, r in here.items() if n != _OUTBOX}


@pytest.mark.parametrize("state", ["flipped", "deleting"])
async def test_a_move_whose_organization_has_left_is_not_given_up(ground, word, state):
    organization_id, _, target = await begun(ground, word)
    with pytest.raises(InvalidInput, match="does not move"):
        await mover_of(ground).abandon(organization_id)
    with pytest.raises(Broken):
        await mover_of(ground, breaking_at(state)).move(organization_id, target)
    with pytest.raises(InvalidInput, match="has left"):
        await mover_of(ground).abandon(organization_id)
    (move,) = [m for m in await moving_store.under_way(ground.shards.directory) if m.organization_id == organization_id]
    assert (await mover_of(ground).resume(move)).state == "finished"


async def test_how_moves_stand_is_told_also_when_their_runner_is_gone(ground, word):
    organization_id, _, target = await begun(ground, word)
    before = await moving_store.standing(ground.shards.directory)
    with pytest.raises(Broken):
        await mover_of(ground, breaking_at("verifying")).move(organization_id, target)
    assert (await moving_store.standing(ground.shards.directory)).counts["broken_off"] == before.counts[
        "broken_off"
    ] + 1
    finished = await mover_of(ground).move(organization_id, target)
    after = await moving_store.standing(ground.shards.directory)
    assert after.counts["finished"] == before.counts["finished"] + 1
    assert after.counts["broken_off"] == before.counts["broken_off"]
    assert after.paused_seconds == pytest.approx(before.paused_seconds + finished.pause_ms / 1000)
    assert after.longest_pause >= finished.pause_ms / 1000


async def test_several_organizations_move_side_by_side_and_one_that_cannot_holds_up_nobody_under_way(ground, word):
    several = [await begun(ground, f"{word} {number}") for number in range(4)]
    mover, most, now = mover_of(ground), 0, 0

    async def moved(one):
        nonlocal most, now
        now += 1
        most = max(most, now)
        try:
            return await mover.move(one[0], one[2])
        finally:
            now -= 1

    # The last of them is somebody else's at the moment.
    taken = await moving_store.begin(ground.shards.directory, several[3][0], several[3][2])
    assert taken is not None
    held = await moving_store.take(ground.shards.directory, taken, "another", 60.0)
    ended = []

    async def all_of(works):
        async for one, move in side_by_side(works, moved, most=3):
            ended.append((one[0], move.state))

    with pytest.raises(MoveTaken):
        await all_of([several[3], *several[:3]])
    # Beside it two were under way, and after it none was begun.
    assert sorted(ended) == sorted((one[0], "finished") for one in several[:2])
    await moving_store.leave(ground.shards.directory, held)
    await all_of(several[2:])
    assert len(ended) == 4
    assert most == 3
    for organization_id, source, target in several:
        assert await moving_store.placed(ground.shards.directory, organization_id) == target
        assert await rows_of(ground.owners[source], organization_id) == {}


async def test_a_guard_that_is_laid_gives_way_to_a_reader_that_waits_for_it(ground, word):
    """The reader has a partition and wants the table; the guard has the table and wants the partition."""
    organization_id, source, target = await begun(ground, word)
    begun_move = await moving_store.begin(ground.shards.directory, organization_id, target)
    assert begun_move is not None
    move = await moving_store.take(ground.shards.directory, begun_move, "test", 60.0)
    connect = partial(psycopg.AsyncConnection.connect, ground.owners[source], autocommit=True, row_factory=dict_row)
    async with await connect() as reader, await connect() as owner:
        tables = [table for table in await moving_tables(owner) if table.name == "executions"]
        await moving_guard.enter(owner, move, "leaving")
        await moving_guard.lay(owner, tables)
        (partition,) = await (await reader.execute(_A_PARTITION)).fetchall()
        async with reader.transaction():
            await reader.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier("shard", partition["name"])))
            laying = asyncio.create_task(moving_guard.lay(owner, tables))
            await until_async(partial(_is_waiting, ground.owners[source]), "the guard waits", within=20)
            await reader.execute("SELECT 1 FROM shard.executions LIMIT 1")
        await laying
    await moving_store.leave(ground.shards.directory, move)
    assert (await mover_of(ground).abandon(organization_id)).state == "abandoned"


async def _is_waiting(dsn):
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        row = await (await connection.execute(_WAITING)).fetchone()
        return row is not None and row[0] > 0


async def test_of_two_movers_one_goes_on_and_the_other_says_so(ground, word):
    organization_id, _, target = await begun(ground, word)
    both = [mover_of(ground).move(organization_id, target) for _ in range(2)]
    ends = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["Move", "MoveTaken"]
    assert await moving_store.placed(ground.shards.directory, organization_id) == target


async def test_a_runner_that_slept_past_its_lease_changes_nothing(ground, word):
    organization_id, source, target = await begun(ground, word)
    with pytest.raises(Broken):
        await mover_of(ground, breaking_at("closing")).move(organization_id, target)
    (old,) = [m for m in await moving_store.under_way(ground.shards.directory) if m.organization_id == organization_id]
    new = await moving_store.take(ground.shards.directory, old, "new", 0.0)
    async with await psycopg.AsyncConnection.connect(
        ground.owners[source], autocommit=True, row_factory=dict_row
    ) as connection:
        await moving_guard.enter(connection, new, "leaving")
        with pytest.raises(MoveTaken):
            await moving_guard.close(connection, old, 1.0)
        assert not await moving_guard.close_for_good(connection, old)
    with pytest.raises(MoveTaken):
        await moving_store.flip(ground.shards.directory, old, 0)
    assert (await mover_of(ground).move(organization_id, target)).state == "finished"


async def test_closing_waits_for_writes_that_are_under_way_and_brings_them_along(ground, word):
    organization_id, source, target = await begun(ground, word)
    shard = ground.shards.numbered(source)
    tries = []

    def tell(_move, said):
        if said.startswith("could not close"):
            tries.append(said)
            release.set()

    release = asyncio.Event()
    reached = asyncio.Event()

    async def slow_writer():
        async with shard.write(organization_id) as tx:
            await tx.execute(_WRITE, (organization_id,))
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await release.wait()

    def begin(move, said):
        if said == "closing" and not reached.is_set():
            reached.set()
            writer.append(asyncio.create_task(slow_writer()))
        tell(move, said)

    writer: list[asyncio.Task[None]] = []
    config = MovingConfig(owner="test", grace=0.0, settle=0.3)
    move = await mover_of(ground, begin, config).move(organization_id, target)
    await writer[0]
    assert move.state == "finished"
    assert tries
    after = await rows_of(ground.owners[target], organization_id)
    assert len([row for row in after["teams"] if row["name"] == "Another"]) == 1


async def test_a_copy_that_differs_is_made_anew_and_never_flipped(ground, word, monkeypatch):
    organization_id, source, target = await begun(ground, word)
    spoiled = []
    kept = moving_copy.copy_table

    async def spoil(here, there, table, move):
        count = await kept(here, there, table, move)
        if table.name == "customers":
            spoiled.append(table.name)
            await there.execute(
                b"UPDATE shard.customers SET name = 'spoiled' WHERE organization_id = %s", (organization_id,)
            )
        return count

    monkeypatch.setattr(moving_copy, "copy_table", spoil)
    with pytest.raises(MoveFailed, match="customers"):
        await mover_of(ground).move(organization_id, target)
    assert len(spoiled) > 1
    assert await moving_store.placed(ground.shards.directory, organization_id) == source
    monkeypatch.undo()
    assert (await mover_of(ground).move(organization_id, target)).state == "finished"
