"""What a run is asked to do, and how far it may go.

Built by the worker from a claimed execution, or by the command line; every value that could differ
between two attempts of the same execution (clock, seed, bundles) is in here, so that both end alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from make_bridge.engine.values import Value

_UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """Where a run is stopped, and how much of it is written down."""

    operations: int = 100_000
    bundles: int = 1_000_000
    """Bundles that all loops of the run may give together."""
    seconds: float = 40 * 60.0
    cycles: int = 100
    http_bytes: int = 16 * 1024 * 1024
    expression_steps: int = 100_000
    """Work one module's filter or mapper may do."""
    expression_output: int = 1_000_000
    """Bytes one module's filter or mapper may make."""
    run_expression_steps: int = 5_000_000
    """Work all expressions of the run may do together."""
    aggregated_bytes: int = 64 * 1024 * 1024
    memory_bytes: int = 64 * 1024 * 1024
    """Bytes of large values that the run may hold at a time."""
    logged_steps: int = 10_000
    logged_bytes: int = 10 * 1024 * 1024
    pause_every: int = 0
    """After so many operations the run lets others go first; 0 is for runs that must not suspend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePoint:
    """Where an incomplete run goes on: its module runs again with all it could see.

    `bundles` keeps the order of the path. `step_key` is the key the failed call had, so that its
    repetition offers the same idempotency key.
    """

    module_id: int
    bundles: Sequence[tuple[int, Value]]
    cycle_variables: Mapping[str, Value] = field(default_factory=dict)
    run_variables: Mapping[str, Value] = field(default_factory=dict)
    step_key: str | None = None


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One execution; a structure of C, because making it is a measurable part of a run."""

    execution_id: str
    organization_id: int
    team_id: int
    scenario_id: int
    scenario_name: str
    started_at: datetime
    seed: int
    scenario_url: str = ""
    trigger_bundles: Sequence[dict[str, Value]] = ()
    instant: bool = True
    """Each bundle from outside is a cycle of its own; else a cycle takes as many as the trigger's `maxResults`."""
    received_bytes: int = 0
    """What the trigger's bundles had on the wire; the run's transfer begins with it."""
    inputs: Mapping[str, Value] = msgspec.field(default_factory=dict)
    organization_variables: Mapping[str, Value] = msgspec.field(default_factory=dict)
    team_variables: Mapping[str, Value] = msgspec.field(default_factory=dict)
    counters: Mapping[int, int] = msgspec.field(default_factory=dict)
    """Counters of Increment modules that never reset, by module."""
    memory: Mapping[int, Value] = msgspec.field(default_factory=dict)
    """What modules kept in earlier runs of the scenario, by module."""
    timezone: ZoneInfo = _UTC
    limits: RunLimits = RunLimits()
    resume: ResumePoint | None = None
