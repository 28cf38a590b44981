"""What a process says of a replica's freshness is never better than the truth, and what it rules out is ruled out."""

import random

import pytest

from make_bridge.platform.database.freshness import Freshness, Position, ReplicaLimits

LIMITS = ReplicaLimits(lag=1.0, look=0.1, back=5.0)


def looked(*looks, until=None):
    """Build what looks say that were made at these moments: (moment, committed, replayed)."""
    fresh = Freshness(LIMITS, now=0.0)
    for at, committed, replayed in looks:
        fresh.look(Position(at, at + 0.01, committed), at + 0.01, replayed, now=at + 0.02)
    return fresh


def test_nobody_asks_a_replica_that_was_not_looked_at():
    fresh = looked()
    assert not fresh.is_open(0.0)
    assert not fresh.is_open(100.0)


def test_a_replica_is_asked_when_it_was_fresh_for_long_enough():
    fresh = looked(*((tick / 10, tick, tick) for tick in range(100)))
    assert fresh.fresh_at == pytest.approx(9.9)
    assert fresh.is_open(9.95)
    early = looked(*((tick / 10, tick, tick) for tick in range(40)))
    assert not early.is_open(3.95)


def test_a_replica_is_left_out_as_soon_as_its_last_known_moment_is_too_long_ago():
    fresh = looked(*((tick / 10, tick, tick) for tick in range(100)))
    assert fresh.is_open(10.85)
    assert not fresh.is_open(10.95)


def test_a_position_not_replayed_yet_says_nothing():
    fresh = looked((1.0, 10, 9), (2.0, 20, 19))
    assert fresh.fresh_at == 1.0


def test_after_a_failure_it_has_to_be_fresh_for_long_enough_again():
    fresh = looked(*((tick / 10, tick, tick) for tick in range(100)))
    fresh.fail()
    assert not fresh.is_open(9.95)
    for tick in range(100, 149):
        fresh.look(Position(tick / 10, tick / 10, tick), tick / 10, tick, now=tick / 10)
    assert not fresh.is_open(14.85)
    for tick in range(149, 152):
        fresh.look(Position(tick / 10, tick / 10, tick), tick / 10, tick, now=tick / 10)
    assert fresh.is_open(15.15)


def test_one_that_stood_still_between_two_looks_was_shut_too():
    fresh = looked(*((tick / 10, tick, tick) for tick in range(100)), (11.5, 115, 115))
    assert not fresh.is_open(11.55)


def test_writes_wait_for_a_replica_that_another_process_may_ask():
    fresh = looked(*((tick / 10, tick, tick) for tick in range(10)))
    assert not fresh.is_open(1.0), "it was not fresh for long enough here"
    assert fresh.is_read(1.0), "another process may know it for longer"


def test_writes_do_not_wait_for_one_that_stands_still_for_everybody():
    fresh = looked((1.0, 10, 10), *((1.0 + tick / 10, 11 + tick, 10) for tick in range(1, 30)))
    assert not fresh.is_read(4.0)
    fresh.look(Position(4.1, 4.11, 60), 4.11, 60, now=4.12)
    assert not fresh.is_read(7.8)
    assert fresh.is_read(7.95), "somebody may ask it from then on"


def test_writes_wait_for_one_out_of_reach_only_until_it_is_so_for_everybody():
    fresh = looked((1.0, 10, 10))
    assert fresh.is_read(6.9)
    assert not fresh.is_read(7.1)


def test_another_primary_may_begin_before():
    fresh = looked((1.0, 1000, 900), (2.0, 500, 500))
    assert fresh.fresh_at == 2.0


@pytest.mark.parametrize("seed", range(20))
def test_no_process_finds_open_what_another_has_ruled_out(seed):
    """Two processes look at one replica whenever they like; the writer's waiting makes the reader's answer right."""
    chance = random.Random(seed)  # noqa: S311 - a seed that is told
    now, replayed, stops = 0.0, 0.0, False
    processes = [Freshness(LIMITS, now=0.0) for _ in range(2)]
    nexts = [0.0, 0.0]
    promised: list[tuple[float, float]] = []
    for _ in range(6000):
        now += chance.uniform(0.001, 0.03)
        stops = stops if chance.random() > 0.003 else not stops
        if not stops:
            replayed = max(replayed, now - chance.uniform(0, 0.02))
        for number, fresh in enumerate(processes):
            if now >= nexts[number]:
                # Positions are the moments themselves: all that was committed until then.
                fresh.look(Position(now, now, int(now * 1e6)), now, int(replayed * 1e6), now=now)
                nexts[number] = now + chance.uniform(0.05, 0.25)
        writer, reader = processes
        if not writer.is_read(now):
            # Whoever waits is answered, too, when nobody can ask the replica any more.
            promised = [(written, min(answered, now)) for written, answered in promised]
            promised.append((now, now))
        elif writer.fresh_at < now:
            promised.append((now, now + LIMITS.lag))
        if reader.is_open(now):
            due = [written for written, answered in promised if answered < now]
            assert not due or max(due) <= replayed, f"STALE: seed {seed} at {now:.3f}"
        promised = [entry for entry in promised if entry[0] > replayed][-200:]
