"""What a run leaves behind: for the domain to store, for people to read.

Plain structures without behaviour; serialising them is the caller's business. Steps are many, so they
are msgspec structures, the cheapest objects there are.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from make_bridge.engine.ports import WebhookResponse
from make_bridge.engine.values import Value

Status = Literal["success", "warning", "error"]


class RunError(msgspec.Struct, frozen=True, gc=False):
    """An error and the module it happened in."""

    type: str
    message: str
    module_id: int
    module: str
    operation: int
    detail: Value = None


class Step(msgspec.Struct):
    """One operation of one module, or one handler's directive.

    `truncated` steps have counts but no bodies: the log's budget was spent, or the scenario is
    confidential.
    """

    module_id: int
    module: str
    operation: int
    phase: str
    input: Value = None
    outputs: list[Value] = []
    output_count: int = 0
    error: RunError | None = None
    duration_us: int = 0
    truncated: bool = False
    replayed: bool = False


class RunWarning(msgspec.Struct, frozen=True, gc=False):
    """Something the owner should know, although the run went on."""

    module_id: int
    message: str


class Ending(StrEnum):
    """How the run came to its end."""

    FINISHED = "finished"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    HELD = "held"
    """An incomplete run was stored and the scenario runs in order: nothing more until it is solved."""


class RetryMode(StrEnum):
    """Who tries an incomplete run again."""

    NONE = "none"
    """A person."""
    BACKOFF = "backoff"
    """The server, at its growing intervals."""
    FIXED = "fixed"
    """The server, as the Break handler says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When an incomplete run is tried again."""

    mode: RetryMode
    attempts: int = 0
    interval_minutes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompleteRun:
    """A bundle that stopped at a module, with all that is needed to go on from there.

    `possibly_done`: an earlier attempt meant to do this write and nobody knows whether it did.
    """

    module_id: int
    module: str
    error: RunError
    bundles: tuple[tuple[int, Value], ...]
    cycle_variables: dict[str, Value]
    run_variables: dict[str, Value]
    retry: Retry
    step_key: str
    possibly_done: bool = False


class RunResult(msgspec.Struct, kw_only=True):
    """The outcome of one execution.

    `cycles` is how many were begun; of the trigger's bundles those that were `taken` had a part in one.
    """

    status: Status
    ending: Ending
    outputs: dict[str, Value] | None
    response: WebhookResponse | None
    operations: int
    credits: int
    transfer: int
    cycles: int
    error: RunError | None
    warnings: list[RunWarning]
    incomplete: list[IncompleteRun]
    steps: list[Step]
    steps_dropped: int
    blocked: dict[int, int]
    """How many bundles the filter of each module stopped."""
    counters: dict[int, int]
    duration_us: int
    taken: int = 0
    cycles_committed: int = 0
    """How many cycles have taken effect: the trigger's bundles of later ones count as not taken."""
    memory: dict[int, Value] = {}
    """What modules want kept for the scenario's next run; only what changed, and of a failed cycle nothing."""
    name: str | None = None
    """What the scenario called this run."""
    unexpected: list[Exception] = []
    """Exceptions that are our fault, for the server's own log."""
