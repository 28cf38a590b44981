"""Scenarios with declared inputs are tools of agents, through the official MCP server."""

import json
from collections.abc import Iterator

import pytest

from clients.blueprints import greeting
from clients.conftest import Operator
from clients.drivers import Mcp, Sdk

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def scenario(sdk: Sdk, operator: Operator) -> Iterator[int]:
    body = {"teamId": operator.account.team_id, "scheduling": {"type": "on-demand"}, "blueprint": greeting()}
    made = sdk("scenarios.create", body)
    sdk("scenarios.update", made["id"], {"description": "Says hello."})
    sdk("scenarios.activate", made["id"])
    yield made["id"]
    sdk("scenarios.delete", made["id"])


@pytest.fixture
def undeclared(sdk: Sdk, operator: Operator) -> Iterator[int]:
    blueprint = {name: member for name, member in greeting().items() if name != "interface"} | {"name": "Silent"}
    blueprint["flow"][0]["mapper"] = {"greeting": "Hello!"}
    made = sdk("scenarios.create", {"teamId": operator.account.team_id, "scheduling": {"type": "on-demand"},
                                    "blueprint": blueprint})  # fmt: skip
    yield made["id"]
    sdk("scenarios.delete", made["id"])


def test_an_agent_finds_a_scenario_as_a_tool_and_runs_it(scenario: int, undeclared: int, mcp: Mcp) -> None:
    tools = {tool["name"]: tool for tool in mcp.ask("tools/list")["tools"]}
    tool = tools[f"run_scenario_{scenario}"]
    assert tool["description"] == "Greet (Says hello.)"
    assert tool["inputSchema"]["properties"]["name"]["type"] == "string"
    assert f"run_scenario_{undeclared}" in tools, "one that declares nothing must not hide the others"
    answer = mcp.ask("tools/call", name=f"run_scenario_{scenario}", arguments={"name": "agent"})
    assert json.loads(answer["content"][0]["text"]) == {"greeting": "Hello, agent!"}
    silent = mcp.ask("tools/call", name=f"run_scenario_{undeclared}", arguments={})
    assert silent["isError"] is True
    assert "Scenario is not activated" in silent["content"][0]["text"]


def test_an_agent_runs_what_was_made_of_a_public_template(sdk: Sdk, operator: Operator, mcp: Mcp) -> None:
    [found] = sdk("publicTemplates.list", {"name": "HTTP request on demand"})
    shown = sdk("publicTemplates.getBlueprint", found["url"])
    body = {"teamId": operator.account.team_id, "scheduling": shown["scheduling"], "blueprint": shown["blueprint"]}
    number = sdk("scenarios.create", body)["id"]
    sdk("scenarios.activate", number)
    tools = {tool["name"]: tool for tool in mcp.ask("tools/list")["tools"]}
    assert tools[f"run_scenario_{number}"]["inputSchema"]["required"] == ["address"]
    address = f"{operator.target.url}/asked-by-an-agent"
    answer = mcp.ask("tools/call", name=f"run_scenario_{number}", arguments={"address": address})
    assert json.loads(answer["content"][0]["text"]) == {"status": 200, "answer": operator.target.answer}
    sdk("scenarios.delete", number)
