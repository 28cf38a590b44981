"""Values on their way into JavaScript and back: nothing that comes back is believed."""

from datetime import UTC, datetime

import pytest

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.function_values import from_answer, to_arguments
from make_bridge.engine.ports import Moment
from make_bridge.engine.values import Value

AT = datetime(2026, 3, 31, 10, 20, 30, 400_000, tzinfo=UTC)


def test_every_kind_of_value_comes_back_as_it_went():
    values: list[Value] = [None, True, 1, 1.5, "ä", b"\x00\xff", AT, [1, [AT]], {"a": {"__proto__": [b"x"]}, "o": "d"}]
    sent = to_arguments(values, Moment(now=AT, chance=0.25))
    assert [from_answer(one) for one in sent["arguments"]] == values  # type: ignore[attr-defined]
    assert (sent["now"], sent["seed"]) == (1774952430400, 2**30)


def test_a_number_comes_in_its_one_form():
    assert repr([from_answer(2.0), from_answer(1e300), from_answer(-0.0)]) == "[2, 1e+300, 0]"


def _deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = ["a", [value]]
    return value


@pytest.mark.parametrize(
    "raw",
    [
        [], ["a"], ["a", 1], ["z", 1], ["o", [1]], ["o", [[1, 2]]], ["o", [["a"]]], ["d", "x"], ["d", 1e300],
        ["d", float("nan")], ["b", "zz"], ["b", 1], {"a": 1}, float("inf"), "\ud800", ["o", [["\udfff", 1]]],
        _deep(200),
    ],
    ids=lambda raw: ascii(raw)[:30],
)  # fmt: skip
def test_what_is_no_value_is_refused(raw):
    with pytest.raises(ExpressionError):
        from_answer(raw)
