"""Custom functions through Make's own clients: the SDK and the command line."""

import pytest

from clients.conftest import Operator
from clients.drivers import CommandLine, MakeRefused, Sdk

pytestmark = pytest.mark.timeout(400)
CODE = "function shout(input) { return input.toUpperCase() + '!'; }"
QUIET = "function shout(input, end = '.') { return input.toLowerCase() + end; }"


def test_a_function_lives_and_ends_in_the_sdk(sdk: Sdk, operator: Operator) -> None:
    team = operator.integrator.team_id
    made = sdk("functions.create", team, {"name": "shout", "description": "Loud.", "code": CODE})
    assert (made["name"], made["args"], made["code"]) == ("shout", "(input)", CODE)
    [listed] = sdk("functions.list", team)
    assert (listed["id"], "code" in listed) == (made["id"], False)
    assert sdk("functions.get", made["id"])["createdByUser"]["name"] == "First token"
    changed = sdk("functions.update", made["id"], {"code": QUIET, "description": "Not so loud."})
    assert (changed["args"], changed["description"]) == ("(input, end = '.')", "Not so loud.")
    [change] = sdk("functions.history", team, made["id"])
    assert (change["previousCode"], change["updatedBy"]) == (CODE, "First token")
    assert sdk("functions.check", team, CODE) == {"success": True, "error": None}
    wrong = sdk("functions.check", team, "function shout( {")
    assert wrong["success"] is False
    assert "SyntaxError" in wrong["error"]
    sdk("functions.delete", made["id"])
    with pytest.raises(MakeRefused) as refused:
        sdk("functions.get", made["id"])
    assert refused.value.status == 404


def test_a_function_lives_and_ends_on_the_command_line(cli: CommandLine, operator: Operator) -> None:
    team = str(operator.integrator.team_id)
    said = {"--team-id": team, "--name": "whisper", "--description": "", "--code": CODE.replace("shout", "whisper")}
    made = cli.ask("functions", "create", *(word for pair in said.items() for word in pair))
    number = str(made["id"])
    assert [each["name"] for each in cli.ask("functions", "list", "--team-id", team)] == ["whisper"]
    assert cli.ask("functions", "get", number)["args"] == "(input)"
    changed = cli.ask("functions", "update", number, "--description", "Softly.")
    assert changed["description"] == "Softly."
    assert "one function declaration" in cli.say("functions", "check", "--team-id", team, "--code", "nothing")
    assert "built-in" in cli.refused(
        "functions",
        "create",
        "--team-id",
        team,
        "--name",
        "upper",
        "--description",
        "",
        "--code",
        "function upper() {}",
    )
    cli.say("functions", "delete", number)
    assert "404" in cli.refused("functions", "get", number)
