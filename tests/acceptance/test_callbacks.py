"""Runs that are told to an address when they end: once, tried again, and never of what is confidential."""

import json
from typing import Any

import pytest

from support.blueprints import call, module
from support.integrator import Integrator
from support.target import Target
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 30.0
SECRET = "what-nobody-is-told"


def run(integrator: Integrator, url: str, *flow: dict[str, Any], **settings: object) -> tuple[int, str]:
    """Make a scenario, run it once without waiting, and return its id and that of the run."""
    blueprint = {"name": "Told", "flow": list(flow), "metadata": {"version": 1, "scenario": settings}}
    body = {"teamId": integrator.team_id, "blueprint": blueprint, "scheduling": {"type": "on-demand"}}
    scenario = integrator.ask("POST", "/scenarios", body)["scenario"]["id"]
    integrator.ask("POST", f"/scenarios/{scenario}/start")
    asked = {"data": {}, "callbackUrl": url}
    return scenario, integrator.ask("POST", f"/scenarios/{scenario}/run", asked)["executionId"]


def told(ears: Target, path: str, calls: int = 1) -> dict[str, Any]:
    until(lambda: len(ears.calls_to(path)) >= calls or None, "the address is told", within=WITHIN)
    body: dict[str, Any] = json.loads(ears.calls_to(path)[-1].body)
    return body


def returns(greeting: str) -> dict[str, Any]:
    return module(2, "scenario-service:ReturnData", {"greeting": greeting})


def test_an_address_is_told_of_a_run_when_it_has_ended(integrator: Integrator, ears: Target) -> None:
    hold = ears.hold()
    slow = call(1, "get", f"{ears.url}/slow")
    scenario, execution = run(integrator, f"{ears.url}/ended", slow, returns("hi"))
    until(lambda: ears.calls_to("/slow"), "the run calls", within=WITHIN)
    hold.end()
    assert ears.calls_to("/ended") == []
    hold.release()
    expected = {"executionId": execution, "scenarioId": scenario, "status": 1, "outputs": {"greeting": "hi"}}
    assert told(ears, "/ended") == expected
    assert len(ears.calls_to("/ended")) == 1
    assert ears.calls_to("/ended")[0].headers["content-type"] == "application/json"


def test_an_address_that_fails_is_told_again(integrator: Integrator, ears: Target) -> None:
    ears.statuses["/again"] = 500
    broken = module(1, "builtin:ThrowError", {"message": "Enough."})
    _, execution = run(integrator, f"{ears.url}/again", broken)
    first = told(ears, "/again")
    ears.statuses.pop("/again")
    assert told(ears, "/again", calls=2) == first
    assert (first["executionId"], first["status"], first["error"]["message"]) == (execution, 3, "Enough.")


def test_of_a_confidential_run_only_its_status_is_told(integrator: Integrator, ears: Target) -> None:
    scenario, execution = run(integrator, f"{ears.url}/quiet", returns(SECRET), confidential=True)
    assert told(ears, "/quiet") == {"executionId": execution, "scenarioId": scenario, "status": 1}
