"""What can be asked of the calls of a webhook: those it took, and those that wait.

A call is an execution of the hook's scenario that a call started, so nothing of its own is stored for this.
"""

from datetime import datetime

from make_bridge.kernel.ids import ExecutionId, ScenarioId
from make_bridge.kernel.messages import Query, message


@message
class HookCall:
    """A call that was taken; ``size`` is what is stored of it in bytes, ``status`` that of its run (0 waits or runs).

    ``is_replayable`` says whether what was sent is still stored, and not sealed.
    """

    id: ExecutionId
    status: int
    taken_at: datetime
    size: int
    is_replayable: bool


@message
class ListHookCalls(Query[list[HookCall]]):
    """The calls that started runs of a scenario, newest first; ``since`` and ``until`` narrow them."""

    scenario_id: ScenarioId
    since: datetime | None = None
    until: datetime | None = None
    offset: int = 0
    limit: int = 100


@message
class ListWaitingCalls(Query[list[HookCall]]):
    """The calls whose runs have not begun, the first that came first."""

    scenario_id: ScenarioId
    offset: int = 0
    limit: int = 100


@message
class CountWaitingCalls(Query[int]):
    """How many calls wait for their runs."""

    scenario_id: ScenarioId
