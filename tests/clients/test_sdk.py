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


def test_a_webhook_is_made_switched_and_deleted(sdk: Sdk, operator: Operator) -> None:
    team_id = operator.account.team_id
    made = sdk("hooks.create", {"name": "Orders", "teamId": team_id, "typeName": "gateway-webhook"})
    assert made["url"].startswith(f"{operator.server.url}/hook/")
    assert made["id"] in {each["id"] for each in sdk("hooks.list", team_id)}
    assert sdk("hooks.update", made["id"], {"data": {"headers": True, "method": False, "stringify": False}}) is True
    assert sdk("hooks.get", made["id"])["data"]["headers"] is True
    assert sdk("hooks.rename", made["id"], "Renamed")["name"] == "Renamed"
    for call, name, expected in (("learnStop", "learning", False), ("learnStart", "learning", True)):
        sdk(f"hooks.{call}", made["id"])
        assert sdk("hooks.ping", made["id"])[name] is expected
    sdk("hooks.disable", made["id"])
    assert sdk("hooks.get", made["id"])["enabled"] is False
    sdk("hooks.enable", made["id"])
    sdk("hooks.delete", made["id"])
    with pytest.raises(MakeRefused):
        sdk("hooks.get", made["id"])


def test_a_connection_to_this_server_is_verified_until_its_token_is_wrong(sdk: Sdk, operator: Operator) -> None:
    team_id = operator.account.team_id
    data = {"apiKey": operator.account.token, "url": operator.server.url}
    made = sdk("connections.create", {"name": "Bridge", "accountName": "make", "teamId": team_id, "data": data})
    assert (made["name"], made["accountName"]) == ("Bridge", "make")
    assert sdk("connections.list", team_id, {"cols": ["id", "name"]}) == [{"id": made["id"], "name": "Bridge"}]
    assert sdk("connections.verify", made["id"]) is True
    assert sdk("connections.update", made["id"], {"data": {"apiKey": "wrong"}}) is True
    with pytest.raises(MakeRefused, match=r"Access denied: Invalid token header\."):
        sdk("connections.verify", made["id"])
    assert sdk("connections.rename", made["id"], "Renamed")["name"] == "Renamed"
    assert sdk("connections.listEditableParameters", made["id"]) == ["apiKey", "url"]
    sdk("connections.delete", made["id"])
    with pytest.raises(MakeRefused):
        sdk("connections.get", made["id"])


def test_a_key_is_made_changed_and_deleted(sdk: Sdk, operator: Operator) -> None:
    team_id = operator.account.team_id
    parameters = {"key": "s3cret-of-the-shop", "placement": "header", "name": "X-Api-Key"}
    body = {"name": "Shop", "teamId": team_id, "typeName": "apikeyauth", "parameters": parameters}
    made = sdk("keys.create", body)
    assert sdk("keys.list", team_id, {"typeName": "apikeyauth", "cols": ["id"]}) == [{"id": made["id"]}]
    assert sdk("keys.update", made["id"], {"name": "Renamed"})["name"] == "Renamed"
    assert "s3cret" not in str(sdk("keys.get", made["id"]))
    assert "basicauth" in {each["name"] for each in sdk("keys.types")}
    sdk("keys.delete", made["id"])
    with pytest.raises(MakeRefused):
        sdk("keys.get", made["id"])
