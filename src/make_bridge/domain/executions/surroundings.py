"""What a run finds around it beside its ports: a time zone, memory, custom variables, other scenarios.

One value for the performer, so that who builds one by hand (a test, a command) needs none of it: times are then UTC,
every run is the first of its scenario, nobody has named a variable, and no other scenario can be called.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from make_bridge.domain.executions.journal import Journals, NoJournals
from make_bridge.domain.executions.memory import NoMemory, ScenarioMemory
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.team_functions import FunctionsOf, NoFunctions
from make_bridge.domain.executions.trigger import TickNote, decode_head
from make_bridge.domain.executions.variables import CustomVariables, NoCustomVariables
from make_bridge.engine.runner.request import RunLimits
from make_bridge.engine.runner.result import RunResult, RunWarning
from make_bridge.engine.stores import NoStores, Stores
from make_bridge.engine.subscenarios import NoSubscenarios, Subscenarios
from make_bridge.kernel.ids import OrganizationId

ORIGIN_SCHEDULE: Final = "schedule"
_UTC: Final = ZoneInfo("UTC")


class ZoneOf(Protocol):
    """Tells the time zone of an organization."""

    async def of(self, organization_id: OrganizationId) -> ZoneInfo:
        """Return the zone; raises NotFound."""
        ...


class Utc:
    """Everybody lives in UTC."""

    async def of(self, organization_id: OrganizationId) -> ZoneInfo:
        """Return UTC."""
        del organization_id
        return _UTC


def no_stores(_stored: NewRun) -> Stores:
    """Give a run no data stores."""
    return NoStores()


def no_others(_stored: NewRun) -> Subscenarios:
    """Give a run no other scenarios."""
    return NoSubscenarios()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """See the module."""

    zones: ZoneOf = field(default_factory=Utc)
    memory: ScenarioMemory = field(default_factory=NoMemory)
    variables: CustomVariables = field(default_factory=NoCustomVariables)
    subscenarios: Callable[[NewRun], Subscenarios] = no_others
    stores: Callable[[NewRun], Stores] = no_stores
    journals: Journals = field(default_factory=NoJournals)
    functions: FunctionsOf = field(default_factory=NoFunctions)
    limits: RunLimits = field(default_factory=RunLimits)


def tick_of(stored: NewRun) -> TickNote | None:
    """Return the tick that started a run, for runs that a schedule started."""
    return decode_head(stored.head).tick if stored.origin == ORIGIN_SCHEDULE else None


def warn_of_overlap(result: RunResult, tick: TickNote | None) -> None:
    """Tell in the outcome that the schedule is faster than the scenario."""
    if tick is None or not tick.skipped:
        return
    times = "once" if tick.skipped == 1 else f"{tick.skipped} times"
    message = (
        f"The schedule came {times} while the run before was still going or a limit of usage was reached; "
        "there was no run for that."
    )
    result.warnings.append(RunWarning(0, message))
    if result.status == "success":
        result.status = "warning"
