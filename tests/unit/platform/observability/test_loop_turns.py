"""The age of a loop is what passed since it came through; one that ended by an error is late for ever."""

import pytest
from prometheus_client import generate_latest

from make_bridge.platform.observability.metrics import Declarations
from make_bridge.platform.observability.metrics.loops import LoopTurns


class Now:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def declare():
    return Declarations()


@pytest.fixture
def turns(declare, now):
    return LoopTurns(declare, now)


def test_a_loop_is_late_when_it_did_not_come_through_for_too_long(turns, now):
    with turns.turning("claims", 3, within=10) as turned:
        now.seconds = 10.0
        [loop] = turns.all()
        assert (loop.name, loop.shard, loop.seconds, loop.is_late) == ("claims", "3", 10.0, False)
        now.seconds = 10.5
        assert turns.all()[0].is_late
        turned()
        assert turns.all()[0].seconds == 0.0
    assert turns.all() == []


def test_one_that_ended_by_an_error_stays_and_is_late(turns):
    with pytest.raises(ZeroDivisionError), turns.turning("claims", 3, within=10):
        raise ZeroDivisionError
    [loop] = turns.all()
    assert loop.has_failed
    assert loop.is_late


def test_one_that_begins_again_takes_the_place_of_the_one_before(turns):
    with turns.turning("claims", 3, within=10):
        with turns.turning("claims", 3, within=20):
            pass
        assert turns.all() == []


def test_ages_are_metrics(turns, declare, now):
    with turns.turning("claims", 3, within=10), turns.turning("upkeep", within=100):
        now.seconds = 50.0
        page = generate_latest(declare.registry).decode()
    assert 'loop_age_seconds{loop="claims",shard="3"} 50.0' in page
    assert 'loop_age_seconds{loop="upkeep",shard=""} 50.0' in page
    assert "\nloops_late 1.0" in page
