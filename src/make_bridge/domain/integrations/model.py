"""A flow: one walk through the wizard, saved after every step.

Its answers are kept by field uuid, so that the same template in a newer version finds them again.
Nothing of the scenario exists before the last step; hooks, connections and keys made on the way do,
because the customer has seen them.
"""

from enum import StrEnum
from typing import Any

import msgspec

from make_bridge.kernel.ids import ScenarioId
from make_bridge.kernel.lifecycle import Lifecycle

JsonObject = dict[str, Any]
LIFETIME_DAYS = 7


class FlowPhase(StrEnum):
    """Where the customer stands."""

    INTRO = "intro"
    STEP = "step"
    CHECK = "check"
    DONE = "done"


LIFECYCLE = Lifecycle(
    "flow",
    {
        FlowPhase.INTRO: (FlowPhase.STEP, FlowPhase.CHECK, FlowPhase.DONE),
        FlowPhase.STEP: (FlowPhase.STEP, FlowPhase.CHECK, FlowPhase.DONE),
        FlowPhase.CHECK: (FlowPhase.STEP, FlowPhase.CHECK, FlowPhase.DONE),
        FlowPhase.DONE: (FlowPhase.DONE,),
    },
)

STATUS = {
    FlowPhase.INTRO: (1, "Waiting for the customer to begin."),
    FlowPhase.STEP: (2, "The customer is answering the steps."),
    FlowPhase.CHECK: (3, "Everything is answered; the customer is checking."),
    FlowPhase.DONE: (4, "Completed: the scenario exists."),
}


class FlowDocument(msgspec.Struct, kw_only=True):
    """What a flow remembers; stored as JSON."""

    phase: FlowPhase
    allow_reusing: bool = True
    allow_creating: bool = True
    auto_activate: bool = False
    auto_finalize: bool = False
    redirect_uri: str | None = None
    scenario_name: str | None = None
    scenario_enable: bool | None = None
    hard: JsonObject = {}
    soft: JsonObject = {}
    answers: JsonObject = {}
    created_components: list[int] = []
    connecting: dict[str, int] = {}
    """The connection that a field's consent is for, however often it is begun."""
    done_steps: list[str] = []
    changes: ScenarioId | None = None
    """The scenario whose answers this flow changes; None for a flow that makes one."""
    is_changed: bool = False
    """Whether an answer differs from those that the scenario runs with."""
    blueprint_version: int = 1
    """The version of the scenario's blueprint that these answers wrote, or that the answers before them wrote."""


_decoder = msgspec.json.Decoder(FlowDocument)


def decode_document(raw: bytes) -> FlowDocument:
    """Read a stored document."""
    return _decoder.decode(raw)


def next_step(step_ids: list[str], done: list[str]) -> str | None:
    """Return the first step that is not done."""
    return next((step for step in step_ids if step not in done), None)
