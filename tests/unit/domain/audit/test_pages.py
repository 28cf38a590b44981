"""Pages over two homes: their order, their ends, and what a caller may hand back."""

from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.domain.audit.messages import Act, Place
from make_bridge.domain.audit.model import checked_filter, merged, place_of, read_moment, read_place, write_place
from make_bridge.domain.audit.rendering import ExportForm, head, lines, shown
from make_bridge.kernel.errors import InvalidInput

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def act(home="shard", number=1, seconds=0, **more):
    known = {
        "id": number, "home": home, "organization_id": 3, "at": NOON + timedelta(seconds=seconds),
        "actor_kind": "system", "actor": "x", "action": "y", "object": "z", "detail": "{}", "before": None,
        "after": None, "request_id": "r", "address": "", "sequence": 1, "hash": "00",
    }  # fmt: skip
    return Act(**(known | more))


def test_acts_of_both_homes_are_merged_newest_first():
    shard, directory = [act(number=2, seconds=5), act(number=1)], [act("directory", 9, 3), act("directory", 8)]
    assert [(one.home, one.id) for one in merged([shard, directory], 4)] == [
        ("shard", 2), ("directory", 9), ("shard", 1), ("directory", 8),
    ]  # fmt: skip
    assert [one.id for one in merged([shard, directory], 2)] == [2, 9]


def test_a_place_survives_the_way_to_the_caller_and_back():
    place = place_of(act(number=7, seconds=1.000001))
    assert read_place(write_place(place)) == place == Place(at=NOON + timedelta(seconds=1.000001), home="shard", id=7)


@pytest.mark.parametrize("text", ["", "x", "1.shard", "1.other.2", "-1.shard.2", "1.shard.2 ", "9" * 18 + ".shard.1"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(InvalidInput):
        read_place(text)


@pytest.mark.parametrize("text", ["", "x" * 201, "a\x00b"])
def test_what_nobody_can_look_for_is_refused(text):
    with pytest.raises(InvalidInput):
        checked_filter("actor", text)


def test_moments_are_read_with_and_without_an_offset():
    assert read_moment("from", "2026-11-22T13:00:00+01:00") == NOON
    assert read_moment("from", "2026-11-22T12:00:00") == NOON
    assert read_moment("from", "2026-11-22") == NOON - timedelta(hours=12)
    for wrong in ("yesterday", "0001-01-01T00:00:00+14:00", ""):
        with pytest.raises(InvalidInput):
            read_moment("from", wrong)


def test_cells_of_a_table_are_no_formulas_and_stored_json_is_shown_as_json():
    strange = act(object="=1+1", detail='{"a":[1]}', before="no json")
    assert b"'=1+1" in lines(ExportForm.CSV, [strange])
    assert head(ExportForm.CSV).count(b",") == lines(ExportForm.CSV, [act()]).count(b",")
    told = shown(strange)
    assert (told["detail"], told["before"], told["after"]) == ({"a": [1]}, "no json", None)
