"""The rule of silence: what calls teach, when a webhook is missed, told once, and which time does not count."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.domain.gaps.looking import judge
from make_bridge.domain.gaps.messages import HookResumed, HookSilent
from make_bridge.domain.gaps.model import (
    Expected,
    GapRules,
    Outage,
    checked_expectation,
    counted_seconds,
    heard,
    is_young,
    patience,
)
from make_bridge.domain.gaps.store import KnownHook
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import HookId, OrganizationId, ScenarioId, TeamId

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
RULES = GapRules(factor=2.0, floor=900.0, calls=5, learning=3600.0, half_life=14 * 86_400.0)
DAY = 86_400.0


def at(seconds):
    return START + timedelta(seconds=seconds)


def known_after(moments, rules=RULES, outages=()):
    rhythm = None
    for moment in moments:
        rhythm = heard(rhythm, at(moment), rules, outages)
    return rhythm


def judged(rhythm, now, *, called=None, is_on=True, expected=None, outages=(), rules=RULES):
    hook = KnownHook(
        hook_id=HookId(1),
        organization_id=OrganizationId(1024),
        team_id=TeamId(2),
        scenario_id=ScenarioId(3),
        name="Orders",
        is_on=is_on,
        rhythm=rhythm,
        expected=expected,
    )
    return judge(hook, None if called is None else at(called), at(now), list(outages), rules)


def watched(looks, calls, *, rules=RULES, outages=(), off=(), expected=None):
    """Look at these moments at a webhook that is called at those; return what is told, with its moments."""
    rhythm, told, left = None, [], sorted(calls)
    for moment in looks:
        come = [call for call in left if call <= moment]
        left = [call for call in left if call > moment]
        is_on = not any(begin <= moment < end for begin, end in off)
        called = come[-1] if come else None
        rhythm, event = judged(
            rhythm, moment, called=called, is_on=is_on, expected=expected, outages=outages, rules=rules
        )
        if event is not None:
            told.append((moment, type(event)))
    return told


def every(seconds, begin=0.0, end=DAY):
    return [begin + number * seconds for number in range(int((end - begin) / seconds))]


# --- what calls teach


def test_the_longest_pause_of_late_is_what_is_known():
    rhythm = known_after([0, 60, 120, 720, 780])
    assert rhythm.pause == pytest.approx(600, rel=0.01)
    assert rhythm.times == 5


def test_a_long_pause_fades_to_half_in_its_time():
    rhythm = known_after([0, DAY, *(DAY + n * 3600 for n in range(1, 14 * 24 + 1))])
    assert rhythm.pause == pytest.approx(DAY / 2, rel=0.01)


def test_a_pause_that_was_told_teaches_no_more_than_it_took_to_be_told():
    rhythm = known_after(every(600, end=2 * 3600))
    silent, event = judged(rhythm, 2 * DAY)
    assert isinstance(event, HookSilent)
    after, _ = judged(silent, 5 * DAY + 1, called=5 * DAY)
    assert after is not None
    assert after.pause == pytest.approx(1200, rel=0.01)


def test_what_is_young_is_never_missed():
    few = known_after([0, DAY])
    short = known_after(every(10, end=600))
    for rhythm in (few, short):
        assert is_young(rhythm, RULES)
        assert patience(rhythm, None, RULES) is None
        assert judged(rhythm, 365 * DAY)[1] is None


# --- missed, once


def test_a_webhook_that_stops_is_told_once_and_once_that_it_is_back():
    calls = [*every(300, end=2 * 3600), *every(300, begin=5 * 3600, end=6 * 3600)]
    told = watched(every(30, end=6 * 3600), calls)
    assert [kind for _, kind in told] == [HookSilent, HookResumed]
    silent_at, back_at = (moment for moment, _ in told)
    # The last call is at 6900 s; twice the pause of 300 s is less than the floor.
    assert 6900 + 900 < silent_at <= 6900 + 900 + 60
    assert 5 * 3600 <= back_at <= 5 * 3600 + 30


@pytest.mark.parametrize("days_off", [0, 2], ids=["nights", "nights and weekends"])
def test_nights_and_weekends_are_pauses_like_others(days_off):
    weeks = [
        (week * 7 + day) * DAY + second
        for week in range(6)
        for day in range(7 - days_off)
        for second in every(1800, begin=8 * 3600, end=18 * 3600)
    ]
    assert watched(every(900, end=42 * DAY), weeks, rules=GapRules()) == []
    stops = [call for call in weeks if call < 30 * DAY]
    assert [kind for _, kind in watched(every(900, end=42 * DAY), stops, rules=GapRules())] == [HookSilent]


@given(
    st.lists(st.floats(min_value=1, max_value=DAY), min_size=1, max_size=60),
    st.floats(min_value=1.5, max_value=10),
)
def test_whoever_is_called_within_its_patience_is_never_missed(gaps, factor):
    """However irregular: a look that comes before the patience is over tells nothing."""
    rules = GapRules(factor=factor, floor=60.0, calls=1, learning=0.0)
    rhythm, moment = known_after([0, gaps[0]], rules), gaps[0]
    for gap in gaps:
        most = patience(rhythm, None, rules)
        step = min(gap, most)
        _, event = judged(rhythm, moment + step * 0.999, rules=rules)
        assert event is None
        moment += step
        rhythm = heard(rhythm, at(moment), rules, [])


@given(st.lists(st.floats(min_value=0.001, max_value=30 * DAY), min_size=1, max_size=60))
def test_no_rhythm_is_longer_than_the_longest_pause_there_was(gaps):
    moment, moments = 0.0, [0.0]
    for gap in gaps:
        moment += gap
        moments.append(moment)
    rhythm = known_after(moments)
    assert max(gaps[-1:]) - 0.001 <= rhythm.pause <= max(gaps) + 0.001


@given(
    st.lists(st.integers(min_value=0, max_value=2000), max_size=80),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 400)), max_size=4),
)
def test_what_is_told_alternates_and_begins_with_a_silence(calls, switched_off):
    rules = GapRules(factor=2.0, floor=50.0, calls=3, learning=0.0)
    off = [(begin, begin + length) for begin, length in switched_off]
    kinds = [kind for _, kind in watched(range(0, 2500, 7), calls, rules=rules, off=off)]
    resumed = [number for number, kind in enumerate(kinds) if kind is HookResumed]
    assert all(number > 0 and kinds[number - 1] is HookSilent for number in resumed)


# --- what does not count


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_an_outage_takes_away_what_it_shares_with_the_silence(begin, length, first, lasts):
    outage = Outage(began=at(first), ended=at(first + lasts))
    shared = max(min(begin + length, first + lasts) - max(begin, first), 0)
    assert counted_seconds(at(begin), at(begin + length), [outage]) == length - shared


def test_while_nobody_could_call_nobody_is_missed():
    outage = Outage(began=at(2 * 3600), ended=at(2 * DAY))
    calls = every(300, end=2 * 3600)
    looks = [*every(30, end=2 * 3600), *every(30, begin=2 * DAY, end=2 * DAY + 3600)]
    told = watched(looks, calls, outages=[outage])
    assert [kind for _, kind in told] == [HookSilent]
    # The last call was 300 s before; 900 s are needed, and the outage gives none.
    assert told[0][0] >= 2 * DAY + 600


def test_an_outage_teaches_nothing():
    outage = Outage(began=at(3 * 3600), ended=at(3 * DAY))
    rhythm = known_after([*every(300, end=3 * 3600), 3 * DAY + 10], outages=[outage])
    assert rhythm.pause == pytest.approx(310, rel=0.01)


def test_what_is_switched_off_is_not_missed_and_counted_anew_afterwards():
    calls = every(300, end=2 * 3600)
    off = [(2 * 3600, DAY)]
    told = watched(every(30, end=DAY + 3600), calls, off=off)
    assert [kind for _, kind in told] == [HookSilent]
    assert told[0][0] > DAY + 900


def test_switching_off_what_is_silent_tells_nothing():
    calls = [*every(300, end=2 * 3600), DAY]
    told = watched(every(30, end=DAY + 600), calls, off=[(4 * 3600, 6 * 3600)])
    kinds = [kind for _, kind in told]
    # Silent, switched off and on without a word, silent again after as long, and back.
    assert kinds == [HookSilent, HookSilent, HookResumed]


# --- what people say


def test_an_expectation_goes_before_what_was_learned():
    rhythm = known_after(every(10, end=2 * 3600))
    assert patience(rhythm, None, RULES) == 900
    assert patience(rhythm, Expected(seconds=120, since=at(0)), RULES) == 240
    assert patience(rhythm, Expected(seconds=None, since=at(0)), RULES) is None


def test_a_webhook_that_was_never_called_is_missed_when_calls_are_expected():
    told = watched(every(30, end=3600), [3000], expected=Expected(seconds=600, since=at(0)))
    assert [kind for _, kind in told] == [HookSilent, HookResumed]
    assert 1200 < told[0][0] <= 1260


def test_who_begins_to_expect_calls_waits_from_then_on():
    rhythm = known_after(every(60, end=2 * 3600))
    later = Expected(seconds=600, since=at(DAY))
    assert judged(rhythm, DAY + 60, expected=later)[1] is None
    _, event = judged(rhythm, DAY + 1300, expected=later)
    assert isinstance(event, HookSilent)
    assert (event.expected_seconds, event.is_learned) == (600, False)


@pytest.mark.parametrize("seconds", [0, 59, 31_536_001])
def test_an_expectation_has_bounds(seconds):
    with pytest.raises(InvalidInput):
        checked_expectation(seconds)
