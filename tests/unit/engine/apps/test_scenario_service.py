"""Modules that call other scenarios, name a run, return outputs."""

import asyncio
import re
from dataclasses import dataclass, field

import pytest

from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.run import run
from make_bridge.engine.subscenarios import ChildAnswer, ChildCall, ChildPending, ChildRefused
from support.blueprints import module, program, request
from support.scripted import make_world


@dataclass
class Children:
    """Answers every call, and remembers it."""

    answer: ChildAnswer | Exception
    calls: list[ChildCall] = field(default_factory=list)

    async def call(self, call: ChildCall) -> ChildAnswer:
        self.calls.append(call)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def ended(**outputs):
    return ChildAnswer(execution_id="c" * 32, status="success", outputs=outputs)


def called(answer, mapper=None, name="scenario-service:CallSubscenario", **parameters):
    """Run a scenario of one calling module; return the calls and the result."""
    children = Children(answer)
    made = program(module(1, name, mapper, parameters=parameters))
    return children.calls, asyncio.run(run(made, request(), Ports(subscenarios=children)))


@pytest.mark.parametrize("scenario", ["SCN_901", 901, "901"])
def test_a_call_that_waits_gives_what_the_other_scenario_returned(scenario):
    calls, result = called(
        ended(total=7), {"data": {"a": "{{1 + 1}}"}}, scenario=scenario, shouldWaitForExecutionEnd=True
    )
    [call] = calls
    assert (call.scenario_id, call.inputs, call.wait) == (901, {"a": 2}, True)
    assert len(call.key) == 32
    assert result.steps[0].outputs == [{"total": 7}]
    assert result.credits == 0


def test_a_call_that_does_not_wait_gives_the_execution_it_has_started():
    started = ChildAnswer(execution_id="c" * 32, status="started")
    calls, result = called(started, {"a": "x"}, scenario="SCN_901")
    assert (calls[0].inputs, calls[0].wait) == ({"a": "x"}, False)
    assert result.steps[0].outputs == [{"executionId": "c" * 32}]


def test_the_older_module_may_name_the_scenario_in_its_mapper():
    calls, _ = called(ended(), {"scenarioId": "12", "a": 1}, "scenario-service:RunScenario")
    assert (calls[0].scenario_id, calls[0].inputs) == (12, {"a": 1})


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (ChildRefused("It is switched off."), "InvalidConfigurationError", "switched off"),
        (ChildPending("It did not end."), "ModuleTimeoutError", "did not end"),
        (ChildAnswer(execution_id="c" * 32, status="error", error="Boom."), "RuntimeError", "failed .*Boom"),
    ],
)
def test_what_went_wrong_with_the_other_scenario_is_the_module_s_error(answer, kind, words):
    _, result = called(answer, {}, scenario=1, shouldWaitForExecutionEnd=True)
    assert result.error is not None
    assert result.error.type == kind
    assert re.search(words, result.error.message)


def test_a_call_without_a_scenario_says_so():
    calls, result = called(ended(), {}, "scenario-service:RunScenario")
    assert calls == []
    assert result.error is not None
    assert "which scenario" in result.error.message


def test_without_other_scenarios_around_a_call_is_refused():
    made = program(module(1, "scenario-service:CallSubscenario", {}, parameters={"scenario": 5}))
    result = asyncio.run(run(made, request(), make_world().ports))
    assert result.error is not None
    assert result.error.message == "Scenario 5 cannot be called here: this run has no other scenarios."


def test_a_run_can_be_named():
    made = program(module(1, "scenario-service:NameExecution", {"executionName": " Order {{40 + 2}} "}))
    result = asyncio.run(run(made, request(), make_world().ports))
    assert result.name == "Order 42"
