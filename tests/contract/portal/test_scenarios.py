"""Scenarios, their runs and their logs, shape by shape as the Bridge API has them."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from make_bridge.domain.executions.messages import (
    Execution,
    ExecutionDetail,
    GetExecution,
    GetUsage,
    ListExecutions,
    RunScenario,
    UsageDay,
)
from make_bridge.domain.scenarios.messages import (
    ActivateScenario,
    BlueprintVersion,
    DeactivateScenario,
    GetBlueprint,
    GetInterface,
    Interface,
    ListBlueprints,
    ListScenarios,
)
from make_bridge.kernel.errors import Conflict
from make_bridge.kernel.ids import ExecutionId, ScenarioId
from support.portal import ACME, DANA_TEAM, EVE_TEAM, NOW, refusal, scenario

EXECUTION = ExecutionId("0199f0e1a2b31000" + "0123456789abcdef")
RUN_URL = f"https://bridge.example/portal/api/bridge/scenarios/7168/logs/{EXECUTION}"
SHAPE = {
    "id": 7168,
    "name": "Orders",
    "isActive": True,
    "islocked": False,
    "isPaused": False,
    "usedPackages": ["gateway", "http"],
    "scheduling": {"type": "immediately"},
    "iswaiting": False,
    "nextExec": None,
}
ROW = {
    "id": EXECUTION,
    "imtId": EXECUTION,
    "status": 1,
    "type": "auto",
    "instant": True,
    "timestamp": "2026-11-22T12:00:00.123Z",
    "duration": 12,
    "operations": 3,
    "centicredits": 300,
    "transfer": 100,
    "teamId": DANA_TEAM,
    "organizationId": ACME,
}


def execution(**changes):
    made = Execution(
        id=EXECUTION,
        scenario_id=ScenarioId(7168),
        status=1,
        origin="webhook",
        created_at=NOW,
        duration_ms=12,
        operations=3,
        transfer=100,
    )
    return replace(made, **changes)


@pytest.fixture(autouse=True)
def answers(portal):
    detail = ExecutionDetail(execution=execution(), outputs={"total": 3}, error=None, steps=[{"moduleId": 1}])
    portal.buses.answers |= {
        ActivateScenario: lambda command: command.scenario_id,
        DeactivateScenario: lambda command: command.scenario_id,
        RunScenario: EXECUTION,
        GetExecution: detail,
        ListExecutions: [execution()],
        GetUsage: [UsageDay(date=date(2026, 11, 22), operations=5, data_transfer=6)],
        GetBlueprint: {"name": "Orders", "flow": []},
        ListBlueprints: [BlueprintVersion(version=2, created_at=NOW, blueprint={"flow": []})],
        GetInterface: Interface(input=[{"name": "a"}], output=None),
        ListScenarios: [],
    }


@pytest.mark.parametrize("target", ["/scenarios", "/scenarios/", "/api/bridge/scenarios", "/api/scenarios/"])
async def test_the_list_holds_scenarios_made_through_the_wizard(portal, target):
    portal.buses.answers[ListScenarios] = [scenario()]
    assert (await portal.get(target)).json() == {"scenarios": [SHAPE]}
    query = portal.buses.one(ListScenarios)
    assert (query.team_id, query.from_templates_only) == (DANA_TEAM, True)


async def test_a_list_longer_than_a_page_is_complete(portal):
    many = [scenario(number) for number in range(1, 2501)]
    portal.buses.answers[ListScenarios] = lambda query: [one for one in many if one.id > query.after][: query.limit]
    assert len((await portal.get("/scenarios/")).json()["scenarios"]) == 2500


async def test_an_administrator_lists_the_whole_organization_or_one_team(portal):
    await portal.get("/scenarios/", sub="*")
    await portal.get(f"/scenarios/?teamId={EVE_TEAM}", sub="*")
    assert [query.team_id for query in portal.buses.messages(ListScenarios)] == [None, EVE_TEAM]


async def test_one_scenario_is_shown_unwrapped_with_every_member(portal):
    assert (await portal.get("/scenarios/7168")).json() == SHAPE


async def test_the_next_run_is_told_as_browsers_write_moments(portal):
    moment = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
    portal.buses.scenarios[7168] = scenario(next_run_at=moment, is_active=False, is_paused=True)
    told = (await portal.get("/scenarios/7168")).json()
    assert (told["nextExec"], told["isActive"], told["isPaused"]) == ("2026-11-23T01:02:03.000Z", False, True)


@pytest.mark.parametrize("verb", ["activate", "deactivate"])
async def test_a_switch_answers_with_the_bare_id(portal, verb):
    assert (await portal.post(f"/scenarios/7168/{verb}/")).json() == {"scenarioId": 7168}


async def test_a_scenario_that_cannot_be_switched_on_says_why(portal):
    portal.buses.answers[ActivateScenario] = Conflict("This scenario cannot be switched on.", code="scenario_invalid")
    refusal(await portal.post("/scenarios/7168/activate"), 409, "scenario_invalid")


# --- run


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"data": null, "responsive": null}', b'{"responsive": false}'])
async def test_a_run_needs_no_body(portal, body):
    answer = await portal.post("/scenarios/7168/run", body=body)
    assert answer.json() == {"executionId": EXECUTION, "statusUrl": RUN_URL}
    assert portal.buses.one(RunScenario) == RunScenario(scenario_id=ScenarioId(7168), inputs={}, origin="manual")
    assert portal.waiter.waited == []


async def test_a_responsive_run_waits_and_answers_with_the_outcome(portal):
    answer = await portal.post("/scenarios/7168/run", body=b'{"data": {"a": 1}, "responsive": true}')
    assert answer.json() == {"executionId": EXECUTION, "statusUrl": RUN_URL, "status": 1, "outputs": {"total": 3}}
    assert portal.buses.one(RunScenario).inputs == {"a": 1}
    assert portal.waiter.waited == [(ACME, EXECUTION, 40.0)]


async def test_a_responsive_run_that_takes_too_long_says_that_it_still_runs(portal):
    running = ExecutionDetail(execution=execution(status=0), outputs=None, error=None, steps=[])
    portal.buses.answers[GetExecution] = running
    told = (await portal.post("/scenarios/7168/run", body=b'{"responsive": true}')).json()
    assert (told["status"], told["outputs"]) == (0, None)


async def test_a_scenario_that_is_switched_off_runs_by_hand(portal):
    portal.buses.scenarios[7168] = scenario(is_active=False)
    assert (await portal.post("/scenarios/7168/run")).status == 200


async def test_a_scenario_with_errors_does_not_run(portal):
    portal.buses.scenarios[7168] = scenario(is_invalid=True)
    refusal(await portal.post("/scenarios/7168/run"), 409, "scenario_invalid")
    assert portal.buses.messages(RunScenario) == []


@pytest.mark.parametrize("body", [b'{"data": []}', b'{"responsive": "yes"}', b'{"data": "x"}'])
async def test_a_run_with_a_body_of_the_wrong_form_does_not_start(portal, body):
    refusal(await portal.post("/scenarios/7168/run", body=body), 422, "invalid_body")
    assert portal.buses.dispatched == []


# --- what it did


async def test_usage_is_a_bare_list_of_days(portal):
    answer = await portal.get("/scenarios/7168/usage")
    assert answer.json() == [{"date": "2026-11-22", "operations": 5, "dataTransfer": 6}]


async def test_logs_are_a_bare_list_of_rows(portal):
    assert (await portal.get("/scenarios/7168/logs")).json() == [ROW]


async def test_a_run_by_hand_is_told_from_one_that_came_by_itself(portal):
    portal.buses.answers[ListExecutions] = [execution(origin="manual"), execution(origin="schedule")]
    rows = (await portal.get("/scenarios/7168/logs")).json()
    assert [(row["type"], row["instant"]) for row in rows] == [("manual", False), ("auto", False)]


async def test_one_log_adds_outputs_error_and_every_step(portal):
    answer = await portal.get(f"/scenarios/7168/logs/{EXECUTION}")
    assert answer.json() == {**ROW, "outputs": {"total": 3}, "error": None, "steps": [{"moduleId": 1}]}


@pytest.mark.parametrize("execution_id", ["1", "x" * 32, EXECUTION.upper(), EXECUTION + "0", "%00"])
async def test_an_id_that_no_execution_can_have_is_not_looked_up(portal, execution_id):
    refusal(await portal.get(f"/scenarios/7168/logs/{execution_id}"), 404, "not_found")
    assert portal.buses.dispatched == []


async def test_the_blueprint_and_its_versions_are_wrapped(portal):
    assert (await portal.get("/scenarios/7168/blueprint")).json() == {"blueprint": {"name": "Orders", "flow": []}}
    version = {"version": 2, "created": "2026-11-22T12:00:00.123Z", "scenarioId": 7168, "blueprint": {"flow": []}}
    assert (await portal.get("/scenarios/7168/blueprints")).json() == {"blueprints": [version]}


async def test_an_interface_that_is_not_declared_is_null(portal):
    assert (await portal.get("/scenarios/7168/interface")).json() == {"input": [{"name": "a"}], "output": None}


PARTS = ("", "/usage", "/logs", f"/logs/{EXECUTION}", "/blueprint", "/blueprints", "/interface")


@pytest.mark.parametrize("part", PARTS)
async def test_another_team_s_scenario_shows_nothing(portal, part):
    portal.buses.scenarios[7169] = scenario(7169, EVE_TEAM)
    refusal(await portal.get(f"/scenarios/7169{part}"), 404, "not_found")
    refusal(await portal.get(f"/scenarios/9999{part}", sub="*"), 404, "not_found")
    assert (await portal.get(f"/scenarios/7169{part}", sub="*")).status == 200


@pytest.mark.parametrize("part", PARTS)
async def test_query_parameters_that_nobody_knows_are_no_matter(portal, part):
    assert (await portal.get(f"/scenarios/7168{part}?pg[limit]=5&cols[]=*&x=%00")).status == 200
