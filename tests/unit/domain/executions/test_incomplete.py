"""Incomplete executions without a database: plans, the stored document, edits."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.domain.executions.incomplete import (
    RetryPlan,
    as_json,
    decode_point,
    edited,
    encode_point,
    merged,
    plain_text,
)
from make_bridge.engine.runner.request import ResumePoint
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import InvalidInput

AT = datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC)
POINT = ResumePoint(
    module_id=3,
    bundles=[(1, {"order": "a-17", "at": AT, "file": b"\x00\xff"}), (2, {"n": 1})],
    cycle_variables={"a": 1},
    run_variables={"b": [AT]},
    step_key="k" * 32,
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def test_the_growing_intervals_are_those_of_the_product():
    plan = RetryPlan(mode="backoff", most_attempts=8)
    assert [plan.delay(attempts) for attempts in range(9)] == [1, 10, 10, 30, 30, 30, 180, 180, None]


def test_a_break_handler_s_plan_repeats_its_interval_and_ends_with_its_count():
    plan = RetryPlan(mode="fixed", most_attempts=3, interval_minutes=15)
    assert [plan.delay(attempts) for attempts in range(4)] == [15, 15, 15, None]


def test_without_a_plan_a_person_decides():
    assert RetryPlan().delay(0) is None
    assert RetryPlan().wait(0, 60.0, 0.5) is None


@pytest.mark.parametrize(
    ("asked", "chance", "seconds"),
    [
        (0.0, 0.0, 480.0), (0.0, 0.5, 600.0), (0.0, 1.0, 720.0),
        (30.0, 0.5, 600.0), (700.0, 0.0, 700.0), (700.0, 1.0, 840.0), (3600.0, 0.5, 3960.0),
        (1e12, 0.0, 86400.0), (1e12, 0.5, 77760.0), (1e12, 1.0, 69120.0),
    ],
)  # fmt: skip
def test_an_attempt_waits_for_its_interval_or_as_long_as_the_server_asked_each_spread_by_a_fifth(
    asked, chance, seconds
):
    plan = RetryPlan(mode="fixed", most_attempts=1, interval_minutes=10)
    assert plan.wait(0, asked, chance) == pytest.approx(seconds)


def test_an_interval_longer_than_a_day_that_a_person_chose_is_kept():
    plan = RetryPlan(mode="fixed", most_attempts=1, interval_minutes=44_640)
    assert plan.wait(0, 0.0, 0.5) == 44_640 * 60


def test_a_place_comes_back_as_it_was():
    assert decode_point(encode_point(POINT), 3) == POINT


@given(values)
def test_every_value_comes_back_with_its_type(value):
    point = ResumePoint(module_id=3, bundles=[(1, {"value": value})])
    [(_, bundle)] = decode_point(encode_point(point), 3).bundles
    assert bundle == {"value": value}


def test_half_characters_do_not_keep_a_bundle_from_being_stored():
    point = ResumePoint(module_id=3, bundles=[(1, {"text": "half \ud800 of it"})])
    [(_, bundle)] = decode_point(encode_point(point), 3).bundles
    assert bundle == {"text": "half � of it"}


def test_what_cannot_be_stored_says_so():
    deep: Value = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput):
        encode_point(ResumePoint(module_id=3, bundles=[(1, deep)]))
    with pytest.raises(InvalidInput):
        encode_point(ResumePoint(module_id=3, bundles=[(1, {"n": 2**70})]))


@given(values)
def test_an_edit_that_gives_back_what_was_shown_changes_nothing(value):
    assert merged(value, as_json(value)) is value


def test_what_an_edit_leaves_alone_keeps_its_type():
    shown = as_json(POINT.bundles[0][1])
    assert shown == {"order": "a-17", "at": "2026-11-22T12:00:00.123Z", "file": "AP8="}
    after = edited(POINT, module_id=3, bundles={1: {**shown, "order": "b-18"}}, other_blueprint=False)
    assert after.bundles[0] == (1, {"order": "b-18", "at": AT, "file": b"\x00\xff"})


def test_what_is_asked_anew_gets_a_key_of_its_own():
    same = edited(POINT, module_id=3, bundles={1: as_json(POINT.bundles[0][1])}, other_blueprint=False)
    assert same.step_key == POINT.step_key
    assert edited(POINT, module_id=3, bundles={2: {"n": 2}}, other_blueprint=False).step_key is None
    assert edited(POINT, module_id=4, bundles=None, other_blueprint=False).step_key is None
    assert edited(POINT, module_id=3, bundles=None, other_blueprint=True).step_key is None


def test_a_bundle_that_is_not_stored_cannot_be_edited():
    with pytest.raises(InvalidInput, match="module 9"):
        edited(POINT, module_id=3, bundles={9: {}}, other_blueprint=False)


def test_a_message_fits_its_column():
    assert plain_text("a\x00b\ud800" + "c" * 5000) == ("ab?" + "c" * 5000)[:2000]
