"""What is written when a run is accepted and when it ends.

Both are plain values so that the group-commit writers can send hundreds of them in one statement, and
structures of C, because making them is a measurable part of a run.
``seed`` and the time inside the id are the run's whole source of chance: a run taken up again by
another process sees the same ``now``, ``random`` and ``uuid``.
"""

from enum import IntEnum

import msgspec

from make_bridge.domain.executions.incomplete import Parked, Resumed
from make_bridge.domain.executions.troubles import Trouble
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId, TeamId


class Status(IntEnum):
    """The status numbers of the wire; 0 has no outcome row."""

    RUNNING = 0
    SUCCESS = 1
    WARNING = 2
    ERROR = 3


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What one module keeps from run to run: how far its counter went on, and its value when that changed."""

    module_id: int
    added: int = 0
    value: bytes | None = None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """Why an execution was given up: it outlived as many workers as it may."""

    kind: str
    reason: str
    attempts: int
    last_node: str | None


class NewRun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An execution about to be accepted. With ``owner`` it is leased to that node from the start."""

    id: ExecutionId
    organization_id: OrganizationId
    team_id: TeamId
    scenario_id: ScenarioId
    blueprint_version: int
    origin: str
    seed: int
    head: bytes
    body: bytes
    owner: str | None = None
    ordering_key: str | None = None
    queue_class: int = 1
    """Of the queue's classes, named in ``platform/queue/leases.py``: a webhook's by default."""
    trace_context: str | None = None
    """The span it is begun by, where its trace is kept."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an execution ended; refused when ``fence`` is no longer the queue row's."""

    id: ExecutionId
    fence: int
    organization_id: OrganizationId
    team_id: TeamId
    scenario_id: ScenarioId
    status: Status
    duration_ms: int
    operations: int
    transfer: int
    detail: bytes
    steps: bytes
    kept: tuple[Kept, ...] = ()
    """What its modules keep for the scenario's next run."""
    parked: tuple[Parked, ...] = ()
    resumed: Resumed | None = None
    """The incomplete execution this run has tried again."""
    trouble: Trouble | None = None
    """Why the run failed, and what that means for its scenario."""
    dead: DeadLetter | None = None
    confidential: bool = False
    """Its payload is erased when it settles, and what it said is kept nowhere."""
    trace_context: str | None = None
    """The span of the run, for what follows from it."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing follows from it: the way almost all runs end."""
        return self.status is Status.SUCCESS and self.resumed is None
