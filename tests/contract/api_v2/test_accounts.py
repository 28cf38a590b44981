"""Who one is, one's organization and its teams, over the API."""

from zoneinfo import available_timezones

import pytest

from make_bridge.faces.api_v2 import time_zones
from support.portal import refusal


async def test_every_token_may_ask_whose_it_is(acme):
    await acme.allow_only("datastores:read")
    me = (await acme.ask("GET", "/users/me"))["authUser"]
    assert me["name"] == "First token"
    assert me["timezone"] == "UTC"
    granted = (await acme.ask("GET", "/users/me/current-authorization"))["authorization"]
    assert granted == {"authUsed": "api_token", "scope": ["datastores:read"]}
    assert (await acme.send("GET", "/organizations")).status == 403


async def test_an_organization_sees_itself_and_no_other(api, acme):
    own = f"/organizations/{acme.facts.organization_id}"
    listed = (await acme.ask("GET", "/organizations"))["organizations"]
    assert [sorted(each) for each in listed] == [["id", "name", "timezoneId", "zone"]]
    assert listed[0]["zone"] == "bridge.example"
    shown = (await acme.ask("GET", own))["organization"]
    assert shown["operations"] == "0"
    assert shown["license"] == {}
    assert [team["id"] for team in shown["teams"]] == [acme.facts.team_id]
    other = await api.integrator("Other")
    assert (await other.send("GET", own)).status == 404
    assert (await other.send("PATCH", own, {"name": "Taken"})).status == 404


async def test_an_organization_is_renamed_and_moved(acme):
    own = f"/organizations/{acme.facts.organization_id}"
    await acme.ask("PATCH", own, {"name": "Acme Ltd", "timezoneId": time_zones.id_of("Europe/Prague")})
    shown = (await acme.ask("GET", own))["organization"]
    assert shown["name"] == "Acme Ltd"
    assert shown["timezone"] == "Europe/Prague"
    assert (await acme.send("PATCH", own, {"timezoneId": 7})).status == 422
    assert (await acme.send("PATCH", own, {"name": ""})).status == 422


def test_no_two_time_zones_share_a_number():
    names = available_timezones()
    assert len({time_zones.id_of(name) for name in names}) == len(names)
    assert all(time_zones.name_of(time_zones.id_of(name)) == name for name in names)


async def test_a_team_is_made_shown_and_deleted(acme):
    organization_id = acme.facts.organization_id
    made = (await acme.ask("POST", "/teams", {"name": "Support", "organizationId": organization_id}))["team"]
    assert made["name"] == "Support"
    listed = (await acme.ask("GET", f"/teams?organizationId={organization_id}&cols[]=name"))["teams"]
    assert {"name": "Support"} in listed
    path = f"/teams/{made['id']}"
    assert (await acme.ask("GET", path))["team"] == made
    assert refusal(await acme.send("DELETE", path), 406, "IM004")
    await acme.ask("DELETE", f"{path}?confirmed=true")
    assert (await acme.send("GET", path)).status == 404


async def test_a_team_has_limits_of_its_own(acme):
    body = {"name": "Bounded", "organizationId": acme.facts.organization_id, "operationsLimit": 1000}
    made = (await acme.ask("POST", "/teams", body | {"transferLimit": "5000000"}))["team"]
    # One is a number and one a text: so Make's clients read them.
    assert (made["operationsLimit"], made["transferLimit"]) == (1000, "5000000")
    told = (await acme.ask("GET", f"/teams/{made['id']}/limits"))["limits"]
    assert (told["operations"], told["dataTransfer"]) == (1000, 5_000_000)
    for wrong in ({"operationsLimit": -1}, {"transferLimit": "much"}, {"operationsLimit": 1.5}):
        assert (await acme.send("POST", "/teams", body | wrong)).status == 422
    free = (await acme.ask("POST", "/teams", {"name": "Free", "organizationId": acme.facts.organization_id}))["team"]
    assert (free["operationsLimit"], free["transferLimit"]) == (None, None)


async def test_teams_that_somebody_needs_stay(acme):
    customers = await acme.another_team("dana")
    for team_id, word in ((acme.facts.team_id, "own team"), (customers, "customer")):
        answer = refusal(await acme.send("DELETE", f"/teams/{team_id}?confirmed=true"), 409, "conflict")
        assert word in answer["detail"]
    made = (await acme.ask("POST", "/teams", {"name": "Busy", "organizationId": acme.facts.organization_id}))["team"]
    blueprint = {"name": "x", "flow": [], "metadata": {}}
    scenario = (await acme.ask("POST", "/scenarios", {"teamId": made["id"], "blueprint": blueprint}))["scenario"]
    answer = refusal(await acme.send("DELETE", f"/teams/{made['id']}?confirmed=true"), 409, "conflict")
    assert "still has scenarios" in answer["detail"]
    await acme.ask("DELETE", f"/scenarios/{scenario['id']}")
    await acme.ask("DELETE", f"/teams/{made['id']}?confirmed=true")


@pytest.mark.parametrize("query", ["", "?organizationId=1", "?organizationId=x"])
async def test_teams_are_listed_of_ones_own_organization_only(acme, query):
    assert (await acme.send("GET", f"/teams{query}")).status in {400, 404}


async def test_another_organizations_team_is_not_found(api, acme):
    other = await api.integrator("Other")
    assert (await other.send("GET", f"/teams/{acme.facts.team_id}")).status == 404
    assert (await other.send("DELETE", f"/teams/{acme.facts.team_id}?confirmed=true")).status == 404
    body = {"name": "Mine", "organizationId": acme.facts.organization_id}
    assert (await other.send("POST", "/teams", body)).status == 404


async def test_what_clients_look_up_is_there(acme):
    zones = {each["name"]: each for each in (await acme.ask("GET", "/enums/timezones"))["timezones"]}
    assert zones["UTC"] == {"id": time_zones.id_of("UTC"), "name": "UTC", "code": "UTC", "offset": "+0000"}
    assert zones["Asia/Kolkata"]["offset"] == "+0530"
    roles = (await acme.ask("GET", "/users/roles?cols[]=identifier"))["usersRoles"]
    assert roles == [{"identifier": name} for name in ("owner", "admin", "editor", "operator", "viewer")]
    assert await acme.ask("GET", "/devices") == {"devices": []}
    assert (await acme.ask("GET", "/enums/imt-regions"))["imtRegions"] == [{"id": 1, "name": "bridge.example"}]
    [app] = (await acme.ask("GET", "/enums/connected-system-apps"))["connectedSystemApps"]
    assert app["name"] == "http"


async def test_countries_have_their_codes_and_a_number_of_their_own(acme):
    found = (await acme.ask("GET", "/enums/countries"))["countries"]
    assert {"id": 203, "name": "Czech Republic", "code": "CZE", "code2": "cz"} in found
    assert len(found) == 249
    assert [each["name"].casefold() for each in found] == sorted(each["name"].casefold() for each in found)
    for column in ("id", "name", "code", "code2"):
        assert len({each[column] for each in found}) == len(found)
    assert all(len(each["code"]) == 3 and each["code"].isupper() and each["code"].isalpha() for each in found)
    assert all(len(each["code2"]) == 2 and each["code2"].islower() and each["code2"].isalpha() for each in found)


async def test_roles_are_found_one_by_one_and_say_what_they_allow(acme):
    listed = (await acme.ask("GET", "/users/roles?category=organization"))["usersRoles"]
    viewer = listed[-1]
    assert (await acme.ask("GET", f"/users/roles/{viewer['id']}"))["usersRole"] == viewer
    assert (await acme.ask("GET", f"/users/roles?roleId={viewer['id']}"))["usersRoles"] == [viewer]
    assert (await acme.ask("GET", f"/users/roles?excludeRole[]={viewer['id']}"))["usersRoles"] == listed[:-1]
    assert (await acme.ask("GET", "/users/roles?category=team"))["usersRoles"] == []
    allowed = {
        each["name"]: each for each in (await acme.ask("GET", "/users/roles/permissions"))["usersRolesPermissions"]
    }
    assert allowed["scenarios:read"]["category"] == "scenarios"
    assert {name for role in listed[1:] for name in role["permissions"]} - set(allowed) == {
        "password:own", "sessions:own", "user:read",
    }  # fmt: skip
    assert (await acme.ask("GET", "/users/roles/permissions?roleCategory=team"))["usersRolesPermissions"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [("/99", 404), ("/owner", 404), ("?category=planet", 400), ("/permissions?roleCategory=x", 400)],
    ids=["unknown", "no number", "odd category", "odd role category"],
)
async def test_roles_that_cannot_be_are_refused(acme, query, status):
    assert (await acme.send("GET", f"/users/roles{query}")).status == status
    assert (await acme.send("GET", "/users/roles?organizationId=1")).status == 404
