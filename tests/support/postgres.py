"""Real databases for tests: migrated once per session, cloned for every module that asks.

A migration costs seconds, a clone of its result a tenth of one, so each layout is migrated once into a template
database. `one` keeps directory and shard side by side in one database, as a small installation does; `two` keeps them
apart, where a statement that reaches across fails. Sessions serve through the same plain login role as the product,
so row-level security is met by every test.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from make_bridge.kernel.clock import Clock, SystemClock
from make_bridge.platform.database.pools import Directory, PoolLimits, Shard, open_pool
from make_bridge.platform.database.roles import ServingRole, serving_role
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.versions import MigrationRequest, Tree, run_migration

Layout = Literal["one", "two"]
LAYOUTS: tuple[Layout, ...] = ("one", "two")
# Shard 7 in a database of its own: ids of the two trees differ in their last ten bits, so a mix-up shows.
SHARD_OF: dict[Layout, int] = {"one": 0, "two": 7}
_SMALL = PoolLimits(min_size=1, max_size=6, wait=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running server, reached as its owner; when several sessions share it, each has names of its own."""

    owner_dsn: str
    is_shared: bool
    prefix: str = field(default_factory=lambda: f"test_{secrets.token_hex(4)}")
    templates: dict[str, str] = field(default_factory=dict)

    @property
    def role(self) -> ServingRole:
        """The plain login role that all databases of this session are served with."""
        return serving_role(self.prefix, self.prefix.encode())

    def dsn(self, database: str) -> str:
        """The owner's way into one database."""
        return make_conninfo(self.owner_dsn, dbname=database)

    def serving_dsn(self, database: str) -> str:
        """The product's way into one database."""
        return make_conninfo(self.dsn(database), user=self.role.name, password=self.role.password)

    async def clone(self, trees: tuple[Tree, ...], shard: int) -> str:
        """Make a fresh, migrated database and return its name."""
        kind = f"{'_'.join(trees)}_{shard}"
        if kind not in self.templates:
            self.templates[kind] = await self._migrated(f"{self.prefix}_{kind}", trees, shard)
        name = f"{self.prefix}_{secrets.token_hex(4)}"
        await self._run("CREATE DATABASE {} TEMPLATE {}", name, self.templates[kind])
        return name

    async def drop(self, database: str) -> None:
        """Remove a database with whoever is still in it; a server of our own goes as a whole."""
        if self.is_shared:
            await self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)

    async def close(self) -> None:
        """Remove what this session left on the server."""
        for database in self.templates.values():
            await self.drop(database)
        self.templates.clear()
        await self._run("DROP ROLE IF EXISTS {}", self.role.name)

    async def _migrated(self, name: str, trees: tuple[Tree, ...], shard: int) -> str:
        await self._run("CREATE DATABASE {}", name)
        await run_migration(
            MigrationRequest(
                owner_dsn=self.dsn(name),
                trees=trees,
                shard_number=shard,
                known_shards=(shard,),
                serving_role=self.role.name,
                serving_password=self.role.password,
            )
        )
        return name

    async def _run(self, statement: str, *names: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.owner_dsn, autocommit=True) as connection:
            await connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@asynccontextmanager
async def open_shards(server: PostgresServer, layout: Layout, clock: Clock | None = None) -> AsyncIterator[Shards]:
    """Open fresh databases in one layout, as a process of the product would see them."""
    number = SHARD_OF[layout]
    async with AsyncExitStack() as stack:
        if layout == "one":
            home = shard = await server.clone(("directory", "shard"), number)
        else:
            home = await server.clone(("directory",), number)
            shard = await server.clone(("shard",), number)
        for database in {home, shard}:
            stack.push_async_callback(server.drop, database)
        directory = await stack.enter_async_context(open_pool(server.serving_dsn(home), "bridge_directory", _SMALL))
        app = await stack.enter_async_context(open_pool(server.serving_dsn(shard), "bridge_app", _SMALL))
        engine = await stack.enter_async_context(open_pool(server.serving_dsn(shard), "bridge_engine", _SMALL))
        yield Shards(Directory(directory), {number: Shard(number, app, engine)}, clock or SystemClock())
