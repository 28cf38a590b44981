"""The whole life of a scenario through the official TypeScript SDK."""

from collections.abc import Iterator

import pytest

from clients.blueprints import greeting
from clients.conftest import Operator
from clients.drivers import MakeRefused, Sdk
from support.network import send

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


def test_folders_are_made_filled_moved_and_deleted(sdk: Sdk, team: int, scenario: int) -> None:
    shop = sdk("folders.create", {"name": "Shop", "teamId": team})
    orders = sdk("folders.create", {"name": "Orders", "teamId": team, "parentId": shop["id"]})
    assert sdk("scenarios.update", scenario, {"folderId": orders["id"]})["folderId"] == orders["id"]
    [found] = sdk("folders.list", team, {"childrenDepth": "all", "cols": ["path", "scenariosSubtreeTotal", "children"]})
    below = {"path": "Shop/Orders", "scenariosSubtreeTotal": 1, "children": []}
    assert found == {"path": "Shop", "scenariosSubtreeTotal": 1, "children": [below]}
    assert [each["id"] for each in sdk("folders.list", team, {"parentId": shop["id"]})] == [orders["id"]]
    assert sdk("folders.update", orders["id"], {"name": "Sales", "parentId": None})["path"] == "Sales"
    sdk("folders.delete", shop["id"])
    sdk("folders.delete", orders["id"])
    assert sdk("folders.list", team) == []
    assert sdk("scenarios.get", scenario)["folderId"] is None


def test_what_clients_look_up_is_there(sdk: Sdk, operator: Operator) -> None:
    assert {"id": 203, "name": "Czech Republic", "code": "CZE", "code2": "cz"} in sdk("enums.countries")
    assert sdk("enums.regions") == [{"id": 1, "name": operator.account.zone}]
    assert sdk("enums.connectedSystemApps")
    owner = sdk("roles.list", {"organizationId": operator.integrator.organization_id})[0]
    assert sdk("roles.get", owner["id"]) == owner
    assert "scenarios:run" in {each["name"] for each in sdk("roles.permissions", {"roleCategory": "organization"})}


def test_a_public_template_becomes_a_scenario_that_runs(sdk: Sdk, operator: Operator) -> None:
    listed = sdk("publicTemplates.list", {"usedApps": ["http"], "name": "on demand"})
    [found] = [each for each in listed if each["id"] < 1024]
    assert sdk("publicTemplates.get", found["url"], {"cols": ["name"]}) == {"name": found["name"]}
    shown = sdk("publicTemplates.getBlueprint", found["url"])
    body = {"teamId": operator.account.team_id, "scheduling": shown["scheduling"], "blueprint": shown["blueprint"]}
    made = sdk("scenarios.create", body)
    sdk("scenarios.activate", made["id"])
    run = sdk("scenarios.run", made["id"], {"address": f"{operator.target.url}/of-a-template"})
    assert (run["status"], run["outputs"]) == (1, {"status": 200, "answer": operator.target.answer})
    assert len(operator.target.calls_to("/of-a-template")) == 1
    sdk("scenarios.delete", made["id"])


def test_credentials_are_asked_for_handed_over_deleted_and_declined(sdk: Sdk, operator: Operator) -> None:
    team_id = operator.account.team_id
    connections = [
        {"type": "google", "scope": ["https://www.googleapis.com/auth/drive"], "nameOverride": "Their Google"}
    ]
    keys = [{"type": "apikeyauth", "prefill": {"hard": {"placement": "header"}}}, {"type": "basicauth"}]
    body = {"teamId": team_id, "connections": connections, "keys": keys}
    made = sdk("credentialRequests.createByCredentials", body)
    request, [google, key, basic] = made["request"], made["credentials"]
    assert (request["name"], request["status"]) == ("Request for credentials", "pending")
    assert [(one["component"], one["name"]) for one in made["credentials"]] == [
        ("account", "google"), ("keychain", "apikeyauth"), ("keychain", "basicauth"),
    ]  # fmt: skip
    assert (google["nameOverride"], google["state"]) == ("Their Google", "pending")
    assert request["id"] in {one["id"] for one in sdk("credentialRequests.list", team_id)}
    assert sdk("credentialRequests.list", team_id, {"status": "authorized"}) == []
    assert sdk("credentialRequests.get", request["id"], {"cols": ["id"]}) == {"id": request["id"]}
    hand_over(operator, made["publicUri"], key["id"], {"key": "s3cret-of-the-shop"})
    [_, handed, _] = sdk("credentialRequests.getDetail", request["id"])["credentials"]
    assert handed["state"] == "authorized"
    assert sdk("keys.get", int(handed["remoteId"]))["typeName"] == "apikeyauth"
    assert sdk("credentialRequests.deleteCredential", key["id"])["state"] == "pending"
    with pytest.raises(MakeRefused):
        sdk("keys.get", int(handed["remoteId"]))
    assert sdk("credentialRequests.declineCredential", basic["id"])["state"] == "declined"
    assert sdk("credentialRequests.declineCredential", google["id"], "No")["declineReason"] == "No"
    sdk("credentialRequests.delete", request["id"])
    with pytest.raises(MakeRefused):
        sdk("credentialRequests.get", request["id"])


def test_credentials_are_asked_for_by_the_modules_that_need_them(sdk: Sdk, operator: Operator) -> None:
    team_id = operator.account.team_id
    modules = sdk("credentialRequests.listAppModulesWithCredentials", "http", 3)
    assert "keychain:basicauth" in {module["type"] for module in modules}
    assert {
        one["type"] for one in sdk("credentialRequests.listAppModulesWithCredentials", "google-sheets", "latest")
    } == {"account:google"}
    credentials = [{"appName": "http", "appVersion": 3, "appModules": [modules[0]["id"]]}]
    made = sdk("credentialRequests.createAction", {"teamId": team_id, "credentials": credentials, "name": "Mine"})
    assert made["publicUri"].startswith(f"{operator.server.url}/hand-over/")
    assert made["request"]["appNames"] == ["http"]
    sdk("credentialRequests.delete", made["request"]["id"])
    created = sdk(
        "credentialRequests.create",
        {"teamId": team_id, "name": "Theirs", "keys": [{"type": "basicauth"}], "provider": {"providerMakeUserId": 7}},
    )
    assert (created["name"], created["makeProviderId"]) == ("Theirs", "7")
    sdk("credentialRequests.delete", created["id"])
    data = {"apiKey": operator.account.token, "url": operator.server.url}
    own = sdk("connections.create", {"name": "Own", "accountName": "make", "teamId": team_id, "data": data})
    assert sdk("connections.scoped", own["id"], ["anything"]) is True
    with pytest.raises(MakeRefused, match="no scopes to extend"):
        sdk("credentialRequests.extendConnection", {"connectionId": own["id"], "scopes": ["more"]})
    sdk("connections.delete", own["id"])


def test_a_key_for_a_cipher_is_made(sdk: Sdk, operator: Operator) -> None:
    body = {"name": "Cipher", "teamId": operator.account.team_id, "typeName": "aes-key"}
    made = sdk("keys.create", body | {"parameters": {"key": "0" * 64, "keyEncoding": "hex"}})
    assert made["typeName"] == "aes-key"
    with pytest.raises(MakeRefused):
        sdk("keys.create", body | {"parameters": {"key": "0" * 62, "keyEncoding": "hex"}})
    sdk("keys.delete", made["id"])


def hand_over(operator: Operator, public_uri: str, credential_id: str, values: dict[str, str]) -> None:
    """Be the person with the link."""
    page, _, secret = public_uri.partition("#")
    address = page.replace("/hand-over/", "/hand-over-api/")
    reply = send(
        "POST",
        f"{address}/credentials/{credential_id}",
        headers={"Flow-Secret": secret},
        json_body={"values": values},
        certificate=operator.account.certificate,
    )
    assert reply.status == 200, reply
