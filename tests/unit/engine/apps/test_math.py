"""Formulas, with results worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.engine.apps.arithmetic import MAX_LENGTH, evaluate
from make_bridge.engine.apps.module import ModuleError
from support.one_module import error, outputs


@pytest.mark.parametrize(
    ("formula", "result"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2^3^2", 512),
        ("-2^2", -4),
        ("2^-1", 0.5),
        ("7 % 3", 1),
        ("-7 mod 3", 2),
        ("5!", 120),
        ("-3!", -6),
        ("2 pi", 2 * math.pi),
        ("3(4 + 5)", 27),
        ("10 / 4", 2.5),
        ("0.1 + 0.2", 0.30000000000000004),
        ("1.5e3", 1500),
        ("- - 4", 4),
        ("sqrt(16) + cbrt(-27)", 1),
        ("round(2.345, 2)", 2.35),
        ("round(-2.5)", -3),
        ("floor(-1.2) + ceil(1.2) + fix(-1.9)", -1),
        ("max(1, [5, 3], 2)", 5),
        ("mean(1, 2, 4) * 3", 7),
        ("median(3, 1, 2, 10)", 2.5),
        ("std(2, 4, 4, 4, 5, 5, 7, 9)^2 * 7", 32),
        ("gcd(12, 18) * lcm(4, 6)", 72),
        ("combinations(5, 2) + permutations(4, 2)", 22),
        ("log(8, 2) + log10(1000) + log2(4)", 8),
        ("hypot(3, 4) + abs(-1)", 6),
        ("3 > 2 ? 10 : 20", 10),
        ("0 == 0 ? 0 : 1 / 0", 0),
        ("1 < 2 or 1 / 0 > 1", True),
        ("1 < 2 and not (2 >= 3)", True),
        ("true xor true", False),
        ("1 != 1", False),
        ("9007199254740992 + 1", 9007199254740992),
    ],
)
async def test_a_formula_is_calculated(formula, result):
    (bundle,) = await outputs("math:EvaluateExpression", {"expression": "{{1.f}}"}, {"f": formula})
    assert bundle["result"] == pytest.approx(result, abs=1e-12)
    assert type(bundle["result"]) is type(result) or not isinstance(result, bool)


async def test_values_come_into_a_formula_by_mapping():
    mapper = {"expression": "{{1.a}} * ({{1.b}} + 1)"}
    assert await outputs("math:EvaluateExpression", mapper, {"a": "3", "b": 4}) == [{"result": 15}]


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("1 / 0", "it divides by zero."),
        ("sqrt(-1)", "a function is asked for a value it does not have."),
        ("(-8)^0.5", "the result is too large, or no number."),
        ("10^400", "the result is too large, or no number."),
        ("171!", "factorials are known for whole numbers from 0 to 170."),
        ("0.5!", "factorials are known for whole numbers from 0 to 170."),
        ("x + 1", "'x' is not known; map values into the expression instead of naming them."),
        ("__import__('os')", "\"'os')\" cannot be read."),
        ("exec(1)", "there is no function exec()."),
        ("1 +", "it ends too early."),
        ("1 2", "'2' is not expected there."),
        ("(1", "')' is missing at the end."),
        ("max()", "max() takes 1 or more numbers."),
        ("sqrt(1, 2)", "sqrt() takes 1 number(s)."),
        ("[1, 2]", "a list stands where a number is needed."),
        ("sqrt([1])", "a list stands where a number is needed."),
        ("(" * 40 + "1" + ")" * 40, "it nests deeper than 30 levels."),
        ("2^" * 40 + "2", "it nests deeper than 30 levels."),
        ("(1).__class__", "'.__class__' cannot be read."),
    ],
)
async def test_what_cannot_be_calculated_says_why(formula, reason):
    found = await error("math:EvaluateExpression", {"expression": "{{1.f}}"}, {"f": formula})
    assert (found.type, found.message) == ("DataError", f"The expression cannot be evaluated: {reason}")


async def test_a_formula_has_a_length():
    found = await error("math:EvaluateExpression", {"expression": "{{1.f}}"}, {"f": "1" * (MAX_LENGTH + 1)})
    assert found.type == "BundleValidationError"


@pytest.mark.parametrize(
    ("chain", "result"),
    [("1" + "+1" * 4_999, 5_000), ("-" * 9_999 + "1", -1), ("1" + "^1" * 29, 1), ("2" + "!" * 9_000, 2)],
)
def test_long_chains_do_not_nest(chain, result):
    assert evaluate(chain) == result


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.integers(1, 50))
def test_it_agrees_with_arithmetic(a, b, c):
    assert evaluate(f"({a}) + ({b}) * {c} - ({a}) * {c}") == a + b * c - a * c


@given(st.text(alphabet="0123456789+-*/%^!<>=?:(),[] .eapixmoduntr", max_size=40))
def test_any_text_gives_a_number_or_a_sentence(formula):
    assert isinstance(answer(formula), int | float) or answer(formula).endswith(".")


def answer(formula):
    """The result, or what is said instead."""
    try:
        return evaluate(formula)
    except ModuleError as wrong:
        return wrong.message
