"""Limits of usage: what is near, what is reached, and how many waiting runs may go."""

from datetime import UTC, date, datetime

import pytest

from make_bridge.domain.usage.model import Measured, Standing, State, checked_limit, checked_range, worst
from make_bridge.domain.usage.watch import MOST_LET_GO, let_go_of
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId, TeamId

ACME = OrganizationId(1024)


def measured(used, most, measure="operations"):
    return Measured(measure=measure, used=used, most=most)


def standing(team_id, used, most, measure="operations"):
    state, _ = worst([measured(used, most)], 80.0)
    return Standing(
        organization_id=ACME,
        team_id=TeamId(team_id),
        first_day=date(2026, 11, 1),
        until=datetime(2026, 12, 1, tzinfo=UTC),
        state=state,
        measure=measure,
        used=used,
        most=most,
    )


def team(team_id, under_way=0):
    return {"organization_id": ACME, "team_id": team_id, "under_way": under_way}


@pytest.mark.parametrize(
    ("used", "most", "state"),
    [
        (0, 10, State.NORMAL),
        (7, 10, State.NORMAL),
        (8, 10, State.NEAR),
        (9, 10, State.NEAR),
        (10, 10, State.REACHED),
        (11, 10, State.REACHED),
        (0, 0, State.REACHED),
        (0, 1, State.NORMAL),
        (2**52, 2**53 - 1, State.NORMAL),
    ],
)
def test_a_limit_is_near_from_its_share_on_and_reached_when_used_up(used, most, state):
    assert worst([measured(used, most)], 80.0)[0] is state


def test_the_measure_closest_to_its_limit_decides():
    state, decisive = worst(
        [measured(900, 1000), measured(5, 5, "executions"), measured(9, None, "dataTransfer")], 80.0
    )
    assert (state, decisive.measure) == (State.REACHED, "executions")


@pytest.mark.parametrize("limit", [-1, 2**53])
def test_a_limit_that_no_counter_can_hold_is_refused(limit):
    with pytest.raises(InvalidInput, match="limit of operations"):
        checked_limit("operations", limit)


@pytest.mark.parametrize("days", [(date(2026, 2, 2), date(2026, 2, 1)), (date(2025, 1, 1), date(2026, 1, 2))])
def test_a_range_that_ends_before_it_begins_or_is_too_long_is_refused(days):
    with pytest.raises(InvalidInput):
        checked_range(*days)


def test_waiting_runs_go_only_as_far_as_is_left_beside_what_is_under_way():
    assert let_go_of([team(1, under_way=2)], [standing(1, used=5, most=10)]) == {(ACME, 1): 3}
    assert let_go_of([team(1, under_way=5)], [standing(1, used=5, most=10)]) == {}
    assert let_go_of([team(1)], [standing(1, used=10, most=10)]) == {}


def test_without_a_limit_they_go_in_bounded_numbers():
    assert let_go_of([team(1, under_way=900)], []) == {(ACME, 1): MOST_LET_GO}


def test_teams_share_what_is_left_of_their_organization():
    found = let_go_of([team(1, under_way=1), team(2)], [standing(0, used=5, most=10), standing(1, used=0, most=4)])
    assert found == {(ACME, 1): 3, (ACME, 2): 1}


def test_of_bytes_nobody_knows_beforehand():
    assert let_go_of([team(1)], [standing(0, used=5, most=10, measure="dataTransfer")]) == {(ACME, 1): MOST_LET_GO}
