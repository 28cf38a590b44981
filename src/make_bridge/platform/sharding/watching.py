"""How a running process learns of shards: it looks at the map's version every second, and opens what it does not have.

One statement in the directory: it writes down which shards this process has open (``directory.shard_views``, by which
``shards add`` knows that nobody will meet a stranger, and ``shards remove`` that nobody looks there any more) and reads
the version. A map that changed is read anew; shards that were removed are dismissed. A shard that does not answer is
tried again and again beside everything else, so it may be down when this process starts. What happens on failure:
without the directory everything stays as it was.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

import structlog

from make_bridge.kernel.errors import BridgeError, ConfigurationError, Unavailable
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics.loops import LATE_AFTER, LoopTurns
from make_bridge.platform.sharding import together
from make_bridge.platform.sharding.map import read_map
from make_bridge.platform.sharding.opening import ShardOpening

LIVE: Final = together.LIVE
_FORGOTTEN: Final = timedelta(minutes=5)
_FIRST_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 2.0
# Rows of servers that were killed count for as long as they live, and this long more to be sure.
_PATIENCE_SECONDS: Final = LIVE.total_seconds() + 2.0
_log = structlog.get_logger(__name__)

_NOTE: Final = """
WITH forgotten AS (
    DELETE FROM directory.shard_views WHERE server IN (
        SELECT server FROM directory.shard_views WHERE seen_at < now() - %(forgotten)s AND server <> %(server)s
        LIMIT 100 FOR UPDATE SKIP LOCKED
    )
), noted AS (
    INSERT INTO directory.shard_views (server, version, opened, connections)
    VALUES (%(server)s, %(version)s, %(opened)s, %(connections)s)
    ON CONFLICT (server) DO UPDATE SET version = excluded.version, opened = excluded.opened, seen_at = now()
)
SELECT version FROM directory.shard_map
"""
_LEAVE: Final = "DELETE FROM directory.shard_views WHERE server = %s"
_ADDRESSES: Final = "SELECT number, address FROM directory.shards WHERE state <> 'removed'"
_BEHIND: Final = """
SELECT count(*) AS servers FROM directory.shard_views
WHERE seen_at > now() - %(live)s AND (%(number)s = ANY (opened)) <> %(wanted)s
"""


class ShardWatch:
    """One process's eye on the map; an async context manager that closes what it is about to open."""

    def __init__(
        self, shards: Shards, opening: ShardOpening, *, server: str, seconds: float, overcommit: bool = True
    ) -> None:
        """``server`` is this process's name alone; ``seconds`` lie between two looks.

        Without ``overcommit`` it does not start where all servers together may open more connections than there are.
        """
        self._shards = shards
        self._opening = opening
        self._server = server
        self._seconds = seconds
        self._overcommit = overcommit
        self._counting: asyncio.Task[None] | None = None
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._reasons: dict[int, str] = {}
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open what the directory names beside the settings; what does not answer by then comes later."""
        await self._catch_up()
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=_FIRST_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to look, and give up what is being opened."""
        beside = [task for task in (self._looking, self._counting) if task is not None]
        tasks = [*self._under_way.values(), *beside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._looking is not None:
            try:
                async with self._shards.directory.statement() as tx:
                    await tx.execute(_LEAVE, (self._server,))
            except BridgeError as failure:
                _log.debug("shard_view_not_left", error=failure.message)

    async def start(self, loops: LoopTurns | None = None) -> None:
        """Look again and again, for as long as the process serves; what it has is known before it serves anybody.

        Raises ConfigurationError where there are not connections enough for this server too, and it may not overcommit.
        """
        await self.look()
        self._looking = asyncio.create_task(self._keep_looking(loops or LoopTurns()), name="shard watch")
        if self._overcommit:
            self._counting = asyncio.create_task(self._count_connections(), name="connections of all")
        else:
            await together.require_room(self._shards, self._server, within=_PATIENCE_SECONDS)

    async def look(self) -> None:
        """Say what is open here, and follow the map if it has changed; raises Unavailable."""
        opened = sorted(shard.number for shard in self._shards.all())
        given = {
            "server": self._server, "version": self._shards.map.version, "opened": opened, "forgotten": _FORGOTTEN,
            "connections": self._opening.limits.max_size,
        }  # fmt: skip
        async with self._shards.directory.statement() as tx:
            row = await tx.one(_NOTE, given)
        if row is not None and (row["version"] != self._shards.map.version or self._missing()):
            await self._catch_up()
        await self._shards.feel_pulses()

    async def _keep_looking(self, loops: LoopTurns) -> None:
        with loops.turning("shard map", within=LATE_AFTER) as turned:
            while True:
                await asyncio.sleep(self._seconds)
                await self._look_safely(turned)

    async def _look_safely(self, turned: Callable[[], None]) -> None:
        try:
            await self.look()
            turned()
        except BridgeError as error:
            _log.warning("shard_map_not_read", error=error.message)
        except Exception:  # noqa: BLE001
            # Shards that come and go hang on this loop: it tells and goes on with what it knows.
            _log.exception("shard_map_not_read")

    async def _count_connections(self) -> None:
        """Warn, once, when there may be too few connections for all."""
        try:
            await together.require_room(self._shards, self._server, within=_PATIENCE_SECONDS)
        except ConfigurationError as error:
            _log.warning("connections_overcommitted", reason=error.message)
        except BridgeError as error:
            _log.debug("connections_not_counted", reason=error.message)

    def _missing(self) -> set[int]:
        return self._shards.map.shards.keys() - {shard.number for shard in self._shards.all()} - self._under_way.keys()

    async def _catch_up(self) -> None:
        async with self._shards.directory.read() as tx:
            shard_map = await read_map(tx)
            addresses = {row["number"]: row["address"] for row in await tx.all(_ADDRESSES)}
        self._shards.map = shard_map
        for shard in self._shards.all():
            if shard.number not in shard_map.shards:
                _log.info("shard_dismissed", shard=shard.number, version=shard_map.version)
                await self._shards.dismiss(shard.number)
        for number in sorted(self._missing()):
            if shard_map.shards[number].state == "joining" and addresses.get(number) is None:
                continue  # It is being migrated.
            self._under_way[number] = asyncio.create_task(self._open(number, addresses), name=f"opening {number}")

    async def _open(self, number: int, addresses: Mapping[int, str | None]) -> None:
        """Open a shard; after a failure wait before the next look may try again."""
        try:
            shard, pools = await self._opening.open(number, addresses.get(number))
            await self._shards.admit(shard, pools)
            self._reasons.pop(number, None)
            if self._looking is not None:
                _log.info("shard_opened", shard=number, version=self._shards.map.version)
        except BridgeError as error:
            self._tell_once(number, error.message)
            await asyncio.sleep(_AGAIN_SECONDS)
        except Exception:  # noqa: BLE001
            # One shard's trouble is not the others'.
            _log.exception("shard_not_opened", shard=number)
            await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            self._under_way.pop(number, None)

    def _tell_once(self, number: int, reason: str) -> None:
        """Log why a shard is not open, when that changes; a command, which looks once, says so in its own words."""
        if self._looking is not None and self._reasons.get(number) != reason:
            self._reasons[number] = reason
            _log.warning("shard_not_opened", shard=number, reason=reason)


async def servers_without(shards: Shards, number: int) -> int:
    """Return how many running servers have not opened a shard yet; raises Unavailable."""
    return await _count(shards, number, wanted=True)


async def servers_with(shards: Shards, number: int) -> int:
    """Return how many running servers have a shard open; raises Unavailable."""
    return await _count(shards, number, wanted=False)


async def _count(shards: Shards, number: int, *, wanted: bool) -> int:
    async with shards.directory.read() as tx:
        row = await tx.one(_BEHIND, {"live": LIVE, "number": number, "wanted": wanted})
    if row is None:
        raise Unavailable
    return int(row["servers"])
