"""What a scenario remembers from run to run: cursors of polling triggers, counters that never reset.

Read before a run begins, and only for programs that keep something; written in the transaction that settles the run, or
not at all: a cycle that fails, and a run whose outcome is refused, leave the memory as it was. A counter is written as
what was added to it, so that two runs at the same time lose no count; of a cursor the last one settled stands.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from make_bridge.domain.executions import store
from make_bridge.domain.executions.model import Kept
from make_bridge.engine.packing import pack, unpack
from make_bridge.engine.runner.result import RunResult
from make_bridge.engine.values import Value
from make_bridge.kernel.ids import OrganizationId, ScenarioId
from make_bridge.platform.database.shards import Shards


class Memory(msgspec.Struct, frozen=True):
    """What was kept, by module."""

    counters: Mapping[int, int] = {}
    values: Mapping[int, Value] = {}


class ScenarioMemory(Protocol):
    """Reads what a scenario remembers."""

    async def read(self, organization_id: OrganizationId, scenario_id: ScenarioId) -> Memory:
        """Return it; raises Unavailable."""
        ...


class NoMemory:
    """Every run is the first."""

    async def read(self, organization_id: OrganizationId, scenario_id: ScenarioId) -> Memory:  # noqa: ARG002  the port's shape
        """Return nothing."""
        return Memory()


class StoredMemory:
    """``ScenarioMemory`` of the organization's shard."""

    def __init__(self, shards: Shards) -> None:
        """Find the shard of each scenario."""
        self._shards = shards

    async def read(self, organization_id: OrganizationId, scenario_id: ScenarioId) -> Memory:
        """Return what was stored with the last outcomes."""
        shard = await self._shards.of(organization_id)
        async with shard.read(organization_id) as tx:
            rows = await store.read_memory(tx, organization_id, scenario_id)
        return Memory(
            {row["module_id"]: row["counter"] for row in rows if row["counter"]},
            {row["module_id"]: unpack(bytes(row["value"])) for row in rows if row["value"] is not None},
        )


def kept_by(result: RunResult, before: Memory) -> tuple[Kept, ...]:
    """Return what a run wants kept; the engine has left out what a failed cycle would have changed."""
    added = {module: count - before.counters.get(module, 0) for module, count in result.counters.items()}
    modules = {module for module, more in added.items() if more} | result.memory.keys()
    return tuple(
        Kept(
            module_id=module,
            added=added.get(module, 0),
            value=pack(result.memory[module]) if module in result.memory else None,
        )
        for module in sorted(modules)
    )
