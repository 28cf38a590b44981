"""The app `scenario-service`: a scenario as a function, with declared inputs and outputs."""

from typing import Final

from make_bridge.engine.apps.module import Bundles, Kind, ModuleCall, ModuleSpec


def _start(call: ModuleCall) -> Bundles:
    return [dict(call.host.inputs)]


def _return(call: ModuleCall) -> Bundles:
    return [call.host.return_outputs(call.input)]


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
        name="scenario-service:ReturnData",
        label="Return output",
        kind=Kind.RETURNER,
        versions=(1, 2),
        help="Sets the outputs of the scenario; the last one that runs wins.",
        open_mapper=True,
        run=_return,
        credits=0,
    ),
)
