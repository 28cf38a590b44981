"""Webhooks over the API: what a hook asks of its callers is set and told, its secrets are only set."""

import json

import msgspec
import pytest

from make_bridge.domain.executions.senders import opened
from make_bridge.domain.scenarios.inbound import decode_inbound
from make_bridge.domain.scenarios.messages import CreateHook
from make_bridge.kernel.ids import HookId, OrganizationId, TeamId
from make_bridge.platform.security.sealing import SealBroken
from support.blueprints import blueprint, webhook
from support.organizations import administrator, data_keys_of
from support.portal import refusal

STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD, NEW = "the older secret 4711", "the newer secret 0815"
BARE = {"signature": None, "dedupe": None}


@pytest.fixture
async def hook_id(acme, api):
    return await _hook(acme, api)


async def _hook(acme, api, team_id=None):
    context = administrator(OrganizationId(acme.facts.organization_id))
    team = TeamId(team_id or acme.facts.team_id)
    return (await api.commands.execute(context, CreateHook(team_id=team, name="Orders"))).id


async def _set(acme, hook_id, **body):
    return (await acme.ask("PATCH", f"/hooks/{hook_id}", body))["hook"]


async def _settings(acme, api, hook_id):
    organization_id = OrganizationId(acme.facts.organization_id)
    shard = await api.shards.of(organization_id)
    async with shard.read(organization_id) as tx:
        row = await tx.one("SELECT settings FROM shard.hooks WHERE id = %s", (hook_id,))
    assert row is not None
    return bytes(row["settings"])


async def _rule(acme, api, hook_id):
    """The rule of a hook's senders as it is stored."""
    rule = decode_inbound(await _settings(acme, api, hook_id)).signature
    assert rule is not None
    return rule


async def test_a_hook_is_shown_with_its_address_to_those_who_may_write_scenarios(acme, api, hook_id):
    shown = (await acme.ask("GET", f"/hooks/{hook_id}"))["hook"]
    token = shown.pop("udid")
    assert shown.pop("url") == f"https://bridge.example/hook/{token}"
    assert len(token) > 30
    assert shown == {
        "id": hook_id,
        "name": "Orders",
        "teamId": acme.facts.team_id,
        "type": "web",
        "packageName": None,
        "gone": False,
        "typeName": "gateway-webhook",
        "scenarioId": None,
        "enabled": True,
        "data": {"headers": False, "method": False, "stringify": False},
        "interface": None,
        **BARE,
    }
    listed = await acme.ask("GET", f"/hooks?teamId={acme.facts.team_id}")
    assert [each["id"] for each in listed["hooks"]] == [hook_id]
    assert listed["pg"]["sortBy"] == "name"


async def test_who_only_reads_is_told_no_address(acme, hook_id, api):
    await acme.allow_only("scenarios:read")
    api.forget_tokens()
    shown = (await acme.ask("GET", f"/hooks/{hook_id}"))["hook"]
    assert (shown["url"], shown["udid"]) == (None, None)
    assert (await acme.ask("GET", f"/hooks/{hook_id}/ping"))["address"] is None
    assert (await acme.send("POST", f"/hooks/{hook_id}/disable")).status == 403


async def test_a_hook_is_made_changed_switched_and_deleted(acme):
    body = {"name": "Orders", "teamId": acme.facts.team_id, "typeName": "gateway-webhook", "headers": True}
    made = (await acme.ask("POST", "/hooks?useDefaults=requiredOnly", body))["hook"]
    path = f"/hooks/{made['id']}"
    assert made["enabled"] is True
    assert made["data"] == {"headers": True, "method": False, "stringify": False}
    ping = await acme.ask("GET", f"{path}/ping")
    assert ping == {"address": made["url"], "attached": False, "learning": True, "gone": False}
    for step, learning in (("learn-stop", False), ("learn-start", True)):
        assert await acme.ask("POST", f"{path}/{step}") == {"success": True}
        assert (await acme.ask("GET", f"{path}/ping"))["learning"] is learning
    for step, enabled in (("disable", False), ("enable", True)):
        assert await acme.ask("POST", f"{path}/{step}") == {"success": True}
        assert (await acme.ask("GET", path))["hook"]["enabled"] is enabled
    data = {"headers": False, "method": True, "stringify": True, "ip": "", "udt": None}
    assert await acme.ask("POST", f"{path}/set-data", data) == {"changed": True}
    assert await acme.ask("POST", f"{path}/set-data", data) == {"changed": False}
    assert (await acme.ask("GET", path))["hook"]["data"] == {"headers": False, "method": True, "stringify": True}
    assert (await acme.ask("PATCH", path, {"name": "Renamed"}))["hook"]["name"] == "Renamed"
    refusal(await acme.send("DELETE", path), 406, "IM004")
    await acme.ask("DELETE", f"{path}?confirmed=true")
    assert (await acme.send("GET", path)).status == 404


async def test_a_scenario_takes_the_hook_its_blueprint_names_and_keeps_it(acme):
    body = {"name": "Orders", "teamId": acme.facts.team_id, "typeName": "gateway-webhook"}
    hook_id = (await acme.ask("POST", "/hooks", body))["hook"]["id"]
    document = blueprint(webhook())
    document["flow"][0]["parameters"]["hook"] = hook_id
    for expected in (hook_id, None):
        made = await acme.ask("POST", "/scenarios", {"teamId": acme.facts.team_id, "blueprint": document})
        assert (made["scenario"]["hookId"] == hook_id) is (expected is not None)
    assigned = await acme.ask("GET", f"/hooks?teamId={acme.facts.team_id}&assigned=true")
    assert hook_id in {each["id"] for each in assigned["hooks"]}
    assert (await acme.ask("GET", f"/hooks?teamId={acme.facts.team_id}&typeName=gateway-mailhook"))["hooks"] == []
    answer = refusal(await acme.send("DELETE", f"/hooks/{hook_id}?confirmed=true"), 409, "conflict")
    assert "delete the scenario" in answer["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"name": "x" * 200}, "name"), ({"typeName": "slack-events"}, "typeName"), ({"headers": "yes"}, "headers")],
    ids=["a long name", "an unknown type", "a text for a switch"],
)
async def test_a_hook_that_cannot_be_is_refused(acme, change, field):
    body = {"name": "Orders", "teamId": acme.facts.team_id, "typeName": "gateway-webhook"} | change
    answer = await acme.send("POST", "/hooks", body)
    assert answer.status == 422
    assert field in answer.json()["fields"]


async def test_both_rules_are_set_kept_and_taken_away_by_themselves(acme, hook_id):
    made = await _set(acme, hook_id, signature={"scheme": "stripe", "secrets": [OLD], "toleranceSeconds": 60})
    signature = {"scheme": "stripe", "secretCount": 1, "toleranceSeconds": 60}
    assert (made["signature"], made["dedupe"]) == (signature, None)
    made = await _set(acme, hook_id, dedupe={"header": "X-Event-Id"})
    dedupe = {"header": "x-event-id", "windowSeconds": 86400}
    assert (made["signature"], made["dedupe"]) == (signature, dedupe)
    made = await _set(acme, hook_id, dedupe={"expression": "{{1.id}}", "windowSeconds": 604800})
    assert made["dedupe"] == {"expression": "{{1.id}}", "windowSeconds": 604800}
    assert (await _set(acme, hook_id))["signature"] == signature
    assert (await _set(acme, hook_id, signature=None))["signature"] is None
    assert (await _set(acme, hook_id, dedupe=None)) == (await acme.ask("GET", f"/hooks/{hook_id}"))["hook"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"scheme": "standard-webhooks", "secrets": [STANDARD]}, {"toleranceSeconds": 300}),
        ({"scheme": "github", "secrets": [OLD]}, {}),
        ({"scheme": "shopify", "secrets": [OLD]}, {}),
        (
            {"scheme": "hmac", "secrets": [OLD], "header": "X-Sig", "algorithm": "sha1", "encoding": "base64"},
            {"header": "x-sig", "algorithm": "sha1", "encoding": "base64", "prefix": ""},
        ),
    ],
    ids=["standard-webhooks", "github", "shopify", "hmac"],
)
async def test_each_scheme_can_be_set(given, shown, acme, hook_id):
    made = await _set(acme, hook_id, signature=given)
    assert made["signature"] == {"scheme": given["scheme"], "secretCount": 1, **shown}


@pytest.mark.attack("D08")
async def test_secrets_are_sealed_for_their_hook_and_told_to_nobody(acme, api, hook_id):
    answer = await acme.send("PATCH", f"/hooks/{hook_id}", {"signature": {"scheme": "github", "secrets": [NEW, OLD]}})
    read = await acme.send("GET", f"/hooks/{hook_id}")
    stored = await _settings(acme, api, hook_id)
    for text in (answer.body, read.body, stored):
        assert OLD.encode() not in text
        assert NEW.encode() not in text
    rule, organization_id = await _rule(acme, api, hook_id), OrganizationId(acme.facts.organization_id)
    sealing = data_keys_of(api.shards)
    assert (await opened(sealing, organization_id, HookId(hook_id), rule)).keys == (NEW.encode(), OLD.encode())
    with pytest.raises(SealBroken):
        await opened(sealing, organization_id, HookId(await _hook(acme, api)), rule)
    async with (await api.shards.of(organization_id)).read(organization_id) as tx:
        told = await tx.all("SELECT * FROM shard.audit WHERE organization_id = %s", (organization_id,))
    assert OLD not in json.dumps(told, default=str)


async def test_secrets_stay_when_none_are_given_and_change_as_a_whole(acme, api, hook_id):
    await _set(acme, hook_id, signature={"scheme": "stripe", "secrets": [NEW, OLD]})
    kept = await _set(acme, hook_id, signature={"scheme": "stripe", "toleranceSeconds": 10})
    assert kept["signature"] == {"scheme": "stripe", "secretCount": 2, "toleranceSeconds": 10}
    await _set(acme, hook_id, signature={"scheme": "stripe", "secrets": [NEW]})
    rule = await _rule(acme, api, hook_id)
    keys = (await opened(data_keys_of(api.shards), OrganizationId(acme.facts.organization_id), hook_id, rule)).keys
    assert keys == (NEW.encode(),)
    refusal(await acme.send("PATCH", f"/hooks/{hook_id}", {"signature": {"scheme": "github"}}), 422, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [
        {"signature": {"scheme": "github"}},
        {"signature": {"scheme": "github", "secrets": []}},
        {"signature": {"scheme": "github", "secrets": [""]}},
        {"signature": {"scheme": "github", "secrets": [OLD, NEW, OLD]}},
        {"signature": {"scheme": "github", "secrets": "text"}},
        {"signature": {"scheme": "github", "secrets": [OLD], "header": "X-Other"}},
        {"signature": {"scheme": "stripe", "secrets": [OLD], "toleranceSeconds": 3601}},
        {"signature": {"scheme": "stripe", "secrets": [OLD], "toleranceSeconds": 2**50}},
        {"signature": {"scheme": "standard-webhooks", "secrets": ["not base64!"]}},
        {"signature": {"scheme": "hmac", "secrets": [OLD]}},
        {"signature": {"scheme": "none", "secrets": [OLD]}},
        {"signature": {"secrets": [OLD]}},
        {"signature": True},
        {"dedupe": {}},
        {"dedupe": {"header": "x", "expression": "{{1.id}}"}},
        {"dedupe": {"header": "x", "windowSeconds": 604801}},
        {"dedupe": {"header": "x", "windowSeconds": "60"}},
        {"dedupe": {"expression": "{{1.id"}},
        {"dedupe": {"expression": "{{" + "(" * 500 + "1.id" + ")" * 480 + "}}"}},
        {"dedupe": {"header": "x\r\ny"}},
    ],
    ids=lambda body: json.dumps(body)[:90],
)
async def test_what_cannot_work_is_refused_with_a_sentence_and_changes_nothing(body, acme, api, hook_id):
    before = await _settings(acme, api, hook_id)
    answer = await acme.send("PATCH", f"/hooks/{hook_id}", body)
    assert (answer.status, bool(answer.json()["detail"]), bool(answer.json()["fields"])) == (422, True, True)
    assert OLD.encode() not in answer.body
    assert await _settings(acme, api, hook_id) == before


async def test_a_hook_of_somebody_else_does_not_exist(acme, api, hook_id):
    rival = await api.integrator("Rival")
    body = {"dedupe": {"header": "x-id"}}
    for method, given in (("GET", None), ("PATCH", body)):
        refusal(await rival.send(method, f"/hooks/{hook_id}", given), 404, "not_found")
        refusal(await acme.send(method, "/hooks/0", given), 404, "not_found")
    refusal(await rival.send("GET", f"/hooks?teamId={acme.facts.team_id}"), 404, "not_found")
    team = await acme.another_team("dana")
    refusal(await acme.send("PATCH", f"/hooks/{hook_id}?teamId={team}", body), 404, "not_found")
    assert (await acme.ask("GET", f"/hooks?teamId={team}"))["hooks"] == []


async def test_each_route_asks_for_its_permission(acme, hook_id):
    await acme.allow_only("scenarios:read")
    await acme.ask("GET", f"/hooks/{hook_id}")
    refusal(await acme.send("PATCH", f"/hooks/{hook_id}", {"dedupe": None}), 403, "permission_denied")


async def test_without_the_permission_nothing_is_read(acme, hook_id):
    await acme.allow_only("scenarios:write")
    for target in ("/hooks", f"/hooks/{hook_id}"):
        refusal(await acme.send("GET", target), 403, "permission_denied")


async def test_a_change_is_told(acme, api, hook_id):
    await _set(acme, hook_id, dedupe={"header": "x-id"})
    organization_id = OrganizationId(acme.facts.organization_id)
    async with (await api.shards.of(organization_id)).read(organization_id) as tx:
        rows = await tx.all("SELECT type, payload FROM shard.outbox WHERE subject = %s", (f"hook/{hook_id}",))
    assert [row["type"] for row in rows] == ["hook.edited.v1"]
    assert msgspec.json.decode(bytes(rows[0]["payload"])) == {"hook_id": hook_id, "scenario_id": None}
