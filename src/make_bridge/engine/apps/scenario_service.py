"""The app `scenario-service`: a scenario as a function, with declared inputs and outputs, and calls of others."""

from typing import Final

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.apps.module import (
    Bundles,
    Collection,
    Effect,
    ErrorType,
    Kind,
    ModuleCall,
    ModuleError,
    ModuleSpec,
)
from make_bridge.engine.blueprint.settings import component_id
from make_bridge.engine.subscenarios import ChildCall, ChildPending, ChildRefused
from make_bridge.engine.values import to_boolean, to_text

MAX_NAME: Final = 250
_NOT_INPUTS: Final = frozenset({"scenario", "scenarioId", "shouldWaitForExecutionEnd"})


def _start(call: ModuleCall) -> Bundles:
    return [dict(call.host.inputs)]


def _return(call: ModuleCall) -> Bundles:
    return [call.host.return_outputs(call.input)]


def _name(call: ModuleCall) -> Bundles:
    name = to_text(call.input.get("executionName")).strip()[:MAX_NAME]
    call.host.name_execution(name)
    return [{"executionName": name}]


async def _call(call: ModuleCall) -> list[Collection]:
    """Call the scenario; `RunScenario`, the older module, may name it in its mapper."""
    named = call.parameters.get("scenario") or call.input.get("scenario") or call.input.get("scenarioId")
    scenario_id = component_id(named)
    if scenario_id is None:
        raise ModuleError(ErrorType.CONFIGURATION, "The module does not say which scenario it calls.")
    wait = to_boolean(call.parameters.get("shouldWaitForExecutionEnd"))
    child = ChildCall(scenario_id=scenario_id, inputs=_inputs(call.input), key=call.key, wait=wait)
    try:
        answer = await call.host.ports.subscenarios.call(child)
    except ChildRefused as refused:
        raise ModuleError(ErrorType.CONFIGURATION, refused.message) from refused
    except ChildPending as pending:
        raise ModuleError(ErrorType.TIMEOUT, pending.message) from pending
    if answer.status == "error":
        message = f"The called scenario failed (execution {answer.execution_id}): {answer.error}"
        raise ModuleError(ErrorType.RUNTIME, message)
    return [dict(answer.outputs)] if wait else [{"executionId": answer.execution_id}]


def _inputs(given: Collection) -> Collection:
    """Inputs stand in `data`; older exports have them side by side."""
    data = given.get("data")
    if isinstance(data, dict):
        return data
    return {name: value for name, value in given.items() if name not in _NOT_INPUTS and name != "data"}


_SCENARIO: Final = Field(
    name="scenario",
    type="scenario",
    label="Scenario",
    required=True,
    help="A scenario of the same team that is switched on and scheduled on demand.",
)
_WAIT: Final = Field(
    name="shouldWaitForExecutionEnd",
    type="boolean",
    label="Wait for the end of its execution",
    default=False,
    help="Yes: its outputs go on from here. No: it is only started.",
)
_DATA: Final = Field(name="data", type="collection", label="Inputs")

MODULES: Final = (
    ModuleSpec(
        name="scenario-service:StartSubscenario",
        label="Start scenario",
        kind=Kind.TRIGGER,
        versions=(1, 2),
        help="Starts the scenario with its declared inputs.",
        run=_start,
        credits=0,
    ),
    ModuleSpec(
        name="scenario-service:CallSubscenario",
        label="Call a scenario",
        kind=Kind.ACTION,
        versions=(1, 2),
        help="Runs another scenario of the team and, when it waits, gives what that one returned.",
        parameters=(_SCENARIO, _WAIT),
        mapper=(_DATA,),
        open_mapper=True,
        perform=_call,
        effect=Effect.REPEATABLE,
        credits=0,
    ),
    ModuleSpec(
        name="scenario-service:RunScenario",
        label="Run a scenario",
        kind=Kind.ACTION,
        versions=(1, 2),
        help="The older form of Call a scenario.",
        parameters=(Field(name="scenario", type="scenario", label="Scenario"), _WAIT),
        mapper=(_DATA,),
        open_mapper=True,
        perform=_call,
        effect=Effect.REPEATABLE,
        credits=0,
    ),
    ModuleSpec(
        name="scenario-service:ReturnData",
        label="Return output",
        kind=Kind.RETURNER,
        versions=(1, 2),
        help="Sets the outputs of the scenario; the last one that runs wins.",
        open_mapper=True,
        run=_return,
        credits=0,
    ),
    ModuleSpec(
        name="scenario-service:NameExecution",
        label="Name this execution",
        kind=Kind.ACTION,
        help="Gives the execution a name that its log shows.",
        mapper=(Field(name="executionName", type="text", label="Name", required=True),),
        output=(Field(name="executionName", type="text", label="Name"),),
        run=_name,
        credits=0,
    ),
)
