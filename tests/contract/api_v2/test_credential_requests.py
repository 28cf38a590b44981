"""Credential requests: what can be asked for, what the link opens, and what becomes of a credential."""

import dataclasses
import json
import uuid

import pytest

from support.api_v2 import Api
from support.hand_over import Holder
from support.portal import refusal

ROOT = "/credential-requests"
NEW = f"{ROOT}/actions/create-by-credentials"
SECRET = "s3cret-of-the-shop"
APPLICATION = {
    "name": "Shop",
    "clientId": "bridge",
    "clientSecret": SECRET,
    "authorizeUrl": "https://shop.example/authorize",
    "tokenUrl": "https://shop.example/token",
    "scopes": ["orders"],
    "hosts": ["api.shop.example"],
}


async def make(acme, **body):
    return await acme.ask("POST", NEW, {"teamId": acme.facts.team_id} | body)


async def detail(acme, made):
    return (await acme.ask("GET", f"{ROOT}/requests/{made['request']['id']}/detail"))["requestDetail"]


def holder_of(acme, made):
    return Holder.of(acme.api.hand_over, made["publicUri"])


@pytest.fixture
async def key_request(acme):
    return await make(acme, keys=[{"type": "apikeyauth"}])


async def test_a_request_names_types_and_is_answered_with_its_link(acme):
    made = await make(
        acme,
        connections=[{"type": "google", "scope": ["sheets"], "nameOverride": "Their Google"}],
        keys=[{"type": "apikeyauth", "description": "Of your shop"}, {"type": "basicauth"}],
    )
    request, [google, key, basic] = made["request"], made["credentials"]
    assert (request["name"], request["status"], request["teamId"]) == (
        "Request for credentials", "pending", acme.facts.team_id,
    )  # fmt: skip
    assert str(uuid.UUID(request["id"])) == request["id"]
    assert [(one["component"], one["name"], one["state"]) for one in made["credentials"]] == [
        ("account", "google", "pending"), ("keychain", "apikeyauth", "pending"), ("keychain", "basicauth", "pending"),
    ]  # fmt: skip
    assert (google["nameOverride"], google["scope"], google["label"]) == ("Their Google", ["sheets"], "Google")
    assert (key["description"], basic["requestId"]) == ("Of your shop", request["id"])
    page, _, secret = made["publicUri"].partition("#")
    assert page.startswith("https://bridge.example/hand-over/")
    assert (len(page.rpartition("/")[2]), len(secret)) == (37, 43)
    shown = await detail(acme, made)
    assert {name: shown[name] for name in request} == request
    assert (shown["makeProvider"], shown["user"], shown["credentials"]) == (None, None, made["credentials"])
    assert secret not in json.dumps(shown)


async def test_only_digests_of_the_link_are_kept(acme, key_request):
    page, _, secret = key_request["publicUri"].partition("#")
    shard = await acme.api.shards.of(acme.facts.organization_id)
    async with shard.read(acme.facts.organization_id) as tx:
        [row] = await tx.all("SELECT r::text AS row FROM shard.credential_requests r")
    assert secret not in row["row"]
    assert page.rpartition("/")[2] not in row["row"]


async def test_a_request_to_somebody_is_listed_and_found_by_what_it_says(acme, key_request):
    body = {
        "teamId": acme.facts.team_id,
        "name": "Google of Dana",
        "description": "We read your orders.",
        "connections": [{"type": "google", "appName": "google-sheets", "appVersion": 2, "appModules": ["addRow"]}],
        "provider": {"providerMakeUserId": 4711},
    }
    made = (await acme.ask("POST", f"{ROOT}/requests", body))["request"]
    assert (made["makeProviderId"], made["appNames"]) == ("4711", ["google-sheets"])
    path = f"{ROOT}/requests?teamId={acme.facts.team_id}"
    everything = (await acme.ask("GET", path))["requests"]
    assert [one["id"] for one in everything] == [key_request["request"]["id"], made["id"]]
    for query in ("name=Google%20of%20Dana", "makeProviderId=4711", "pg%5Blimit%5D=1&pg%5Boffset%5D=1"):
        assert (await acme.ask("GET", f"{path}&{query}"))["requests"] == [made]
    assert (await acme.ask("GET", f"{path}&status=authorized"))["requests"] == []
    assert len((await acme.ask("GET", f"{path}&userId={made['userId']}"))["requests"]) == 2
    without_dashes = made["id"].replace("-", "").upper()
    one = await acme.ask("GET", f"{ROOT}/requests/{without_dashes}?cols[]=id&cols[]=name")
    assert one == {"request": {"id": made["id"], "name": "Google of Dana"}}
    assert (await acme.send("GET", f"{ROOT}/requests")).status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"keys": [{"type": "no-such-key"}]}, 400),
        ({"connections": [{"type": "apikeyauth"}]}, 400),
        ({"keys": [{"type": "google"}]}, 400),
        ({"keys": [{"type": "basicauth"}] * 6}, 400),
        ({"keys": [{"type": "basicauth", "prefill": {"hard": {"more": "x"}}}]}, 400),
        ({"connections": [{"type": "google", "scope": ["two words"]}]}, 422),
        ({"keys": [{"type": "basicauth"}], "name": "a\u0007b"}, 422),
        ({"keys": [{"type": "basicauth"}], "name": "n" * 129}, 422),
        ({"keys": [{"type": "basicauth"}], "description": "a\u0007b"}, 422),
        ({"keys": [{"type": ""}]}, 422),
    ],
    ids=["nothing", "an unknown key", "a key as a connection", "a provider as a key", "too many", "an unknown field",
         "an odd scope", "an odd name", "a long name", "an odd description", "no type"],
)  # fmt: skip
async def test_what_cannot_be_asked_for_is_refused(acme, body, status):
    answer = await acme.send("POST", NEW, {"teamId": acme.facts.team_id} | body)
    assert answer.status == status, answer.body


async def test_a_team_has_a_number_of_requests_and_another_team_none_of_them(acme):
    for _ in range(4):
        await make(acme, keys=[{"type": "basicauth"}])
    body = {"teamId": acme.facts.team_id, "keys": [{"type": "basicauth"}]}
    refusal(await acme.send("POST", NEW, body), 429, "too_many_requests")
    other = await acme.another_team("Elsewhere")
    await acme.ask("POST", NEW, body | {"teamId": other})
    assert len((await acme.ask("GET", f"{ROOT}/requests?teamId={other}"))["requests"]) == 1
    await acme.delete_customer("Elsewhere")


async def test_modules_of_apps_say_which_credentials_they_need(acme):
    http = (await acme.ask("GET", f"{ROOT}/apps/http/3/modules-with-credentials"))["appModules"]
    assert {one["type"] for one in http} == {
        "keychain:apikeyauth", "keychain:basicauth", "keychain:clientcertauth", "account:oauth2",
    }  # fmt: skip
    [basic] = [one for one in http if one["type"] == "keychain:basicauth"]
    assert (basic["id"], basic["name"], basic["hook"]) == ("ActionSendDataBasicAuth", "ActionSendDataBasicAuth", False)
    assert "scope" not in basic
    latest = (await acme.ask("GET", f"{ROOT}/apps/http/latest/modules-with-credentials"))["appModules"]
    assert {one["name"] for one in latest} == {"MakeRequest"}
    assert "MakeRequest:basicAuthKeychain" in {one["id"] for one in latest}
    for app, version in (("google-sheets", "latest"), ("google-email", "4")):
        modules = (await acme.ask("GET", f"{ROOT}/apps/{app}/{version}/modules-with-credentials"))["appModules"]
        assert {one["type"] for one in modules} == {"account:google"}
        assert all(one["scope"] for one in modules)
    for missing in ("nothing/1", "http/77", "http/x", "app%23mine/latest"):
        assert (await acme.send("GET", f"{ROOT}/apps/{missing}/modules-with-credentials")).status == 404


async def test_a_request_for_apps_asks_for_what_their_modules_need_each_once(acme):
    body = {
        "teamId": acme.facts.team_id,
        "credentials": [
            {"appName": "http", "appVersion": 3, "appModules": ["ActionSendDataBasicAuth"], "nameOverride": "Mine"},
            {"appName": "google-sheets", "appModules": ["addRow", "filterRows"]},
            {"appName": "google-email", "appVersion": 4, "appModules": ["readAllMail"]},
            {"appName": "google-email", "appVersion": 4, "appEndpoints": ["*"]},
        ],
    }
    made = await acme.ask("POST", f"{ROOT}/actions/create", body)
    [basic, sheets, mail, _] = made["credentials"]
    assert (basic["component"], basic["name"], basic["nameOverride"]) == ("keychain", "basicauth", "Mine")
    assert (sheets["name"], sheets["appName"], sheets["appModules"]) == (
        "google", "google-sheets", ["addRow", "filterRows"],
    )  # fmt: skip
    assert len(sheets["scope"]) == len(set(sheets["scope"])) == 2
    assert (mail["appModules"], len(mail["scope"])) == (["readAllMail"], 2)
    assert "#" in made["publicUri"]
    for wrong in (
        {"appName": "http", "appModules": ["NoSuchModule"]},
        {"appName": "http"},
        {"appName": "json", "appModules": ["*"]},
    ):
        answer = await acme.send("POST", f"{ROOT}/actions/create", body | {"credentials": [wrong]})
        assert answer.status == 400, answer.body


async def test_the_link_shows_what_is_asked_and_by_whom(acme):
    made = await make(
        acme,
        description="Line one\nLine two",
        connections=[{"type": "google"}],
        keys=[{"type": "apikeyauth", "prefill": {"hard": {"placement": "query"}, "soft": {"name": "token"}}}],
    )
    state = await holder_of(acme, made).ask("GET")
    assert state["integrator"] == {"name": "Acme CRM"}
    assert state["request"]["description"] == "Line one\nLine two"
    [google, key] = state["credentials"]
    assert (google["label"], google["providers"], google["hasForm"]) == ("Google", [], False)
    assert [(field["name"], field.get("default")) for field in key["fields"]] == [("key", None), ("name", "token")]


async def test_a_key_is_handed_over_once_and_is_the_teams(acme, key_request):
    holder, [credential] = holder_of(acme, key_request), key_request["credentials"]
    path = f"/credentials/{credential['id']}"
    wrong = await holder.send("POST", path, {"values": {"key": "line\nbreak"}})
    assert (wrong.status, set(wrong.json()["fields"])) == (422, {"key"})
    state = await holder.ask("POST", path, {"values": {"key": SECRET}})
    assert (state["request"]["status"], state["credentials"][0]["state"]) == ("authorized", "authorized")
    assert SECRET not in json.dumps(state)
    refusal(await holder.send("POST", path, {"values": {"key": "another"}}), 409, "handed_over")
    refusal(await holder.send("POST", f"{path}/decline", {}), 409, "handed_over")
    [shown] = (await detail(acme, key_request))["credentials"]
    [key] = (await acme.ask("GET", f"/keys?teamId={acme.facts.team_id}"))["keys"]
    assert (shown["state"], shown["remoteId"]) == ("authorized", str(key["id"]))
    assert key["name"] == "API key (Request for credentials)"
    shard = await acme.api.shards.of(acme.facts.organization_id)
    async with shard.read(acme.facts.organization_id) as tx:
        query = "SELECT payload FROM shard.outbox WHERE organization_id = %s AND type = 'credential.handed_over.v1'"
        [event] = await tx.all(query, (acme.facts.organization_id,))
    assert json.loads(bytes(event["payload"])) == {
        "request_id": shown["requestId"], "credential_id": shown["id"], "connection_id": key["id"],
    }  # fmt: skip


async def test_what_was_handed_over_is_deleted_and_can_be_handed_over_again(acme, key_request):
    holder, [credential] = holder_of(acme, key_request), key_request["credentials"]
    path = f"/credentials/{credential['id']}"
    await holder.ask("POST", path, {"values": {"key": SECRET}})
    deleted = await acme.ask("POST", f"{ROOT}/credentials/{credential['id']}/delete-remote")
    assert (deleted["credential"]["state"], deleted["credential"]["remoteId"]) == ("pending", None)
    keys = f"/keys?teamId={acme.facts.team_id}"
    assert (await acme.ask("GET", keys))["keys"] == []
    await holder.ask("POST", path, {"values": {"key": SECRET}})
    # Deleted as a key, it is asked for again too.
    [key] = (await acme.ask("GET", keys))["keys"]
    await acme.ask("DELETE", f"/keys/{key['id']}?confirmed=true")
    assert (await detail(acme, key_request))["status"] == "pending"


async def test_prefilled_secrets_are_used_and_never_shown(acme):
    made = await make(
        acme,
        keys=[
            {"type": "basicauth", "prefill": {"hard": {"authUser": "shop"}, "soft": {"password": SECRET}}},
            {"type": "apikeyauth", "prefill": {"hard": {"key": SECRET}}},
        ],
    )
    holder, [basic, key] = holder_of(acme, made), made["credentials"]
    shown = await holder.ask("GET")
    [password] = shown["credentials"][0]["fields"]
    assert (password["name"], password.get("required", False)) == ("password", False)
    assert SECRET not in f"{shown} {await detail(acme, made)}"
    await holder.ask("POST", f"/credentials/{basic['id']}", {"values": {"user": "somebody else"}})
    await holder.ask("POST", f"/credentials/{key['id']}", {"values": {}})
    assert [one["state"] for one in (await detail(acme, made))["credentials"]] == ["authorized", "authorized"]
    shard = await acme.api.shards.of(acme.facts.organization_id)
    async with shard.read(acme.facts.organization_id) as tx:
        rows = await tx.all("SELECT q::text AS row FROM shard.requested_credentials q")
        audited = await tx.all("SELECT a::text AS row FROM shard.audit a")
    assert SECRET not in str([row["row"] for row in (*rows, *audited)])


async def test_a_credential_is_declined_by_either_side(acme):
    made = await make(acme, keys=[{"type": "basicauth"}, {"type": "apikeyauth"}])
    holder, [first, second] = holder_of(acme, made), made["credentials"]
    state = await holder.ask("POST", f"/credentials/{first['id']}/decline", {"reason": "I have none."})
    assert (state["credentials"][0]["state"], state["request"]["status"]) == ("declined", "pending")
    declined = await acme.ask("POST", f"{ROOT}/credentials/{second['id']}/decline")
    assert (declined["credential"]["state"], declined["credential"]["declineReason"]) == ("declined", None)
    again = await acme.ask("POST", f"{ROOT}/credentials/{first['id']}/decline", {"reason": "Again"})
    assert again["credential"]["declineReason"] == "I have none."
    assert (await detail(acme, made))["status"] == "declined"
    refusal(await holder.send("POST", f"/credentials/{second['id']}", {"values": {"key": "x"}}), 409, "declined")
    reset = await acme.ask("POST", f"{ROOT}/credentials/{second['id']}/delete-remote")
    assert reset["credential"]["state"] == "pending"
    await holder.ask("POST", f"/credentials/{second['id']}", {"values": {"key": "x"}})


async def test_deleting_a_request_deletes_what_was_handed_over_and_ends_its_link(acme, key_request):
    holder, [credential] = holder_of(acme, key_request), key_request["credentials"]
    await holder.ask("POST", f"/credentials/{credential['id']}", {"values": {"key": SECRET}})
    path = f"{ROOT}/requests/{key_request['request']['id']}"
    refusal(await acme.send("DELETE", path), 406, "IM004")
    await acme.ask("DELETE", f"{path}?confirmed=true")
    assert (await acme.send("GET", path)).status == 404
    assert (await acme.ask("GET", f"/keys?teamId={acme.facts.team_id}"))["keys"] == []
    assert (await holder.send("GET")).status == 401
    for gone in ("decline", "delete-remote"):
        assert (await acme.send("POST", f"{ROOT}/credentials/{credential['id']}/{gone}")).status == 404


@pytest.mark.parametrize("text", ["7", "x", "00000000-0000-0000-0000-00000000000g"], ids=["a number", "a word", "odd"])
async def test_what_is_no_id_is_not_found(acme, text):
    assert (await acme.send("GET", f"{ROOT}/requests/{text}")).status == 404
    assert (await acme.send("POST", f"{ROOT}/credentials/{text}/decline")).status == 404


async def test_a_link_opens_nothing_without_its_own_secret_and_nothing_of_another_request(acme, key_request):
    other = await make(acme, keys=[{"type": "basicauth"}])
    holder, stranger = holder_of(acme, key_request), holder_of(acme, other)
    for secret in ("", "x" * 43, stranger.secret, holder.secret[:-1]):
        refusal(await holder.send("GET", secret=secret), 401, "flow_link_invalid")
    lost = Holder(client=acme.api.hand_over, link=holder.link[:-1] + "0", secret=holder.secret)
    assert (await lost.send("GET")).status == 401
    theirs = f"/credentials/{other['credentials'][0]['id']}"
    assert (await holder.send("POST", theirs, {"values": {"user": "x"}})).status == 404
    assert (await holder.send("POST", f"{theirs}/decline", {})).status == 404
    assert (await holder.send("POST", f"{theirs}/authorize", {})).status == 404
    assert (await detail(acme, other))["status"] == "pending"


async def test_a_link_ends_after_its_days(acme):
    acme = dataclasses.replace(acme, api=Api(acme.api.shards, request_days=0))
    key_request = await make(acme, keys=[{"type": "apikeyauth"}])
    holder, [credential] = holder_of(acme, key_request), key_request["credentials"]
    refusal(await holder.send("GET"), 410, "request_expired")
    for path, body in (("", {"values": {"key": "x"}}), ("/authorize", {}), ("/decline", {})):
        refusal(await holder.send("POST", f"/credentials/{credential['id']}{path}", body), 410, "request_expired")
    shown = await detail(acme, key_request)
    assert (shown["status"], shown["credentials"][0]["state"]) == ("expired", "pending")


async def test_a_consent_is_begun_at_the_application_that_fits_and_is_begun_again_there(acme):
    google = APPLICATION | {"name": "Our Google", "authorizeUrl": "https://accounts.google.com/o/oauth2/v2/auth"}
    ids = [
        (await acme.ask("POST", "/oauth-applications", one))["oauthApplication"]["id"] for one in (APPLICATION, google)
    ]
    made = await make(acme, connections=[{"type": "shop"}, {"type": "google"}, {"type": "oauth2"}])
    holder = holder_of(acme, made)
    offered = [[one["id"] for one in shown["providers"]] for shown in (await holder.ask("GET"))["credentials"]]
    assert offered == [[ids[0]], [ids[1]], ids]
    shop, _, anything = (f"/credentials/{one['id']}" for one in made["credentials"])
    begun = await holder.ask("POST", f"{shop}/authorize", {})
    assert begun["startUrl"].startswith("https://bridge.example/oauth/start#")
    await holder.ask("POST", f"{shop}/authorize", {"applicationId": ids[0]})
    path = f"/oauth-connections?teamId={acme.facts.team_id}"
    [pending] = (await acme.ask("GET", path))["oauthConnections"]
    assert (pending["state"], pending["name"]) == ("pending", "Shop (Request for credentials)")
    assert (await holder.ask("GET"))["credentials"][0]["state"] == "pending"
    assert (await holder.send("POST", f"{shop}/authorize", {"applicationId": ids[1]})).status == 404
    refusal(await holder.send("POST", shop, {"values": {"accessToken": "x"}}), 400, "consent_wanted")
    for chosen in ids:
        await holder.ask("POST", f"{anything}/authorize", {"applicationId": chosen})
    assert len((await acme.ask("GET", path))["oauthConnections"]) == 2
    await holder.ask("POST", f"{shop}/decline", {"reason": ""})
    assert len((await acme.ask("GET", path))["oauthConnections"]) == 1


async def test_only_a_connection_at_a_provider_is_extended(acme):
    body = {"accountName": "Bridge", "accountType": "make", "url": "https://bridge.example", "apiKey": SECRET}
    made = (await acme.ask("POST", f"/connections?teamId={acme.facts.team_id}", body))["connection"]
    path = f"{ROOT}/actions/extend"
    assert (await acme.send("POST", path, {"connectionId": made["id"], "scopes": ["more"]})).status == 400
    assert (await acme.send("POST", path, {"connectionId": made["id"] + 1024, "scopes": ["more"]})).status == 404
    assert (await acme.send("POST", path, {"connectionId": made["id"], "scopes": []})).status == 422
    scoped = await acme.ask("POST", f"/connections/{made['id']}/scoped", {"scope": ["anything"]})
    assert scoped == {"connection": {"scoped": True}}
    assert (await acme.send("POST", f"/connections/{made['id']}/scoped", {"scope": "x"})).status == 422
    assert (await acme.send("POST", f"/connections/{made['id'] + 1024}/scoped", {"scope": []})).status == 404


@pytest.mark.parametrize(
    ("key", "encoding", "is_good"),
    [
        ("0" * 16, "plain", True),
        ("0" * 32, "hex", True),
        ("0" * 64, None, False),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "base64", True),
        ("0" * 15, "plain", False),
        ("0" * 31, "hex", False),
        ("zz" * 16, "hex", False),
        ("AAAA", "base64", False),
        ("AAAA!AAAAAAAAAAAAAAAAAAA", "base64", False),
        ("0" * 16, "rot13", False),
    ],
)
async def test_an_aes_key_has_the_length_of_one(acme, key, encoding, is_good):
    parameters = {"key": key} | ({"keyEncoding": encoding} if encoding else {})
    body = {"name": "Ours", "teamId": acme.facts.team_id, "typeName": "aes-key", "parameters": parameters}
    answer = await acme.send("POST", "/keys", body)
    assert answer.status == (200 if is_good else 422), answer.body
    if not is_good:
        assert key not in answer.body.decode() or key == "AAAA"
