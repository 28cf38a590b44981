"""Scenarios that no webhook starts, from the outside: schedules, what is kept from run to run, calls of one another.

One server of its own: it takes schedules of a second, and runs one execution at a time, so that a scenario that waits
for another would keep it from running if waiting held the only slot.
"""

from collections.abc import Iterator
from datetime import datetime

import pytest

from support.integrator import Connected, Integrator, new_organization
from support.server import ServerProcess, installed
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 20.0
EVERY_SECOND = {"type": "indefinitely", "interval": 1}
ON_DEMAND = {"type": "on-demand"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"SCHEDULE_SHORTEST_SECONDS": "1", "EXECUTION_CONCURRENCY": "1"}
    with installed("embedded", tmp_path_factory.mktemp("schedules") / "embedded", None, **settings) as installation:
        yield installation.server().start()


@pytest.fixture(scope="module")
def integrator(server):
    return new_organization(server.installation, server.url)


@pytest.fixture
def administrator(integrator: Integrator):
    return integrator.administrator()


def module(number, name, mapper=None, **rest):
    return {"id": number, "module": name, "version": 1, "parameters": {}, "mapper": mapper or {}, **rest}


def returns(number, **outputs):
    return module(number, "scenario-service:ReturnData", outputs)


def blueprint(*flow, name="Scheduled", inputs=None, **settings):
    document = {"name": name, "flow": list(flow), "metadata": {"version": 1, "scenario": settings}}
    interface = {"input": [{"name": each, "type": "any"} for each in inputs or ()], "output": None}
    return document if inputs is None else document | {"interface": interface}


def made(administrator, document, scheduling, *, on=True):
    """Make a scenario, switch it on, and return it."""
    body = {"blueprint": document, "scheduling": scheduling}
    scenario = administrator.post("/scenarios", body)["scenario"]
    if on:
        administrator.post(f"/scenarios/{scenario['id']}/activate")
    return Connected(portal=administrator, id=scenario["id"], hook_url="")


def shown(scenario):
    return scenario.portal.get(f"/scenarios/{scenario.id}")


def ended(scenario, count, *, kind="auto"):
    """Wait until a scenario has so many ended executions; return their logs, oldest first."""

    def read():
        rows = [row for row in scenario.logs() if row["status"] and row["type"] == kind]
        return list(reversed(rows)) if len(rows) >= count else None

    rows = until(read, f"scenario {scenario.id} has run {count} times", within=WITHIN)
    return [scenario.log(row["id"]) for row in rows]


def off(scenario):
    scenario.portal.post(f"/scenarios/{scenario.id}/deactivate")


def run(scenario, **data):
    return scenario.portal.post(f"/scenarios/{scenario.id}/run", {"data": data, "responsive": True})


def test_a_template_with_a_schedule_runs_by_itself_once_a_customer_has_connected_it(integrator, administrator):
    document = blueprint(
        module(1, "util:FunctionIncrement", parameters={"reset": "scenario"}),
        module(2, "scenario-service:NameExecution", {"executionName": "Run {{1.i}}"}),
        returns(3, count="{{1.i}}"),
    )
    body = {"blueprint": document, "scheduling": '{"type":"indefinitely","interval":1}'}
    template_id = administrator.post("/templates", body)["id"]
    version_id = administrator.post(f"/templates/{template_id}/publish")["publicVersionId"]
    scenario = integrator.customer().connect(version_id, {}, scenario={"name": "Mine", "enable": True})
    logs = ended(scenario, 3)
    facts = shown(scenario)
    [listed] = scenario.portal.get("/scenarios/")["scenarios"]
    off(scenario)
    assert facts["scheduling"] == EVERY_SECOND
    assert facts["nextExec"].endswith("Z")
    assert listed["nextExec"] >= facts["nextExec"]
    assert [log["outputs"] for log in logs[:3]] == [{"count": 1}, {"count": 2}, {"count": 3}]
    assert [log["name"] for log in logs[:3]] == ["Run 1", "Run 2", "Run 3"]
    assert (logs[0]["type"], logs[0]["instant"], logs[0]["status"]) == ("auto", False, 1)
    dues = [datetime.fromisoformat(log["tick"]["due"]) for log in logs]
    assert len(set(dues)) == len(dues)
    assert dues == sorted(dues)
    started = [datetime.fromisoformat(log["timestamp"]) for log in logs]
    assert min((began - due).total_seconds() for began, due in zip(started, dues, strict=True)) < 1.0
    assert shown(scenario)["nextExec"] is None


def test_the_next_run_is_shown_in_the_organization_s_own_time_and_follows_a_change(administrator):
    scenario = made(administrator, blueprint(returns(1, a="x")), {"type": "daily", "time": "06:10"})
    assert shown(scenario)["nextExec"].endswith("T06:10:00.000Z")
    changed = administrator.call(
        "PATCH",
        f"/scenarios/{scenario.id}",
        json_body={"name": "Later", "scheduling": '{"type":"daily","time":"7:20"}'},
    )
    assert changed.status == 200
    assert changed.json()["name"] == "Later"
    assert changed.json()["nextExec"].endswith("T07:20:00.000Z")
    off(scenario)


@pytest.mark.parametrize(
    ("document", "scheduling", "words"),
    [
        (blueprint(module(1, "gateway:CustomWebHook")), EVERY_SECOND, "begins with a webhook"),
        (blueprint(returns(1, a="x"), inputs=["a"]), EVERY_SECOND, "takes inputs"),
        (blueprint(returns(1, a="x")), {"type": "immediately"}, "'on-demand'"),
        (blueprint(returns(1, a="x")), {"type": "once", "date": "2020-01-01"}, "never comes due"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused_with_a_sentence(administrator, document, scheduling, words):
    scenario = made(administrator, document, scheduling, on=False)
    refused = administrator.call("POST", f"/scenarios/{scenario.id}/activate")
    assert (refused.status, refused.json()["code"]) == (409, "scheduling_mismatch")
    assert words in refused.json()["detail"]


def test_a_schedule_that_is_none_is_refused_with_every_mistake(administrator):
    body = {"blueprint": blueprint(returns(1, a="x")), "scheduling": {"type": "weekly", "days": [9], "time": "noon"}}
    refused = administrator.call("POST", "/scenarios", json_body=body)
    assert (refused.status, refused.json()["code"]) == (400, "scheduling_invalid")
    assert "numbers from 0 (Sunday)" in refused.json()["detail"]
    assert "time of day" in refused.json()["detail"]


def test_a_schedule_that_is_faster_than_its_scenario_is_told_in_a_warning(administrator):
    scenario = made(administrator, blueprint(module(1, "util:FunctionSleep", {"duration": 2})), EVERY_SECOND)
    logs = ended(scenario, 2)
    off(scenario)
    assert logs[0]["status"] == 1
    assert logs[1]["status"] == 2
    assert logs[1]["tick"]["skipped"] >= 1
    assert "the run before was still going" in logs[1]["warnings"][0]


def test_a_basic_trigger_gives_its_bundles_in_each_cycle(administrator):
    values = [{"spec": [{"name": "n", "value": "1"}]}, {"spec": [{"name": "n", "value": "2"}]}]
    document = blueprint(module(1, "util:BasicTrigger", parameters={"values": values}), returns(2, n="{{1.n}}"))
    scenario = made(administrator, document, ON_DEMAND)
    assert run(scenario)["outputs"] == {"n": "2"}


# --- scenarios that call scenarios; the server has one slot


def child(administrator, *flow, scheduling=ON_DEMAND, on=True, name="Child", **settings):
    document = blueprint(*flow, name=name, inputs=["a", "n"], **settings)
    return made(administrator, document, scheduling, on=on)


def calls(number, scenario_id, *, wait=True, **data):
    parameters = {"scenario": f"SCN_{scenario_id}", "shouldWaitForExecutionEnd": wait}
    return module(number, "scenario-service:CallSubscenario", {"data": data}, version=2, parameters=parameters)


def test_a_scenario_waits_for_another_although_it_holds_the_only_slot(administrator):
    adder = child(administrator, returns(1, sum="{{var.input.a + 1}}"))
    parent = made(administrator, blueprint(calls(1, adder.id, a=41), returns(2, got="{{1.sum}}")), ON_DEMAND)
    answer = run(parent)
    assert (answer["status"], answer["outputs"]) == (1, {"got": 42})
    [log] = ended(adder, 1)
    assert log["outputs"] == {"sum": 42}


def test_a_scenario_that_runs_in_order_can_be_waited_for_too(administrator):
    adder = child(administrator, returns(1, sum="{{var.input.a + 1}}"), sequential=True)
    flow = (calls(1, adder.id, a=1), calls(2, adder.id, a="{{1.sum}}"), returns(3, got="{{2.sum}}"))
    assert run(made(administrator, blueprint(*flow), ON_DEMAND))["outputs"] == {"got": 3}


def test_a_scenario_that_is_not_waited_for_runs_by_itself(administrator):
    adder = child(administrator, returns(1, sum="{{var.input.a + 1}}"))
    flow = (calls(1, adder.id, wait=False, a=1), returns(2, id="{{1.executionId}}"))
    started = run(made(administrator, blueprint(*flow), ON_DEMAND))["outputs"]["id"]
    [log] = ended(adder, 1)
    assert (log["id"], log["outputs"]) == (started, {"sum": 2})


def test_the_error_of_a_called_scenario_is_the_caller_s(administrator):
    broken = child(administrator, module(1, "json:ParseJSON", {"json": "{no"}))
    parent = made(administrator, blueprint(calls(1, broken.id)), ON_DEMAND)
    answer = run(parent)
    assert answer["status"] == 3
    error = parent.log(answer["executionId"])["error"]
    assert error["moduleId"] == 1
    assert "The called scenario failed" in error["message"]


def test_scenarios_that_cannot_be_called_say_why(administrator):
    switched_off = child(administrator, returns(1, a="x"), on=False)
    timed = made(administrator, blueprint(returns(1, a="x")), {"type": "daily", "time": "06:10"})
    for scenario_id, words in ((switched_off.id, "switched off"), (timed.id, "on demand"), (2**52, "no scenario")):
        parent = made(administrator, blueprint(calls(1, scenario_id)), ON_DEMAND)
        answer = run(parent)
        assert answer["status"] == 3
        assert words in parent.log(answer["executionId"])["error"]["message"]
    off(timed)


def test_a_chain_of_calls_ends_at_ten(administrator):
    """The scenario calls itself with n + 1, and returns how deep it came."""
    looping = child(administrator, returns(1, n="x"), name="Loop")
    document = blueprint(
        calls(1, looping.id, n="{{var.input.n + 1}}")
        | {
            "onerror": [module(2, "scenario-service:ReturnData", {"n": "{{var.input.n}}"}), module(3, "builtin:Ignore")]
        },
        returns(4, n="{{1.n}}"),
        name="Loop",
        inputs=["n"],
    )
    administrator.call("PUT", f"/scenarios/{looping.id}/blueprint", json_body={"blueprint": document})
    assert run(looping, n=1)["outputs"] == {"n": 10}
    again = child(administrator, returns(1, n="x"), sequential=True)
    document = blueprint(calls(1, again.id), inputs=["n"], sequential=True)
    administrator.call("PUT", f"/scenarios/{again.id}/blueprint", json_body={"blueprint": document})
    answer = run(again)
    assert answer["status"] == 3
    assert "cannot call itself" in again.log(answer["executionId"])["error"]["message"]


def test_a_server_that_is_killed_while_a_scenario_waits_starts_no_second_child(server, administrator):
    slow = child(administrator, module(1, "util:FunctionSleep", {"duration": 4}), returns(2, done="yes"))
    parent = made(administrator, blueprint(calls(1, slow.id), returns(2, got="{{1.done}}")), ON_DEMAND)
    administrator.post(f"/scenarios/{parent.id}/run", {"responsive": False})
    until(slow.logs, "the child is there", within=WITHIN)
    server.kill()
    server.start()
    [log] = until(
        lambda: [parent.log(row["id"]) for row in parent.logs() if row["status"]], "the parent ended", within=90.0
    )
    assert (log["status"], log["outputs"]) == (1, {"got": "yes"})
    assert len(slow.logs()) == 1
