"""Data structures over the API: the official shapes, copies, and what is no structure."""

from typing import Any

import pytest

from support.portal import refusal

SPEC = [{"name": "email", "type": "email", "label": "E-mail", "required": True, "help": "unknown keys stay"}]


async def _structure(acme, **more):
    body = {"name": "Contact", "teamId": acme.facts.team_id, "spec": SPEC} | more
    return (await acme.ask("POST", "/data-structures", body))["dataStructure"]


async def test_a_structure_goes_through_its_whole_life(acme):
    made = await _structure(acme)
    assert made == {"id": made["id"], "name": "Contact", "teamId": acme.facts.team_id, "spec": SPEC, "strict": False}
    target = f"/data-structures/{made['id']}"
    changed = await acme.ask("PATCH", target, {"strict": True, "name": "Person"})
    assert changed["dataStructure"] == made | {"strict": True, "name": "Person"}
    assert await acme.ask("GET", target) == changed
    refusal(await acme.send("DELETE", target), 406, "IM004")
    await acme.ask("DELETE", f"{target}?confirmed=true")
    refusal(await acme.send("GET", target), 404, "not_found")


async def test_a_list_leaves_the_description_out_unless_it_is_asked_for(acme):
    made = await _structure(acme)
    listed = await acme.ask("GET", f"/data-structures?teamId={acme.facts.team_id}")
    short = {"id": made["id"], "name": "Contact", "teamId": made["teamId"]}
    assert (listed["dataStructures"], listed["pg"]["sortBy"]) == ([short], "name")
    whole = await acme.ask("GET", f"/data-structures?teamId={acme.facts.team_id}&cols[]=*")
    assert whole["dataStructures"] == [made]


async def test_a_copy_may_go_to_another_team_of_the_organization_only(acme, api):
    made, team = await _structure(acme, strict=True), await acme.another_team("dana")
    target = f"/data-structures/{made['id']}/clone"
    copy = (await acme.ask("POST", target, {"name": "Copy", "targetTeamId": team}))["dataStructure"]
    assert copy == made | {"id": copy["id"], "name": "Copy", "teamId": team}
    assert copy["id"] != made["id"]
    assert (await acme.ask("POST", target))["dataStructure"]["teamId"] == made["teamId"]
    rival = await api.integrator("Rival")
    refusal(await acme.send("POST", target, {"targetTeamId": rival.facts.team_id}), 404, "not_found")
    refusal(await rival.send("POST", target, {}), 404, "not_found")


async def test_a_structure_in_use_stays(acme):
    made = await _structure(acme)
    body = {"name": "C", "teamId": acme.facts.team_id, "maxSizeMB": 1, "datastructureId": made["id"]}
    store = (await acme.ask("POST", "/data-stores", body))["dataStore"]
    target = f"/data-structures/{made['id']}?confirmed=true"
    refusal(await acme.send("DELETE", target), 409, "data_structure_in_use")
    await acme.ask("PATCH", f"/data-stores/{store['id']}", {"datastructureId": None})
    await acme.ask("DELETE", target)


async def test_a_store_takes_no_structure_of_another_team(acme):
    made, team = await _structure(acme), await acme.another_team("eve")
    body = {"name": "C", "teamId": team, "maxSizeMB": 1, "datastructureId": made["id"]}
    refusal(await acme.send("POST", "/data-stores", body), 404, "not_found")


def _deep(levels: int) -> list[dict[str, Any]]:
    field: dict[str, Any] = {"name": "a", "type": "text"}
    for _ in range(levels):
        field = {"name": "a", "type": "collection", "spec": [field]}
    return [field]


@pytest.mark.parametrize(
    "spec",
    [
        [{"name": "a"}],
        [{"type": "text"}],
        [{"name": "", "type": "text"}],
        [{"name": "a", "type": "text"}, {"name": "a", "type": "number"}],
        [{"name": "a", "type": "collection", "spec": ["b"]}],
        [{"name": "a", "type": "array", "spec": [{"name": "b"}]}],
        [{"name": str(n), "type": "text"} for n in range(501)],
        _deep(21),
    ],
)
async def test_what_describes_no_fields_is_refused(acme, spec):
    body = {"name": "X", "teamId": acme.facts.team_id, "spec": spec}
    assert (await acme.send("POST", "/data-structures", body)).status in {400, 422}


async def test_an_array_may_describe_its_items_by_one_field(acme):
    spec = [{"name": "tags", "type": "array", "spec": {"type": "text"}}, *_deep(19)]
    assert (await _structure(acme, spec=spec))["spec"] == spec


async def test_a_token_does_what_its_permissions_say_and_no_more(acme):
    await acme.allow_only("datastructures:read", "datastores:read")
    assert (await acme.ask("GET", f"/data-structures?teamId={acme.facts.team_id}"))["dataStructures"] == []
    body = {"name": "X", "teamId": acme.facts.team_id, "spec": []}
    told = refusal(await acme.send("POST", "/data-structures", body), 403, "permission_denied")
    assert "datastructures:write" in told["detail"]
    body = {"name": "X", "teamId": acme.facts.team_id, "maxSizeMB": 1}
    refusal(await acme.send("POST", "/data-stores", body), 403, "permission_denied")
