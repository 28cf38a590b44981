"""Every limit of the language holds, is said in words, and lies where `limits.py` says.

What tries to hurt runs in a process of its own, so that its peak of memory is its own too, with what the libraries
allocate outside Python's sight.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from make_bridge.engine.iml import (
    Budget,
    BudgetExceeded,
    ExpressionError,
    ExpressionSyntaxError,
    compile_template,
    compile_value,
    limits,
)
from make_bridge.engine.iml.patterns import compile_pattern
from make_bridge.engine.runner.request import RunLimits

HOSTILE = Path(__file__).parent / "hostile_expressions.py"
# Processor time on a busy machine; a quiet one takes a quarter of a second for the longest.
SECONDS = 2.0
KIBIBYTES = 64 * 1024
ENDS_IN_AN_ERROR = {
    "ExpressionSyntaxError": (
        "100 000 parentheses",
        "200 000 minus signs",
        "10 MB of braces",
        "10 MB of segments",
        "10 MB of quotation marks",
    ),
    "BudgetExceeded": (
        "10 MB of literal text",
        "10 MB of one variable",
        "10 MB to base64",
        "10 MB split into characters",
        "nested replace",
        "doubling by merge",
        "joining with a long separator",
        "thousands separators of 1 MB",
        "hundreds of decimals",
        "many long date formats",
        "comparing what differs at the end",
        "ordering what differs at the end",
        "removing what differs at the end",
        "searching the worst case",
        "a pattern that looks ahead to the end",
        "many patterns that look ahead",
        "many patterns that look ahead from few places",
        "many hashes of 1 MB",
        "sorting what is long",
        "shared arrays",
        "flattening shared arrays",
    ),
    "ExpressionError": ("a date format of 1 MB", "a date of 1 MB", "a date of blanks", "blank numbers of 1 MB"),
}


@pytest.fixture(scope="module")
def report():
    done = subprocess.run([sys.executable, HOSTILE], check=True, capture_output=True, text=True, timeout=100)
    return json.loads(done.stdout)


@pytest.mark.attack("F07", "F08", "F12")
def test_no_hostile_expression_takes_long_or_much_memory(report):
    slow = {name: fate["seconds"] for name, fate in report.items() if fate["seconds"] > SECONDS}
    large = {name: fate["grown_kib"] for name, fate in report.items() if fate["grown_kib"] > KIBIBYTES}

    assert (slow, large) == ({}, {})


@pytest.mark.parametrize("outcome", ENDS_IN_AN_ERROR)
def test_a_hostile_expression_ends_in_the_error_that_names_it(report, outcome):
    assert {name: report[name]["outcome"] for name in ENDS_IN_AN_ERROR[outcome]} == dict.fromkeys(
        ENDS_IN_AN_ERROR[outcome], outcome
    )


def test_a_run_has_the_budgets_of_the_language_unless_it_is_told_others():
    assert (RunLimits().expression_steps, RunLimits().expression_output) == (limits.STEPS, limits.OUTPUT)
    assert Budget() == Budget(steps=limits.STEPS, output=limits.OUTPUT)


def test_steps_are_counted_to_the_last(make_scope):
    template = compile_template("{{reverse(1.l)}}")
    needed = 6  # one for the call, one for each element

    template.evaluate(make_scope(bundles={1: {"l": [1, 2, 3, 4, 5]}}, budget=Budget(steps=needed)))
    with pytest.raises(BudgetExceeded, match="more operations"):
        template.evaluate(make_scope(bundles={1: {"l": [1, 2, 3, 4, 5]}}, budget=Budget(steps=needed - 1)))


def test_output_is_counted_to_the_last_byte(make_scope):
    template = compile_template("a{{1.t}}b")

    template.evaluate(make_scope(bundles={1: {"t": "xyz"}}, budget=Budget(output=5)))
    with pytest.raises(BudgetExceeded, match="more data") as caught:
        template.evaluate(make_scope(bundles={1: {"t": "xyz"}}, budget=Budget(output=4)))
    assert caught.value.position == 1


def test_an_expression_may_have_so_many_characters_and_no_more(evaluate):
    longest = "{{" + " " * (limits.EXPRESSION - 5) + "1.a}}"

    assert evaluate(longest, {"a": "here"}) == "here"
    with pytest.raises(ExpressionSyntaxError, match=f"{limits.EXPRESSION} characters"):
        compile_template("{{1.a}}" + longest)


def test_a_mapper_may_nest_so_deep_and_no_deeper():
    mapper: object = "{{1.a}}"
    for _ in range(limits.MAPPED_NESTING):
        mapper = [mapper]

    compile_value(mapper)
    with pytest.raises(ExpressionSyntaxError, match=f"more than {limits.MAPPED_NESTING} levels"):
        compile_value([mapper])


def test_a_call_may_have_so_many_arguments_and_no_more(evaluate):
    assert evaluate("{{sum(" + ";".join(["1"] * limits.ARGUMENTS) + ")}}") == limits.ARGUMENTS
    with pytest.raises(ExpressionError, match=f"at most {limits.ARGUMENTS} arguments"):
        evaluate("{{sum(" + ";".join(["1"] * (limits.ARGUMENTS + 1)) + ")}}")


def test_what_is_constant_is_computed_while_compiling_up_to_a_budget(evaluate):
    small = compile_template('{{upper("a") + 1}}')
    large = compile_template("{{" + " + ".join(['length(upper("' + "a" * 500 + '"))'] * 100) + "}}")

    assert small.evaluate(None) == "A1"  # type: ignore[arg-type]  # nothing is asked of a scope
    with pytest.raises(AttributeError):
        large.evaluate(None)  # type: ignore[arg-type]
    assert evaluate(large.text) == 50_000


def test_a_pattern_may_be_so_long_and_so_large():
    compile_pattern("x" * limits.PATTERN)
    with pytest.raises(ExpressionError, match=f"longer than {limits.PATTERN}"):
        compile_pattern("x" * (limits.PATTERN + 1))
    with pytest.raises(ExpressionError, match="not valid: pattern too large"):
        compile_pattern(r"\p{L}{999}")


@pytest.mark.attack("F11")
def test_a_date_format_and_the_text_it_reads_have_lengths(evaluate):
    longest = "x" * limits.DATE_FORMAT

    assert len(evaluate("{{formatDate(now; 1.p)}}", {"p": "y" * limits.DATE_FORMAT})) == limits.DATE_FORMAT
    with pytest.raises(ExpressionError, match=f"longer than {limits.DATE_FORMAT}"):
        evaluate("{{formatDate(now; 1.p)}}", {"p": longest + "x"})
    with pytest.raises(ExpressionError, match=f"longer than {limits.DATE_FORMAT}"):
        evaluate("{{parseDate(1.t; 1.p)}}", {"t": "1", "p": longest + "x"})
    assert evaluate("{{parseDate(1.t; 1.p)}}", {"t": "2026" + "-" * (limits.DATE_TEXT - 4), "p": "YYYY" + "-" * 496})
    with pytest.raises(ExpressionError, match="is not a valid date"):
        evaluate('{{parseDate(1.t; "YYYY")}}', {"t": "2026" + " " * limits.DATE_TEXT})


def test_a_number_may_have_so_many_decimals(evaluate):
    assert len(evaluate("{{formatNumber(1 / 3; 1.n)}}", {"n": limits.DECIMALS})) == 2 + limits.DECIMALS
    with pytest.raises(ExpressionError, match=f"between 0 and {limits.DECIMALS}; it is {limits.DECIMALS + 1}"):
        evaluate("{{formatNumber(1 / 3; 1.n)}}", {"n": limits.DECIMALS + 1})


def test_templates_are_remembered_by_their_text_unless_they_are_long():
    short, long = "{{1.remembered}}", "x" * limits.TEMPLATE_REMEMBERED + "{{1.forgotten}}"

    assert compile_template(short) is compile_template(short)
    assert compile_template(long) is not compile_template(long)


def test_of_many_templates_the_oldest_is_forgotten():
    first = compile_template("{{1.the_first_of_many}}")
    for number in range(limits.TEMPLATES_REMEMBERED):
        compile_template(f"{{{{1.one_of_many_{number}}}}}")

    assert compile_template("{{1.the_first_of_many}}") is not first
