"""Moving an organization between two real shards: what arrives, what stays behind, and who may go on."""

import pytest

from make_bridge.kernel.errors import OrganizationMoved
from make_bridge.platform.sharding.moving import Mover
from make_bridge.platform.sharding.moving_model import MovingConfig
from support.moving import fill, rows_of
from support.organizations import make_organization

QUICK = MovingConfig(owner="test", grace=0.0, settle=0.0)
_WRITE = "INSERT INTO shard.teams (organization_id, name) VALUES (%s, 'Another')"
# What a move gives another value: events get their places anew, and those told before are history.
_EVENTS = "outbox"


async def moved(ground, organization_id, config=QUICK):
    source = (await ground.another_process().of(organization_id)).number
    target = next(number for number in ground.owners if number != source)
    said = []
    mover = Mover(ground.shards.directory, ground.owners, config, lambda _move, words: said.append(words))
    return await mover.move(organization_id, target), source, target


async def test_a_quiet_organization_arrives_whole_and_leaves_nothing_behind(ground, word):
    organization_id = (await make_organization(ground.shards, word)).organization_id
    stranger = (await make_organization(ground.shards, f"{word} 2")).organization_id
    number = (await ground.shards.of(organization_id)).number
    await fill(ground.owners[number], organization_id)
    await fill(ground.owners[number], stranger)
    before = await rows_of(ground.owners[number], organization_id)
    of_stranger = await rows_of(ground.owners[number], stranger)
    move, source, target = await moved(ground, organization_id)
    assert move.state == "finished"
    after = await rows_of(ground.owners[target], organization_id)
    assert {name: len(rows) for name, rows in after.items()} == {name: len(rows) for name, rows in before.items()}
    assert {n: r for n, r in after.items() if n != _EVENTS} == {n: r for n, r in before.items() if n != _EVENTS}
    assert await rows_of(ground.owners[source], organization_id) == {}
    assert await rows_of(ground.owners[source], stranger) == of_stranger
    assert (await ground.another_process().of(organization_id)).number == target


async def test_writes_of_a_process_that_sleeps_are_refused_for_good_and_others_are_not(ground, word):
    organization_id = (await make_organization(ground.shards, word)).organization_id
    stranger = (await make_organization(ground.shards, f"{word} 2")).organization_id
    old = await ground.shards.of(organization_id)
    _, source, target = await moved(ground, organization_id)
    assert old.number == source
    with pytest.raises(OrganizationMoved) as refused:
        async with old.write(organization_id) as tx:
            await tx.execute(_WRITE, (organization_id,))
    assert refused.value.organization_id == organization_id
    async with old.write(stranger) as tx:
        assert await tx.execute(_WRITE, (stranger,)) == 1

    async def write(shard):
        async with shard.write(organization_id) as tx:
            await tx.execute(_WRITE, (organization_id,))
        return shard.number

    assert await ground.shards.elsewhere(organization_id, write) == target


async def test_an_organization_that_comes_back_is_as_it_was_and_can_be_written(ground, word):
    organization_id = (await make_organization(ground.shards, word)).organization_id
    number = (await ground.shards.of(organization_id)).number
    await fill(ground.owners[number], organization_id)
    before = await rows_of(ground.owners[number], organization_id)
    await moved(ground, organization_id)
    move, source, target = await moved(ground, organization_id)
    assert (move.state, target) == ("finished", number)
    after = await rows_of(ground.owners[number], organization_id)
    assert {n: r for n, r in after.items() if n != _EVENTS} == {n: r for n, r in before.items() if n != _EVENTS}
    assert await rows_of(ground.owners[source], organization_id) == {}
    async with (await ground.another_process().of(organization_id)).write(organization_id) as tx:
        assert await tx.execute(_WRITE, (organization_id,)) == 1
