"""What a rebalance moves: whom a pin or the ring wants elsewhere, and nobody else."""

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sharding.map import MappedShard, ShardMap
from make_bridge.platform.sharding.moving_plan import Home, plan

ORGANIZATIONS = [OrganizationId(number * 1024) for number in range(1, 2001)]


def proposal(shard_map, organization_id):
    proposed = shard_map.proposal(organization_id)
    assert proposed is not None
    return proposed


def settled(shard_map):
    """Have everybody live where the ring proposes."""
    return {one: Home(shard=proposal(shard_map, one)) for one in ORGANIZATIONS}


def test_who_lives_where_he_should_is_not_moved():
    shard_map = ShardMap.of_numbers([0, 3, 7])
    assert plan(settled(shard_map), shard_map) == []


def test_one_shard_more_takes_its_share_from_all_others_and_moves_nobody_else():
    steps = plan(settled(ShardMap.of_numbers([0, 3, 7])), ShardMap.of_numbers([0, 3, 7, 9]))
    assert {step.target for step in steps} == {9}
    assert {step.source for step in steps} == {0, 3, 7}
    assert 0.15 < len(steps) / len(ORGANIZATIONS) < 0.35


def test_a_shard_that_takes_nobody_gives_all_of_its_own_away_and_no_others():
    before = ShardMap.of_numbers([0, 3, 7])
    draining = ShardMap(version=1, shards=dict(before.shards) | {3: MappedShard(number=3, name="3", state="draining")})
    living = settled(before)
    for shard_map in (draining, before.without(3)):
        steps = plan(living, shard_map)
        assert {step.organization_id for step in steps} == {one for one, home in living.items() if home.shard == 3}
        assert {step.target for step in steps} == {0, 7}


def test_a_pin_comes_before_the_ring():
    shard_map = ShardMap.of_numbers([0, 3])
    one = ORGANIZATIONS[0]
    proposed = proposal(shard_map, one)
    other = 3 - proposed
    assert plan({one: Home(shard=proposed, pin=proposed)}, shard_map) == []
    assert plan({one: Home(shard=other, pin=other)}, shard_map) == []
    [step] = plan({one: Home(shard=proposed, pin=other)}, shard_map)
    assert (step.source, step.target) == (proposed, other)


def test_without_a_shard_that_takes_anybody_nobody_is_moved():
    shard_map = ShardMap(version=1, shards={0: MappedShard(number=0, name="0", state="draining")})
    assert plan({ORGANIZATIONS[0]: Home(shard=0)}, shard_map) == []
