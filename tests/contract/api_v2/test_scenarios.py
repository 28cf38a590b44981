"""Scenarios over the API as Make's clients use it: JSON in texts, columns, parts of lists, expected sentences."""

import json

import pytest

from support.blueprints import blueprint, call, webhook
from support.portal import refusal

PLAIN = blueprint(call(1, "get", "https://shop.example/")) | {"name": "Fetch orders"}
FIELD = {"name": "name", "type": "text", "default": "x", "required": True, "multiline": False}


async def make(integrator, document=PLAIN, **members):
    """Make a scenario the way the SDK sends it."""
    body = {
        "teamId": integrator.facts.team_id,
        "blueprint": json.dumps(document),
        "scheduling": json.dumps({"type": "on-demand"}),
        "metadata": {"input_spec": [], "output_spec": []},
    }
    return (await integrator.ask("POST", "/scenarios?cols[]=*", body | members))["scenario"]


async def test_a_scenario_is_made_of_a_blueprint_in_a_text_and_switched_off(acme):
    made = await make(acme)
    assert made["name"] == "Fetch orders"
    assert made["isActive"] is False
    assert made["islinked"] is False
    assert made["scheduling"] == {"type": "on-demand"}
    assert made["usedPackages"] == ["http"]
    assert made["nextExec"] is None
    assert (await acme.ask("GET", f"/scenarios/{made['id']}"))["scenario"] == made


async def test_what_the_client_took_out_of_the_blueprint_is_put_back(acme):
    made = await make(acme, metadata={"input_spec": [FIELD], "output_spec": []})
    path = f"/scenarios/{made['id']}"
    assert (await acme.ask("GET", f"{path}/interface"))["interface"]["input"] == [FIELD]
    answer = await acme.ask("GET", f"{path}/blueprint")
    assert answer["code"] == "OK"
    assert answer["response"]["metadata"] == {"input_spec": [FIELD], "output_spec": []}
    assert answer["response"]["idSequence"] == 2
    renamed = {"name": "Renamed", "metadata": {"input_spec": [], "output_spec": []}}
    assert (await acme.ask("PATCH", path, renamed))["scenario"]["name"] == "Renamed"
    assert (await acme.ask("GET", f"{path}/interface"))["interface"]["input"] == [FIELD]


async def test_an_interface_is_declared_and_makes_a_version(acme):
    path = f"/scenarios/{(await make(acme))['id']}"
    declared = {"interface": {"input": [FIELD], "output": []}}
    assert (await acme.ask("PATCH", f"{path}/interface", declared))["interface"] == {"input": [FIELD], "output": []}
    versions = (await acme.ask("GET", f"{path}/blueprints"))["scenariosBlueprints"]
    assert [each["version"] for each in versions] == [2, 1]
    first = await acme.ask("GET", f"{path}/blueprint?blueprintId=1")
    assert "interface" not in first["response"]["blueprint"]


@pytest.mark.parametrize(
    "url", ["http://shop.example/", "https://127.0.0.1/", "https://10.0.0.1/x", "ftp://shop.example/", "nonsense"]
)
async def test_a_run_that_is_to_be_told_to_an_address_nothing_goes_to_is_refused(acme, url):
    path = f"/scenarios/{(await make(acme))['id']}"
    await acme.ask("POST", f"{path}/start")
    told = refusal(await acme.send("POST", f"{path}/run", {"callbackUrl": url}), 422, "invalid_url")
    assert set(told["fields"]) == {"callbackUrl"}
    assert (await acme.ask("GET", f"{path}/logs"))["scenarioLogs"] == []
    await acme.ask("POST", f"{path}/run", {"callbackUrl": "https://shop.example/told"})
    assert len((await acme.ask("GET", f"{path}/logs"))["scenarioLogs"]) == 1


async def test_changes_are_made_together_or_not_at_all(acme):
    made = await make(acme)
    path = f"/scenarios/{made['id']}"
    better = blueprint(webhook(), call(2, "get", "https://shop.example/"))
    too_much = {"name": "x" * 200, "blueprint": better, "scheduling": {"type": "immediately"}}
    assert (await acme.send("PATCH", path, too_much)).status == 422
    assert (await acme.ask("GET", path))["scenario"] == made
    both = {"description": "Waits for orders.", "blueprint": better, "scheduling": {"type": "immediately"}}
    changed = (await acme.ask("PATCH", path, both))["scenario"]
    assert changed["description"] == "Waits for orders."
    assert changed["scheduling"] == {"type": "immediately"}
    assert changed["scenarioVersion"] == 2


async def test_starting_and_stopping_say_what_clients_expect(acme):
    path = f"/scenarios/{(await make(acme))['id']}"
    assert refusal(await acme.send("POST", f"{path}/stop"), 400, "not_running")["detail"] == "Scenario is not running."
    assert refusal(await acme.send("POST", f"{path}/run"), 400, "not_activated")["detail"].startswith(
        "Scenario is not activated"
    )
    assert (await acme.ask("POST", f"{path}/start"))["scenario"]["isActive"] is True
    assert (
        refusal(await acme.send("POST", f"{path}/start"), 400, "already_running")["detail"]
        == "Scenario is already running."
    )
    assert (await acme.ask("GET", path))["scenario"]["islinked"] is True
    assert (await acme.ask("POST", f"{path}/stop"))["scenario"]["isActive"] is False


async def test_a_list_is_sorted_cut_narrowed_and_filtered(acme):
    made = [await make(acme, PLAIN | {"name": name}) for name in ("b", "c", "a")]
    await acme.ask("POST", f"/scenarios/{made[1]['id']}/start")
    team = f"/scenarios?teamId={acme.facts.team_id}"

    async def names(more=""):
        return [each["name"] for each in (await acme.ask("GET", team + more))["scenarios"]]

    assert await names() == ["b", "c", "a"]
    assert await names("&pg[sortBy]=name") == ["a", "b", "c"]
    assert await names("&pg[sortBy]=name&pg[sortDir]=desc&pg[limit]=2") == ["c", "b"]
    assert await names("&pg[offset]=1&pg[limit]=1") == ["c"]
    assert await names("&isActive=true") == ["c"]
    assert await names("&isActive=false") == ["b", "a"]
    assert await names(f"&id[]={made[0]['id']}&id[]={made[2]['id']}") == ["b", "a"]
    shown = await acme.ask("GET", f"{team}&cols[]=id&cols[]=name&pg[limit]=1")
    assert shown["scenarios"] == [{"id": made[0]["id"], "name": "b"}]
    whole = await acme.ask("GET", f"/scenarios?organizationId={acme.facts.organization_id}")
    assert len(whole["scenarios"]) == 3


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        pytest.param("", 400, "Missing required parameter teamId or organizationId", id="neither"),
        pytest.param("?teamId=T&organizationId=O", 400, "cannot be used together", id="both"),
        pytest.param("?organizationId=1", 404, "no such organization", id="another organization"),
        pytest.param("?organizationId=O&pg[sortBy]=secret", 400, "sorted by id or name", id="unknown column"),
        pytest.param("?organizationId=O&pg[sortBy]=id;drop", 400, "sorted by id or name", id="SQL for a column"),
        pytest.param("?organizationId=O&isActive=maybe", 400, "true or false", id="no truth"),
        pytest.param("?organizationId=O&id[]=1%20OR%201=1", 400, "whole numbers", id="SQL for an id"),
        pytest.param("?organizationId=O&pg[limit]=-1", 400, "whole number", id="odd limit"),
    ],
)
async def test_a_list_that_cannot_be_is_refused_with_a_sentence(acme, query, status, sentence):
    query = query.replace("T&", f"{acme.facts.team_id}&").replace("=O", f"={acme.facts.organization_id}")
    answer = await acme.send("GET", f"/scenarios{query}")
    assert answer.status == status
    assert sentence in answer.json()["detail"]


async def test_deleted_is_gone_and_strangers_find_nothing(api, acme):
    path = f"/scenarios/{(await make(acme))['id']}"
    stranger = await api.integrator("Other")
    for method, more in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/start"), ("GET", "/blueprint")):
        body = {"name": "Mine"} if method == "PATCH" else None
        assert (await stranger.send(method, path + more, body)).status == 404
    assert await acme.ask("DELETE", path) == {"scenario": int(path.split("/")[2])}
    assert (await acme.send("GET", path)).status == 404


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"blueprint": "{"}, "not valid JSON", id="broken text"),
        pytest.param({"blueprint": "[]"}, "blueprint", id="no object"),
        pytest.param({"teamId": "1"}, "teamId", id="a text for a number"),
        pytest.param({"name": "x" * 300}, "name", id="a long name"),
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused_with_a_sentence(acme, change, word):
    body = {"teamId": acme.facts.team_id, "blueprint": PLAIN} | change
    answer = await acme.send("POST", "/scenarios", body)
    assert 400 <= answer.status < 500
    assert word in json.dumps(answer.json())


async def test_a_copy_is_switched_off_and_has_an_address_of_its_own(acme):
    document = blueprint(webhook(), call(2, "get", "https://shop.example/")) | {"name": "Orders"}
    made = await make(acme, document, scheduling=json.dumps({"type": "immediately"}))
    await acme.ask("POST", f"/scenarios/{made['id']}/start")
    path = f"/scenarios/{made['id']}/clone?organizationId={acme.facts.organization_id}"
    body = {"name": "Copy", "teamId": acme.facts.team_id}
    copy = (await acme.ask("POST", path, body))["scenario"]
    assert (copy["name"], copy["isActive"], copy["scheduling"]) == ("Copy", False, {"type": "immediately"})
    assert copy["hookId"] not in {None, made["hookId"]}
    assert (await acme.ask("GET", f"/scenarios/{made['id']}"))["scenario"]["isActive"] is True
    assert (await acme.send("POST", path.partition("?")[0], body)).status == 400
