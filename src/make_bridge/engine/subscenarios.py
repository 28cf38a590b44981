"""The port through which a scenario calls another one.

Asked by the modules of `apps.scenario_service`; the domain's adapter stores the child as an execution of its own. The
key is the one of the calling step, and the child's identity follows from it: a step that is repeated after a crash
finds the child it had started, and never starts a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from make_bridge.engine.values import Value
from make_bridge.kernel.errors import BridgeError

MAX_DEPTH: Final = 10
"""How many scenarios may stand in one chain of calls."""
ChildStatus = Literal["started", "success", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCall:
    """A call of another scenario of the same team."""

    scenario_id: int
    inputs: Mapping[str, Value]
    key: str
    wait: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildAnswer:
    """What became of the call; `outputs` are what the child returned, when it was waited for."""

    execution_id: str
    status: ChildStatus
    outputs: Mapping[str, Value] = field(default_factory=dict)
    error: str = ""


class ChildRefused(BridgeError):
    """The other scenario cannot be called."""

    code = "subscenario_refused"


class ChildPending(BridgeError):
    """The other scenario did not end in time; it goes on by itself."""

    code = "subscenario_pending"


class Subscenarios(Protocol):
    """Calls scenarios."""

    async def call(self, call: ChildCall) -> ChildAnswer:
        """Start the child, or find the one this key has started; wait for its end when asked to.

        Raises `ChildRefused` when it is not there for this team, not switched on, not on demand or too deep, and
        `ChildPending` when the wait is over before the child is.
        """
        ...


class NoSubscenarios:
    """The port of a run without other scenarios around it: dry runs."""

    async def call(self, call: ChildCall) -> ChildAnswer:
        """Refuse."""
        raise ChildRefused(f"Scenario {call.scenario_id} cannot be called here: this run has no other scenarios.")
