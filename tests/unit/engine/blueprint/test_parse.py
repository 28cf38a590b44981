"""Reading blueprints: every wrapper, every tolerance, and errors that say where."""

import json
from typing import Any

import pytest

from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.blueprint.parse import MAX_MODULES, MAX_NESTING, MAX_TEXT, parse_blueprint
from support.blueprints import blueprint, module, router, webhook, when

BARE = blueprint(webhook(), module(2, "json:ParseJSON", {"json": "{{1.value}}"}))


def _findings(raw: Any) -> list[tuple[str, str]]:
    with pytest.raises(BlueprintInvalid) as caught:
        parse_blueprint(raw if isinstance(raw, bytes | str) else json.dumps(raw))
    return [(finding.position, finding.message) for finding in caught.value.findings]


@pytest.mark.parametrize(
    "wrapped",
    [
        BARE,
        {"blueprint": BARE},
        {"blueprint": json.dumps(BARE)},
        {"code": "OK", "response": {"blueprint": BARE, "scheduling": {"type": "indefinitely"}}},
        {"code": "OK", "response": {"blueprint": json.dumps(BARE)}},
        {"name": "test", "subflows": [{"flow": BARE["flow"]}, {"flow": []}], "metadata": BARE["metadata"]},
    ],
    ids=["bare", "blueprint", "blueprint as text", "answer", "answer with text", "subflows"],
)
def test_every_wrapper_gives_the_same_modules(wrapped):
    read = parse_blueprint(json.dumps(wrapped))
    assert [(node.id, node.module, node.position) for node in read.modules()] == [
        (1, "gateway:CustomWebHook", "flow[0]"),
        (2, "json:ParseJSON", "flow[1]"),
    ]
    assert read.name == "test"


def test_bytes_with_a_byte_order_mark_text_and_objects_are_read_alike():
    texts: list[Any] = [json.dumps(BARE).encode("utf-8-sig"), json.dumps(BARE), BARE]
    assert [parse_blueprint(raw).document for raw in texts] == [BARE] * 3


def test_the_document_is_kept_as_it_came():
    odd = {**BARE, "_note": {"kept": [1, None, "é"]}}
    assert parse_blueprint(json.dumps(odd)).document == odd


def test_what_make_leaves_out_is_tolerated():
    read = parse_blueprint(
        {
            "flow": [
                {"module": "util:FunctionSleep", "id": "7", "filter": None, "mapper": None},
                {"id": 8.0, "module": "util:ComposeTransformer", "parameters": [], "version": "1", "extra": 1},
                {"id": None, "module": "placeholder:Placeholder"},
            ]
        }
    )
    assert [(node.id, node.version, node.parameters) for node in read.flow] == [
        (7, None, {}),
        (8, 1, {}),
        (0, None, {}),
    ]
    assert (read.name, read.settings.roundtrips, read.settings.max_errors, read.instant) == ("", 1, 3, False)


def test_settings_are_read_with_defaults_for_what_is_missing():
    read = parse_blueprint(blueprint(roundtrips=0, sequential=True, dlq=True, maxErrors="5", slots=None))
    settings = read.settings
    assert (settings.roundtrips, settings.sequential, settings.dlq, settings.max_errors) == (1, True, True, 5)
    assert (settings.auto_commit, settings.confidential) == (True, False)


@pytest.mark.parametrize(
    "declared",
    [
        {"interface": {"input": [{"name": "a", "type": "text"}], "output": [{"name": "b", "type": "number"}]}},
        {"io": {"input_spec": [{"name": "a", "type": "text"}], "output_spec": [{"name": "b", "type": "number"}]}},
    ],
)
def test_inputs_and_outputs_are_read_in_both_forms(declared):
    read = parse_blueprint({**BARE, **declared})
    assert [field.name for field in read.inputs] == ["a"]
    assert [(field.name, field.type) for field in read.outputs] == [("b", "number")]


def test_modules_come_in_reading_order_with_positions():
    handler = [module(6, "builtin:Ignore")]
    branchy = module(
        4,
        "builtin:BasicIfElse",
        branches=[{"type": "else", "flow": [module(5, "util:ComposeTransformer", {}, onerror=handler)]}],
    )
    read = parse_blueprint(blueprint(webhook(), router(2, [module(3, "util:ComposeTransformer")], [branchy])))
    assert [(node.id, node.position) for node in read.modules()] == [
        (1, "flow[0]"),
        (2, "flow[1]"),
        (3, "flow[1].routes[0].flow[0]"),
        (4, "flow[1].routes[1].flow[0]"),
        (5, "flow[1].routes[1].flow[0].branches[0].flow[0]"),
        (6, "flow[1].routes[1].flow[0].branches[0].flow[0].onerror[0]"),
    ]


def test_conditions_without_the_outer_array_are_one_group():
    flat = {"name": "", "conditions": [{"a": "x", "o": "exist"}, {"a": "y"}]}
    read = parse_blueprint(blueprint(webhook(), module(2, "util:ComposeTransformer", {}, filter=flat)))
    found = read.flow[1].filter
    assert found is not None
    assert [[condition.operator for condition in group] for group in found.groups] == [["exist", "exist"]]


def test_scheduling_may_be_text():
    read = parse_blueprint({**BARE, "scheduling": '{"type": "indefinitely", "interval": 900}'})
    assert read.scheduling == {"type": "indefinitely", "interval": 900}


@pytest.mark.parametrize(
    ("raw", "position", "part"),
    [
        ("[]", "", "A blueprint is a JSON object, not an array."),
        ("{}", "", 'There is no "flow"'),
        ('{"flow": 5}', "flow", "must be an array of modules, not a number"),
        ('{"flow": [5]}', "flow[0]", "A module is an object, not a number."),
        ('{"flow": [{"id": 1}]}', "flow[0].module", "is not a module name"),
        ('{"flow": [{"id": 1, "module": "http MakeRequest"}]}', "flow[0].module", "is not a module name"),
        ('{"flow": [{"module": "http:MakeRequest"}]}', "flow[0].id", "has no id"),
        ('{"flow": [{"id": true, "module": "http:MakeRequest"}]}', "flow[0].id", "has no id"),
        ('{"flow": [{"id": -1, "module": "http:MakeRequest"}]}', "flow[0].id", "has no id"),
        ('{"flow": [{"id": 1, "module": "a:B", "routes": [3]}]}', "flow[0].routes[0]", "must be an object"),
        ('{"flow": [{"id": 1, "module": "a:B", "filter": "x"}]}', "flow[0].filter", "A filter is an object"),
        (
            '{"flow": [{"id": 1, "module": "a:B", "filter": {"conditions": 1}}]}',
            "flow[0].filter.conditions",
            "array of groups",
        ),
        ('{"flow": [], "flow": []}', "", "twice"),
        ('{"flow": [NaN]}', "", "JSON"),
        ('{"flow": [}', "", "JSON"),
    ],
)
def test_an_error_says_where_it_is_and_what(raw, position, part):
    (found,) = _findings(raw)
    assert found[0] == position
    assert part in found[1]


def test_all_errors_are_told_at_once():
    raw = {"flow": [{"id": 1}, {"module": "a:B"}, {"id": 3, "module": "a:B", "routes": 7}]}
    assert [position for position, _ in _findings(raw)] == ["flow[0].module", "flow[1].id", "flow[2].routes"]


def test_too_many_modules_are_refused_wherever_they_are():
    many = [module(number, "util:ComposeTransformer") for number in range(2, MAX_MODULES + 3)]
    assert "more than 1000 modules" in _findings(blueprint(webhook(), *many))[0][1]
    routes = [[step] for step in many]
    assert "more than 1000 modules" in _findings(blueprint(webhook(), router(1, *routes)))[0][1]


def test_routes_nested_too_deeply_are_refused():
    inner = [module(500, "util:ComposeTransformer")]
    for depth in range(MAX_NESTING):
        inner = [router(depth + 1, inner)]
    (found,) = _findings(blueprint(*inner))
    assert "nested deeper than 50" in found[1]
    assert parse_blueprint(blueprint(*inner[0]["routes"][0]["flow"])).flow


def test_long_texts_and_deep_values_are_refused_with_their_place():
    long = module(1, "util:ComposeTransformer", {"value": ["x", "y" * (MAX_TEXT + 1)]})
    assert _findings(blueprint(long))[0][0] == "flow[0].mapper.value[1]"
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    assert "nested deeper than 50" in _findings(blueprint(module(1, "util:ComposeTransformer", {"value": deep})))[0][1]


def test_too_many_conditions_are_refused():
    crowd = {"conditions": [[{"a": "x", "o": "exist"}] * 501]}
    assert "more than 500 conditions" in _findings(blueprint(module(1, "a:B", filter=crowd)))[0][1]


def test_a_filter_is_read_with_its_positions():
    read = parse_blueprint(blueprint(webhook(), module(2, "a:B", filter=when("{{1.a}}", "text:equal", "x"))))
    found = read.flow[1].filter
    assert found is not None
    assert found.groups[0][0].position == "flow[1].filter.conditions[0][0]"
