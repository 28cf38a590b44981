"""Wiring of the databases: which there are by the settings, who may open them, and what is watched of them."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.database.awaiting import await_server
from make_bridge.platform.database.clock_skew import ClockWatch
from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedPostgres, facts_of_running
from make_bridge.platform.database.opening import (
    DatabaseAddress,
    DatabasePlan,
    kept_role_secret,
    open_databases,
    prepare,
)
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.slow_statements import SlowStatements
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security.root_key import ROLE_PURPOSE, RootKey, RootKeys, role_secret_place
from make_bridge.platform.security.sealing import SealBroken, Sealed
from make_bridge.settings import Settings
from make_bridge.wiring.domain import Domain

_SHARD_START_SECONDS = 5.0
Report = Callable[[str], None]


def root_keys(settings: Settings) -> RootKeys:
    """Read the root key and, during a rotation, the next; only the embedded default may make one of its own."""
    path = settings.root_key_path
    if settings.root_key_file is None and not path.exists():
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            RootKey.create(path)
        except OSError as error:
            raise ConfigurationError(
                f"There is no root key, and none can be made at {path}: {error.strerror}. Set "
                "MAKE_BRIDGE_ROOT_KEY_FILE to one, or MAKE_BRIDGE_DATA_DIR to a folder that this user may write."
            ) from error
    roots = RootKeys.load(path)
    roots.current.self_test()
    return roots


async def role_secret_of(plan: DatabasePlan, roots: RootKeys) -> bytes:
    """Return what the serving role's password is made of: of the root key, unless a rotation has kept it apart."""
    kept = await kept_role_secret(plan)
    if kept is None:
        return roots.current.derive(ROLE_PURPOSE)
    try:
        return await roots.unwrap(role_secret_place(), Sealed(kept))
    except SealBroken:
        raise ConfigurationError(
            "The root key of this database was rotated, and this process has another one: give it the key in force."
        ) from None


async def open_shards(
    stack: AsyncExitStack, plan: DatabasePlan, settings: Settings, role_secret: bytes, clock: Clock, report: Report
) -> Shards:
    """Open the directory and every shard that answers, migrating what is behind."""
    lines, serving = await prepare(replace(plan, patience=settings.migration_patience()), role_secret)
    for line in lines:
        report(line)
    return await open_databases(stack, plan, serving, settings.pools(), clock)


async def plan_of(stack: AsyncExitStack, settings: Settings, *, join: bool) -> DatabasePlan:
    """Return where the databases are; starts the embedded one, unless, with ``join``, a server that runs has it."""
    plan = external_plan(settings)
    if plan is not None:
        # A command that ends soon has nothing to read on replicas.
        return plan if join else replace(plan, replicas=_replicas(settings), replica_limits=settings.replicas())
    config = EmbeddedConfig(data_dir=settings.data_dir)
    facts = await asyncio.to_thread(facts_of_running, config) if join else None
    if facts is None:
        facts = await stack.enter_async_context(EmbeddedPostgres(config))
    return DatabasePlan(directory=DatabaseAddress(url=facts.admin_dsn), shards={})


async def await_databases(plan: DatabasePlan, settings: Settings, report: Report) -> None:
    """Let the parts of an installation be started in any order; the embedded database is up by now.

    A shard apart that is silent for longer is opened whenever it answers, and the others' tenants do not wait for it.
    """
    patience = settings.database_start_seconds
    async with asyncio.TaskGroup() as waiting:
        for address, trees, _ in plan.trees():
            seconds = patience if "directory" in trees else min(patience, _SHARD_START_SECONDS)
            waiting.create_task(await_server(address.url, seconds, report))


def _replicas(settings: Settings) -> dict[int, tuple[str, ...]]:
    return {number: tuple(url.get_secret_value() for url in urls) for number, urls in settings.replica_urls.items()}


def external_plan(settings: Settings) -> DatabasePlan | None:
    """Return where the databases are; None for the embedded one."""
    if settings.database_url is None:
        return None
    owner = settings.migration_url.get_secret_value() if settings.migration_url is not None else None
    shards = {number: DatabaseAddress(url=secret.get_secret_value()) for number, secret in settings.shard_urls.items()}
    return DatabasePlan(
        directory=DatabaseAddress(url=settings.database_url.get_secret_value(), owner_url=owner), shards=shards
    )


async def watch_clock(stack: AsyncExitStack, domain: Domain, settings: Settings) -> ClockWatch:
    """Have the own clock compared with the database's, again and again."""
    watch = ClockWatch(
        domain.shards.directory,
        domain.clock,
        most=settings.clock_skew_seconds,
        every=settings.clock_look_seconds,
        loops=domain.metrics.loops,
    )
    domain.metrics.coordination.clock_skew.set_function(lambda: watch.seconds)
    return await stack.enter_async_context(watch)


async def watch_databases(stack: AsyncExitStack, domain: Domain, settings: Settings) -> SlowStatements:
    """Count what databases refuse and who answers what may lag, and take note of slow statements."""
    slow = SlowStatements(
        seconds=settings.slow_query_ms / 1000,
        most=settings.slow_query_fingerprints,
        clock=domain.clock,
        counted=domain.metrics.database.slow_statements.inc,
    )
    domain.shards.listen_for_refusals(domain.metrics.database.count_refusal)
    domain.shards.directory.watch(slow)
    domain.metrics.pools.watch("directory", domain.shards.directory.statistics())
    await domain.shards.follow(_Watched(metrics=domain.metrics, slow=slow))
    await stack.enter_async_context(slow.planning())
    return slow


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """Watches each shard, also one that comes while the process runs."""

    metrics: Metrics
    slow: SlowStatements

    async def begin(self, shard: Shard) -> None:
        reads = self.metrics.reads
        shard.watch(self.slow)
        self.metrics.pools.watch(str(shard.number), shard.statistics())
        shard.replicas.count_with(lambda source: reads.by_source[source].inc())
        for replica in shard.replicas.all:
            reads.watch_replica(str(shard.number), replica)

    async def end(self, shard: Shard) -> None:
        """Its pools close with all that watches them."""
        self.metrics.pools.forget(str(shard.number))
