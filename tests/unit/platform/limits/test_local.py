"""The rate limit of one process: what passes, how long the others wait, and how much it keeps."""

import sys
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from make_bridge.kernel.clock import ManualClock
from make_bridge.kernel.errors import RateLimited
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Rate


def limit_of(most, seconds, *, keys=1000):
    clock = ManualClock(datetime(2026, 11, 22, tzinfo=UTC))
    return LocalRateLimit(Rate(name="hook", most=most, seconds=seconds), clock, keys=keys), clock


def passed(limit, key, tries):
    return sum(limit.take(key) == 0 for _ in range(tries))


def test_so_many_pass_at_once_and_the_next_one_share_later():
    limit, clock = limit_of(10, 5.0)
    assert passed(limit, "a", 50) == 10
    assert limit.take("a") == pytest.approx(0.5, abs=1e-4)
    clock.advance(0.5)
    assert passed(limit, "a", 50) == 1


def test_keys_do_not_touch_each_other():
    limit, _ = limit_of(3, 10.0)
    assert passed(limit, "a", 10) == 3
    assert passed(limit, "b", 10) == 3


@given(
    st.integers(1, 500), st.floats(1, 5000), st.lists(st.tuples(st.floats(0, 500), st.integers(1, 600)), max_size=20)
)
@example(1, 1.0, [(0.0, 1), (0.99999, 1)])
def test_who_waits_as_long_as_it_is_told_passes_and_who_comes_sooner_does_not(most, seconds, calls):
    limit, clock = limit_of(most, seconds)
    for pause, tries in calls:
        clock.advance(pause)
        passed(limit, "a", tries)
    wait = limit.wait("a")
    # What is shorter is a wait too, only too short for sums of floats to tell who comes a hundredth sooner.
    if wait > 1e-3:
        clock.advance(wait * 0.99)
        assert limit.take("a") > 0
        wait *= 0.01
    if wait:
        clock.advance(wait + 1e-6)
    assert limit.take("a") == 0


def test_refusals_do_not_put_the_moment_off():
    limit, clock = limit_of(1, 100.0)
    assert limit.take("a") == 0
    passed(limit, "a", 10_000)
    clock.advance(100.0)
    assert limit.take("a") == 0


@pytest.mark.parametrize("most", [100, 1000])
@pytest.mark.parametrize("edge", [0.1, 0.5, 0.99])
def test_c04_at_the_edge_of_a_window_no_more_than_the_limit_passes(most, edge):
    limit, clock = limit_of(most, 900.0)
    clock.advance(900.0 * 7 - edge)
    before = passed(limit, "a", 3 * most)
    clock.advance(2 * edge)
    assert before + passed(limit, "a", 3 * most) <= most * 1.05


@pytest.mark.parametrize("processes", [1, 2, 4, 7])
def test_c04_processes_that_know_of_each_other_share_the_limit(processes):
    limits = [limit_of(1000, 3600.0)[0] for _ in range(processes)]
    for limit in limits:
        limit.share_among(processes)
    assert sum(passed(limit, "a", 2000) for limit in limits) <= 1000


def test_nothing_is_counted_where_there_is_no_limit():
    limit, _ = limit_of(0, 10.0)
    assert passed(limit, "a", 1000) == 1000
    assert (limit.wait("a"), len(limit)) == (0.0, 0)


def test_the_key_used_longest_ago_goes_first_and_one_that_floods_stays():
    limit, _ = limit_of(1, 3600.0, keys=100)
    assert limit.take("floods") == 0
    for number in range(1000):
        limit.take(number)
        assert limit.take("floods") > 0
    assert len(limit) == 100


def test_a_key_takes_a_few_hundred_bytes():
    limit, _ = limit_of(10, 60.0, keys=10_000)
    for number in range(20_000):
        limit.take(f"192.0.2.{number}")
    kept = limit._until  # noqa: SLF001 - there is no other way to weigh it
    weight = sys.getsizeof(kept) + sum(sys.getsizeof(key) + sys.getsizeof(value) for key, value in kept.items())
    assert weight / len(limit) < 400


def test_a_key_s_standing_tells_what_is_left():
    limit, clock = limit_of(10, 10.0)
    assert (limit.standing("a").left, limit.standing("a").clear_in) == (10, 0.0)
    passed(limit, "a", 4)
    assert (limit.standing("a").left, limit.standing("a").clear_in) == (6, pytest.approx(4.0))
    clock.advance(1.0)
    assert limit.standing("a").left == 7
    passed(limit, "a", 100)
    assert limit.standing("a").left == 0


def test_a_refusal_names_whole_seconds_rounded_up_and_is_counted():
    heard: list[str] = []
    clock = ManualClock(datetime(2026, 11, 22, tzinfo=UTC))
    limit = LocalRateLimit(Rate(name="hook", most=2, seconds=5.0), clock, keys=10, refused=heard.append)
    limit.require("a")
    limit.require("a")
    with pytest.raises(RateLimited, match=r"2 are allowed within 5 seconds. Try again in 3 seconds.") as raised:
        limit.require("a")
    assert (raised.value.retry_after, raised.value.reason, heard) == (3, "rate_limited", ["hook"])
    clock.advance(0.5)
    with pytest.raises(RateLimited, match="Try again in 2 seconds"):
        limit.require("a")
