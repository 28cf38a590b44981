"""Custom variables of an organization and of its teams over the API."""

import asyncio

import pytest

from support.api_v2 import VARIABLES
from support.portal import refusal

TEXT = {"name": "shop", "typeId": 2, "value": "https://shop.example"}


@pytest.fixture(params=["organization", "team"])
def place(acme, request):
    number = acme.facts.organization_id if request.param == "organization" else acme.facts.team_id
    return f"/{request.param}s/{number}/variables", f"{request.param}Variable"


async def test_a_variable_is_made_listed_changed_and_deleted(acme, place):
    path, noun = place
    made = (await acme.ask("POST", path, TEXT))[noun]
    assert made == TEXT | {"isSystem": False}
    listed = (await acme.ask("GET", path))[f"{noun}s"]
    assert made in listed
    assert {each["name"] for each in listed if each["isSystem"]} <= {"id", "timezone"}
    assert (await acme.ask("PATCH", f"{path}/shop", {"value": "https://new.example"}))[noun]["value"].endswith(
        "new.example"
    )
    both = (await acme.ask("PATCH", f"{path}/shop?cols[]=value&cols[]=typeId", {"typeId": 1, "value": 7.5}))[noun]
    assert both == {"typeId": 1, "value": 7.5}
    assert await acme.ask("DELETE", f"{path}/shop") == {noun: "shop"}
    assert (await acme.send("DELETE", f"{path}/shop")).status == 404
    assert (await acme.send("PATCH", f"{path}/shop", {"value": 1})).status == 404


async def test_the_organization_and_each_team_have_names_of_their_own(acme):
    other = await acme.another_team("dana")
    for path in (f"organizations/{acme.facts.organization_id}", f"teams/{acme.facts.team_id}", f"teams/{other}"):
        await acme.ask("POST", f"/{path}/variables", TEXT | {"value": path})
    listed = (await acme.ask("GET", f"/teams/{other}/variables?cols[]=value"))["teamVariables"]
    assert listed == [{"value": other}, {"value": f"teams/{other}"}]
    await acme.delete_customer("dana")


async def test_the_history_tells_who_did_what_newest_first(acme, place):
    path, noun = place
    await acme.ask("POST", path, TEXT)
    await acme.ask("PATCH", f"{path}/shop", {"typeId": 3, "value": True})
    await acme.ask("DELETE", f"{path}/shop")
    deleted, changed, made = (await acme.ask("GET", f"{path}/shop/history"))[f"{noun}History"]
    held = {"typeId": 2, "value": TEXT["value"]}
    assert [each["action"] for each in (deleted, changed, made)] == ["delete", "update", "create"]
    assert made["diffObject"] == {"before": None, "after": held}
    assert changed["diffObject"] == {"before": held, "after": {"typeId": 3, "value": True}}
    assert deleted["diffObject"]["after"] is None
    assert made["author"]["kind"] == "api_token"
    assert made["changed"].endswith("Z")
    assert (await acme.send("GET", f"{path}/nothing/history")).status == 404


async def test_number_and_history_are_bounded(acme, place):
    path, noun = place
    for number in range(VARIABLES.variables):
        await acme.ask("POST", path, TEXT | {"name": f"v{number}"})
    answer = refusal(await acme.send("POST", path, TEXT), 409, "variables_limit")
    assert f"at most {VARIABLES.variables} variables" in answer["detail"]
    for number in range(VARIABLES.changes):
        await acme.ask("PATCH", f"{path}/v0", {"value": str(number)})
    history = (await acme.ask("GET", f"{path}/v0/history"))[f"{noun}History"]
    assert len(history) == VARIABLES.changes
    assert history[0]["diffObject"]["after"]["value"] == str(VARIABLES.changes - 1)
    # The oldest changes of the holder went for them, also those of other variables.
    assert (await acme.ask("GET", f"{path}/v1/history"))[f"{noun}History"] == []


async def test_two_who_make_the_same_at_once_make_one(acme, place):
    path, noun = place
    answers = await asyncio.gather(*(acme.send("POST", path, TEXT | {"value": str(number)}) for number in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    [made] = [answer.json()[noun] for answer in answers if answer.status == 200]
    assert made in (await acme.ask("GET", path))[f"{noun}s"]


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        pytest.param(1, 5, 5, id="integer"),
        pytest.param(1, -2.5, -2.5, id="fraction"),
        pytest.param(2, "", "", id="empty text"),
        pytest.param(2, "héllo {{1.x}}", "héllo {{1.x}}", id="text like an expression"),
        pytest.param(3, False, False, id="false"),
        pytest.param(4, "2026-03-31T12:20:30+02:00", "2026-03-31T10:20:30.000Z", id="date with offset"),
        pytest.param(4, "2026-03-31", "2026-03-31T00:00:00.000Z", id="day"),
    ],
)
async def test_values_keep_their_type(acme, place, kind, value, kept):
    path, noun = place
    made = (await acme.ask("POST", path, {"name": "v", "typeId": kind, "value": value}))[noun]
    assert made["value"] == kept
    assert type(made["value"]) is type(kept)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"typeId": 1, "value": "5"}, "number", id="a text for a number"),
        pytest.param({"typeId": 1, "value": True}, "number", id="truth for a number"),
        pytest.param({"typeId": 1, "value": 2**60}, "number", id="a huge number"),
        pytest.param({"typeId": 2, "value": 5}, "text", id="a number for a text"),
        pytest.param({"typeId": 2, "value": "x" * 101}, "100 bytes", id="a long text"),
        pytest.param({"typeId": 2, "value": "\ud800"}, "", id="half a character"),
        pytest.param({"typeId": 3, "value": "true"}, "true or false", id="a text for truth"),
        pytest.param({"typeId": 4, "value": "tomorrow"}, "date", id="no date"),
        pytest.param({"typeId": 5, "value": "x"}, "typeId", id="no type"),
        pytest.param({"typeId": 2, "value": None}, "value", id="nothing"),
        pytest.param({"typeId": 2, "value": ["x"]}, "value", id="a list"),
        pytest.param({"name": "a-b"}, "name", id="a dash in the name"),
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"name": "x" * 129}, "name", id="a long name"),
        pytest.param({"name": "id"}, "system's own", id="the system's name"),
    ],
)
async def test_what_cannot_be_a_variable_is_refused_with_a_sentence(acme, place, change, word):
    path, _ = place
    answer = await acme.send("POST", path, TEXT | change)
    assert answer.status in {400, 422}
    assert word in answer.json()["detail"]


async def test_another_type_needs_a_value_that_fits(acme, place):
    path, noun = place
    await acme.ask("POST", path, TEXT | {"value": "2026-03-31T10:20:30Z"})
    assert (await acme.send("PATCH", f"{path}/shop", {"typeId": 1})).status == 422
    assert (await acme.ask("PATCH", f"{path}/shop", {"typeId": 4}))[noun]["value"] == "2026-03-31T10:20:30.000Z"


async def test_strangers_and_tokens_without_the_permission_are_kept_out(api, acme):
    stranger = await api.integrator("Other")
    for path in (f"/organizations/{acme.facts.organization_id}", f"/teams/{acme.facts.team_id}"):
        await acme.ask("POST", f"{path}/variables", TEXT)
        assert (await stranger.send("GET", f"{path}/variables")).status == 404
        assert (await stranger.send("POST", f"{path}/variables", TEXT)).status == 404
        assert (await stranger.send("PATCH", f"{path}/variables/shop", {"value": "x"})).status == 404
        assert (await stranger.send("DELETE", f"{path}/variables/shop")).status == 404
        assert (await stranger.send("GET", f"{path}/variables/shop/history")).status == 404
    team = await acme.another_team("dana")
    whole = f"/organizations/{acme.facts.organization_id}/variables?teamId={team}"
    assert (await acme.send("POST", whole, TEXT | {"name": "more"})).status == 403
    assert (await acme.send("GET", f"/teams/{acme.facts.team_id}/variables?teamId={team}")).status == 404
    await stranger.allow_only("variables:read")
    own = f"/teams/{stranger.facts.team_id}/variables"
    api.forget_tokens()
    assert (await stranger.send("GET", own)).status == 200
    assert (await stranger.send("POST", own, TEXT)).status == 403


async def test_a_deleted_team_takes_its_variables_along(acme):
    made = (await acme.ask("POST", "/teams", {"name": "Brief", "organizationId": acme.facts.organization_id}))["team"]
    await acme.ask("POST", f"/teams/{made['id']}/variables", TEXT)
    await acme.ask("DELETE", f"/teams/{made['id']}?confirmed=true")
    assert (await acme.send("GET", f"/teams/{made['id']}/variables")).status == 404


async def test_the_audit_trail_knows_the_name_and_no_value(acme, place):
    path, _ = place
    await acme.ask("POST", path, TEXT)
    told = await acme.send("GET", f"/organizations/{acme.facts.organization_id}/audit?action=variable.create")
    assert b'"shop"' in told.body
    assert b"shop.example" not in told.body
