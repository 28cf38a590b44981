"""What is drawn of calls: names and types, more with each call, bounded, and always a valid description of data."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.domain.data_structures.model import MAX_FIELDS, checked_spec
from make_bridge.domain.scenarios.learning import (
    Learned,
    LearningLimits,
    decode_learned,
    encode_learned,
    shown,
    with_call,
)

LIMITS = LearningLimits()
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=25,
)
BUNDLES = st.dictionaries(st.text(max_size=6), VALUES, max_size=6)


def drawn(*bundles, limits=LIMITS):
    learned = Learned()
    for bundle in bundles:
        learned = decode_learned(encode_learned(with_call(learned, bundle, limits)))
    return shown(learned)


def test_each_kind_of_value_has_its_type():
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    call = {"t": "x", "n": 1.5, "b": True, "d": moment, "f": b"x", "c": {"a": 1}, "s": [1, 2], "o": [{"a": 1}]}
    assert drawn(call | {"?": None}) == [
        {"name": "t", "type": "text"},
        {"name": "n", "type": "number"},
        {"name": "b", "type": "boolean"},
        {"name": "d", "type": "date"},
        {"name": "f", "type": "buffer"},
        {"name": "c", "type": "collection", "spec": [{"name": "a", "type": "number"}]},
        {"name": "s", "type": "array", "spec": {"type": "number"}},
        {"name": "o", "type": "array", "spec": [{"name": "a", "type": "number"}]},
        {"name": "?", "type": "any"},
    ]


def test_a_later_call_adds_what_is_new_and_takes_nothing_away():
    structure = drawn({"a": None, "c": {"x": 1}, "l": []}, {"b": 1}, {"a": "late", "c": {"y": "z"}, "l": [[True]]})
    assert structure == [
        {"name": "a", "type": "text"},
        {"name": "c", "type": "collection", "spec": [{"name": "x", "type": "number"}, {"name": "y", "type": "text"}]},
        {"name": "l", "type": "array", "spec": {"type": "array", "spec": {"type": "boolean"}}},
        {"name": "b", "type": "number"},
    ]


def test_where_two_calls_differ_anything_may_stand_for_good():
    assert drawn({"a": 1}, {"a": "x"}, {"a": {"b": 1}}, {"a": 1}) == [{"name": "a", "type": "any"}]
    assert drawn({"a": [1, "x", 2]}) == [{"name": "a", "type": "array", "spec": {"type": "any"}}]


def test_what_the_hook_adds_itself_and_names_nobody_can_write_are_left_out():
    assert drawn({"__IMTHEADERS__": [], "__IMTMETHOD__": "POST", "": 1, "a" * 129: 1, "\ud800": 1, "ok": 1}) == [
        {"name": "ok", "type": "number"}
    ]


@pytest.mark.parametrize("most", [1, 7, MAX_FIELDS])
def test_there_are_so_many_fields_and_no_more(most):
    wide = {f"f{number}": {"a": [number]} for number in range(2000)}
    structure = drawn(wide, {"new": 1}, limits=LearningLimits(fields=most))
    assert structure is not None
    assert json.dumps(structure).count('"type"') <= most
    assert "new" not in {each["name"] for each in structure}


def test_a_deep_call_and_a_long_one_end():
    deep: dict[str, object] = {}
    for _ in range(190):
        deep = {"a": deep}
    structure = drawn(deep, {"list": [{"a": number} for number in range(1_000_000)]})
    assert structure is not None
    checked_spec(structure)


def test_nothing_is_known_before_the_first_call():
    assert shown(decode_learned(None)) is None
    assert drawn({}) == []


@given(st.lists(BUNDLES, min_size=1, max_size=4))
def test_what_is_learned_may_be_saved_as_a_data_structure(bundles):
    structure = drawn(*bundles)
    assert structure is not None
    assert checked_spec(structure) == structure


@given(BUNDLES)
def test_the_same_call_again_teaches_nothing(bundle):
    assert drawn(bundle, bundle) == drawn(bundle)
