"""Compiled blueprints, kept near: compile once, run many.

A program is found by (organization, scenario, blueprint version); a version never changes, so an entry never
goes stale and the cache needs no invalidation, only a bound. Blueprints that a server has read the others find in
Redis, where there is one: a server that starts asks the database for less.
"""

from math import inf
from typing import Final

from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.blueprints import compile_stored
from make_bridge.engine.blueprint.program import Program
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId, ScenarioId
from make_bridge.platform.cache.far import FarShelf, Place
from make_bridge.platform.cache.near import CacheNumbers, NearLookUp
from make_bridge.platform.database.shards import Shards

_MOST: Final = 2000

_Key = tuple[OrganizationId, ScenarioId, int]


class Programs:
    """A bounded, least-recently-used cache of programs with one compilation at a time per key."""

    def __init__(self, shards: Shards, *, largest: int = _MOST, sources: FarShelf[bytes] | None = None) -> None:
        """``largest`` counts programs; ``sources`` has blueprints that others have read."""
        self._shards = shards
        self._sources = sources
        self._finder: NearLookUp[_Key, Program] = NearLookUp(SystemClock(), self._load, seconds=inf, most=largest)

    async def get(self, organization_id: OrganizationId, scenario_id: ScenarioId, version: int) -> Program:
        """Return the program, compiling it when needed; raises NotFound or BlueprintInvalid."""
        key = (organization_id, scenario_id, version)
        known = self._finder.known(key)
        if known is not None:
            return known
        program = await self._finder.find(key)
        if program is None:
            raise NotFound("There is no such scenario.")
        return program

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads of programs."""
        return self._finder.numbers()

    async def _load(self, key: _Key) -> Program:
        if self._sources is None:
            return compile_stored(await self._read(key))
        place = Place(organization_id=key[0], parts=key[1:])
        return compile_stored(await self._sources.through(place, lambda: self._read(key)))

    async def _read(self, key: _Key) -> bytes:
        organization_id, scenario_id, version = key
        shard = await self._shards.of(organization_id)
        return await shard.ask(
            organization_id, lambda tx: scenario_store.get_blueprint(tx, organization_id, scenario_id, version)
        )
