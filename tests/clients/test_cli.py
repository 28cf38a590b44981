"""The whole life of a scenario through the official command line."""

import json

import pytest

from clients.blueprints import greeting
from clients.conftest import Operator
from clients.drivers import CommandLine

pytestmark = pytest.mark.timeout(400)


def test_a_scenario_lives_and_ends_on_the_command_line(cli: CommandLine, operator: Operator) -> None:
    organization_id = str(operator.integrator.organization_id)
    assert cli.ask("users", "me")["name"] == "First token"
    team = cli.ask("teams", "create", "--name", "Command line", "--organization-id", organization_id)["id"]
    blueprint, scheduling = json.dumps(greeting()), json.dumps({"type": "on-demand"})
    made = cli.ask("scenarios", "create", "--team-id", str(team), "--scheduling", scheduling, "--blueprint", blueprint)
    number = str(made["id"])
    assert "Scenario is not activated" in cli.refused("scenarios", "run", number)
    assert "activated" in cli.say("scenarios", "activate", number)
    assert "Scenario is already running" in cli.refused("scenarios", "activate", number)
    run = cli.ask("scenarios", "run", number, "--data", json.dumps({"name": "Dana"}), "--responsive")
    assert run["outputs"] == {"greeting": "Hello, Dana!"}
    [log] = cli.ask("executions", "list", "--scenario-id", number)
    assert log["status"] == 1
    detail = cli.ask("executions", "get-detail", log["id"], "--scenario-id", number)
    assert detail["outputs"] == {"greeting": "Hello, Dana!"}
    assert [each["id"] for each in cli.ask("scenarios", "list", "--team-id", str(team))] == [made["id"]]
    assert cli.ask("scenarios", "get", number)["blueprint"]["name"] == "Greet"
    assert "still has scenarios" in cli.refused("teams", "delete", str(team))
    cli.say("scenarios", "delete", number)
    assert "404" in cli.refused("scenarios", "get", number)
    cli.say("teams", "delete", str(team))


def test_folders_and_look_ups_on_the_command_line(cli: CommandLine, operator: Operator) -> None:
    team = str(operator.account.team_id)
    made = cli.ask("folders", "create", "--name", "Shop", "--team-id", team)
    inner = cli.ask("folders", "create", "--name", "Orders", "--team-id", team, "--parent-id", str(made["id"]))
    [listed] = cli.ask("folders", "list", "--team-id", team)
    assert [each["path"] for each in listed["children"]] == ["Shop/Orders"]
    assert cli.ask("folders", "update", str(inner["id"]), "--parent-id", "null")["path"] == "Orders"
    cli.ask("folders", "update", str(inner["id"]), "--parent-id", str(made["id"]))
    cli.say("folders", "delete", str(made["id"]))
    [left] = cli.ask("folders", "list", "--team-id", team)
    assert left["id"] == inner["id"]
    cli.say("folders", "delete", str(inner["id"]))
    assert len(cli.ask("enums", "countries")) == 249
    assert cli.ask("roles", "list")[0]["identifier"] == "owner"


def test_a_wrong_token_is_told_so(cli: CommandLine) -> None:
    done = cli.run("--api-key", "00000000-0000-4000-8000-000000000000", "users", "me")
    assert done.returncode == 2
    assert done.stderr.startswith("Error [401]")


def test_credentials_are_asked_for_on_the_command_line(cli: CommandLine, operator: Operator) -> None:
    team, keys = str(operator.account.team_id), json.dumps([{"type": "basicauth"}])
    made = cli.ask("credential-requests", "create-by-credentials", "--team-id", team, "--keys", keys)
    request, [credential] = made["request"]["id"], made["credentials"]
    listed = cli.ask("credential-requests", "list", "--team-id", team)
    assert request in {one["id"] for one in listed}
    [shown] = cli.ask("credential-requests", "get", request)["credentials"]
    assert (shown["id"], shown["state"]) == (credential["id"], "pending")
    declined = cli.ask("credential-requests", "credential-decline", credential["id"], "--reason", "Not now")
    assert declined["declineReason"] == "Not now"
    assert cli.ask("credential-requests", "credential-delete", credential["id"])["state"] == "pending"
    chosen = json.dumps([{"appName": "google-sheets", "appModules": ["*"]}])
    asked = cli.ask("credential-requests", "create", "--team-id", team, "--credentials", chosen)
    modules = cli.ask("credential-requests", "list-app-modules-with-creds", "google-email", "--app-version", "4")
    assert {module["type"] for module in modules} == {"account:google"}
    for one in (request, asked["request"]["id"]):
        cli.say("credential-requests", "delete", one)
    assert "404" in cli.refused("credential-requests", "get", request)
