"""Findings: known mistakes are named with their place, and with what to write instead."""

import json
from pathlib import Path
from typing import Any

import pytest

from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.findings import BlueprintInvalid, Finding, Severity
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.validate import validate
from support.blueprints import aggregator, blueprint, call, feeder, module, returns, router, webhook, when


def _validate(*flow: Any, **scenario: Any) -> list[Finding]:
    return validate(parse_blueprint(blueprint(*flow, **scenario)), CATALOGUE)


def _only(*flow: Any, **scenario: Any) -> Finding:
    (found,) = _validate(*flow, **scenario)
    return found


def test_a_sound_blueprint_has_no_findings():
    sound = (
        webhook(),
        feeder(2, "{{1.items}}"),
        router(
            3,
            [
                module(
                    4, "util:ComposeTransformer", {"value": "{{2.name}}"}, filter=when("{{2.n}}", "number:greater", "1")
                )
            ],
            [call(5, "post", "https://api.example/", "{{2.n}}", onerror=[module(6, "builtin:Ignore")])],
            [aggregator(7, 2, {"n": "{{2.n}}"}), returns(8, all='{{map(7.array; "n")}}')],
        ),
    )
    assert _validate(*sound) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("builtin:BasicIterator", "builtin:BasicFeeder"),
        ("builtin:Sleep", "util:FunctionSleep"),
        ("gateway:CustomWebhook", "gateway:CustomWebHook"),
        ("http:MakeARequest", "http:MakeRequest"),
        ("set:Variable", "util:SetVariable2"),
        ("json:parseJSON", "json:ParseJSON"),
        ("util:SetVariabels", "util:SetVariables"),
    ],
)
def test_an_unknown_module_is_fatal_and_says_what_was_probably_meant(written, meant):
    found = _only(module(5, written))
    assert (found.severity, found.position, found.module_id) == (Severity.FATAL, "flow[0].module", 5)
    assert found.message == f"The module {written} is not known here."
    assert found.fix == f"Did you mean {meant}?"


def test_a_superfluous_module_is_to_be_removed():
    assert "Remove it" in (_only(module(1, "builtin:Noop")).fix or "")


def test_compiling_refuses_unknown_modules_and_names_all_of_them():
    raw = blueprint(module(1, "slack:CreateMessage"), router(2, [module(3, "google-sheets:addRow")]))
    with pytest.raises(BlueprintInvalid) as caught:
        compile_blueprint(parse_blueprint(raw), CATALOGUE)
    assert [(found.position, found.module_id) for found in caught.value.findings] == [
        ("flow[0].module", 1),
        ("flow[1].routes[0].flow[0].module", 3),
    ]


def test_a_disabled_module_need_not_be_known():
    compiled = compile_blueprint(
        parse_blueprint(blueprint(webhook(), module(2, "slack:CreateMessage", disabled=True), returns(3, a="{{1.a}}"))),
        CATALOGUE,
    )
    assert sorted(compiled.nodes) == [1, 3]


def test_a_disabled_route_is_as_if_it_were_absent():
    routed = router(2, [returns(3, a="x")], [module(4, "slack:CreateMessage")])
    routed["routes"][1]["disabled"] = True
    assert _validate(webhook(), routed) == []


def test_an_id_used_twice_is_fatal_and_names_the_other_place():
    found = _only(webhook(), router(2, [returns(1, a="x")]))
    assert (found.severity, found.position) == (Severity.FATAL, "flow[1].routes[0].flow[0].id")
    assert "the other module is at flow[0]" in found.message


@pytest.mark.parametrize(
    ("parameters", "part", "fix"),
    [
        ({}, "does not say which module", '"feeder": 2'),
        ({"feederModule": 2}, "does not say which module", 'Write "feeder" instead of "feederModule".'),
        ({"feeder": 9}, "There is no module 9", "Write the id of a module before it: 1, 2, 5."),
        ({"feeder": 4}, "does not come before", "Write the id of a module before it: 1, 2, 5."),
    ],
)
def test_an_aggregator_needs_a_module_before_it_to_collect_from(parameters, part, fix):
    found = _only(
        webhook(),
        router(
            2,
            [feeder(5, "{{1.items}}"), module(3, "builtin:BasicAggregator", {"a": "x"}, parameters=parameters)],
            [feeder(4, "{{1.items}}")],
        ),
    )
    assert (found.severity, found.position) == (Severity.FATAL, "flow[1].routes[0].flow[1].parameters.feeder")
    assert part in found.message
    assert fix in (found.fix or "")


def test_an_expression_that_cannot_be_read_is_fatal_with_its_position():
    found = _only(webhook(), module(2, "util:SetVariable2", {"name": "a", "value": "ab {{upper(1.x}} cd"}))
    assert (found.severity, found.position) == (Severity.FATAL, "flow[1].mapper.value")
    assert "at character" in found.message


def test_commas_between_arguments_are_pointed_out():
    found = _validate(webhook(), module(2, "util:ComposeTransformer", {"value": '{{formatDate(1.at, "YYYY, MM")}}'}))
    assert found[0].message == "formatDate() has commas between its arguments."
    assert found[0].fix == "Separate arguments with semicolons: formatDate(a; b)."


@pytest.mark.parametrize(
    "fine", ['{{formatDate(1.at; "YYYY, MM")}}', "a, b {{1.x}}, c", '{{join(1.a; ",")}}', '{{replace(1.a; "b,c"; )}}']
)
def test_commas_elsewhere_are_fine(fine):
    assert _validate(webhook(), module(2, "util:ComposeTransformer", {"value": fine})) == []


def test_an_unknown_function_is_an_error_with_a_way_out():
    found = _only(webhook(), module(2, "util:ComposeTransformer", {"value": "{{escapeJSON(1.x)}}"}))
    assert found.severity is Severity.ERROR
    assert "no function escapeJSON()" in found.message
    assert "json:CreateJSON" in (found.fix or "")


def test_position_0_is_always_empty():
    found = _only(webhook(), module(2, "util:ComposeTransformer", {"value": "{{1.items[0].name}}"}))
    assert (found.severity, found.message, found.fix) == (
        Severity.WARNING,
        "[0] is always empty.",
        "Positions count from 1: write [1].",
    )


@pytest.mark.parametrize(
    ("operator", "fix"),
    [
        ("text:isempty", "Did you mean notexist?"),
        ("text:isnotempty", "Did you mean exist?"),
        ("string:equal", "Did you mean text:equal?"),
        ("number:greatr", "Did you mean number:greater?"),
        ("equal", "Did you mean text:equal?"),
        (
            "what:ever",
            "Use exist, notexist, or one of the families text:, number:, date:, time:, semver:, array: and boolean:.",
        ),
    ],
)
def test_an_unknown_operator_is_an_error(operator, fix):
    found = _only(
        webhook(), module(2, "util:ComposeTransformer", {"value": "x"}, filter=when("{{1.a}}", operator, "b"))
    )
    assert (found.severity, found.position) == (Severity.ERROR, "flow[1].filter.conditions[0][0].o")
    assert found.fix == fix


def test_a_pattern_that_cannot_be_compiled_is_an_error():
    found = _only(
        webhook(), module(2, "util:ComposeTransformer", {"value": "x"}, filter=when("{{1.a}}", "text:pattern", "(a"))
    )
    assert (found.severity, found.position) == (Severity.ERROR, "flow[1].filter.conditions[0][0].b")


def test_a_reference_to_a_module_that_is_not_before_is_pointed_out():
    found = _validate(
        webhook(),
        router(
            2,
            [module(3, "util:ComposeTransformer", {"value": "{{5.x}} {{3.value}} {{1.ok}}"})],
            [module(5, "util:ComposeTransformer", {"value": "{{3.value}}"})],
        ),
    )
    assert [(item.module_id, item.message.split(" does")[0]) for item in found] == [
        (3, "Module 5"),
        (3, "Module 3"),
        (5, "Module 3"),
    ]


def test_after_an_aggregator_its_loop_cannot_be_seen():
    found = _only(
        webhook(),
        feeder(2, "{{1.items}}"),
        aggregator(3, 2, {"v": "{{2.value}}"}),
        returns(4, inside="{{2.value}}", before="{{1.x}}", all="{{3.array}}"),
    )
    assert found.position == "flow[3].mapper.inside"


def test_a_handler_sees_its_module_and_a_merge_its_branches():
    branches = [
        {"type": "else", "label": "", "merge": True, "flow": [module(3, "util:ComposeTransformer", {"value": "x"})]}
    ]
    assert (
        _validate(
            webhook(),
            module(2, "builtin:BasicIfElse", branches=branches),
            {**module(4, "builtin:BasicMerge"), "outputs": [{"name": "a", "mappings": ["{{3.value}}"]}]},
            call(
                5,
                "get",
                "https://api.example/{{4.a}}",
                onerror=[module(6, "builtin:Resume", {"data": "{{5.error.message}}"})],
            ),
        )
        == []
    )


def test_a_merge_must_follow_its_if_else():
    found = _only(webhook(), {**module(4, "builtin:BasicMerge"), "outputs": []})
    assert (found.severity, found.message) == (Severity.FATAL, "A merge must directly follow its if-else.")


def test_modules_in_the_wrong_place_are_pointed_out():
    found = _validate(
        webhook(),
        module(2, "builtin:Ignore"),
        module(3, "gateway:CustomWebHook", {}, parameters={"hook": 2}),
        router(4, [module(5, "util:ComposeTransformer", {"value": "x"})], onerror=[module(6, "builtin:Ignore")]),
        module(7, "util:ComposeTransformer", {"value": "x"}),
    )
    assert [(item.severity.value, item.module_id, item.message.split(".")[0].split(":")[0]) for item in found] == [
        ("error", 2, "Ignore only works at the end of an error handler"),
        ("error", 3, "A trigger can only be the first module"),
        ("warning", 4, "The modules after this router are never reached"),
        ("warning", 4, "A router cannot have an error handler; this one is ignored"),
    ]


def test_required_fields_and_unknown_choices_are_pointed_out():
    found = _validate(
        webhook(),
        module(2, "json:ParseJSON", {}),
        module(3, "http:MakeRequest", {"url": "{{1.url}}", "method": "fetch"}),
        module(4, "http:ActionSendDataAPIKeyAuth", {"url": "https://a.example", "method": "GET"}),
    )
    assert [(item.severity.value, item.position) for item in found] == [
        ("error", "flow[1].mapper.json"),
        ("warning", "flow[2].mapper.method"),
        ("warning", "flow[3].parameters.auth"),
    ]


def test_break_without_the_store_of_incomplete_runs_is_pointed_out():
    breaking = call(2, "get", "https://a.example", onerror=[module(3, "builtin:Break", {})])
    assert "Break needs" in _only(webhook(), breaking).message
    assert _validate(webhook(), breaking, dlq=True) == []


def test_smaller_oddities_are_warnings():
    first = {**webhook(), "filter": when("x", "exist")}
    found = _validate(
        first,
        module(2, "util:TextAggregator", {"value": "x"}, parameters={"feeder": 1, "rowSeparator": "{{newline}}"}),
        module(3, "json:ParseJSON", {"json": "{}"}, version=7),
        module(4, "builtin:BasicIfElse", branches=[{"type": "condition", "flow": [returns(5, a="x")]}]),
    )
    assert [(item.severity.value, item.position) for item in found] == [
        ("warning", "flow[0].filter"),
        ("warning", "flow[1].parameters.rowSeparator"),
        ("warning", "flow[2].version"),
        ("warning", "flow[3].branches[0]"),
    ]


def test_a_response_nobody_waits_for_is_pointed_out():
    found = _only(module(1, "gateway:WebhookRespond", {"status": 200}))
    assert "nobody receives the response" in found.message


def test_a_finding_reads_as_one_line():
    found = _only(webhook(), module(2, "http:MakeARequest"))
    assert (
        str(found) == "flow[1].module: The module http:MakeARequest is not known here. Did you mean http:MakeRequest?"
    )


def test_a_thousand_modules_are_validated_quickly():
    many = [module(n, "util:ComposeTransformer", {"value": f"{{{{{n - 1}.value}}}}"}) for n in range(2, 1000)]
    assert _validate(webhook(), *many) == []


def test_every_blueprint_of_the_corpus_is_read_and_validated(corpus: Path):
    files = sorted(corpus.glob("*/*.json"))
    assert len(files) >= 30
    for path in files:
        found = validate(parse_blueprint(path.read_bytes()), CATALOGUE)
        fatal = [item for item in found if item.severity is Severity.FATAL]
        assert all("is not known here" in item.message for item in fatal), (path.name, fatal)
        assert json.dumps([str(item) for item in found])


def test_more_expressions_than_a_server_compiles_are_the_only_finding() -> None:
    """Each of them has a mistake of its own: none was read."""
    texts = {f"v{number}": "{{1.a" + " + 1" * 15_000 + " +}}" for number in range(5)}
    flow = [webhook(), module(2, "util:SetVariables", {"scope": "roundtrip", "variables": [texts]})]
    findings = validate(parse_blueprint({"name": "x", "flow": flow, "metadata": {}}), CATALOGUE)
    assert [(finding.severity, finding.position) for finding in findings] == [(Severity.FATAL, "flow")]
    assert "have 300045 characters; at most 262144 are compiled" in findings[0].message
