"""What a reference finds, and what it finds when there is nothing."""

import pytest

from make_bridge.engine.iml import Reference, compile_template

BUNDLE = {
    "email": "a@x",
    "First name": "Ann",
    "a": {"x-y": {"b": 1}},
    "items": [{"name": "one", "tags": ["p", "q"]}, {"name": "two"}],
    "empty": [],
    "choices": [{"message": {"content": "hello"}}],
    "__class__": "a key like any other",
    "constructor": "so is this",
    "": "empty key",
}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("1.email", "a@x"),
        ("1.`First name`", "Ann"),
        ("1.a.`x-y`.b", 1),
        ("1.items[2].name", "two"),
        ("1.items[1].tags[2]", "q"),
        ("1.items[].name", "one"),
        ("1.choices[].message.content", "hello"),
        ("1.items[]", BUNDLE["items"]),
        ("1.items", BUNDLE["items"]),
        ("1.__class__", "a key like any other"),
        ("1.constructor", "so is this"),
        ("1.``", "empty key"),
        ("1.missing", None),
        ("1.missing.deeper.still", None),
        ("1.email.length", None),
        ("1.items.name", None),
        ("1.items[0]", None),
        ("1.items[3]", None),
        ("1.items[3].name", None),
        ("1.empty[].name", None),
        ("1.a[1]", None),
        ("1.a[].b", None),
        ("9.email", None),
        ("`First name`", None),
        ("var.input.x", 5),
        ("var.input.missing", None),
        ("var.unknown.x", None),
        ("var", None),
        ("var[1]", None),
    ],
)
def test_a_reference_finds_its_value_or_null(evaluate, reference, expected):
    assert evaluate("{{" + reference + "}}", BUNDLE, variables={"input": {"x": 5}}) == expected


def test_a_lone_module_number_is_the_whole_bundle(evaluate):
    assert evaluate("{{1}}", BUNDLE) == BUNDLE
    assert evaluate("{{`1`}}", BUNDLE) == BUNDLE
    assert evaluate("{{7}}", BUNDLE) is None
    assert evaluate("{{1 + 0}}", BUNDLE) == 1


def test_only_one_expression_and_nothing_else_is_typed(evaluate):
    assert evaluate("{{1.n}}", {"n": 5}) == 5
    assert evaluate(" {{1.n}}", {"n": 5}) == " 5"
    assert evaluate("{{1.n}}{{1.n}}", {"n": 5}) == "55"
    assert evaluate("{{1.n}}", {"n": None}) is None
    assert evaluate("[{{1.n}}]", {"n": None}) == "[]"


def test_mixed_text_shows_every_kind_of_value(evaluate):
    bundle = {"list": ["a", 1, None, ["b", []]], "true": True, "float": 0.1, "c": {"k": [1]}, "b": "hé".encode()}

    assert evaluate("{{1.list}}|{{1.true}}|{{1.float}}|{{1.c}}|{{1.b}}|{{now}}|{{ignore}}{{erase}}", bundle) == (
        'a, 1, , b, |true|0.1|{"k":[1]}|hé|2026-03-31T10:20:30.400Z|'
    )


@pytest.mark.attack("F06")
def test_data_is_never_evaluated_again(evaluate):
    hostile = "{{upper(1.secret)}} {{now}}"

    assert evaluate("{{1.x}}", {"x": hostile, "secret": "s"}) == hostile
    assert evaluate("<{{1.x}}>", {"x": hostile, "secret": "s"}) == f"<{hostile}>"
    assert evaluate('{{replace("a"; "a"; 1.x)}}', {"x": hostile}) == hostile


def test_a_template_says_what_it_reads_and_calls():
    template = compile_template("{{upper(1.a[2].`b c`)}} {{var.input.x}} {{nope(`3`; 1.items[])}} {{1.a[2].`b c`}}")

    assert template.references == (
        Reference(module_id=1, path=("a", 2, "b c")),
        Reference(module_id=None, path=("input", "x")),
        Reference(module_id=3, path=()),
        Reference(module_id=1, path=("items", None)),
    )
    assert template.functions == {"upper", "nope"}
    assert template.unknown_functions == {"nope"}
    assert not template.constant


@pytest.mark.parametrize(
    ("text", "constant"),
    [
        ("", True),
        ("plain", True),
        ("{{emptystring}}", True),
        ('{{upper("a") + 1}}', True),
        ("{{emptyarray}}", True),
        ("{{1 / 0}}", False),
        ("{{now}}", False),
        ("{{1.a}}", False),
        ('{{formatDate("2026-01-01"; "X")}}', False),
        ("{{nope(1)}}", False),
    ],
)
def test_a_template_knows_whether_it_is_constant(text, constant):
    assert compile_template(text).constant is constant


def test_an_empty_array_is_a_new_one_each_time(evaluate):
    first = evaluate("{{emptyarray}}")
    first.append("changed by somebody")

    assert evaluate("{{emptyarray}}") == []


def test_equal_texts_compile_to_the_same_template():
    assert compile_template("{{1.some.reference}}") is compile_template("{{1.some.reference}}")
