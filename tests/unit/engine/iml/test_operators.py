"""Operators: conversions of their sides, and what has no result."""

from datetime import UTC, datetime

import pytest

from make_bridge.engine.iml import ExpressionError

D = datetime(2026, 3, 31, 10, 20, 30, 400_000, tzinfo=UTC)
BUNDLE = {
    "n": 5,
    "t": "abc",
    "num": "7",
    "e": "",
    "d": D,
    "l": [1, "2"],
    "l2": [1, "2"],
    "c": {"a": [1, {"b": None}]},
    "c2": {"a": [1, {"b": None}]},
    "y": True,
    "f": False,
    "b": b"hi",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1.n + 1.num", "57"),
        ("1.n + 1.nothing", 5),
        ("1.t + 1.nothing", "abc"),
        ("1.nothing + 1.nothing", 0),
        ("1.y + 1", 2),
        ("1.t + 1.y", "abctrue"),
        ("1 + 2 + 1.t + 1 + 2", "3abc12"),
        ('1.n + 2 + "x" + 1.n', "7x5"),
        ('1.n + "x" + 1.n + 2', "5x52"),
        ('"x" + 1.n + 2 + 1.nothing', "x52"),
        ("1.t + 1.l", "abc1, 2"),
        ("1.l + 1", "1, 21"),
        ("1.b + 1", "hi1"),
        ("1.d + 1000", datetime(2026, 3, 31, 10, 20, 31, 400_000, tzinfo=UTC)),
        ('1.d + ""', "2026-03-31T10:20:30.400Z"),
        ("1.d - 400", 1774952430000),
        ('"5" * "2"', 10),
        ("0.1 + 0.2", 0.30000000000000004),
        ("10 / 4", 2.5),
        ("10 / 5", 2),
        ("-7 % 3", -1),
        ("7.5 % 2", 1.5),
        ("5 - 1.e", 5),
        ('"0x10" - 0', 16),
        ('" 12 " - 0', 12),
        ("-1.num", -7),
        ("-0", 0),
        ("9007199254740992 + 1", 9007199254740992),
        ("9007199254740992 * 9007199254740992", 8.112963841460668e31),
    ],
)
def test_arithmetic_converts_its_sides(evaluate, expression, expected):
    result = evaluate("{{" + expression + "}}", BUNDLE)

    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ("1.t - 1", 6),
        ("1 * 1.l", 4),
        ("1 / 0", 4),
        ("1 % 0", 4),
        ("1 / 1.nothing", 4),
        ("-1.t", 2),
        ("1e308 * 10", 8),
        ("1 + 2 - 3 + (1.d - 1.c)", 19),
        ("1 + 1.d * 1e300", 10),
        ("1.d + 1e17", 6),
    ],
)
def test_what_would_not_be_a_number_is_an_error_with_its_place(evaluate, expression, position):
    with pytest.raises(ExpressionError) as caught:
        evaluate("{{" + expression + "}}", BUNDLE)

    assert caught.value.position == position
    assert caught.value.function is None


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1.num = 7", True),
        ('"7.0" = 7', True),
        ('"7.0" = "7"', False),
        ("1.nothing = 1.e", True),
        ("1.nothing = null", True),
        ("1.nothing = 0", False),
        ("1.nothing = false", False),
        ("1.e = 0", False),
        ("1.y = true", True),
        ('1.y = "true"', True),
        ('1.f = "true"', False),
        ("1.y = 1", True),
        ("1.l = 1.l2", True),
        ('1.l = "1, 2"', False),
        ("1.c = 1.c2", True),
        ("1.c != 1.c2", False),
        ("1.c = 1.l", False),
        ("emptyarray = 1.e", False),
        ('1.d = "2026-03-31T10:20:30.4Z"', True),
        ('1.d = "abc"', False),
        ("1.d = 1774952430400", True),
        ('1.b = "hi"', True),
        ("1.b = 1", False),
        ('"a" = "A"', False),
    ],
)
def test_equality_is_loose_between_numbers_and_their_text(evaluate, expression, expected):
    assert evaluate("{{" + expression + "}}", BUNDLE) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('"10" > "9"', True),
        ('"10" > "9a"', False),
        ('"b" > "a"', True),
        ('"Z" < "a"', True),
        ("1.nothing > 3", False),
        ("1.nothing < 3", True),
        ('1.nothing < "abc"', True),
        ("1.e < 5", True),
        ("1.y >= 1", True),
        ("1.d > 0", True),
        ('1.d < "2026-04-01"', True),
        ('"2026-04-01" < 1.d', False),
        ("1.d <= 1.d", True),
        ("1.l < 5", True),
        ('"\U0001f600" < "\uffff"', True),
    ],
)
def test_order_is_by_number_time_or_code_unit(evaluate, expression, expected):
    assert evaluate("{{" + expression + "}}", BUNDLE) is expected


@pytest.mark.parametrize("false", ["false", "null", '""', "0", '"false"', "1.nothing", "ignore"])
def test_conditions_that_do_not_hold(evaluate, false):
    assert evaluate("{{if(" + false + '; "y"; "n")}}', BUNDLE) == "n"
    assert evaluate("{{" + false + " & true}}", BUNDLE) is False
    assert evaluate("{{" + false + " | false}}", BUNDLE) is False


@pytest.mark.parametrize("true", ["true", '"0"', '"no"', "-1", "emptyarray", "1.c", "1.d", "now"])
def test_conditions_that_hold(evaluate, true):
    assert evaluate("{{if(" + true + '; "y"; "n")}}', BUNDLE) == "y"
    assert evaluate("{{" + true + " & true}}", BUNDLE) is True


def test_only_the_needed_side_is_evaluated(evaluate):
    assert evaluate("{{if(true; 1; 1 / 0)}}") == 1
    assert evaluate("{{ifempty(1; 1 / 0)}}") == 1
    assert evaluate("{{switch(1; 1; 2; 1 / 0; 1 / 0; 1 / 0)}}") == 2
    assert evaluate("{{false & nope()}}") is False
    assert evaluate("{{true | nope()}}") is True


def test_commas_are_text_of_the_argument(evaluate):
    assert evaluate('{{upper("a", "b")}}') == "A, B"
    with pytest.raises(ExpressionError, match="takes at least 2 arguments; it is given 1"):
        evaluate('{{formatDate(now, "YYYY")}}')
