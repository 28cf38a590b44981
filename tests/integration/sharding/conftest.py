"""A directory with two shards in databases of their own, and empty databases that may become more of them."""

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import sql

from make_bridge.domain.organizations.shards import ShardService
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.opening import DatabaseAddress, DatabasePlan, open_databases
from make_bridge.platform.database.pools import PoolLimits
from make_bridge.platform.database.roles import serving_role
from make_bridge.platform.security.root_key import RootKey, RootKeys
from make_bridge.platform.sharding.opening import ShardOpening
from make_bridge.platform.sharding.watching import ShardWatch
from support.postgres import PostgresServer

LIMITS = PoolLimits(min_size=1, max_size=4, wait=5.0)


@dataclass(slots=True, kw_only=True)
class Installation:
    """What processes of one installation share."""

    postgres: PostgresServer
    plan: DatabasePlan
    roots: RootKeys
    path: object
    stack: AsyncExitStack
    role_secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def opening(self):
        return ShardOpening(
            plan=self.plan, limits=LIMITS, role_secret=self.role_secret, roots=self.roots, clock=SystemClock()
        )

    async def process(self):
        """Open the databases as one more process does."""
        addresses = [self.plan.directory, *self.plan.shards.values()]
        serving = {address.url: address.url for address in addresses}
        return await open_databases(self.stack, self.plan, serving, LIMITS, SystemClock())

    async def watch(self, shards, name):
        """Let a process watch the map, without a loop of its own: the test looks."""
        return await self.stack.enter_async_context(
            ShardWatch(shards, self.opening, server=f"{name} {secrets.token_hex(4)}", seconds=0.05)
        )

    def service(self, shards):
        return ShardService(directory=shards.directory, opening=self.opening, roots=self.roots)

    async def empty(self):
        """Make an empty database and return its owner's address; it goes with the test."""
        name = f"{self.postgres.prefix}_{secrets.token_hex(4)}"
        await self._run("CREATE DATABASE {}", name)
        role = serving_role(name, self.role_secret).name
        self.stack.push_async_callback(self._run, "DROP ROLE IF EXISTS {}", role)
        self.stack.push_async_callback(self._run, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        return self.postgres.dsn(name)

    async def _run(self, statement, name):
        async with await psycopg.AsyncConnection.connect(self.postgres.owner_dsn, autocommit=True) as connection:
            await connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@pytest.fixture
async def installation(postgres, tmp_path):
    async with AsyncExitStack() as stack:
        directory = await postgres.clone(("directory",), 0)
        shards = {number: await postgres.clone(("shard",), number) for number in (0, 7)}
        for database in (directory, *shards.values()):
            stack.push_async_callback(postgres.drop, database)
        plan = DatabasePlan(
            directory=DatabaseAddress(url=postgres.serving_dsn(directory)),
            shards={number: DatabaseAddress(url=postgres.serving_dsn(name)) for number, name in shards.items()},
        )
        path = tmp_path / "root.key"
        RootKey.create(path)
        yield Installation(postgres=postgres, plan=plan, roots=RootKeys.load(path), path=path, stack=stack)


@pytest.fixture
async def shards(installation):
    """The databases as one process sees them."""
    return await installation.process()


async def place(shards, number, name="Somebody"):
    """Write an organization that lives on a shard."""
    placed = "INSERT INTO directory.placements (organization_id, shard) VALUES (%s, %s)"
    async with shards.directory.write() as tx:
        rows = await tx.all("INSERT INTO directory.organizations (name) VALUES (%s) RETURNING id", (name,))
        await tx.execute(placed, (rows[0]["id"], number))
    return OrganizationId(rows[0]["id"])
