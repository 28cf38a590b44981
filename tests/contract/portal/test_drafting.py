"""Scenarios without a wizard: made from blueprints, saved, cloned and deleted by administrators."""

import pytest

from make_bridge.domain.scenarios.messages import (
    CreateScenario,
    DeleteScenario,
    GetBlueprint,
    GetHook,
    Hook,
    SaveBlueprint,
)
from make_bridge.kernel.ids import HookId
from support.portal import DANA_TEAM, EVE_TEAM, ROOT_TEAM, refusal, scenario

LINES = ("PUT /scenarios/{}/blueprint", "POST /scenarios/{}/clone", "DELETE /scenarios/{}")
BODY = b'{"blueprint": {"flow": []}}'


@pytest.fixture(autouse=True)
def answers(portal):
    hook = Hook(id=HookId(11264), team_id=DANA_TEAM, name="Orders", token="tok", scenario_id=None, enabled=True)
    portal.buses.answers |= {
        CreateScenario: scenario(is_invalid=True, is_active=False),
        SaveBlueprint: scenario(blueprint_version=2, hook_id=hook.id),
        GetBlueprint: {"flow": [1]},
        GetHook: hook,
        DeleteScenario: None,
    }


async def test_a_scenario_made_from_a_blueprint_says_whether_it_can_run(portal):
    told = (await portal.post("/scenarios", sub="*", body=BODY)).json()
    assert (told["isInvalid"], told["blueprintVersion"], told["hookUrl"]) == (True, 1, None)
    assert told["scenario"]["id"] == 7168
    command = portal.buses.one(CreateScenario)
    assert (command.team_id, command.blueprint, command.name) == (ROOT_TEAM, {"flow": []}, None)


async def test_it_is_made_in_the_team_that_is_named(portal):
    await portal.post(f"/scenarios?teamId={EVE_TEAM}", sub="*", body=BODY)
    assert portal.buses.one(CreateScenario).team_id == EVE_TEAM


async def test_a_saved_blueprint_answers_with_its_version_and_the_webhook_s_address(portal):
    told = (await portal.send("PUT", "/scenarios/7168/blueprint", sub="*", body=BODY)).json()
    assert (told["blueprintVersion"], told["hookUrl"]) == (2, "https://bridge.example/hook/tok")


@pytest.mark.parametrize(("body", "name"), [(b"", "Orders (copy)"), (b'{"name": "Second"}', "Second")])
async def test_a_clone_stays_in_the_team_of_its_original(portal, body, name):
    await portal.post("/scenarios/7168/clone", sub="*", body=body)
    command = portal.buses.one(CreateScenario)
    assert (command.team_id, command.name, command.blueprint) == (DANA_TEAM, name, {"flow": [1]})


async def test_deleting_says_what_was_done(portal):
    answer = await portal.send("DELETE", "/scenarios/7168", sub="*")
    assert answer.json() == {"message": "The scenario was deleted."}
    assert portal.buses.one(DeleteScenario).scenario_id == 7168


@pytest.mark.parametrize("line", LINES)
async def test_outside_of_the_team_that_is_named_nothing_is_found(portal, line):
    method, target = line.format(7168).split()
    refusal(await portal.send(method, f"{target}?teamId={EVE_TEAM}", sub="*", body=BODY), 404, "not_found")
    assert [type(message).__name__ for _, message in portal.buses.dispatched] == ["GetScenario"]
