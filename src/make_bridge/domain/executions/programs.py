"""Compiled blueprints, kept near: compile once, run many.

A program is found by (scenario, blueprint version); a version never changes, so an entry never
goes stale and the cache needs no invalidation, only a bound.
"""

import asyncio
from collections import OrderedDict

from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.blueprints import compile_stored
from make_bridge.engine.blueprint.program import Program
from make_bridge.kernel.ids import OrganizationId, ScenarioId
from make_bridge.platform.database.shards import Shards

_Key = tuple[ScenarioId, int]


class Programs:
    """A bounded, least-recently-used cache of programs with one compilation at a time per key."""

    def __init__(self, shards: Shards, *, largest: int = 2000) -> None:
        """``largest`` counts programs."""
        self._shards = shards
        self._largest = largest
        self._known: OrderedDict[_Key, Program] = OrderedDict()
        self._compiling: dict[_Key, asyncio.Future[Program]] = {}

    def known(self, scenario_id: ScenarioId, version: int) -> Program | None:
        """Return a program that is already compiled."""
        program = self._known.get((scenario_id, version))
        if program is not None:
            self._known.move_to_end((scenario_id, version))
        return program

    async def get(self, organization_id: OrganizationId, scenario_id: ScenarioId, version: int) -> Program:
        """Return the program, compiling it when needed; raises NotFound or BlueprintInvalid."""
        program = self.known(scenario_id, version)
        if program is not None:
            return program
        key = (scenario_id, version)
        under_way = self._compiling.get(key)
        if under_way is not None:
            return await asyncio.shield(under_way)
        future: asyncio.Future[Program] = asyncio.get_running_loop().create_future()
        self._compiling[key] = future
        try:
            program = await self._load(organization_id, scenario_id, version)
        except BaseException as error:
            future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            future.exception()
            raise
        else:
            future.set_result(program)
            return program
        finally:
            del self._compiling[key]

    async def _load(self, organization_id: OrganizationId, scenario_id: ScenarioId, version: int) -> Program:
        shard = await self._shards.of(organization_id)
        raw = await shard.ask(
            organization_id, lambda tx: scenario_store.get_blueprint(tx, organization_id, scenario_id, version)
        )
        program = compile_stored(raw)
        self._known[scenario_id, version] = program
        if len(self._known) > self._largest:
            self._known.popitem(last=False)
        return program
