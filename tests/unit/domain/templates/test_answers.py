"""Answers: what is taken, what is refused in which words, and what is kept."""

import pytest

from make_bridge.domain.templates.answers import check_step
from make_bridge.domain.templates.form import build_form
from make_bridge.domain.templates.prefill import check_prefill
from make_bridge.kernel.errors import InvalidInput
from support.templates import blueprint, controller, field, ground

KINDS = [
    "text",
    "number",
    "integer",
    "uinteger",
    "boolean",
    "date",
    "time",
    "timezone",
    "array",
    "json",
    "any",
    "url",
    "email",
    "uuid",
    "port",
    "color",
    "password",
]


def document_of(*fields):
    """A template whose second module is undescribed but for these fields, after a webhook with an order."""
    return blueprint(
        flow=[
            {"id": 1, "module": "gateway:CustomWebHook", "parameters": {"hook": 1}},
            {"id": 2, "module": "acme:Send", "mapper": {}, "metadata": {"expect": list(fields)}},
        ]
    )


def ask(described, answer, **members):
    """Ask one field of a kind, give an answer, return what is kept."""
    made = ground(document_of({"name": "it", "label": "It", **described}))
    form = build_form(made, controller(field("it", 2, "mapper", ["it"], **members)))
    submitted = {} if answer is ... else {"it": answer}
    return check_step(form, form.steps[0], submitted, {}, made)["it"]


def refusal(described, answer, **members):
    with pytest.raises(InvalidInput) as caught:
        ask(described, answer, **members)
    return caught.value.fields["it"]


@pytest.mark.parametrize(
    ("described", "answer", "kept"),
    [
        ({"type": "text"}, "x", "x"),
        ({"type": "text"}, 5, "5"),
        ({"type": "text"}, "{{1.a}}", "{{1.a}}"),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "number"}, 3, 3),
        ({"type": "integer"}, "-3", -3),
        ({"type": "uinteger"}, "3", 3),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, False, False),
        ({"type": "date"}, "2026-11-22", "2026-11-22"),
        ({"type": "time"}, "06:10", "06:10"),
        ({"type": "timezone"}, "Europe/Prague", "Europe/Prague"),
        ({"type": "json"}, '{"a":1}', '{"a":1}'),
        ({"type": "any"}, {"a": [1]}, {"a": [1]}),
        ({"type": "url"}, "https://a.example/x", "https://a.example/x"),
        ({"type": "email"}, "a@b.example", "a@b.example"),
        ({"type": "uuid"}, "6f0cd8aa-0000-4000-8000-000000000000", "6f0cd8aa-0000-4000-8000-000000000000"),
        ({"type": "port"}, "443", 443),
        ({"type": "color"}, "#1a73e8", "#1a73e8"),
        ({"type": "select", "options": [{"label": "Two", "value": 2}]}, "2", 2),
        ({"type": "select", "options": [{"label": "Two", "value": 2}]}, 2, 2),
        ({"type": "array", "spec": {"name": "value", "type": "number"}}, ["1", 2], [1, 2]),
        ({"type": "array", "spec": [{"name": "n", "type": "number"}]}, [{"n": "1"}], [{"n": 1}]),
        ({"type": "collection", "spec": [{"name": "n", "type": "number"}]}, {"n": "1"}, {"n": 1}),
    ],
)
def test_an_answer_is_kept_in_the_fields_type(described, answer, kept):
    assert ask(described, answer) == kept
    assert type(ask(described, answer)) is type(kept)


@pytest.mark.parametrize(
    ("described", "answer", "words"),
    [
        ({"type": "text"}, {"a": 1}, "text"),
        ({"type": "text"}, "x" * (256 * 1024 + 1), "longer"),
        ({"type": "select"}, {"a": 1}, "text"),
        ({"type": "number"}, "many", "not a valid number"),
        ({"type": "number"}, True, "number"),
        ({"type": "number"}, "{{1.a}}", "not a valid number"),
        ({"type": "integer"}, "1.5", "whole"),
        ({"type": "uinteger"}, -1, "negative"),
        ({"type": "boolean"}, "yes", "yes or no"),
        ({"type": "boolean"}, 1, "yes or no"),
        ({"type": "date"}, "soon", "date"),
        ({"type": "time"}, "25:00", "time"),
        ({"type": "timezone"}, "Mars/Olympus", "time zone"),
        ({"type": "timezone"}, "../../etc/passwd", "time zone"),
        ({"type": "json"}, "{", "JSON"),
        ({"type": "url"}, "example.com", "https://"),
        ({"type": "email"}, "me", "e-mail"),
        ({"type": "uuid"}, "6f0c", "UUID"),
        ({"type": "port"}, 70000, "65535"),
        ({"type": "color"}, "red", "colour"),
        ({"type": "select", "options": [{"label": "Two", "value": 2}]}, "3", "offered"),
        ({"type": "select", "options": [{"label": "One", "value": 1}]}, True, "offered"),
        ({"type": "number", "validate": {"min": 1, "max": 9}}, 0, "at least 1."),
        ({"type": "number", "validate": {"min": 1, "max": 9}}, 10, "at most 9."),
        ({"type": "text", "validate": {"max": 3}}, "four", "at most 3 characters"),
        ({"type": "text", "validate": {"pattern": "^a+$"}}, "b", "form"),
        ({"type": "text", "validate": {"pattern": "(("}}, "b", "cannot be checked"),
        ({"type": "array", "validate": {"maxItems": 1}}, ["a", "b"], "at most 1"),
        ({"type": "array", "validate": {"minItems": 2}}, ["a"], "at least 2"),
        ({"type": "array", "spec": {"name": "value", "type": "number"}}, [1, "x"], "not a valid number"),
        ({"type": "collection", "spec": [{"name": "n", "type": "number"}]}, {"m": 1}, "'m'"),
        ({"type": "collection", "spec": [{"name": "n", "label": "N", "required": True, "type": "text"}]}, {}, "N:"),
        ({"type": "collection"}, "x", "collection"),
    ],
)
def test_a_wrong_answer_gets_a_sentence(described, answer, words):
    assert words in refusal(described, answer)


def test_a_slow_pattern_ends_quickly():
    assert "form" in refusal({"type": "text", "validate": {"pattern": "^(a+)+$"}}, "a" * 50_000 + "!")


@pytest.mark.parametrize("empty", [..., None, ""])
@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_answer_is_kept_as_nothing_unless_it_is_required(kind, empty):
    assert ask({"type": kind}, empty) is None
    assert refusal({"type": kind}, empty, required=True) == "This field needs a value."


def test_what_is_not_part_of_the_step_is_refused_by_its_uuid():
    made = ground()
    form = build_form(made, controller(field("url", 3, "mapper", ["url"])))
    with pytest.raises(InvalidInput) as caught:
        check_step(form, form.steps[0], {"url": "https://a.example", "other": 1}, {}, made)
    assert caught.value.fields == {"other": "This field is not part of the step."}


def conditional():
    made = ground(
        document_of({"name": "mode", "type": "boolean"}, {"name": "extra", "type": "number", "required": True})
    )
    fields = (
        field("mode", 2, "mapper", ["mode"]),
        field("extra", 2, "mapper", ["extra"], showWhen={"uuid": "mode", "equals": True}),
    )
    return made, build_form(made, controller(*fields))


def test_a_field_whose_condition_does_not_hold_is_neither_checked_nor_kept():
    made, form = conditional()
    assert check_step(form, form.steps[0], {"mode": "false", "extra": "x"}, {}, made) == {"mode": False}


def test_a_condition_sees_the_typed_answer():
    made, form = conditional()
    assert check_step(form, form.steps[0], {"mode": "true", "extra": "7"}, {}, made) == {"mode": True, "extra": 7}
    with pytest.raises(InvalidInput) as caught:
        check_step(form, form.steps[0], {"mode": "true"}, {}, made)
    assert list(caught.value.fields) == ["extra"]


def test_an_expression_is_taken_where_mapping_is_allowed():
    text = "{{1.orderId}} for {{upper(1.buyer)}}"
    assert ask({"type": "number"}, text, allowMapping=True) == text
    nested = {"type": "array", "spec": {"name": "value", "type": "number"}}
    assert ask(nested, ["{{1.a}}", "2"], allowMapping=True) == ["{{1.a}}", 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{1.", "not well formed"),
        ("{{nonsense(1.a)}}", "no function nonsense()"),
        ("{{2.a}}", "Module 2"),
        ("{{9.a}}", "Module 9"),
    ],
)
def test_a_wrong_expression_gets_a_sentence(text, words):
    assert words in refusal({"type": "text"}, text, allowMapping=True)


def component(domain, path, module_id, answer):
    made = ground()
    form = build_form(made, controller(field("it", module_id, domain, path, required=True)))
    return check_step(form, form.steps[0], {} if answer is ... else {"it": answer}, {}, made)


def test_a_component_is_answered_with_its_id():
    assert component("key", ["auth"], 3, 1024) == {"it": 1024}
    assert component("key", ["auth"], 3, "1024") == {"it": 1024}


@pytest.mark.parametrize("answer", [..., None, "", "x", True, 0, -1, 2**53, 1.5, [5]])
def test_anything_else_is_no_component(answer):
    with pytest.raises(InvalidInput):
        component("key", ["auth"], 3, answer)


def test_a_hook_needs_no_answer():
    assert component("hook", ["hook"], 1, ...) == {}


URL = field("url", 3, "mapper", ["url"])
HIDDEN = field("hidden", 4, "mapper", ["url"], show=False)


def prefill(hard=None, soft=None):
    check_prefill(ground(), controller(URL, HIDDEN), hard or {}, soft or {})


def test_fitting_prefill_passes():
    prefill({"hidden": "https://a.example"}, {"url": "https://b.example"})


@pytest.mark.parametrize(
    ("hard", "soft", "uuid", "words"),
    [
        ({"moon": 1}, {}, "moon", "no field moon"),
        ({}, {"moon": 1}, "moon", "no field moon"),
        ({"url": "x"}, {}, "url", "prefill.hard"),
        ({"hidden": {}}, {}, "hidden", "prefill.hard"),
        ({}, {"url": ["x"]}, "url", "prefill.soft"),
        ({}, {"hidden": "https://a.example"}, "hidden", "not shown"),
    ],
)
def test_a_mistake_in_prefill_names_the_uuid(hard, soft, uuid, words):
    with pytest.raises(InvalidInput) as caught:
        prefill(hard, soft)
    assert words in caught.value.fields[uuid]
    assert uuid in caught.value.message
