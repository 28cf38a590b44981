"""Connections and keys over the API: made, renamed, given other values, verified, deleted, and never read back."""

import json

import pytest

from support.portal import refusal

SECRET = "s3cret-of-the-shop"
MAKE = {"accountName": "Bridge", "accountType": "make", "url": "https://bridge.example"}


async def connect(integrator, **body):
    path = f"/connections?teamId={integrator.facts.team_id}"
    return (await integrator.ask("POST", path, MAKE | {"apiKey": SECRET} | body))["connection"]


async def test_a_connection_is_made_with_swapped_names_and_shown_without_its_values(acme):
    made = await connect(acme)
    assert (made["name"], made["accountName"], made["accountType"]) == ("Bridge", "make", "basic")
    shown = (await acme.ask("GET", f"/connections/{made['id']}"))["connection"]
    assert shown == made | {"scopes": []}
    assert SECRET not in json.dumps(shown)
    listed = f"/connections?teamId={acme.facts.team_id}"
    assert (await acme.ask("GET", listed))["connections"] == [made]
    assert (await acme.ask("GET", f"{listed}&type[]=smtp"))["connections"] == []
    assert (await acme.ask("GET", f"{listed}&type[]=make&cols[]=id"))["connections"] == [{"id": made["id"]}]


async def test_a_connection_to_this_server_is_verified(acme):
    made = await connect(acme, apiKey=acme.facts.api_token)
    path = f"/connections/{made['id']}"
    assert await acme.ask("POST", f"{path}/test") == {"verified": True}
    assert await acme.ask("POST", f"{path}/set-data", {"apiKey": SECRET}) == {"changed": True}
    answer = refusal(await acme.send("POST", f"{path}/test"), 400, "SC401")
    assert "Access denied: Invalid token header." in answer["detail"]
    assert await acme.ask("GET", f"{path}/editable-data-schema") == {"editableParameters": ["apiKey", "url"]}
    await acme.ask("POST", f"{path}/set-data", {"url": "https://elsewhere.example"})
    refusal(await acme.send("POST", f"{path}/test"), 400, "cannot_verify")


async def test_a_connection_is_renamed_and_deleted(acme):
    path = f"/connections/{(await connect(acme))['id']}"
    renamed = await acme.ask("PATCH", path, {"name": "Renamed"})
    assert renamed["newName"] == renamed["connection"]["name"] == "Renamed"
    refusal(await acme.send("DELETE", path), 406, "IM004")
    await acme.ask("DELETE", f"{path}?confirmed=true")
    assert (await acme.send("GET", path)).status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [({"url": "no address"}, "url"), ({"apiKey": None}, "apiKey"), ({"more": "x"}, "more")],
    ids=["an odd address", "without its key", "an unknown value"],
)
async def test_values_that_cannot_be_are_refused_by_their_names(acme, change, field):
    path = f"/connections?teamId={acme.facts.team_id}"
    answer = await acme.send("POST", path, MAKE | {"apiKey": SECRET} | change)
    assert answer.status == 422
    assert field in answer.json()["fields"]
    made = await connect(acme)
    changed = await acme.send("POST", f"/connections/{made['id']}/set-data", change)
    assert changed.status == 422
    assert SECRET not in changed.body.decode()


async def test_an_unknown_type_is_refused(acme):
    path = f"/connections?teamId={acme.facts.team_id}"
    answer = await acme.send("POST", path, MAKE | {"accountType": "slack2"})
    assert answer.status == 400
    assert "slack2" in answer.json()["detail"]


async def test_a_key_is_made_changed_and_deleted_and_never_read_back(acme):
    body = {
        "name": "Shop",
        "teamId": acme.facts.team_id,
        "typeName": "basicauth",
        "parameters": {"authUser": "dana", "authPass": SECRET},
    }
    made = (await acme.ask("POST", "/keys", body))["key"]
    path = f"/keys/{made['id']}"
    assert made["typeName"] == "basicauth"
    changed = (await acme.ask("PATCH", path, {"name": "Renamed", "parameters": {"authPass": "another"}}))["key"]
    assert changed == made | {"name": "Renamed"}
    assert (await acme.ask("GET", path))["key"] == changed
    team = acme.facts.team_id
    assert (await acme.ask("GET", f"/keys?teamId={team}&typeName=basicauth&cols[]=name"))["keys"] == [
        {"name": "Renamed"}
    ]
    assert (await acme.ask("GET", f"/keys?teamId={team}&typeName=apikeyauth"))["keys"] == []
    refusal(await acme.send("DELETE", path), 406, "IM004")
    await acme.ask("DELETE", f"{path}?confirmed=true")
    assert (await acme.send("GET", path)).status == 404


async def test_a_key_is_no_connection_and_a_connection_no_key(acme):
    connection = await connect(acme)
    assert (await acme.send("GET", f"/keys/{connection['id']}")).status == 404
    assert (await acme.send("DELETE", f"/keys/{connection['id']}?confirmed=true")).status == 404
    body = {"name": "Shop", "teamId": acme.facts.team_id, "typeName": "apikeyauth", "parameters": {"key": SECRET}}
    key = (await acme.ask("POST", "/keys", body))["key"]
    assert (await acme.send("POST", f"/connections/{key['id']}/test")).status == 404
    assert (await acme.send("PATCH", f"/connections/{key['id']}", {"name": "Mine"})).status == 404


async def test_the_types_of_keys_say_what_they_ask_for(acme):
    types = {each["name"]: each for each in (await acme.ask("GET", "/keys/types"))["keysTypes"]}
    assert {"basicauth", "apikeyauth"} <= types.keys()
    assert [field["name"] for field in types["apikeyauth"]["parameters"]] == ["key", "placement", "name"]
