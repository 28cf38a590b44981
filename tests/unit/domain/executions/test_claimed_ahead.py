"""What is claimed before there is room for it: as much as the worker's pace asks for, and not for long."""

from typing import Any

import pytest

from make_bridge.domain.executions.claimed_ahead import LONGEST_SECONDS, Claimed, ClaimedAhead, ClaimsUnderWay
from make_bridge.kernel.ids import ExecutionId, OrganizationId, TeamId
from make_bridge.platform.queue.leases import Lease

SHARD: Any = object()


def claimed(number: int, since: float = 0.0) -> Claimed:
    lease = Lease(
        id=ExecutionId(f"{number:032x}"), organization_id=OrganizationId(1), team_id=TeamId(1), scenario_id=None,
        kind="scenario.execute", fence=number, attempts=1, reply_to=None,
    )  # fmt: skip
    return Claimed(SHARD, lease, since)


@pytest.fixture
def ahead():
    return ClaimedAhead(most=10)


def test_a_worker_that_has_ended_nothing_lately_claims_nothing_ahead(ahead):
    assert ahead.room(5.0) == 0


def test_it_claims_as_much_as_it_has_ended_in_a_tenth_of_a_second(ahead):
    for _ in range(4):
        ahead.note_end(5.01)
    assert ahead.room(5.02) == 4
    assert ahead.room(5.12) == 4
    assert ahead.room(5.31) == 0


def test_it_never_claims_more_than_its_bound(ahead):
    for _ in range(500):
        ahead.note_end(5.01)
    assert ahead.room(5.02) == 10


def test_it_waits_until_half_of_what_was_claimed_has_begun(ahead):
    for number in range(8):
        ahead.note_end(5.01)
        ahead.put(claimed(number))
    assert ahead.room(5.02) == 0
    for _ in range(4):
        ahead.take()
    assert ahead.room(5.02) == 4


def test_the_oldest_begins_first(ahead):
    ahead.put(claimed(1))
    ahead.put(claimed(2))
    assert [ahead.take().lease.fence, ahead.take().lease.fence, ahead.take()] == [1, 2, None]


def test_what_lies_too_long_is_left_to_others(ahead):
    ahead.put(claimed(1, since=5.0))
    ahead.put(claimed(2, since=5.5))
    assert [left.lease.fence for left in ahead.leave(5.1 + LONGEST_SECONDS)] == [1]
    assert [left.lease.fence for left in ahead.leave(5.1, everything=True)] == [2]
    assert len(ahead) == 0


def test_a_lost_lease_is_forgotten(ahead):
    ahead.put(claimed(1))
    ahead.put(claimed(2))
    assert ahead.of(SHARD) == {claimed(1).lease.id: 1, claimed(2).lease.id: 2}
    assert ahead.drop({claimed(1).lease.id}) == 1
    assert ahead.take().lease.fence == 2


def test_what_is_being_claimed_counts_for_all_shards_until_it_takes_too_long():
    claims = ClaimsUnderWay()
    with claims.of(7, 10.0), claims.of(5, 10.1):
        assert claims.count(10.2) == 12
        assert claims.count(10.3) == 5
    assert claims.count(10.2) == 0
