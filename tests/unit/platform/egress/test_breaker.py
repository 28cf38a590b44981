"""The breaker as a state machine: when it opens, what half open lets through, and which results come too late."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from make_bridge.platform.egress.breaker import Breaker, BreakerLimits, State, Verdict

GOOD, BAD, ANSWERED = Verdict.GOOD, Verdict.BAD, Verdict.ANSWERED
LIMITS = BreakerLimits(jitter=0.0)


class Bench:
    """A breaker with a clock that moves when told."""

    def __init__(self, limits=LIMITS, chance=0.0):
        self.now = 1000.0
        self.breaker = Breaker(limits, lambda: chance)

    def call(self, verdict, times=1):
        for _ in range(times):
            self.end(self.admit(), verdict)

    def admit(self):
        permit = self.breaker.admit(self.now)
        assert permit is not None
        return permit

    def end(self, permit, verdict):
        opened = self.breaker.judge(permit, verdict, self.now)
        self.breaker.finish(permit)
        return opened

    def open(self):
        self.call(BAD, 20)
        assert self.state() is State.OPEN
        return self

    def half_open(self):
        self.open()
        self.now = self.opening.until
        assert self.state() is State.HALF_OPEN
        return self

    @property
    def opening(self):
        assert self.breaker.opening is not None
        return self.breaker.opening

    def state(self):
        return self.breaker.state(self.now)


def test_the_twentieth_failure_opens_and_not_the_nineteenth():
    bench = Bench()
    bench.call(BAD, 19)
    assert bench.state() is State.CLOSED
    bench.call(BAD)
    assert bench.state() is State.OPEN
    assert bench.breaker.admit(bench.now) is None


@pytest.mark.parametrize(("period", "failed"), [(2, 1), (5, 4)])
def test_half_of_the_calls_failing_opens_within_ten_seconds_after_long_health(period, failed):
    bench = Bench()
    for _ in range(300):
        bench.call(GOOD)
        bench.now += 0.1
    broke = bench.now
    number = 0
    while bench.state() is State.CLOSED:
        bench.call(BAD if number % period < failed else GOOD)
        bench.now += 0.1
        number += 1
        assert bench.now - broke <= 10.0 + 1e-6
    assert bench.opening.failed * 2 >= bench.opening.calls


def test_less_than_half_never_opens():
    bench = Bench()
    for number in range(3000):
        bench.call(BAD if number % 5 < 2 else GOOD)
        bench.now += 0.1
    assert bench.state() is State.CLOSED


def test_failures_that_are_spread_thinly_never_open():
    bench = Bench()
    for _ in range(500):
        bench.call(BAD)
        bench.now += 0.6
    assert bench.state() is State.CLOSED


def test_what_left_the_window_does_not_count():
    bench = Bench()
    bench.call(BAD, 19)
    bench.now += 10.0
    bench.call(BAD, 19)
    assert bench.state() is State.CLOSED


def test_refused_calls_neither_count_nor_water_the_failures_down():
    bench = Bench()
    bench.call(ANSWERED, 1000)
    assert bench.state() is State.CLOSED
    bench.call(BAD, 19)
    bench.call(ANSWERED, 1000)
    bench.call(BAD)
    assert bench.state() is State.OPEN


def test_half_open_lets_three_probes_through_and_no_fourth():
    bench = Bench().half_open()
    probes = [bench.admit() for _ in range(3)]
    assert all(bench.breaker.admit(bench.now) is None for _ in range(200))
    bench.end(probes[0], GOOD)
    assert bench.breaker.admit(bench.now) is None
    bench.end(probes[1], GOOD)
    assert bench.state() is State.HALF_OPEN
    bench.end(probes[2], GOOD)
    assert bench.state() is State.CLOSED
    assert bench.breaker.opening is None


@pytest.mark.parametrize("verdict", [GOOD, ANSWERED])
def test_an_answer_of_any_kind_that_is_no_failure_closes(verdict):
    bench = Bench().half_open()
    bench.call(verdict, 3)
    assert bench.state() is State.CLOSED


def test_one_bad_probe_opens_for_longer_up_to_the_longest():
    bench = Bench(BreakerLimits(jitter=0.0, cool_down=10.0, longest_cool_down=65.0)).half_open()
    lengths = []
    for _ in range(4):
        bench.call(BAD)
        assert bench.state() is State.OPEN
        lengths.append(bench.opening.until - bench.now)
        assert bench.opening.is_relapse
        bench.now = bench.opening.until
    assert lengths == [20.0, 40.0, 65.0, 65.0]


def test_after_it_closed_the_next_cool_down_is_the_first_again():
    bench = Bench().half_open()
    bench.call(BAD)
    bench.now = bench.opening.until
    bench.call(GOOD, 3)
    bench.open()
    assert bench.opening.until - bench.now == 10.0


def test_after_it_closed_old_failures_are_forgotten():
    bench = Bench().half_open()
    bench.call(GOOD, 3)
    bench.call(BAD, 19)
    assert bench.state() is State.CLOSED


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 10.0), (0.5, 9.0), (1.0, 8.0)])
def test_chance_takes_up_to_a_fifth_off_a_cool_down(chance, seconds):
    bench = Bench(BreakerLimits(), chance).open()
    assert bench.opening.until - bench.now == pytest.approx(seconds)


def test_late_answers_of_calls_begun_before_the_opening_change_nothing():
    bench = Bench()
    late = [bench.admit() for _ in range(60)]
    bench.open()
    until = bench.opening.until
    opened = [bench.end(permit, verdict) for permit, verdict in zip(late[:40], [GOOD, BAD] * 20, strict=True)]
    assert opened == [False] * 40
    assert (bench.state(), bench.opening.until) == (State.OPEN, until)
    bench.now = until
    probe = bench.admit()
    for permit in late[40:50]:
        bench.end(permit, GOOD)
    for permit in late[50:]:
        bench.end(permit, BAD)
    assert bench.state() is State.HALF_OPEN
    bench.end(probe, GOOD)
    bench.call(GOOD, 2)
    assert bench.state() is State.CLOSED


def test_a_late_answer_of_an_earlier_probe_changes_nothing_but_its_slot_stays_taken_until_then():
    bench = Bench().half_open()
    first, second, hanging = (bench.admit() for _ in range(3))
    bench.end(first, BAD)
    bench.end(second, GOOD)
    bench.now = bench.opening.until
    again = [bench.admit(), bench.admit()]
    assert bench.breaker.admit(bench.now) is None
    bench.end(hanging, BAD)
    assert bench.state() is State.HALF_OPEN
    again.append(bench.admit())
    for permit in again:
        bench.end(permit, GOOD)
    assert bench.state() is State.CLOSED


def test_a_probe_that_was_cancelled_gives_its_slot_back():
    bench = Bench().half_open()
    for _ in range(10):
        bench.breaker.finish(bench.admit())
    assert bench.state() is State.HALF_OPEN
    bench.call(GOOD, 3)
    assert bench.state() is State.CLOSED


def test_a_call_is_judged_once_and_ends_once():
    bench = Bench().half_open()
    permit = bench.admit()
    for _ in range(5):
        bench.breaker.judge(permit, GOOD, bench.now)
        bench.breaker.finish(permit)
    assert bench.state() is State.HALF_OPEN
    assert [bench.breaker.admit(bench.now) is not None for _ in range(3)] == [True, True, False]


class AnyHistory(RuleBasedStateMachine):
    """Calls begin, are judged, end and are cancelled in any order while time passes; beside it, the rules by hand."""

    @initialize(chance=st.floats(min_value=0, max_value=1))
    def begin(self, chance):
        self.now = 0.0
        self.limits = BreakerLimits(calls=4, cool_down=5.0, longest_cool_down=20.0)
        self.breaker = Breaker(self.limits, lambda: chance)
        self.running = []
        self.counted = []

    def state(self):
        return self.breaker.state(self.now)

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.0, 5.0, 11.0, 30.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(count=st.integers(min_value=1, max_value=10))
    def calls_begin(self, count):
        for _ in range(count):
            before = self.state()
            permit = self.breaker.admit(self.now)
            if before is State.OPEN:
                assert permit is None
            elif before is State.CLOSED:
                assert permit is not None
                assert not permit.is_probe
            if permit is not None:
                assert permit.is_probe == (before is State.HALF_OPEN)
                self.running.append((permit, self.breaker.opening))

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        verdict=st.sampled_from([*Verdict, BAD, BAD]),
        ends=st.booleans(),
        count=st.integers(min_value=1, max_value=6),
    )
    def results_come(self, data, verdict, ends, count):
        for _ in range(min(count, len(self.running))):
            self.result_comes(data.draw(st.integers(min_value=0, max_value=len(self.running) - 1)), verdict, ends)

    def result_comes(self, index, verdict, ends):
        permit, opening_then = self.running[index]
        before, opening, judged = self.state(), self.breaker.opening, permit.is_judged
        opened = self.breaker.judge(permit, verdict, self.now)
        if judged or opening is not opening_then:
            assert not opened
            assert self.breaker.opening is opening
            assert self.state() is before
        elif opening is None and verdict is not ANSWERED:
            self.counted.append((self.now, verdict))
            assert opened or not self.surely_too_many()
        if opened:
            self.check_opening(before)
        elif opening is not None and self.breaker.opening is None:
            assert verdict is not BAD
            self.counted = []
        if ends:
            self.breaker.finish(permit)
            del self.running[index]

    def check_opening(self, before):
        opening = self.breaker.opening
        assert opening is not None
        assert self.limits.cool_down * 0.8 <= opening.until - opening.since <= self.limits.longest_cool_down
        if before is State.CLOSED:
            # A bucket may leave the window up to its own width early, never late.
            recent = [verdict for at, verdict in self.counted if at > self.now - self.limits.window]
            assert len(recent) >= self.limits.calls
            assert opening.calls <= len(recent)
            assert opening.failed <= recent.count(BAD)
            assert opening.failed * 2 >= opening.calls >= self.limits.calls
        else:
            assert opening.is_relapse
        self.counted = []

    @precondition(lambda self: self.running)
    @rule()
    def the_oldest_is_cancelled(self):
        self.breaker.finish(self.running.pop(0)[0])

    @invariant()
    def never_more_than_three_probes_are_out(self):
        assert sum(permit.is_probe for permit, _ in getattr(self, "running", [])) <= 3

    def surely_too_many(self):
        """Say whether the last nine seconds, which are counted whole, suffice even if all of the tenth were good."""
        recent = [verdict for at, verdict in self.counted if at > self.now - 9.0]
        tenth = sum(self.now - 10.0 <= at <= self.now - 9.0 for at, _ in self.counted)
        return len(recent) >= self.limits.calls and recent.count(BAD) * 2 >= len(recent) + tenth


TestAnyHistory = AnyHistory.TestCase
