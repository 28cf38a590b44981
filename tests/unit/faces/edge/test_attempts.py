"""Attempts to get in: who is counted, who is refused unread, and who never is."""

from datetime import UTC, datetime

import pytest

from make_bridge.faces.edge.attempts import Attempts, attempt_of
from make_bridge.kernel.clock import ManualClock
from make_bridge.kernel.errors import RateLimited
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.limits.shared import SharedRateLimit

HERE, THERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 11, 22, tzinfo=UTC))


def attempts_of(clock, general=100, failures=5, strangers=20):
    def limit(name, most, seconds):
        return LocalRateLimit(Rate(name=name, most=most, seconds=seconds), clock, keys=1000)

    by_address = SharedRateLimit(limit("general", general, 900.0))
    by_credential = SharedRateLimit(limit("failures", failures, 900.0))
    return Attempts(
        by_address, by_credential, limit("strangers", strangers, 60.0), clock, block_seconds=3600.0, keys=1000
    )


@pytest.fixture
def attempts(clock):
    return attempts_of(clock)


async def test_b08_five_refusals_of_one_credential_block_it_for_an_hour_at_this_address_alone(attempts, clock):
    wrong = attempt_of(HERE, "Token wrong")
    for _ in range(5):
        attempts.admit(wrong)
        assert await attempts.failed(wrong) is None
    with pytest.raises(RateLimited) as raised:
        attempts.admit(wrong)
    assert raised.value.retry_after == 3600
    attempts.admit(attempt_of(THERE, "Token wrong"))
    attempts.admit(attempt_of(HERE, "Token right"))
    clock.advance(3599.0)
    with pytest.raises(RateLimited, match="Try again in 1 seconds"):
        attempts.admit(wrong)
    clock.advance(1.0)
    attempts.admit(wrong)


async def test_b08_refusals_that_lie_far_apart_block_nothing(attempts, clock):
    wrong = attempt_of(HERE, "Token wrong")
    for _ in range(50):
        attempts.admit(wrong)
        await attempts.failed(wrong)
        clock.advance(200.0)


async def test_a05_after_a_hundred_refusals_of_an_address_few_strangers_are_looked_at(attempts, clock):
    for number in range(120):
        stranger = attempt_of(HERE, f"Bearer head{number}.claims.signature")
        attempts.admit(stranger)
        await attempts.failed(stranger)
    for number in range(120, 10_000):
        with pytest.raises(RateLimited) as raised:
            attempts.admit(attempt_of(HERE, f"Bearer head{number}.claims.signature"))
        assert raised.value.retry_after == 9
    attempts.admit(attempt_of(THERE, ""))
    clock.advance(3.0)
    attempts.admit(attempt_of(HERE, "Bearer somebody.new.here"))
    with pytest.raises(RateLimited):
        attempts.admit(attempt_of(HERE, ""))
    clock.advance(186.0)
    attempts.admit(attempt_of(HERE, ""))


async def test_who_was_let_in_before_is_let_in_from_an_address_that_floods(attempts):
    for number in range(200):
        await attempts.failed(attempt_of(HERE, f"Token {number}"))
    for number in range(20):
        attempts.admit(attempt_of(HERE, f"Token {number}"))
    attempts.passed(attempt_of(THERE, "Bearer head.claims1.signature1"))
    attempts.passed(attempt_of(THERE, "Token right"))
    for shown in ("Bearer head.claims2.signature2", "Token right"):
        attempts.admit(attempt_of(HERE, shown))
    for shown in ("", "Token new", "Bearer other.claims.signature"):
        with pytest.raises(RateLimited):
            attempts.admit(attempt_of(HERE, shown))


async def test_a_refusal_over_the_limit_is_told_to_wait(attempts):
    answers = [await attempts.failed(attempt_of(HERE, "")) for _ in range(101)]
    assert answers[:100] == [None] * 100
    assert answers[100].retry_after == 9


async def test_without_limits_nobody_is_refused(clock):
    attempts = attempts_of(clock, general=0, failures=0)
    wrong = attempt_of(HERE, "Token wrong")
    for _ in range(1000):
        attempts.admit(wrong)
        assert await attempts.failed(wrong) is None


def test_no_credential_is_kept(attempts):
    wrong = attempt_of(HERE, "Token secret-of-somebody")
    assert "secret" not in repr(wrong)
