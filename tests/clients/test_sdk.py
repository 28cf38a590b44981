"""The whole life of a scenario through the official TypeScript SDK."""

from collections.abc import Iterator

import pytest

from clients.blueprints import greeting
from clients.conftest import Operator
from clients.drivers import MakeRefused, Sdk

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def team(sdk: Sdk, operator: Operator) -> Iterator[int]:
    made = sdk("teams.create", {"name": "Greeters", "organizationId": operator.integrator.organization_id})
    yield made["id"]
    sdk("teams.delete", made["id"])
    with pytest.raises(MakeRefused):
        sdk("teams.get", made["id"])


@pytest.fixture
def scenario(sdk: Sdk, team: int) -> Iterator[int]:
    made = sdk("scenarios.create", {"teamId": team, "scheduling": {"type": "on-demand"}, "blueprint": greeting()})
    yield made["id"]
    sdk("scenarios.delete", made["id"])
    with pytest.raises(MakeRefused) as refused:
        sdk("scenarios.get", made["id"])
    assert refused.value.status == 404


def test_who_one_is(sdk: Sdk, operator: Operator) -> None:
    assert sdk("users.me")["name"] == "First token"
    [organization] = sdk("organizations.list")
    assert organization["id"] == operator.integrator.organization_id
    assert operator.integrator.team_id in {team["id"] for team in sdk("teams.list", organization["id"])}


def test_a_scenario_is_made_switched_run_and_looked_into(sdk: Sdk, team: int, scenario: int) -> None:
    listed = sdk("scenarios.list", team)
    assert [each["id"] for each in listed] == [scenario]
    assert sdk("scenarios.get", scenario)["isActive"] is False
    assert sdk("scenarios.interface", scenario)["input"] == greeting()["interface"]["input"]
    with pytest.raises(MakeRefused, match="Scenario is not activated"):
        sdk("scenarios.run", scenario, {"name": "nobody"})
    sdk("scenarios.activate", scenario)
    with pytest.raises(MakeRefused, match="Scenario is already running"):
        sdk("scenarios.activate", scenario)
    run = sdk("scenarios.run", scenario, {"name": "John Doe"})
    assert run["status"] == 1
    assert run["outputs"] == {"greeting": "Hello, John Doe!"}
    detail = sdk("executions.getDetail", scenario, run["executionId"])
    assert detail["status"] == "SUCCESS"
    assert detail["outputs"] == run["outputs"]
    [log] = sdk("executions.list", scenario)
    assert log["id"] == run["executionId"]
    assert log["status"] == 1
    assert sdk("executions.get", scenario, run["executionId"])["imtId"] == log["imtId"]
    sdk("scenarios.deactivate", scenario)
    with pytest.raises(MakeRefused, match="Scenario is not running"):
        sdk("scenarios.deactivate", scenario)


def test_a_new_name_leaves_the_interface_and_a_new_blueprint_is_a_version(sdk: Sdk, scenario: int) -> None:
    assert sdk("scenarios.update", scenario, {"name": "Greet again"})["name"] == "Greet again"
    assert sdk("scenarios.interface", scenario)["input"] == greeting()["interface"]["input"]
    changed = greeting()
    changed["flow"][0]["mapper"]["greeting"] = "Bye, {{var.input.name}}!"
    sdk("scenarios.update", scenario, {"blueprint": changed})
    found = sdk("blueprints.get", scenario)
    assert found["flow"][0]["mapper"] == changed["flow"][0]["mapper"]
    assert [version["version"] for version in sdk("blueprints.versions", scenario)] == [2, 1]
    declared = {"interface": {"input": [{"name": "who", "type": "text", "required": False}], "output": []}}
    assert sdk("scenarios.setInterface", scenario, declared)["input"][0]["name"] == "who"
