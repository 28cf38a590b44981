"""Folders of scenarios over the API as Make's clients use it."""

import asyncio

import pytest

from support.api_v2 import MOST_DEPTH, MOST_FOLDERS
from support.blueprints import blueprint, call
from support.portal import refusal

PLAIN = blueprint(call(1, "get", "https://shop.example/")) | {"name": "Fetch orders"}


async def folder(integrator, name, parent=None, team=None):
    body = {"name": name, "teamId": team or integrator.facts.team_id, "parentId": parent}
    return (await integrator.ask("POST", "/scenarios-folders", body))["scenarioFolder"]


async def scenario(integrator, where=None, team=None):
    body = {"teamId": team or integrator.facts.team_id, "blueprint": PLAIN}
    if where is not None:
        body["folderId"] = where
    return (await integrator.ask("POST", "/scenarios", body))["scenario"]


async def listed(integrator, more=""):
    answer = await integrator.ask("GET", f"/scenarios-folders?teamId={integrator.facts.team_id}{more}")
    return answer["scenariosFolders"]


async def test_folders_stand_in_each_other_and_count_what_they_hold(acme):
    shop = await folder(acme, "Shop")
    orders = await folder(acme, "orders", shop["id"])
    late = await folder(acme, "late", orders["id"])
    await folder(acme, "Attic")
    await scenario(acme, shop["id"])
    await scenario(acme, late["id"])
    attic, found = await listed(acme)
    assert attic["name"] == "Attic"
    assert attic["hasChildren"] is False
    [child] = found.pop("children")
    assert found == {
        "id": shop["id"],
        "name": "Shop",
        "path": "Shop",
        "teamId": acme.facts.team_id,
        "parentId": None,
        "position": None,
        "scenariosTotal": 1,
        "scenariosSubtreeTotal": 2,
        "hasChildren": True,
    }
    assert child["path"] == "Shop/orders"
    assert child["hasChildren"] is True
    assert "children" not in child
    [direct] = await listed(acme, f"&parentId={shop['id']}")
    assert direct["id"] == orders["id"]
    assert direct["children"][0]["path"] == "Shop/orders/late"
    everything = await listed(acme, "&childrenDepth=all&cols[]=name&cols[]=children")
    below = {"name": "orders", "children": [{"name": "late", "children": []}]}
    assert everything == [{"name": "Attic", "children": []}, {"name": "Shop", "children": [below]}]
    assert await listed(acme, "&cols[]=id&pg[sortDir]=desc&pg[limit]=1") == [{"id": shop["id"]}]


async def test_a_scenario_is_put_into_a_folder_found_there_and_taken_out(acme):
    first, second = await folder(acme, "First"), await folder(acme, "Second")
    made = await scenario(acme, first["id"])
    assert made["folderId"] == first["id"]
    path = f"/scenarios/{made['id']}"
    assert (await acme.ask("GET", f"{path}?cols[]=folderId"))["scenario"] == {"folderId": first["id"]}
    other = await scenario(acme)
    assert other["folderId"] is None

    async def within(where):
        found = await acme.ask("GET", f"/scenarios?teamId={acme.facts.team_id}&folderId={where}")
        return [each["id"] for each in found["scenarios"]]

    assert await within(first["id"]) == [made["id"]]
    assert (await acme.ask("PATCH", path, {"folderId": second["id"]}))["scenario"]["folderId"] == second["id"]
    assert (await acme.ask("PATCH", path, {"name": "Renamed"}))["scenario"]["folderId"] == second["id"]
    assert (await within(first["id"]), await within(second["id"])) == ([], [made["id"]])
    assert (await acme.ask("PATCH", path, {"folderId": None}))["scenario"]["folderId"] is None


async def test_a_copy_stands_beside_its_original_unless_it_is_told_otherwise(acme):
    where, elsewhere = await folder(acme, "Here"), await folder(acme, "There")
    made = await scenario(acme, where["id"])
    team = await acme.another_team("dana")
    path = f"/scenarios/{made['id']}/clone?organizationId={acme.facts.organization_id}"

    async def copied(**more):
        answer = await acme.ask("POST", path, {"name": "Copy", "teamId": acme.facts.team_id} | more)
        return answer["scenario"]["folderId"]

    assert await copied() == where["id"]
    assert await copied(folderId=elsewhere["id"]) == elsewhere["id"]
    assert await copied(folderId=None) is None
    assert await copied(teamId=team) is None
    body = {"name": "Copy", "teamId": team, "folderId": where["id"]}
    assert "no such folder in this team" in refusal(await acme.send("POST", path, body), 404, "not_found")["detail"]


async def test_what_a_deleted_folder_holds_moves_to_where_it_stood(acme):
    top = await folder(acme, "top")
    middle = await folder(acme, "middle", top["id"])
    bottom = await folder(acme, "bottom", middle["id"])
    held, deep = await scenario(acme, middle["id"]), await scenario(acme, bottom["id"])
    assert await acme.ask("DELETE", f"/scenarios-folders/{middle['id']}") == {"scenarioFolder": middle["id"]}
    [found] = await listed(acme, "&childrenDepth=all")
    assert found["scenariosTotal"] == 1
    assert [each["path"] for each in found["children"]] == ["top/bottom"]
    await acme.ask("DELETE", f"/scenarios-folders/{top['id']}")
    assert (await acme.ask("GET", f"/scenarios/{held['id']}"))["scenario"]["folderId"] is None
    assert (await acme.ask("GET", f"/scenarios/{deep['id']}"))["scenario"]["folderId"] == bottom["id"]
    assert (await acme.send("DELETE", f"/scenarios-folders/{top['id']}")).status == 404


async def test_a_folder_is_renamed_and_moved_but_never_into_itself(acme):
    shop = await folder(acme, "Shop")
    orders = await folder(acme, "Orders", shop["id"])
    path = f"/scenarios-folders/{orders['id']}"
    assert (await acme.ask("PATCH", path, {"name": "Sales"}))["scenarioFolder"]["path"] == "Shop/Sales"
    assert (await acme.ask("PATCH", f"{path}?cols[]=path", {"parentId": None}))["scenarioFolder"] == {"path": "Sales"}
    assert (await acme.ask("PATCH", path, {"parentId": shop["id"]}))["scenarioFolder"]["path"] == "Shop/Sales"
    for inside in (orders["id"], shop["id"]):
        answer = await acme.send("PATCH", f"/scenarios-folders/{shop['id']}", {"parentId": inside})
        assert "into itself" in refusal(answer, 422, "invalid_input")["detail"]


async def test_number_and_depth_are_bounded(acme):
    chain = [await folder(acme, "1")]
    for number in range(2, MOST_DEPTH + 1):
        chain.append(await folder(acme, str(number), chain[-1]["id"]))
    body = {"name": "deeper", "teamId": acme.facts.team_id, "parentId": chain[-1]["id"]}
    assert (
        "stand in each other"
        in refusal(await acme.send("POST", "/scenarios-folders", body), 409, "folder_depth")["detail"]
    )
    pair = [await folder(acme, "a")]
    pair.append(await folder(acme, "b", pair[0]["id"]))
    moved = await acme.send("PATCH", f"/scenarios-folders/{pair[0]['id']}", {"parentId": chain[-2]["id"]})
    refusal(moved, 409, "folder_depth")
    await acme.ask("PATCH", f"/scenarios-folders/{pair[0]['id']}", {"parentId": chain[-3]["id"]})
    for number in range(MOST_FOLDERS - MOST_DEPTH - 2):
        await folder(acme, f"more {number}")
    one_more = {"name": "one more", "teamId": acme.facts.team_id}
    assert (
        "at most 8 folders"
        in refusal(await acme.send("POST", "/scenarios-folders", one_more), 409, "folders_limit")["detail"]
    )


async def test_moves_at_the_same_time_never_make_a_circle(acme):
    one, two = await folder(acme, "one"), await folder(acme, "two")
    paths = [f"/scenarios-folders/{each['id']}" for each in (one, two)]
    for _ in range(10):
        for path in paths:
            await acme.ask("PATCH", path, {"parentId": None})
        first = acme.send("PATCH", paths[0], {"parentId": two["id"]})
        second = acme.send("PATCH", paths[1], {"parentId": one["id"]})
        answers = await asyncio.gather(first, second)
        assert sorted(answer.status for answer in answers) == [200, 422]
        [found] = await listed(acme)
        assert len(found["children"]) == 1


async def test_a_scenario_made_while_its_folder_is_deleted_stands_in_it_nowhere(acme):
    for _ in range(5):
        where = await folder(acme, "brief")
        body = {"teamId": acme.facts.team_id, "blueprint": PLAIN, "folderId": where["id"]}
        made, gone = await asyncio.gather(
            acme.send("POST", "/scenarios", body), acme.send("DELETE", f"/scenarios-folders/{where['id']}")
        )
        assert gone.status == 200
        assert made.status in {200, 404}
    found = (await acme.ask("GET", f"/scenarios?teamId={acme.facts.team_id}&cols[]=folderId"))["scenarios"]
    assert all(each == {"folderId": None} for each in found)


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        pytest.param("", 400, "teamId", id="no team"),
        pytest.param("?teamId=T&parentId=x", 400, "number of a folder", id="no number"),
        pytest.param("?teamId=T&parentId=7", 404, "no such folder", id="unknown folder"),
        pytest.param("?teamId=T&childrenDepth=2", 400, "childrenDepth is all", id="odd depth"),
        pytest.param("?teamId=T&pg[sortBy]=secret", 400, "sorted by", id="unknown column"),
    ],
)
async def test_a_list_that_cannot_be_is_refused_with_a_sentence(acme, query, status, sentence):
    await folder(acme, "one")
    answer = await acme.send("GET", "/scenarios-folders" + query.replace("T", str(acme.facts.team_id)))
    assert answer.status == status
    assert sentence in answer.json()["detail"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 121, "a\nb", "\ud800"], ids=["none", "blank", "long", "line", "half"])
async def test_a_name_that_cannot_be_shown_is_refused(acme, name):
    answer = await acme.send("POST", "/scenarios-folders", {"name": name, "teamId": acme.facts.team_id})
    assert answer.status in {400, 422}


async def test_another_teams_folder_takes_nothing_in_and_strangers_find_none(api, acme):
    team = await acme.another_team("dana")
    theirs, own = await folder(acme, "theirs", team=team), await folder(acme, "own")
    made = await scenario(acme)
    bodies = [
        ("POST", "/scenarios", {"teamId": acme.facts.team_id, "blueprint": PLAIN, "folderId": theirs["id"]}),
        ("PATCH", f"/scenarios/{made['id']}", {"folderId": theirs["id"]}),
        ("POST", "/scenarios-folders", {"name": "x", "teamId": acme.facts.team_id, "parentId": theirs["id"]}),
        ("PATCH", f"/scenarios-folders/{own['id']}", {"parentId": theirs["id"]}),
        ("GET", f"/scenarios?teamId={acme.facts.team_id}&folderId={theirs['id']}", None),
        ("PATCH", f"/scenarios-folders/{theirs['id']}?teamId={acme.facts.team_id}", {"name": "mine"}),
        ("DELETE", f"/scenarios-folders/{theirs['id']}?teamId={acme.facts.team_id}", None),
    ]
    for method, path, body in bodies:
        answer = await acme.send(method, path, body)
        assert answer.status == 404, (method, path)
        assert "There is no such" in answer.json()["detail"]
    stranger = await api.integrator("Other")
    assert (await stranger.send("PATCH", f"/scenarios-folders/{own['id']}", {"name": "mine"})).status == 404
    assert (await stranger.send("DELETE", f"/scenarios-folders/{own['id']}")).status == 404
    whole = f"/scenarios?organizationId={stranger.facts.organization_id}&folderId={own['id']}"
    assert (await stranger.send("GET", whole)).status == 404
    assert len(await listed(acme)) == 1


async def test_a_team_goes_with_its_folders(acme):
    organization_id = acme.facts.organization_id
    made = (await acme.ask("POST", "/teams", {"name": "Brief", "organizationId": organization_id}))["team"]
    outer = await folder(acme, "outer", team=made["id"])
    await folder(acme, "inner", outer["id"], team=made["id"])
    await acme.ask("DELETE", f"/teams/{made['id']}?confirmed=true")
