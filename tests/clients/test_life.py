"""A whole life through the official clients: a team's connection, scenario, run, incomplete execution, and its end."""

import json
from collections.abc import Callable, Iterator

import pytest

from clients.blueprints import ordering
from clients.conftest import Operator
from clients.drivers import CommandLine, MakeRefused, Sdk
from support.network import send
from support.waiting import until

pytestmark = pytest.mark.timeout(400)
WITHIN = 30.0
TOKEN = "t0ken-of-the-shop"
REFUSED = 400
OWN_ID = 1024


@pytest.fixture
def team(sdk: Sdk, operator: Operator) -> Iterator[int]:
    made = sdk("teams.create", {"name": "Orders", "organizationId": operator.integrator.organization_id})
    yield made["id"]
    sdk("teams.delete", made["id"])


def _await(question: Callable[[], bool], what: str) -> None:
    until(lambda: question() or None, what, within=WITHIN)


def test_a_scenario_lives_fails_is_mended_and_ends_through_the_sdk(sdk: Sdk, operator: Operator, team: int) -> None:
    shop, path = operator.target, "/order-of-the-sdk"
    body = {"name": "Shop", "accountName": "oauth2", "teamId": team, "data": {"accessToken": TOKEN}}
    connection = sdk("connections.create", body)
    blueprint = ordering(shop.url + path, connection["id"])
    body = {"teamId": team, "scheduling": {"type": "on-demand"}, "blueprint": blueprint}
    scenario = sdk("scenarios.create", body)["id"]
    sdk("scenarios.activate", scenario)
    run = sdk("scenarios.run", scenario, {"order": "a-1"})
    assert (run["status"], run["outputs"]) == (1, {"received": True})
    [call] = shop.calls_to(path)
    assert (json.loads(call.body), call.headers["authorization"]) == ({"order": "a-1"}, f"Bearer {TOKEN}")
    shop.statuses[path] = REFUSED
    assert sdk("scenarios.run", scenario, {"order": "a-2"})["status"] == 2
    [record] = sdk("incompleteExecutions.list", scenario)
    assert sdk("incompleteExecutions.get", record["id"])["scenarioId"] == scenario
    assert "a-2" in json.dumps(sdk("incompleteExecutions.bundle", record["id"]))
    assert [log["status"] for log in sdk("executions.list", scenario)] == [2, 1]
    shop.statuses.pop(path)
    sdk("incompleteExecutions.retry", record["id"])
    _await(lambda: sdk("incompleteExecutions.get", record["id"])["resolved"], "the retry went through")
    assert [json.loads(each.body)["order"] for each in shop.calls_to(path)] == ["a-1", "a-2", "a-2"]
    sdk("scenarios.deactivate", scenario)
    sdk("scenarios.delete", scenario)
    sdk("connections.delete", connection["id"])
    for gone in (("scenarios.get", scenario), ("connections.get", connection["id"])):
        with pytest.raises(MakeRefused):
            sdk(*gone)


def test_a_scenario_lives_fails_and_ends_on_the_command_line(cli: CommandLine, operator: Operator, team: int) -> None:
    shop, path = operator.target, "/order-of-the-command-line"
    connection = cli.ask(
        "connections", "create", "--name", "Shop", "--account-name", "oauth2", "--team-id", str(team),
        "--data", json.dumps({"accessToken": TOKEN}),
    )  # fmt: skip
    blueprint = json.dumps(ordering(shop.url + path, connection["id"]))
    made = cli.ask(
        "scenarios", "create", "--team-id", str(team), "--scheduling", '{"type": "on-demand"}',
        "--blueprint", blueprint,
    )  # fmt: skip
    scenario = str(made["id"])
    cli.say("scenarios", "activate", scenario)
    shop.statuses[path] = REFUSED
    run = cli.ask("scenarios", "run", scenario, "--data", json.dumps({"order": "a-3"}), "--responsive")
    assert run["status"] == 2
    [record] = cli.ask("incomplete-executions", "list", "--scenario-id", scenario)
    assert cli.ask("incomplete-executions", "get", record["id"])["resolved"] is False
    shop.statuses.pop(path)
    cli.say("scenarios", "delete", scenario)
    cli.say("connections", "delete", str(connection["id"]))
    assert "404" in cli.refused("connections", "get", str(connection["id"]))


def test_data_structures_stores_and_records_through_the_sdk(sdk: Sdk, team: int) -> None:
    spec = [{"name": "order", "type": "text", "required": True}, {"name": "total", "type": "number"}]
    structure = sdk("dataStructures.create", {"teamId": team, "name": "Order", "strict": True, "spec": spec})
    assert sdk("dataStructures.get", structure["id"])["spec"] == spec
    assert sdk("dataStructures.update", structure["id"], {"name": "Orders"})["name"] == "Orders"
    assert structure["id"] in {each["id"] for each in sdk("dataStructures.list", team)}
    copy = sdk("dataStructures.clone", structure["id"], {"name": "Copy", "targetTeamId": team})
    sdk("dataStructures.delete", copy["id"])
    body = {"teamId": team, "name": "Orders", "datastructureId": structure["id"], "maxSizeMB": 1}
    store = sdk("dataStores.create", body)["id"]
    assert sdk("dataStores.update", store, {"name": "All orders"})["name"] == "All orders"
    assert sdk("dataStores.list", team)[0]["records"] == 0
    assert sdk("dataStores.records.create", store, "one", {"order": "a", "total": 1})["key"] == "one"
    assert len(sdk("dataStores.records.create", store, {"order": "b"})["key"]) > 1
    with pytest.raises(MakeRefused):
        sdk("dataStores.records.create", store, "wrong", {"nobody": "knows"})
    assert sdk("dataStores.records.update", store, "one", {"total": 2})["data"] == {"order": "a", "total": 2}
    assert sdk("dataStores.records.replace", store, "one", {"order": "c"})["data"] == {"order": "c"}
    keys = [record["key"] for record in sdk("dataStores.records.list", store)]
    assert len(keys) == 2
    sdk("dataStores.records.delete", store, keys)
    assert sdk("dataStores.records.list", store) == []
    sdk("dataStores.delete", store)
    sdk("dataStructures.delete", structure["id"])
    with pytest.raises(MakeRefused):
        sdk("dataStores.get", store)


def test_data_structures_stores_and_records_on_the_command_line(cli: CommandLine, team: int) -> None:
    spec = json.dumps([{"name": "order", "type": "text", "required": True}])
    structure = cli.ask("data-structures", "create", "--team-id", str(team), "--name", "Order", "--spec", spec)
    number = str(structure["id"])
    assert cli.ask("data-structures", "update", number, "--name", "Orders")["name"] == "Orders"
    store = str(cli.ask(
        "data-stores", "create", "--team-id", str(team), "--name", "Orders", "--max-size-m-b", "1",
        "--datastructure-id", number,
    )["id"])  # fmt: skip
    of_it = ("--data-store-id", store)
    made = cli.ask("data-store-records", "create", *of_it, "--key", "one", "--data", '{"order": "a"}')
    assert made == {"key": "one", "data": {"order": "a"}}
    assert cli.ask("data-store-records", "update", "one", *of_it, "--data", '{"order": "b"}')["data"] == {"order": "b"}
    assert cli.ask("data-store-records", "replace", "two", *of_it, "--data", '{"order": "c"}')["key"] == "two"
    assert {record["key"] for record in cli.ask("data-store-records", "list", *of_it)} == {"one", "two"}
    cli.say("data-store-records", "delete", *of_it, "--keys", '["one", "two"]')
    assert cli.ask("data-store-records", "list", *of_it) == []
    cli.say("data-stores", "delete", store)
    cli.say("data-structures", "delete", number)
    assert "404" in cli.refused("data-structures", "get", number)


def test_a_webhook_learns_from_its_calls_through_the_sdk(sdk: Sdk, operator: Operator, team: int) -> None:
    hook = sdk("hooks.create", {"name": "Orders", "teamId": team, "typeName": "gateway-webhook"})
    sdk("hooks.learnStart", hook["id"])
    reply = send("POST", hook["url"], json_body={"id": 7}, certificate=operator.account.certificate)
    assert reply.status == 200
    assert sdk("hooks.get", hook["id"])["interface"] == [{"name": "id", "type": "number"}]
    sdk("hooks.learnStop", hook["id"])
    assert sdk("hooks.ping", hook["id"])["learning"] is False
    sdk("hooks.delete", hook["id"])


def test_a_public_template_becomes_a_scenario_on_the_command_line(cli: CommandLine, team: int) -> None:
    listed = cli.ask("public-templates", "list", "--name", "webhook", "--used-apps", '["http"]')
    found = next(each for each in listed if each["id"] < OWN_ID)
    assert cli.ask("public-templates", "get", found["url"])["name"] == found["name"]
    shown = cli.ask("public-templates", "get-blueprint", found["url"])
    made = cli.ask(
        "scenarios", "create", "--team-id", str(team), "--basedon", str(found["id"]),
        "--scheduling", json.dumps(shown["scheduling"]), "--blueprint", json.dumps(shown["blueprint"]),
    )  # fmt: skip
    cli.say("scenarios", "activate", str(made["id"]))
    cli.say("scenarios", "delete", str(made["id"]))
