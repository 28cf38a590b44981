"""Values: their texts, their numbers, and what a field's declared type makes of them."""

import struct
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from make_bridge.engine.iml import ExpressionError
from make_bridge.engine.numbers import normalize, number_to_text, text_to_number
from make_bridge.engine.values import (
    ERASE,
    IGNORE,
    Value,
    coerce,
    parse_json_text,
    size_of,
    to_array,
    to_boolean,
    to_json_text,
    to_number,
    to_text,
    truthy,
)

UTC_ZONE = ZoneInfo("UTC")
D = datetime(2026, 3, 31, 10, 20, 30, 400_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (5, "5"),
        (5.0, "5"),
        (-1.5, "-1.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (100.0, "100"),
        (1e15, "1000000000000000"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (999999999999999900000.0, "999999999999999900000"),
        (1e21, "1e+21"),
        (-1.5e21, "-1.5e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (0.0001, "0.0001"),
        (0.00001, "0.00001"),
        (0.000001, "0.000001"),
        (0.0000015, "0.0000015"),
        (0.0000001, "1e-7"),
        (-1.23e-7, "-1.23e-7"),
        (5e-324, "5e-324"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (12345678901234567890, "12345678901234567000"),
    ],
)
def test_numbers_print_as_ecmascript_prints_them(number, text):
    assert number_to_text(number) == text
    assert to_text(number) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        (" 5.0 ", 5),
        ("+.5e1", 5),
        ("-0", 0),
        ("1e-7", 1e-7),
        ("0x1F", 31),
        ("0b101", 5),
        ("0o17", 15),
        ("12345678901234567890", 12345678901234567000.0),
        ("", None),
        (" ", None),
        ("1_000", None),
        ("1,5", None),
        ("1e999", None),
        ("Infinity", None),
        ("NaN", None),
        ("\u0665", None),
        ("5 5", None),
        ("-0x1F", None),
        ("9" * 2_000, None),
    ],
)
def test_numerals_read_as_ecmascript_reads_them(text, number):
    assert text_to_number(text) == number


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 10**400])
def test_what_is_not_finite_is_an_error(number):
    with pytest.raises(ExpressionError):
        normalize(number)


def test_a_whole_number_is_an_int_as_far_as_doubles_are_exact():
    assert type(normalize(5.0)) is int
    assert type(normalize(-0.0)) is int
    assert type(normalize(2.0**53)) is int
    assert type(normalize(2.0**54)) is float
    assert type(normalize(2**54)) is float
    assert struct.pack("d", normalize(0.1)) == struct.pack("d", 0.1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (IGNORE, ""),
        (ERASE, ""),
        (True, "true"),
        (False, "false"),
        ("x", "x"),
        (D, "2026-03-31T10:20:30.400Z"),
        ("hé".encode(), "hé"),
        ([], ""),
        ([1, None, "a", [True, [2]], {}], "1, , a, true, 2, {}"),
        ({"a": [1.5, {"b": None}]}, '{"a":[1.5,{"b":null}]}'),
    ],
)
def test_every_value_has_a_text(value, text):
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (None, "null"),
        (IGNORE, "null"),
        (True, "true"),
        (1e21, "1e+21"),
        ('say "hi"\n\x00\x7f\u2028é', '"say \\"hi\\"\\n\\u0000\x7f\u2028é"'),
        ("half \ud83d pair", '"half \\ud83d pair"'),
        (D, '"2026-03-31T10:20:30.400Z"'),
        (b"hi", '"hi"'),
        ([], "[]"),
        ({}, "{}"),
        ([[], {}, [1, [2]]], "[[],{},[1,[2]]]"),
        ({"a": {"b": [1, {"c": "d"}]}, 'k"': None}, '{"a":{"b":[1,{"c":"d"}]},"k\\"":null}'),
    ],
)
def test_json_is_written_as_stringify_writes_it(value, json):
    assert to_json_text(value) == json


def test_json_is_read_strictly_and_numbers_take_their_form():
    assert parse_json_text('{"a": [1.0, 12345678901234567890, -0.0, "x", {"b": 2.5}]}') == {
        "a": [1, 12345678901234567000.0, 0, "x", {"b": 2.5}]
    }
    assert type(parse_json_text("1.0")) is int
    for broken in ("", "{", "NaN", "[1,]", "1e999", "[" * 100_000, "'x'", b"\xff"):
        with pytest.raises(ExpressionError, match="not valid JSON"):
            parse_json_text(broken)


def test_nesting_of_any_depth_is_written_without_recursion():
    value: Value = [1]
    for _ in range(100_000):
        value = [value]

    assert len(to_json_text(value)) == 200_003
    assert to_text(value) == "1"
    assert size_of(value) > 100_000


def test_the_size_of_a_shared_structure_is_counted_to_the_limit_only():
    value: Value = ["x" * 1000]
    for _ in range(60):
        value = [value, value]

    assert size_of(value, 1_000_000) < 2_000_000
    assert size_of("abc") == 3
    assert size_of(b"abc") == 3
    assert size_of({"a": "b"}) > 2


@pytest.mark.parametrize(
    ("value", "number"), [(None, 0), ("", 0), (" ", 0), (True, 1), (False, 0), ("12", 12), (D, 1774952430400), (5.0, 5)]
)
def test_numbers_come_from_scalars(value, number):
    assert to_number(value) == number


@pytest.mark.parametrize("value", ["abc", [], {}, b"1", float("nan")])
def test_other_values_are_no_numbers(value):
    with pytest.raises(ExpressionError):
        to_number(value)


@pytest.mark.parametrize(
    ("value", "field", "condition"),
    [
        (True, True, True),
        (False, False, False),
        (0, True, False),
        (1, True, True),
        ("", False, False),
        ("false", False, False),
        ("0", True, True),
        ("x", True, True),
        (None, False, False),
        (IGNORE, False, False),
        ([], True, True),
        ({}, True, True),
        (D, True, True),
        (b"", True, True),
    ],
)
def test_a_boolean_field_takes_zero_for_yes_and_a_condition_does_not(value, field, condition):
    assert to_boolean(value) is field
    assert truthy(value) is condition


def test_an_array_holds_what_is_none():
    assert to_array([1]) == [1]
    assert to_array(None) == []
    assert to_array("x") == ["x"]
    assert to_array({"a": 1}) == [{"a": 1}]


@pytest.mark.parametrize(
    ("value", "field_type", "expected"),
    [
        ([1], "array", [1]),
        (None, "array", []),
        ("", "array", []),
        ("x", "array", ["x"]),
        (0, "boolean", True),
        ("false", "boolean", False),
        ("", "boolean", False),
        ("no", "boolean", True),
        (None, "boolean", None),
        ({"a": 1}, "collection", {"a": 1}),
        ("", "collection", None),
        (D, "date", D),
        ("2026-03-31 10:20:30.4", "date", D),
        ("3/31/2026 10:20:30.4 AM", "date", D),
        ("", "date", None),
        ("12", "number", 12),
        (12.5, "number", 12.5),
        ("", "number", None),
        ("12", "integer", 12),
        (7.0, "uinteger", 7),
        ("x", "text", "x"),
        (True, "text", "true"),
        (12.50, "text", "12.5"),
        (D, "text", "2026-03-31T10:20:30.400Z"),
        (b"hi", "text", "hi"),
        ([1, "a", None], "text", "1, a, "),
        ("", "text", ""),
        (None, "text", None),
        ("hé", "buffer", "hé".encode()),
        (12, "buffer", b"12"),
        (True, "buffer", b"true"),
        ("", "buffer", b""),
        ("7:05:09", "time", "7:05:09"),
        ("23:59", "time", "23:59"),
        ({"a": 1}, "any", {"a": 1}),
        ("", "any", ""),
        ("b", "select", "b"),
        ('{"a": [1]}', "json", {"a": [1]}),
        ({"a": 1}, "json", {"a": 1}),
        ("a@x", "email", "a@x"),
        (5, "no such type", 5),
        (IGNORE, "number", IGNORE),
        (ERASE, "array", ERASE),
    ],
)
def test_a_fields_type_makes_its_value(value, field_type, expected):
    result = coerce(value, field_type, UTC_ZONE)

    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "field_type", "message"),
    [
        ("x", "collection", "'x' is not a valid collection."),
        ([], "collection", "The array is not a valid collection."),
        ("soon", "date", "'soon' is not a valid date."),
        (1774952430400, "date", "'1774952430400' is not a valid date."),
        ("abc", "number", "'abc' is not a valid number."),
        (True, "number", "'true' is not a valid number."),
        (1.5, "integer", "'1.5' is not a whole number."),
        ("-1", "uinteger", "'-1' is negative; a number from 0 is expected."),
        ({"a": 1}, "text", "The collection is not a valid text."),
        ([{"a": 1}], "text", "The array is not a valid text."),
        (b"\xff", "text", "The buffer holds no text: it is not UTF-8."),
        ([1], "buffer", "The array is not a valid buffer."),
        ("25:00", "time", "'25:00' is not a valid time of day."),
        ("{", "json", "The text is not valid JSON"),
        ("x" * 100, "number", f"'{'x' * 40}…' is not a valid number."),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_a_sentence(value, field_type, message):
    with pytest.raises(ExpressionError) as caught:
        coerce(value, field_type, UTC_ZONE)

    assert caught.value.message.startswith(message)


def test_a_date_field_reads_text_in_the_given_zone():
    assert coerce("2026-07-01 12:00", "date", ZoneInfo("Europe/Prague")) == datetime(2026, 7, 1, 10, tzinfo=UTC)
