"""Which custom variables a blueprint is found to name, wherever an expression may stand."""

import json

import pytest

from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.variables import NamedVariables, named_variables
from support.blueprints import aggregator, blueprint, feeder, module, program, router, webhook, when


def named(*flow):
    return named_variables(parse_blueprint(json.dumps(blueprint(webhook(), *flow))))


def composed(text, **rest):
    return module(2, "util:ComposeTransformer", {"value": text}, **rest)


@pytest.mark.parametrize(
    ("text", "organization", "team"),
    [
        pytest.param("{{var.organization.x}}", {"x"}, set(), id="organization"),
        pytest.param("{{var.team.x}} and {{var.team.y.z}}", set(), {"x", "y"}, id="two of the team"),
        pytest.param("{{upper(if(1.a; var.team.x; var.organization.y))}}", {"y"}, {"x"}, id="inside of calls"),
        pytest.param("{{var.team.`7 up`}}", set(), {"7 up"}, id="backticks"),
        pytest.param("{{get(var.team; 1.name)}}", set(), None, id="a name that is computed"),
        pytest.param("{{var.organization}}", None, set(), id="all of them"),
        pytest.param("{{var.team[1]}}", set(), None, id="a position"),
        pytest.param(
            "{{var.organization.id}} {{var.organization.timezone}} {{var.team.id}}", set(), set(), id="system"
        ),
        pytest.param("{{var.team.timezone}}", set(), {"timezone"}, id="the system's of the other"),
        pytest.param("{{var.input.x}} {{var.scenario.id}} {{var}} {{1.team}}", set(), set(), id="other families"),
        pytest.param("var.team.x", set(), set(), id="no expression"),
    ],
)
def test_names_are_read_out_of_expressions(text, organization, team):
    expected = NamedVariables(
        organization=None if organization is None else frozenset(organization),
        team=None if team is None else frozenset(team),
    )
    assert named(composed(text)) == (None if expected == NamedVariables() else expected)


@pytest.mark.parametrize(
    "flow",
    [
        pytest.param([composed("x", filter=when("{{var.team.x}}", "exist"))], id="a filter's left side"),
        pytest.param([composed("x", filter=when("1", "text:equal", "{{var.team.x}}"))], id="its right side"),
        pytest.param([router(2, [composed("{{var.team.x}}") | {"id": 3}])], id="a route"),
        pytest.param(
            [composed("x", onerror=[module(3, "builtin:Resume", {"value": "{{var.team.x}}"})])], id="a handler"
        ),
        pytest.param(
            [feeder(2, "{{1.a}}"), aggregator(3, 2, {"v": "{{2.value}}"}, flags={"groupBy": "{{var.team.x}}"})],
            id="a group's key",
        ),
        pytest.param([module(2, "util:ComposeTransformer", {"value": {"deep": ["{{var.team.x}}"]}})], id="deep inside"),
    ],
)
def test_names_are_found_in_every_place(flow):
    found = named(*flow)
    assert found is not None
    assert found.team == frozenset({"x"})


def test_a_program_knows_what_has_to_be_read_before_it_runs():
    assert program(webhook(), composed("{{1.x}}")).variables is None
    found = program(webhook(), composed("{{var.team.x}}")).variables
    assert found is not None
    assert found.team == frozenset({"x"})
