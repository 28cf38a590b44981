"""Identifiers: what each looks like and what can be read from it without a look-up.

* Rows: integers below 2^53 (so that JavaScript keeps them exact): ``sequence * 1024 + birth shard``.
  A row that moves to another shard keeps its id.
* Executions: 32 hex characters that sort by time and say where to look:
  12 hex of milliseconds, 1 hex of retention class, 3 hex of birth shard, 16 hex of randomness.
* Jobs and their batches: the same form, of which only the time means something.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import NewType

from make_bridge.kernel.entropy import random_hex

OrganizationId = NewType("OrganizationId", int)
TeamId = NewType("TeamId", int)
CustomerId = NewType("CustomerId", int)
UserId = NewType("UserId", int)
SessionId = NewType("SessionId", int)
TemplateId = NewType("TemplateId", int)
TemplateVersionId = NewType("TemplateVersionId", int)
ScenarioId = NewType("ScenarioId", int)
HookId = NewType("HookId", int)
ComponentId = NewType("ComponentId", int)
ExecutionId = NewType("ExecutionId", str)
JobId = NewType("JobId", str)
BatchId = NewType("BatchId", str)

SHARD_SLOTS = 1024
MAX_ID = 2**53 - 1
_EXECUTION_ID_LENGTH = 32
_HEX = frozenset("0123456789abcdef")


class Retention(IntEnum):
    """How long an execution's rows are kept; a part of the partition key."""

    SHORT = 0
    STANDARD = 1
    LONG = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionIdParts:
    """What an execution id says by itself."""

    created: datetime
    retention: Retention
    shard: int


def shard_of(row_id: int) -> int:
    """Return the shard a row was born on."""
    return row_id % SHARD_SLOTS


def new_execution_id(retention: Retention = Retention.STANDARD, shard: int = 0) -> ExecutionId:
    """Return a fresh id; two made in one millisecond differ by 64 random bits."""
    milliseconds = time.time_ns() // 1_000_000  # noqa: TID251 - an id is stamped by the machine, tests never move it
    return ExecutionId(f"{milliseconds:012x}{int(retention):x}{shard:03x}{random_hex(8)}")


def new_job_id() -> JobId:
    """Return a fresh id of a job; it stands in the queue beside those of executions."""
    return JobId(new_execution_id())


def new_batch_id() -> BatchId:
    """Return a fresh id of a batch of jobs."""
    return BatchId(new_execution_id())


def is_execution_id(text: str) -> bool:
    """Say whether ``text`` has the form of an execution id (lower-case hex, known class)."""
    return len(text) == _EXECUTION_ID_LENGTH and _HEX.issuperset(text) and text[12] in "012"


def read_execution_id(execution_id: ExecutionId) -> ExecutionIdParts:
    """Read time, retention class and shard out of an id of the right form."""
    return ExecutionIdParts(
        created=created_at(execution_id),
        retention=Retention(int(execution_id[12], 16)),
        shard=int(execution_id[13:16], 16),
    )


def created_at(execution_id: ExecutionId) -> datetime:
    """Return when an execution was accepted, read out of its id."""
    return datetime.fromtimestamp(int(execution_id[:12], 16) / 1000, UTC)


def execution_id_floor(moment: datetime, retention: Retention) -> ExecutionId:
    """Return the smallest id of that class at or after ``moment``; a bound for ranges and partitions."""
    return ExecutionId(f"{int(moment.timestamp() * 1000):012x}{retention:x}{'0' * 19}")
