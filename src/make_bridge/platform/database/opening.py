"""From addresses to open databases: who owns, who serves, what must be migrated first.

One address may be all an operator gives. When its role may create roles, it is used for migrations
only, and serving happens through a plain login role made for this database. When it is a plain role
itself, it serves, and migrations need an owner's address beside it.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import PoolTimeout

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import ConfigurationError, Unavailable
from make_bridge.platform.database.awaiting import answers
from make_bridge.platform.database.budget import (
    CONNECTIONS_OF_LOOPS,
    KEPT_FREE,
    READ_ALLOWED,
    Server,
    most_connections,
    server_of,
)
from make_bridge.platform.database.freshness import ReplicaLimits
from make_bridge.platform.database.pools import Directory, PoolLimits, Shard, open_pool
from make_bridge.platform.database.replicas import Replica, Replicas
from make_bridge.platform.database.roles import refuse_mighty_role, serving_role
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import Pool
from make_bridge.platform.database.versions import LockPatience, MigrationRequest, Tree, pending, run_migration
from make_bridge.platform.sharding.map import read_map

_MAY_CREATE_ROLES = "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"

# A fact of the directory: the sealed secret that the serving role's password is made of, kept by the first rotation of
# the root key. Without it the password follows from the root key itself.
ROLE_FACT = "database_role_secret"
_HAS_FACTS = "SELECT to_regclass('directory.facts') IS NOT NULL"
_READ_KEPT = "SELECT value FROM directory.facts WHERE name = %s"
# Seconds (and milliseconds) after which a connection to a replica whose machine is gone counts as broken.
_QUICKLY = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 5000}
# What a replica takes from its shard's address.
_OWN = frozenset({"user", "password", "dbname"})
_HAS_SCHEMAS = "SELECT to_regnamespace('directory') IS NOT NULL, to_regclass('shard.identity') IS NOT NULL"
_IDENTITY = "SELECT number FROM shard.identity"
_KNOW_SHARD = "INSERT INTO directory.shards (number, name) VALUES (%s, %s) ON CONFLICT DO NOTHING"


class _Unreachable(ConfigurationError):
    """The database cannot be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAddress:
    """One database as configured: ``url`` serves (or owns), ``owner_url`` migrates when it differs."""

    url: str
    owner_url: str | None = None

    def __repr__(self) -> str:
        """Show no secret."""
        return "DatabaseAddress(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePlan:
    """Where the directory and each shard live; without shards, shard 0 lives beside the directory."""

    directory: DatabaseAddress
    shards: dict[int, DatabaseAddress]
    replicas: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Standbys of shards that may be read: their addresses; who reads there, and what, the shard's own address says."""
    replica_limits: ReplicaLimits = field(default_factory=ReplicaLimits)
    patience: LockPatience = field(default_factory=LockPatience)

    def trees(self) -> list[tuple[DatabaseAddress, tuple[Tree, ...], int]]:
        """Return each database with the trees it carries and its shard number."""
        if not self.shards:
            return [(self.directory, ("directory", "shard"), 0)]
        databases: list[tuple[DatabaseAddress, tuple[Tree, ...], int]] = [(self.directory, ("directory",), 0)]
        databases += [(address, ("shard",), number) for number, address in sorted(self.shards.items())]
        return databases

    def numbers(self) -> tuple[int, ...]:
        """Return the shard numbers."""
        return tuple(sorted(self.shards)) or (0,)


async def kept_role_secret(plan: DatabasePlan) -> str | None:
    """Return the sealed secret of the serving role, where one is kept; a database that is away ``prepare`` tells."""
    owner = plan.directory.owner_url or plan.directory.url
    try:
        if not await _may_create_roles(owner):
            return None
        async with await psycopg.AsyncConnection.connect(owner, autocommit=True, connect_timeout=10) as connection:
            row = await (await connection.execute(_HAS_FACTS)).fetchone()
            if row is None or not row[0]:
                return None
            kept = await (await connection.execute(_READ_KEPT, (ROLE_FACT,))).fetchone()
            return None if kept is None else str(kept[0])
    except psycopg.OperationalError:
        return None


async def prepare(plan: DatabasePlan, root_key: bytes) -> tuple[list[str], dict[str, str]]:
    """Migrate what is behind; return a line per thing done and each address's serving connection string.

    A shard whose server does not answer is left out and told of: the others serve, and it is opened when it does.
    """
    done: list[str] = []
    serving: dict[str, str] = {}
    for address, trees, number in plan.trees():
        try:
            lines, dsn = await prepare_one(address, trees, number, plan, root_key)
        except _Unreachable as error:
            if "directory" in trees or await answers(address.url):
                raise
            done.append(f"shard {number} is left out until it answers: {error.message}")
            continue
        done += lines
        serving[address.url] = dsn
    return done, serving


async def prepare_one(
    address: DatabaseAddress, trees: tuple[Tree, ...], number: int, plan: DatabasePlan, root_key: bytes
) -> tuple[list[str], str]:
    """Migrate one database if it is behind; return what was done and the connection string that serves."""
    owner = address.owner_url or address.url
    try:
        behind = await pending(address.url, trees)
        may_create = await _may_create_roles(owner)
    except psycopg.OperationalError as error:
        where = conninfo_to_dict(address.url)
        message = f"Cannot reach the database {where.get('dbname')} at {where.get('host')}: {error}"
        raise _Unreachable(message) from error
    if not may_create:
        if behind:
            message = (
                f"The database is not at the newest version ({', '.join(behind)}), and the role of "
                "MAKE_BRIDGE_DATABASE_URL may not migrate it: set MAKE_BRIDGE_MIGRATION_URL to an owner's address."
            )
            raise ConfigurationError(message)
        return [], address.url
    parts = conninfo_to_dict(address.url)
    role = serving_role(str(parts.get("dbname") or parts.get("user")), root_key)
    dsn = make_conninfo(address.url, user=role.name, password=role.password)
    if not behind and await _can_connect(dsn):
        return [], dsn
    request = MigrationRequest(
        owner_dsn=owner,
        trees=trees,
        shard_number=number,
        known_shards=plan.numbers(),
        serving_role=role.name,
        serving_password=role.password,
        patience=plan.patience,
    )
    return await run_migration(request), dsn


async def open_databases(
    stack: AsyncExitStack, plan: DatabasePlan, serving: dict[str, str], limits: PoolLimits, clock: Clock
) -> Shards:
    """Open every pool on ``stack``; refuses login roles that could pass by row-level security.

    Shards that are missing in ``serving``, and those that were removed, are not opened.
    """
    for dsn in serving.values():
        await refuse_mighty_role(dsn)
    await _refuse_too_many(plan, serving, limits)
    directory_dsn = serving[plan.directory.url]
    directory = Directory(
        await stack.enter_async_context(open_pool(directory_dsn, "bridge_directory", limits.of("bridge_directory")))
    )
    async with directory.write() as tx:
        for number in plan.numbers():
            await tx.execute(_KNOW_SHARD, (number, f"shard-{number}"))
        shard_map = await read_map(tx)
    shards = Shards(directory, {}, clock, shard_map)
    stack.push_async_callback(shards.close)
    for address, trees, number in plan.trees():
        if "shard" in trees and address.url in serving and number in shard_map.shards:
            standbys = Standbys(plan.replicas.get(number, ()), plan.replica_limits, clock)
            await shards.admit(*await open_shard(serving[address.url], number, limits, standbys))
    return shards


@dataclass(frozen=True, slots=True)
class Standbys:
    """The replicas of one shard, by their addresses, and when they are read."""

    addresses: tuple[str, ...]
    limits: ReplicaLimits
    clock: Clock


async def open_shard(dsn: str, number: int, limits: PoolLimits, standbys: Standbys) -> tuple[Shard, AsyncExitStack]:
    """Open the pools of one shard; raises ConfigurationError for a database that is another shard, Unavailable."""
    async with AsyncExitStack() as stack:
        try:
            app = await stack.enter_async_context(open_pool(dsn, "bridge_app", limits.of("bridge_app")))
            engine = await stack.enter_async_context(
                open_pool(dsn, "bridge_engine", _with_loops(limits.of("bridge_engine")))
            )
        except PoolTimeout as error:
            raise Unavailable(f"Shard {number} does not take connections.") from error
        replicas = [
            await stack.enter_async_context(_replica(address, dsn, engine, standbys, limits))
            for address in standbys.addresses
        ]
        shard = Shard(
            number,
            app,
            engine,
            report_seconds=limits.report_statement_timeout,
            replicas=Replicas(replicas, standbys.clock),
        )
        async with shard.engine_statement() as tx:
            row = await tx.one(_IDENTITY)
        if row is None or row["number"] != number:
            raise ConfigurationError(f"The database that is given as shard {number} says that it is another one.")
        return shard, stack.pop_all()
    raise AssertionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupied:
    """What a database holds already: a directory, and the number of the shard it is."""

    has_directory: bool
    shard: int | None

    @property
    def is_free(self) -> bool:
        """Say whether nothing of ours is there."""
        return not self.has_directory and self.shard is None


async def occupied(url: str) -> Occupied:
    """Look what is in a database; raises ConfigurationError where it cannot be reached."""
    try:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=10) as connection:
            cursor = await connection.execute(_HAS_SCHEMAS)
            has_directory, has_shard = await cursor.fetchone() or (False, False)
            found = await (await connection.execute(_IDENTITY)).fetchone() if has_shard else None
    except psycopg.OperationalError as error:
        where = conninfo_to_dict(url)
        message = f"Cannot reach the database {where.get('dbname')} at {where.get('host')}: {error}"
        raise ConfigurationError(message) from error
    return Occupied(has_directory=has_directory, shard=None if found is None else int(found[0]))


@asynccontextmanager
async def _replica(
    address: str, dsn: str, primary: Pool, standbys: Standbys, limits: PoolLimits
) -> AsyncIterator[Replica]:
    """Open one replica, whether or not it is there; one that vanishes without a word is noticed within seconds."""
    where, what = conninfo_to_dict(address), conninfo_to_dict(dsn)
    host, port = str(where.get("host") or "localhost"), str(where.get("port") or "5432")
    pool_limits = replace(limits.of("bridge_app"), wait=standbys.limits.wait)
    parts: dict[str, str | int | None] = {**_QUICKLY, **where}
    parts |= {name: value for name, value in what.items() if name in _OWN}
    async with open_pool(make_conninfo("", **parts), "bridge_app", pool_limits, is_needed=False) as pool:
        replica = Replica(f"{host}:{port}", pool, primary, standbys.limits, standbys.clock)
        async with replica.following():
            yield replica


async def _refuse_too_many(plan: DatabasePlan, serving: dict[str, str], limits: PoolLimits) -> None:
    """Refuse to start where this process alone could use up a server's connections. Databases may share a server."""
    most: Counter[Server] = Counter()
    ways: dict[Server, str] = {}
    for address, trees, _ in plan.trees():
        dsn = serving.get(address.url)
        if dsn is not None:
            server = server_of(dsn)
            ways[server] = dsn
            most[server] += most_connections(
                limits.max_size, directories=trees.count("directory"), shards=trees.count("shard")
            )
    for server, dsn in ways.items():
        allowed = await _max_connections(dsn)
        if most[server] > allowed - KEPT_FREE:
            message = (
                f"This process may open {most[server]} connections to the PostgreSQL at {server[0]}, which takes "
                f"{allowed} in all, and {KEPT_FREE} have to stay free: lower MAKE_BRIDGE_DATABASE_CONNECTIONS (now "
                f"{limits.max_size}) or raise max_connections there."
            )
            raise ConfigurationError(message)


async def _max_connections(dsn: str) -> int:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        row = await (await connection.execute(READ_ALLOWED)).fetchone()
        return int(row[0]) if row else 0


async def _may_create_roles(dsn: str) -> bool:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        row = await (await connection.execute(_MAY_CREATE_ROLES)).fetchone()
        return bool(row and row[0])


async def _can_connect(dsn: str) -> bool:
    try:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=10):
            return True
    except psycopg.OperationalError:
        return False


def _with_loops(limits: PoolLimits) -> PoolLimits:
    return replace(limits, max_size=limits.max_size + CONNECTIONS_OF_LOOPS)
