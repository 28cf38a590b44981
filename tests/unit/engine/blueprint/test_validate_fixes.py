"""What else validation finds, and that no finding leaves its reader without something to do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.findings import Finding
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.validate import validate
from support.blueprints import aggregator, blueprint, feeder, module, returns, router, webhook, when

COMPOSE = "util:ComposeTransformer"


def _validate(*flow: Any, **top: Any) -> list[Finding]:
    return validate(parse_blueprint({**blueprint(*flow, dlq=True), **top}), CATALOGUE)


def _only(*flow: Any, **top: Any) -> tuple[str, str, str, str | None]:
    (found,) = _validate(*flow, **top)
    return found.severity.value, found.position, found.message, found.fix


def _text(value: str, number: int = 2) -> dict[str, Any]:
    return module(number, COMPOSE, {"value": value})


def _branch(*flow: Any, merge: bool = False, **rest: Any) -> dict[str, Any]:
    return {"type": "else", "label": "", "merge": merge, "flow": list(flow), **rest}


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("formatdate(now; 1)", "Did you mean formatDate()?"),
        ("lenght(1.a)", "Did you mean length()?"),
        ("uppercase(1.a)", "Did you mean upper()?"),
        ("substr(1.a; 1)", "Did you mean substring()?"),
        ("coalesce(1.a; 1.b)", "Did you mean ifempty()?"),
        ("parseJSON(1.a)", "Use the module json:ParseJSON."),
        ("frobnicate(1.a)", "Use a function of the list; functions of a team's own are not run."),
    ],
)
def test_a_function_that_does_not_exist_has_its_nearest_name(written: str, fix: str) -> None:
    severity, position, message, found = _only(webhook(), _text(f"{{{{{written}}}}}"))
    assert (severity, position, found) == ("error", "flow[1].mapper.value", fix)
    name = written.partition("(")[0]
    expected = f"There is no function {name}(); unless the team has one of its own, the module will fail when it runs."
    assert message == expected


@pytest.mark.parametrize(
    ("written", "message", "fix"),
    [
        ("upper()", "upper() takes 1 argument and is given 0", "Write upper(text)."),
        ("abs(1.a; 2)", "abs() takes 1 argument and is given 2", "Write abs(number)."),
        ("if(1.a)", "if() takes at least 2 arguments and is given 1", "Write if(condition; then; [else])."),
        ("1.b + lower(trim(1.a; 5))", "trim() takes 1 argument and is given 2", "Write trim(text)."),
    ],
)
def test_a_wrong_number_of_arguments_is_counted_anywhere_in_an_expression(written: str, message: str, fix: str) -> None:
    found = _only(webhook(), _text(f"x {{{{{written}}}}}"))
    assert found == ("error", "flow[1].mapper.value", f"{message}; the module will fail when it runs.", fix)


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ('{{if(1.a == "x"; 1; 2)}}', "Write = to compare."),
        ("{{1.a = 1 && 1.b = 2}}", "Write & between conditions."),
        ("{{1.a = 1 || 1.b = 2}}", "Write | between conditions."),
        ("{{!1.a}}", "Write a = false instead of !a."),
        ('{{1.a ? "x" : "y"}}', "Write if(condition; then; else)."),
        ("{{last(1.a).name}}", 'Write get(f(a); "key") to look into what a function gives.'),
        ("{{1.a[-1]}}", "Positions count from 1; the last one is last(array)."),
        ("{{1.a[1.n]}}", "Write get(array; position) where the position is calculated."),
        ('{{upper("== && !"}}', "Look at the quotes, the brackets and the closing }}."),
        ("{{1.a", "Look at the quotes, the brackets and the closing }}."),
    ],
)
def test_what_is_written_as_in_another_language_is_said_in_this_one(written: str, fix: str) -> None:
    severity, position, _, found = _only(webhook(), _text(written))
    assert (severity, position, found) == ("fatal", "flow[1].mapper.value", fix)


def test_commas_are_said_once_and_not_counted_as_well() -> None:
    assert _only(webhook(), _text("{{substring(1.a, 1, 2)}}"))[3] == (
        "Separate arguments with semicolons: substring(a; b)."
    )


def test_a_module_that_does_not_exist_differs_from_one_that_is_elsewhere() -> None:
    found = _validate(webhook(), _text("{{9.x}} {{3.y}}"), _text("x", 3))
    assert [(item.message, item.fix) for item in found] == [
        ("There is no module 9: the value will be empty.", "Read from a module before it: 1."),
        (
            "Module 3 does not come before this one on its path: the value will be empty.",
            "Read from a module before it: 1.",
        ),
    ]


def test_variables_are_of_known_families_and_inputs_are_declared() -> None:
    start = module(1, "scenario-service:StartSubscenario", {}, version=2)
    declared = {"interface": {"input": [{"name": "email", "type": "text"}], "output": [{"name": "a", "type": "text"}]}}
    found = _validate(
        start, _text("{{var.input.emial}}{{var.input.email}}{{var.custom.x}}"), returns(3, b="1"), **declared
    )
    assert [(item.position, item.message, item.fix) for item in found] == [
        ("flow[2].mapper.b", "The scenario declares no output 'b'.", "Declare it, or use a."),
        ("flow[1].mapper.value", "The scenario declares no input 'emial'.", "Did you mean var.input.email?"),
        (
            "flow[1].mapper.value",
            "There are no variables 'var.custom': the value will be empty.",
            "Write var. and one of input, scenario, organization, team.",
        ),
    ]


@pytest.mark.parametrize(
    ("node", "position", "message"),
    [
        (module(2, "builtin:BasicRepeater", {"start": 1, "repeats": "20000", "step": 1}), "repeats", "at most 10000"),
        (module(2, "builtin:BasicRepeater", {"start": "one", "repeats": 1, "step": 1}), "start", "not a valid number"),
        (module(2, "util:FunctionSleep", {"duration": "301"}), "duration", "at most 300"),
        (module(2, "gateway:WebhookRespond", {"status": "99"}), "status", "at least 100"),
        (
            module(2, "gateway:WebhookRespond", {"status": 200, "headers": [{"name": "A", "value": "b"}]}),
            "headers",
            "'headers[1].key'",
        ),
    ],
)
def test_a_written_value_that_does_not_fit_fails_every_run(node: dict[str, Any], position: str, message: str) -> None:
    severity, place, said, fix = _only(webhook(), node)
    assert (severity, place) == ("error", f"flow[1].mapper.{position}")
    assert message in said
    assert fix


def test_values_that_are_mapped_are_not_judged() -> None:
    assert _validate(webhook(), module(2, "util:FunctionSleep", {"duration": "{{1.n}}"})) == []


def test_a_missing_field_is_looked_for_under_similar_names() -> None:
    wrong = module(2, "http:MakeRequest", {"uri": "https://a.example", "method": "get"})
    assert _only(webhook(), wrong)[3] == 'Write "url" instead of "uri".'


def test_credentials_are_missing_when_empty_or_a_text_in_their_place() -> None:
    basic = module(2, "http:ActionSendDataBasicAuth", {"url": "https://a.example", "method": "get"})
    named = {**basic, "parameters": {"key": "YOUR_KEY_HERE"}}
    request = module(2, "http:MakeRequest", {"url": "https://a.example"}, parameters={"authenticationType": "apiKey"})
    for node, field in ((basic, "key"), (named, "key"), (request, "apiKeyKeychain")):
        severity, position, _, fix = _only(webhook(), node)
        assert (severity, position) == ("warning", f"flow[1].parameters.{field}")
        assert fix == "Choose it before the scenario is switched on."


def test_a_pattern_that_cannot_be_used_is_found_in_the_text_parser() -> None:
    parser = module(2, "regexp:Parser", {"text": "x"}, parameters={"pattern": "(?<=a)b"})
    assert _only(webhook(), parser)[:2] == ("error", "flow[1].parameters.pattern")


@pytest.mark.parametrize(
    ("wrong", "position", "part"),
    [
        ({"mapper": {"a": 1}}, "mapper", "no mapper"),
        ({"parameters": {"else": 7}}, "parameters.else", "no route 7"),
        ({"parameters": {"else": "last"}}, "parameters.else", "not the index"),
        ({"parameters": {"else": 1}}, "parameters.else", "never runs"),
        ({"routes": [{"flow": []}, {"flow": [_text("x", 3)]}]}, "routes[0].flow", "no modules"),
        ({"onerror": [module(9, "builtin:Ignore")]}, "onerror", "cannot have an error handler"),
    ],
)
def test_a_router_that_make_would_refuse(wrong: dict[str, Any], position: str, part: str) -> None:
    severity, place, message, fix = _only(webhook(), {**router(2, [_text("x", 3)], [_text("y", 4)]), **wrong})
    assert (severity, place) == ("warning", f"flow[1].{position}")
    assert part in message
    assert fix


def test_a_filter_beside_the_flow_of_a_route_is_not_read() -> None:
    routed = router(2, [_text("x", 3)])
    routed["routes"][0]["filter"] = when("{{1.a}}", "exist")
    assert _only(webhook(), routed)[1:] == (
        "flow[1].routes[0].filter",
        "A route has no filter of its own; this one is ignored.",
        "Move it to the first module of the route.",
    )


def test_a_fallback_beside_filtered_routes_is_fine() -> None:
    filtered = {**_text("x", 3), "filter": when("{{1.a}}", "exist")}
    inner = {**router(5, [_text("z", 6)]), "filter": when("{{1.b}}", "exist")}
    assert _validate(webhook(), router(2, [filtered], [_text("y", 4)], [inner], parameters={"else": "1"})) == []


def test_an_if_else_that_make_would_refuse() -> None:
    filtered = {**_text("x", 3), "filter": when("{{1.a}}", "exist")}
    branches = [_branch(filtered, merge=True), _branch(router(4, [_text("y", 5)]), type="condition", merge=True)]
    branches[1]["conditions"] = when("{{1.a}}", "exist")["conditions"]
    merge = {
        **module(6, "builtin:BasicMerge"),
        "outputs": [{"name": "v", "mappings": ["{{3.value}}"]}],
        "filters": [None],
    }
    found = _validate(webhook(), module(2, "builtin:BasicIfElse", branches=branches), merge)
    assert [(item.position, item.message) for item in found] == [
        ("flow[1].branches[0].flow[0].filter", "A filter on the first module of a branch does not count."),
        ("flow[1].branches[1].flow[0]", "Make refuses a router in a branch; nothing behind it merges."),
        ("flow[2].outputs[0].mappings", "The output 'v' has 1 mappings for 2 merging branches."),
        ("flow[2].filters", "The merge has 1 filters for 2 merging branches."),
    ]


@pytest.mark.parametrize(
    ("operator", "right", "message"),
    [
        ("number:greater", "many", "The right side 'many' is no number: the condition never holds."),
        ("number:notequal", "", "The right side '' is no number: the condition always holds."),
        ("date:less", "soon", "The right side 'soon' is no date: the condition never holds."),
        ("array:equal", "x", "The right side 'x' is no length: the condition never holds."),
        ("semver:equal", None, "The right side None is no version: the condition never holds."),
    ],
)
def test_a_right_side_that_nothing_can_equal(operator: str, right: str | None, message: str) -> None:
    found = _only(webhook(), {**_text("x"), "filter": when("{{1.a}}", operator, right)})
    assert found[:3] == ("warning", "flow[1].filter.conditions[0][0].b", message)


@pytest.mark.parametrize(
    "fine", [("number:less", "5"), ("date:less", "{{now}}"), ("text:equal", ""), ("text:equal", None)]
)
def test_right_sides_that_can_be_met(fine: tuple[str, str | None]) -> None:
    assert _validate(webhook(), {**_text("x"), "filter": when("{{1.a}}", *fine)}) == []


def test_a_module_of_an_app_of_ours_has_its_siblings_named() -> None:
    fix = _only(module(1, "markdown:Frobnicate"))[3]
    assert fix == "The app markdown has markdown:Compile, markdown:HTMLToMarkdown."


def test_nothing_follows_a_directive() -> None:
    failing = {**_text("x"), "onerror": [module(3, "builtin:Ignore"), _text("never", 4)]}
    assert _only(webhook(), failing)[1:3] == (
        "flow[1].onerror[0]",
        "The modules after Ignore are never reached: it ends the error handler.",
    )


@pytest.mark.parametrize(
    ("scheduling", "severity", "position"),
    [
        ({"type": "hourly"}, "error", "scheduling.type"),
        ({"type": "indefinitely", "interval": 5}, "error", "scheduling.interval"),
        ({"type": "daily"}, "warning", "scheduling.time"),
        ({"type": "immediately"}, "warning", "scheduling.type"),
    ],
)
def test_a_schedule_in_the_file_is_looked_at(scheduling: dict[str, Any], severity: str, position: str) -> None:
    assert _only(_text("x", 1), scheduling=scheduling)[:2] == (severity, position)


def test_inputs_need_a_scenario_on_demand() -> None:
    start = module(1, "scenario-service:StartSubscenario", {}, version=2)
    declared = {"input": [{"name": "a", "type": "text"}]}
    found = _only(start, interface=declared, scheduling={"type": "indefinitely", "interval": 900})
    assert found[3] == 'Write "type": "on-demand".'
    assert _validate(start, interface=declared, scheduling={"type": "on-demand"}) == []


def _blueprints(corpus: Path) -> Iterator[Path]:
    yield from sorted(corpus.glob("*/*.json"))
    yield from sorted(
        path for path in (Path(__file__).parents[1] / "scenarios").glob("*.json") if "expected" not in path.name
    )


def test_every_finding_says_what_to_do(corpus: Path) -> None:
    without = {
        str(found)
        for path in _blueprints(corpus)
        for found in validate(parse_blueprint(path.read_bytes()), CATALOGUE)
        if not found.fix
    }
    assert without == set()


def test_a_loop_with_all_its_parts_is_sound() -> None:
    flow = [webhook(), feeder(2, "{{1.items}}"), aggregator(3, 2, {"v": "{{2.value}}"}), returns(4, all="{{3.array}}")]
    assert _validate(*flow) == []
    assert json.loads(json.dumps(blueprint(*flow)))
