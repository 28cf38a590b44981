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


def test_a_wrong_token_is_told_so(cli: CommandLine) -> None:
    done = cli.run("--api-key", "00000000-0000-4000-8000-000000000000", "users", "me")
    assert done.returncode == 2
    assert done.stderr.startswith("Error [401]")
