"""Data stores over the API: the official shapes, and who sees what."""

import pytest

from support.portal import refusal

MEGABYTE = 1024 * 1024


async def _store(acme, **more):
    body = {"name": "Contacts", "teamId": acme.facts.team_id, "maxSizeMB": 1} | more
    return (await acme.ask("POST", "/data-stores", body))["dataStore"]


async def test_a_new_store_is_empty_and_has_its_size_as_text(acme):
    made = await _store(acme)
    assert made == {
        "id": made["id"],
        "name": "Contacts",
        "records": 0,
        "size": "0",
        "maxSize": str(MEGABYTE),
        "teamId": acme.facts.team_id,
        "datastructureId": None,
    }
    assert await acme.ask("GET", f"/data-stores/{made['id']}") == {"dataStore": made}


async def test_a_list_is_of_one_team_sorted_and_paged(acme):
    team = acme.facts.team_id
    for name in ("beta", "Alpha", "gamma"):
        await _store(acme, name=name)
    other = await acme.another_team("dana")
    await _store(acme, name="theirs", teamId=other)
    listed = await acme.ask("GET", f"/data-stores?teamId={team}")
    assert [store["name"] for store in listed["dataStores"]] == ["Alpha", "beta", "gamma"]
    assert listed["pg"] == {"sortBy": "name", "sortDir": "asc", "limit": 10_000, "offset": 0}
    page = await acme.ask(
        "GET", f"/data-stores?teamId={team}&pg%5Blimit%5D=1&pg[offset]=1&pg[sortBy]=id&pg[sortDir]=desc"
    )
    assert [store["name"] for store in page["dataStores"]] == ["Alpha"]
    assert page["pg"] == {"sortBy": "id", "sortDir": "desc", "limit": 1, "offset": 1}


async def test_columns_that_were_not_asked_for_are_absent(acme):
    made = await _store(acme)
    listed = await acme.ask("GET", f"/data-stores?teamId={acme.facts.team_id}&cols[]=id&cols[]=records")
    assert listed["dataStores"] == [{"id": made["id"], "records": 0}]
    assert (await acme.ask("GET", f"/data-stores/{made['id']}?cols%5B%5D=*"))["dataStore"] == made


@pytest.mark.parametrize(
    "query",
    ["pg[limit]=x", "pg[offset]=-1", "pg[sortDir]=up", "pg[sortBy]=nothing", "pg[offset]=99999999999"],
)
async def test_a_page_that_makes_no_sense_is_refused(acme, query):
    await _store(acme)
    answer = await acme.send("GET", f"/data-stores?teamId={acme.facts.team_id}&{query}")
    refusal(answer, 400, "invalid_page")


async def test_a_list_needs_its_team(acme):
    told = refusal(await acme.send("GET", "/data-stores"), 400, "team_required")
    assert "teamId" in told["detail"]


async def test_a_store_can_be_renamed_and_resized_but_not_below_what_it_holds(acme):
    made = await _store(acme)
    target = f"/data-stores/{made['id']}"
    changed = await acme.ask("PATCH", target, {"name": "People", "maxSizeMB": 2})
    assert changed["dataStore"] == made | {"name": "People", "maxSize": str(2 * MEGABYTE)}
    refusal(await acme.send("PATCH", target, {"maxSizeMB": 11}), 400, "data_store_size")
    assert (await acme.ask("PATCH", target, {}))["dataStore"]["name"] == "People"


async def test_deleting_needs_a_confirmation_and_takes_the_records_along(acme):
    made = await _store(acme)
    target = f"/data-stores/{made['id']}"
    await acme.ask("POST", f"{target}/data", {"key": "a", "data": {}})
    refusal(await acme.send("DELETE", target), 406, "IM004")
    await acme.ask("DELETE", f"{target}?confirmed=true")
    refusal(await acme.send("GET", target), 404, "not_found")
    refusal(await acme.send("GET", f"{target}/data"), 404, "not_found")


async def test_another_organization_finds_nothing(acme, api):
    made = await _store(acme)
    await acme.ask("POST", f"/data-stores/{made['id']}/data", {"key": "a", "data": {"secret": 1}})
    rival = await api.integrator("Rival")
    target = f"/data-stores/{made['id']}"
    refusal(await rival.send("GET", target), 404, "not_found")
    refusal(await rival.send("PATCH", target, {"name": "mine"}), 404, "not_found")
    refusal(await rival.send("DELETE", f"{target}?confirmed=true"), 404, "not_found")
    refusal(await rival.send("GET", f"{target}/data"), 404, "not_found")
    refusal(await rival.send("PUT", f"{target}/data/a", {}), 404, "not_found")
    refusal(await rival.send("DELETE", f"{target}/data?confirmed=true", {"keys": ["a"]}), 404, "not_found")
    refusal(await rival.send("GET", f"/data-stores?teamId={acme.facts.team_id}"), 404, "not_found")
    body = {"name": "x", "teamId": acme.facts.team_id, "maxSizeMB": 1}
    refusal(await rival.send("POST", "/data-stores", body), 404, "not_found")
    assert (await acme.ask("GET", target))["dataStore"]["records"] == 1


async def test_a_request_narrowed_to_one_team_does_not_find_another_team_s_store(acme):
    made = await _store(acme)
    other = await acme.another_team("eve")
    refusal(await acme.send("GET", f"/data-stores/{made['id']}?teamId={other}"), 404, "not_found")
    assert (await acme.send("GET", f"/data-stores/{made['id']}?teamId={made['teamId']}")).status == 200


async def test_without_a_token_or_with_a_wrong_one_nobody_gets_in(acme, api):
    answer = await api.client.send("GET", f"/api/v2/data-stores?teamId={acme.facts.team_id}")
    refusal(answer, 401, "token_missing")
    wrong = "00000000-0000-4000-8000-000000000000"
    assert (await acme.send("GET", f"/data-stores?teamId={acme.facts.team_id}", token=wrong)).status == 401


async def test_bearer_is_as_good_as_token(acme, api):
    headers = [("Authorization", f"Bearer {acme.facts.api_token}")]
    answer = await api.client.send("GET", f"/api/v2/data-stores?teamId={acme.facts.team_id}", headers=headers)
    assert answer.status == 200


@pytest.mark.parametrize("target", ["/data-stores/0", "/data-stores/abc", "/data-stores/99999999999999999"])
async def test_what_is_no_id_is_not_found(acme, target):
    refusal(await acme.send("GET", target), 404, "not_found")


async def test_the_members_of_a_body_are_checked_one_by_one(acme):
    answer = await acme.send("POST", "/data-stores", {"teamId": "1", "maxSizeMB": 0})
    told = refusal(answer, 422, "invalid_body")
    assert set(told["fields"]) == {"name", "teamId", "maxSizeMB"}


async def test_an_organization_has_no_more_stores_than_it_may(acme, api):
    for number in range(api.limits.stores):
        await _store(acme, name=f"store {number}")
    body = {"name": "one more", "teamId": acme.facts.team_id, "maxSizeMB": 1}
    refusal(await acme.send("POST", "/data-stores", body), 409, "data_stores_limit")


async def test_a_customer_s_stores_and_structures_go_with_its_team(acme):
    team = await acme.another_team("zoe")
    body = {"name": "S", "teamId": team, "spec": [{"name": "n", "type": "number"}]}
    structure = (await acme.ask("POST", "/data-structures", body))["dataStructure"]["id"]
    made = await _store(acme, teamId=team, datastructureId=structure)
    await acme.ask("POST", f"/data-stores/{made['id']}/data", {"data": {"n": 1}})
    await acme.delete_customer("zoe")
    refusal(await acme.send("GET", f"/data-stores/{made['id']}"), 404, "not_found")
    refusal(await acme.send("GET", f"/data-structures/{structure}"), 404, "not_found")
