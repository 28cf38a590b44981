"""Numbers are IEEE doubles and print as ECMAScript prints them; the tables are what a JavaScript engine gives."""

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from make_bridge.engine.iml import ExpressionError
from make_bridge.engine.numbers import normalize, number_to_text, text_to_number

quick = settings(max_examples=200, deadline=None)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("1 / 3", "0.3333333333333333"),
        ("2 / 3", "0.6666666666666666"),
        ("0.1 + 0.7", "0.7999999999999999"),
        ("4.35 * 100", "434.99999999999994"),
        ("1.005 * 1000", "1004.9999999999999"),
        ("123456789.123456789", "123456789.12345679"),
        ("1e20", "100000000000000000000"),
        ("1e21 - 1e5", "999999999999999900000"),
        ("999999999999999934463", "999999999999999900000"),
        ("1e21", "1e+21"),
        ("1.2e21", "1.2e+21"),
        ("123456789012345680000", "123456789012345680000"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740992 + 2", "9007199254740994"),
        ("9223372036854775808", "9223372036854776000"),
        ("18446744073709551616", "18446744073709552000"),
        ("1180591620717411303424", "1.1805916207174113e+21"),
        ("-9007199254740992", "-9007199254740992"),
        ("1e-6", "0.000001"),
        ("1.5e-6", "0.0000015"),
        ("9.999999999999999e-7", "0.000001"),
        ("1e-7", "1e-7"),
        ("1.1e-7", "1.1e-7"),
        ("-1e-7", "-1e-7"),
        ("5e-324", "5e-324"),
        ("2.2250738585072014e-308", "2.2250738585072014e-308"),
        ("2.225073858507201e-308", "2.225073858507201e-308"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("4503599627370496.5", "4503599627370496"),
        ("9007199254740991.0", "9007199254740991"),
        ("0.000001234567890123456", "0.000001234567890123456"),
        ("1e300 * 10", "1e+301"),
        ("8.41e21", "8.41e+21"),
        ("4.9406564584124654e-324", "5e-324"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("100 * 1.1", "110.00000000000001"),
        ("3 * 1.1", "3.3000000000000003"),
        ("0.57 * 100", "56.99999999999999"),
        ("1.0000000000000002", "1.0000000000000002"),
        ("299792458", "299792458"),
        ("6.02214076e23", "6.02214076e+23"),
        ("-0", "0"),
        ("1e2", "100"),
        ("12.50", "12.5"),
        ("0.1 * 3", "0.30000000000000004"),
    ],
)
def test_arithmetic_and_printing_are_those_of_javascript(evaluate, expression, text):
    assert evaluate("{{toString(" + expression + ")}}") == text
    assert evaluate("{{(" + expression + ")}}!") == text + "!"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.", 1),
        (".5", 0.5),
        ("+7", 7),
        ("1E+3", 1000),
        ("00012", 12),
        ("\t5\n", 5),
        ("\ufeff5", 5),
        ("\u00a05", 5),
        ("\u200b5", None),
        ("0X1F", 31),
        ("0x", None),
        ("0xg", None),
        ("-0x10", None),
        ("1e", None),
        ("e1", None),
        (".", None),
        ("+", None),
        ("--1", None),
        ("+-1", None),
        ("1n", None),
        ("9007199254740993", 9007199254740992),
        ("1e-400", 0),
        ("2.4703282292062327208e-324", 0),
        ("2.4703282292062328e-324", 5e-324),
        ("1.7976931348623158e308", 1.7976931348623157e308),
        ("1.7976931348623159e308", None),
    ],
)
def test_numerals_are_read_to_the_nearest_double(text, number):
    assert text_to_number(text) == number


@quick
@given(st.integers(0, 2**64 - 1))
def test_every_double_is_read_back_from_its_text(bits):
    (number,) = struct.unpack(">d", struct.pack(">Q", bits))
    if math.isfinite(number):
        assert text_to_number(number_to_text(number)) == number


@quick
@given(st.integers(-(2**53), 2**53), st.integers(-(2**53), 2**53), st.sampled_from("+-*"))
def test_whole_numbers_are_added_and_multiplied_as_doubles(evaluate, left, right, operator):
    doubles = {"+": float.__add__, "-": float.__sub__, "*": float.__mul__}
    result = evaluate("{{1.l " + operator + " 1.r}}", {"l": left, "r": right})

    assert result == doubles[operator](float(left), float(right))
    assert type(result) is type(normalize(result))


@pytest.mark.parametrize(
    "expression",
    ["1e308 * 10", "-1e308 - 1e308", "1 / 0", "0 / 0", "0 % 0", "sum(1e308; 1e308)", "stdevP(1e300; -1e300)"],
)
def test_neither_infinity_nor_nan_is_a_result(evaluate, expression):
    with pytest.raises(ExpressionError):
        evaluate("{{" + expression + "}}")
