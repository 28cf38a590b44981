"""Opening a shard by its number, at a process's start or while it runs.

Its address stands in the settings (``SHARD_URLS``), which win, or in the directory, where ``shards add`` has put what
serves, sealed by the root key: so a running process needs nothing but what it has to come to know a shard. A shard of
the settings is migrated here when it is behind; of one in the directory this process knows no owner, so it says so.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final

import psycopg

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import ConfigurationError, Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.opening import DatabaseAddress, DatabasePlan, Standbys, open_shard, prepare_one
from make_bridge.platform.database.pools import PoolLimits, Shard
from make_bridge.platform.database.roles import refuse_mighty_role
from make_bridge.platform.database.versions import HEADS
from make_bridge.platform.security.key_wrapping import Wrapping
from make_bridge.platform.security.sealing import Place, SealBroken, Sealed

_SECONDS: Final = 30.0
_VERSION: Final = "SELECT version_num FROM shard.schema_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardOpening:
    """What it takes; ``role_secret`` is what passwords of serving roles are made of."""

    plan: DatabasePlan
    limits: PoolLimits
    role_secret: bytes
    roots: Wrapping
    clock: Clock

    def __repr__(self) -> str:
        """Show no secret."""
        return "ShardOpening(…)"

    async def open(self, number: int, sealed: str | None) -> tuple[Shard, AsyncExitStack]:
        """Open a shard; raises Unavailable while it does not answer, ConfigurationError where it cannot be opened."""
        try:
            dsn = await self._of_settings(number) or await self._of_directory(number, sealed)
            async with asyncio.timeout(_SECONDS):
                await refuse_mighty_role(dsn)
                shard, pools = await open_shard(dsn, number, self.limits, self._standbys(number))
                try:
                    await _require_version(shard)
                except BaseException:
                    await pools.aclose()
                    raise
                return shard, pools
        except (psycopg.OperationalError, TimeoutError) as error:
            raise Unavailable(f"Shard {number} does not answer.") from error

    async def prepare_new(self, number: int, url: str) -> str:
        """Bring a fresh database to the newest version; return the connection string that serves, which is secret."""
        address = DatabaseAddress(url=url)
        plan = replace(self.plan, shards={number: address})
        _, dsn = await prepare_one(address, ("shard",), number, plan, self.role_secret)
        await refuse_mighty_role(dsn)
        return dsn

    def _standbys(self, number: int) -> Standbys:
        return Standbys(self.plan.replicas.get(number, ()), self.plan.replica_limits, self.clock)

    async def _of_settings(self, number: int) -> str | None:
        for address, trees, named in self.plan.trees():
            if named == number and "shard" in trees:
                return (await prepare_one(address, trees, number, self.plan, self.role_secret))[1]
        return None

    async def _of_directory(self, number: int, sealed: str | None) -> str:
        if sealed is None:
            raise ConfigurationError(
                f"Nothing says where shard {number} is: name it in MAKE_BRIDGE_SHARD_URLS, or finish 'shards add'."
            )
        try:
            dsn = (await self.roots.unwrap(address_place(number), Sealed(sealed))).decode()
        except SealBroken:
            message = f"The address of shard {number} is sealed by a root key that is not here."
            raise ConfigurationError(message) from None
        return dsn


async def _require_version(shard: Shard) -> None:
    """Refuse a shard that is behind this program; one that is ahead was migrated for the next, and serves this one."""
    async with shard.engine_statement() as tx:
        row = await tx.one(_VERSION)
    if row is None or row["version_num"] < HEADS["shard"]:
        raise ConfigurationError(
            f"Shard {shard.number} is not at the newest version: name it with an owner's address in "
            "MAKE_BRIDGE_SHARD_URLS of 'make-bridge migrate'."
        )


def address_place(number: int) -> Place:
    """Return where the sealed address of a shard belongs."""
    return Place(organization_id=OrganizationId(0), kind="shard", object_id=number, field="address")
