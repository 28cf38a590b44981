"""A rate limit over all servers: when the shared place is asked, and what is kept of its answers."""

from datetime import UTC, datetime

import pytest

from make_bridge.kernel.clock import ManualClock
from make_bridge.kernel.errors import RateLimited
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Rate, Taken
from make_bridge.platform.limits.shared import SharedRateLimit

RATE = Rate(name="api", most=10, seconds=10.0)


class Place:
    """A shared place that answers what it is told to, and remembers who asked."""

    def __init__(self):
        self.answer = None
        self.asked = []

    async def take(self, rate, key, known):
        self.asked.append((rate.name, key, known))
        return self.answer


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def place():
    return Place()


@pytest.fixture
def limit(clock, place):
    return SharedRateLimit(LocalRateLimit(RATE, clock, keys=100), place)


async def passed(limit, tries):
    return [await limit.take("a") for _ in range(tries)].count(0.0)


async def test_what_others_have_used_up_is_known_here_and_refused_without_asking(limit, place, clock):
    place.answer = Taken(0.0, 10.0)
    assert await limit.take("a") == 0
    assert (limit.standing("a").left, len(place.asked)) == (0, 1)
    with pytest.raises(RateLimited) as raised:
        await limit.require("a")
    assert (raised.value.retry_after, len(place.asked)) == (1, 1)
    clock.advance(1.0)
    assert await limit.take("a") == 0
    assert place.asked[1:] == [("api", "a", pytest.approx(9.0))]


async def test_a_refusal_of_the_shared_place_is_one_here(limit, place):
    place.answer = Taken(3.0, 12.0)
    assert await limit.take("a") == 3.0
    assert await limit.take("a") == pytest.approx(3.0)
    assert len(place.asked) == 1


async def test_while_nobody_answers_each_server_lets_its_part_through(limit, place):
    limit.share_among(5)
    assert await passed(limit, 20) == 10
    limit.count_apart(apart=True)
    other = SharedRateLimit(LocalRateLimit(RATE, ManualClock(datetime(2026, 11, 22, tzinfo=UTC)), keys=9), place)
    other.share_among(5)
    other.count_apart(apart=True)
    assert await passed(other, 20) == 2


async def test_who_goes_on_alone_goes_on_from_the_sum_of_all(limit, place):
    place.answer = Taken(0.0, 8.0)
    assert await limit.take("a") == 0
    place.answer = None
    assert await passed(limit, 20) == 2


async def test_less_than_is_known_here_is_not_believed(limit, place):
    place.answer = Taken(0.0, 8.0)
    await limit.take("a")
    place.answer = Taken(0.0, 1.0)
    await limit.take("a")
    assert limit.standing("a").clear_in == pytest.approx(8.0)


async def test_without_a_limit_nobody_is_asked(place, clock):
    limit = SharedRateLimit(LocalRateLimit(Rate(name="api", most=0, seconds=1.0), clock, keys=9), place)
    assert await passed(limit, 100) == 100
    assert place.asked == []


async def test_a_limit_of_this_process_alone_is_divided_whatever_is_said_of_the_shared_place(clock):
    limit = SharedRateLimit(LocalRateLimit(RATE, clock, keys=9))
    limit.share_among(2)
    limit.count_apart(apart=False)
    assert await passed(limit, 20) == 5
