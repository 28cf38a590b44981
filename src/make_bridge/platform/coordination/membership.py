"""Which servers serve together: a row for each in the directory, with where it is called and what it serves.

``boot`` opens one in every server. It writes its row at its start and every second, and reads who else did so within
fifteen; the database's clock decides. Rate limits divide themselves among the servers they hear of
(``faces/edge/limiters``), a gateway hands requests on to them (``platform/upstreams``). One that ends takes its row
along first, one that is killed is heard of for fifteen seconds more: who calls it notices sooner, and so does a
``Witness``, where there is one (``zookeeper_members``). What happens on failure: without the database the list stays
what it was.
"""

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Protocol, Self

import structlog

from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.transactions import Row
from make_bridge.platform.observability.metrics.loops import LATE_AFTER, LoopTurns

LIVE: Final = timedelta(seconds=15)
MOST_SERVERS: Final = 1000
_SHORTEST_SECONDS: Final = 0.1
_FORGOTTEN: Final = timedelta(minutes=5)
_log = structlog.get_logger(__name__)

_BEAT: Final = """
WITH forgotten AS (
    DELETE FROM directory.servers WHERE name IN (
        SELECT name FROM directory.servers WHERE seen_at < now() - %(forgotten)s AND name <> %(name)s
        LIMIT 100 FOR UPDATE SKIP LOCKED
    )
), beat AS (
    INSERT INTO directory.servers AS s (name, limits, address, roles, weight, version)
    VALUES (%(name)s, %(limits)s, %(address)s, %(roles)s, %(weight)s, %(version)s)
    ON CONFLICT (name) DO UPDATE SET limits = excluded.limits, address = excluded.address, roles = excluded.roles,
        weight = excluded.weight, version = excluded.version, seen_at = now()
)
SELECT name, limits, address, roles, weight, version, seen_at < now() - %(late)s AS is_late FROM directory.servers
WHERE seen_at > now() - %(live)s AND name <> %(name)s ORDER BY name LIMIT %(most)s
"""
_IS_SERVED: Final = """
SELECT EXISTS (SELECT FROM directory.servers WHERE seen_at > now() - %s AND %s = ANY(roles)) AS is_served
"""
_LEAVE: Final = "DELETE FROM directory.servers WHERE name = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One server. ``name`` is this process's alone; without ``address`` nobody calls it; weight 0 gets nothing new."""

    name: str
    limits: tuple[str, ...] = ()
    """The names of the rate limits that it holds."""
    address: str | None = None
    roles: frozenset[str] = frozenset()
    weight: int = 1
    version: str = ""


Hearing = Callable[[Sequence[Member]], None]


class Witness(Protocol):
    """Something else that sees servers come and go."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Have this called when somebody has come or gone."""
        ...

    def corrected(self, members: Sequence[Member], late: AbstractSet[str]) -> Sequence[Member]:
        """Return who of the rows is there, and who has no row yet; ``late`` have missed a few beats."""
        ...

    async def leave(self) -> None:
        """Say that this server goes."""
        ...


class Membership:
    """One server's place among the others; an async context manager."""

    def __init__(
        self,
        directory: Directory,
        member: Member,
        *,
        seconds: float,
        witness: Witness | None = None,
        loops: LoopTurns | None = None,
    ) -> None:
        """``seconds`` lie between two looks; whoever misses three of them is late."""
        self._loops = loops or LoopTurns()
        self._directory = directory
        self._member = member
        self._seconds = seconds
        self._hearing: list[Hearing] = []
        self._beating: asyncio.Task[None] | None = None
        self._witness = witness
        self._turned = asyncio.Event()
        if witness is not None:
            witness.watch(self._turned.set)

    def hear(self, hearing: Hearing) -> None:
        """Have this called with every list of the live servers, this one first."""
        self._hearing.append(hearing)

    async def beat(self) -> None:
        """Say that this server lives, and hear of the others."""
        member = self._member
        given = {
            "name": member.name, "limits": list(member.limits), "address": member.address,
            "roles": sorted(member.roles), "weight": member.weight, "version": member.version,
            "live": LIVE, "forgotten": _FORGOTTEN, "most": MOST_SERVERS,
            "late": timedelta(seconds=3 * self._seconds),
        }  # fmt: skip
        async with self._directory.statement() as tx:
            rows = await tx.all(_BEAT, given)
        others: Sequence[Member] = [_member_of(row) for row in rows]
        if self._witness is not None:
            others = self._witness.corrected(others, {row["name"] for row in rows if row["is_late"]})
        members = [member, *others]
        for hearing in self._hearing:
            hearing(members)

    async def leave(self) -> None:
        """Take this server's row away, before it stops to serve; the others go on without it."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        if self._witness is not None:
            await self._witness.leave()
        try:
            async with self._directory.statement() as tx:
                await tx.execute(_LEAVE, (self._member.name,))
        except BridgeError as failure:
            _log.debug("server_not_left", error=failure.message)

    async def __aenter__(self) -> Self:
        """Join before anything is served: a server that comes must not begin with the whole of a limit."""
        await self.beat()
        self._beating = asyncio.create_task(self._keep_beating(), name="membership")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        await self.leave()

    async def _keep_beating(self) -> None:
        with self._loops.turning("membership", within=LATE_AFTER) as turned:
            while True:
                await asyncio.sleep(min(self._seconds, _SHORTEST_SECONDS))
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(self._seconds - _SHORTEST_SECONDS, 0.0)):
                        await self._turned.wait()
                self._turned.clear()
                try:
                    await self.beat()
                    turned()
                except BridgeError as error:
                    _log.warning("server_not_counted", error=error.message)


def _member_of(row: Row) -> Member:
    return Member(
        name=row["name"],
        limits=tuple(row["limits"]),
        address=row["address"],
        roles=frozenset(row["roles"]),
        weight=row["weight"],
        version=row["version"],
    )


async def is_served(directory: Directory, role: str) -> bool:
    """Say whether a server that lives serves a role; raises Unavailable."""
    async with directory.statement() as tx:
        row = await tx.one(_IS_SERVED, (LIVE, role))
    return row is not None and bool(row["is_served"])


def holders(members: Sequence[Member], limits: Sequence[str]) -> dict[str, int]:
    """Return how many of the servers hold each of the limits."""
    return {name: sum(name in member.limits for member in members) for name in limits}
