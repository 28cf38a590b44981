"""Templates as text: what parses, what each spelling means, where errors point."""

import pytest

from make_bridge.engine.iml import ExpressionSyntaxError, limits
from make_bridge.engine.iml.parser import parse_template
from make_bridge.engine.iml.printer import print_template
from make_bridge.engine.iml.syntax import BareText, Call, Chain, Empty, Keyword, Negation, Number, Path, Text


def parse_one(expression):
    (node,) = parse_template("{{" + expression + "}}")
    return node


@pytest.mark.parametrize(
    ("expression", "node"),
    [
        ("1.email", Path(head=1, segments=("email",))),
        ("1.data.user.name", Path(head=1, segments=("data", "user", "name"))),
        ("1.`First name`", Path(head=1, segments=("First name",))),
        ("5.`0`", Path(head=5, segments=("0",))),
        ("1.a.`x-y`.b", Path(head=1, segments=("a", "x-y", "b"))),
        ("1.`brian@x.com`.busy", Path(head=1, segments=("brian@x.com", "busy"))),
        ("1.$1", Path(head=1, segments=("$1",))),
        ("`3`", Path(head=3, segments=())),
        ("3", Path(head=3, segments=())),
        ("`3`.a", Path(head=3, segments=("a",))),
        ("1[2]", Path(head=1, segments=(2,))),
        ("1.items[2].name", Path(head=1, segments=("items", 2, "name"))),
        ("1.items[].name", Path(head=1, segments=("items", None, "name"))),
        ("var.input.x", Path(head="var", segments=("input", "x"))),
        ("`First name`", Path(head="First name", segments=())),
        ("now", Keyword(name="now")),
        ("YYYY", BareText(value="YYYY")),
        ("item.name", BareText(value="item.name")),
        ("1.5", Number(value=1.5)),
        ("(3)", Number(value=3)),
        ("-3", Negation(operand=Number(value=3), position=0)),
        ('"say ""hi"" }} `now`"', Text(value='say "hi" }} `now`')),
        ("'it''s'", Text(value="it's")),
        ('"\\n"', Text(value="\\n")),
        ("", Empty()),
        (
            "if(1.length;;)",
            Call(name="if", arguments=(Path(head=1, segments=("length",)), Empty(), Empty()), position=0),
        ),
        ("now()", Call(name="now", arguments=(), position=0)),
        ("or(1;2)", Call(name="or", arguments=(Number(value=1), Number(value=2)), position=0)),
    ],
)
def test_a_spelling_has_one_meaning(expression, node):
    assert parse_one(expression) == node


@pytest.mark.parametrize(
    ("loose", "explicit"),
    [
        ("1.a + 2 * 3 - 4", "(1.a + (2 * 3)) - 4"),
        ("1.a = 1 & 2 = 3 | 4 < 5", "((1.a = 1) & (2 = 3)) | (4 < 5)"),
        ("-1.a * 2", "(-1.a) * 2"),
        ("10 - 3 - 2", "(10 - 3) - 2"),
        ("8 / 4 / 2 * 3 % 2", "(((8 / 4) / 2) * 3) % 2"),
        ("1 < 2 = true", "(1 < 2) = true"),
        ("indexOf(1.a; 1.b) != -1", "(indexOf(1.a; 1.b)) != (-1)"),
    ],
)
def test_precedence_makes_parentheses_unnecessary(evaluate, loose, explicit):
    bundle = {"a": 7, "b": 7}

    assert evaluate("{{" + loose + "}}", bundle) == evaluate("{{" + explicit + "}}", bundle)


def test_operator_words_are_the_operators():
    assert parse_one("1.a and 2.b or 3.c mod 2") == parse_one("1.a & 2.b | 3.c % 2")
    assert parse_one("1.a = 1 or (2 = 3)") == parse_one("1.a = 1 | (2 = 3)")


def test_operators_of_one_precedence_stand_side_by_side():
    node = parse_one("1 + 2 - 3 + 4")

    assert isinstance(node, Chain)
    assert node.operators == ("+", "-", "+")


@pytest.mark.parametrize(
    "template",
    [
        "plain text with } and { and }} inside",
        "a {{1.a}} b {{ 2.b }}",
        "{{3}}",
        "{{(3)}}",
        "{{-3}}",
        "{{--1.a}}",
        "{{-(1 + 2)}}",
        "{{(1 - 2) - (3 - 4) * 5}}",
        "{{((1 | 2) & 3) = 4}}",
        '{{"}}"}}{{"{{"}}',
        "{{{1.x}}}",
        '{"a":{{1.x}},"b":"{{2.y}}"}',
        '{{replace(1.x; "a"; )}}',
        "{{f(;)}}{{f(;;)}}{{f()}}",
        "{{f(a, b)}}",
        "{{1.`50%+`.`x y`[3][]}}",
        "{{1e21 + 1.5e-9}}",
        "{{1.ünïcode.字}}",
        "{{if (1.a ; 'x'; YYYY)}}",
        "{{}}{{  }}",
    ],
)
def test_a_template_survives_parse_print_parse(template):
    parts = parse_template(template)

    assert parse_template(print_template(parts)) == parts


def test_printing_uses_the_editors_spelling():
    spelled = print_template(parse_template("{{if(1.a=1 and 2.`b c`>2;'it''s';YYYY)}}"))

    assert spelled == '{{if(1.a = 1 & 2.`b c` > 2; "it\'s"; YYYY)}}'


@pytest.mark.parametrize(
    ("template", "position", "message"),
    [
        ("ab {{1.x", 3, "The expression is not closed"),
        ('ab {{"x}}', 5, "The quotation mark is not closed."),
        ("ab {{1.`x}}", 7, "The backtick is not closed."),
        ("{{upper(1.x}}", 2, "The call of upper() is not closed."),
        ("{{1 + (2 * 3}}", 6, "The parenthesis is not closed."),
        ("{{1 + }}", 6, "A value is missing before }}."),
        ("{{upper(1.x))}}", 12, "')' is not expected here."),
        ("{{1.a ; 2}}", 6, "';' is not expected here."),
        ("{{1.a}", 5, "'}' is not expected here."),
        ("{{#if x}}", 2, "'#' is not expected here."),
        ("{{1.}}", 3, "'.' is not expected here."),
        ("{{1.a.}}", 6, "A key is expected after the dot."),
        ("{{2nd}}", 2, "This is neither a number nor a reference."),
        ("{{f(1; ())}}", 8, "')' is not expected here."),
        ("{{upper(1.x).y}}", 12, "'.' is not expected here."),
        ("{{1.a[9999999999999999]}}", 5, "The number is too long."),
    ],
)
def test_a_syntax_error_points_to_its_place(template, position, message):
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse_template(template)

    assert caught.value.position == position
    assert caught.value.message.startswith(message)


@pytest.mark.attack("F07")
@pytest.mark.parametrize(
    "template",
    [
        "{{" + "(" * 100_000 + "1" + ")" * 100_000 + "}}",
        "{{" + "-" * 100_000 + "1}}",
        "{{" + "upper(" * 100_000 + "1" + ")" * 100_000 + "}}",
        "{{" + "if(1;" * 100_000,
        "{{" + "(-" * 50_000,
    ],
)
def test_endless_nesting_is_an_error_not_a_crash(template):
    with pytest.raises(ExpressionSyntaxError, match="nests more than 64 levels"):
        parse_template(template)


def test_the_deepest_allowed_nesting_parses_evaluates_and_prints(evaluate):
    calls = "{{" + "if(true;" * limits.NESTING + "1.a" + ")" * limits.NESTING + "}}"
    brackets = "{{" + "(1 + " * limits.NESTING + "1.a" + ")" * limits.NESTING + "}}"

    assert evaluate(calls, {"a": "deep"}) == "deep"
    assert evaluate(brackets, {"a": 1}) == limits.NESTING + 1
    assert parse_template(print_template(parse_template(calls))) == parse_template(calls)


def test_precedence_cannot_make_a_tree_higher_than_its_walkers_allow():
    with pytest.raises(ExpressionSyntaxError, match="too many operators"):
        parse_template("{{" + "upper(1|1&1=1+1*" * 50 + "1" + ")" * 50 + "}}")


def test_brackets_side_by_side_do_not_add_up(evaluate):
    assert evaluate("{{" + " + ".join(["(-(1))"] * 500) + "}}") == -500
    assert evaluate("{{" + " + ".join(["-1"] * 500) + "}}") == -500
    assert evaluate("{{" + " + ".join(["abs(-1)"] * 500) + "}}") == 500


def test_a_long_chain_is_wide_not_deep(evaluate):
    assert evaluate("{{" + "1 + " * 10_000 + "1.a}}", {"a": 1}) == 10_001


def test_expressions_have_a_length_limit_and_literal_text_has_none(evaluate):
    assert evaluate("x" * 200_000 + "{{1.a}}", {"a": 1}) == "x" * 200_000 + "1"
    with pytest.raises(ExpressionSyntaxError, match="65536 characters"):
        parse_template('{{"' + "x" * limits.EXPRESSION + '"}}')
    with pytest.raises(ExpressionSyntaxError, match="65536 characters"):
        parse_template("{{1.abcdefgh}} " * 5_000)
