"""Services apart: how a process with some of the roles joins the others, calls them, and is called by them.

With all roles in one process nothing of this is there, but for the row that tells how many servers share a limit.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from make_bridge import __version__
from make_bridge.domain.organizations.shard_store import counts
from make_bridge.faces.edge.doors import Doors, MakeGate, OpenDoors
from make_bridge.faces.internal.forwarding import Forwarder, ForwardingConfig, ForwardingDoors, RetryBudget
from make_bridge.faces.internal.receiving import ReceivingDoors
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.entropy import chance
from make_bridge.kernel.roles import FORWARDED, Role
from make_bridge.platform.coordination.membership import Member, Membership
from make_bridge.platform.coordination.zookeeper_members import EphemeralMembers
from make_bridge.platform.coordination.zookeeper_session import Session
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security.internal_context import InternalContexts
from make_bridge.platform.security.root_key import RootKeys
from make_bridge.platform.sharding.balance import Balance
from make_bridge.platform.sharding.moving_model import Standing
from make_bridge.platform.sharding.moving_store import standing
from make_bridge.platform.sharding.opening import ShardOpening
from make_bridge.platform.sharding.watching import ShardWatch
from make_bridge.platform.upstreams.checking import Checking
from make_bridge.platform.upstreams.client import UpstreamClient, UpstreamConfig
from make_bridge.platform.upstreams.nodes import NodeRules, Nodes
from make_bridge.settings import LoadedSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesGround:
    """What it stands on."""

    directory: Directory
    roots: RootKeys
    clock: Clock
    metrics: Metrics
    loaded: LoadedSettings
    session: Session | None = None

    @property
    def contexts(self) -> InternalContexts:
        """What signs and reads the context of a request that is handed on; during a rotation with both root keys."""
        return InternalContexts(self.roots.current, self.roots.known(), more=self.roots.read_again)


async def open_membership(stack: AsyncExitStack, ground: ServicesGround, limits: tuple[str, ...]) -> Membership | None:
    """Return this process's place among the others; None where nobody has to know of it."""
    settings = ground.loaded.settings
    if not limits and not settings.is_apart:
        return None
    member = Member(
        name=f"{ground.loaded.node_id} {secrets.token_hex(4)}",
        limits=limits,
        address=settings.advertised,
        roles=frozenset(settings.roles),
        weight=settings.node_weight,
        version=__version__,
    )
    witness = None
    if ground.session is not None:
        witness = await stack.enter_async_context(EphemeralMembers(ground.session, member))
    return Membership(
        ground.directory, member, seconds=settings.servers_seconds, witness=witness, loops=ground.metrics.loops
    )


def shard_watch_of(shards: Shards, opening: ShardOpening, loaded: LoadedSettings) -> ShardWatch:
    """Return what tells this process of shards that come and go."""
    server = f"{loaded.node_id} {secrets.token_hex(4)}"
    settings = loaded.settings
    return ShardWatch(
        shards, opening, server=server, seconds=settings.servers_seconds, overcommit=settings.database_overcommit
    )


def balance_of(shards: Shards, metrics: Metrics, loaded: LoadedSettings) -> Balance:
    """Return what looks how evenly the shards are loaded."""

    async def organizations() -> Mapping[int, int]:
        async with shards.directory.read() as tx:
            return await counts(tx)

    async def moves() -> Standing:
        return await standing(shards.directory)

    return Balance(shards, organizations, moves, metrics.shards, loaded.settings.balance())


async def wire_forwarding(
    stack: AsyncExitStack, ground: ServicesGround, membership: Membership | None, gate: MakeGate
) -> Doors:
    """Return the doors of a process that the world calls; what it does not serve itself leads to other processes."""
    settings = ground.loaded.settings
    here = frozenset(settings.roles)
    if here >= FORWARDED or membership is None:
        return OpenDoors(gate)
    nodes = Nodes(
        NodeRules(rule=settings.balancing, fall=settings.node_fall, rise=settings.node_rise),
        asyncio.get_running_loop().time,
        chance,
    )
    membership.hear(nodes.hear)
    _show(nodes, ground.metrics)
    client = await stack.enter_async_context(UpstreamClient(_client_config(settings)))
    forwarder = Forwarder(
        nodes=nodes,
        client=client,
        contexts=ground.contexts,
        clock=ground.clock,
        counters=ground.metrics.upstreams,
        config=(config := ForwardingConfig(seconds=settings.forward_seconds)),
        budget=RetryBudget(config.retry_share, config.most_retries_saved),
    )
    # The row is written before anything is served; here the others are read, and asked for the first time.
    await membership.beat()
    await stack.enter_async_context(Checking(nodes, client, seconds=settings.node_check_seconds))
    return ForwardingDoors(here, gate, forwarder)


def receiving_doors(ground: ServicesGround) -> Doors:
    """Return the doors of a process that only gateways call."""
    return ReceivingDoors(frozenset(ground.loaded.settings.roles), ground.contexts, ground.clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """What a process does between being asked to end and ending: the others learn that it goes, and stop calling."""

    membership: Membership | None
    going: Callable[[], None]
    seconds: float

    async def say(self) -> None:
        """Leave, and serve on until everybody has noticed."""
        self.going()
        if self.membership is not None:
            await self.membership.leave()
        await asyncio.sleep(self.seconds)


def _client_config(settings: Settings) -> UpstreamConfig:
    return UpstreamConfig(
        connections=settings.node_connections,
        connections_per_node=settings.node_connections,
        connect_seconds=settings.node_connect_seconds,
        check_seconds=settings.node_check_seconds,
    )


def _show(nodes: Nodes, metrics: Metrics) -> None:
    def counted(role: Role, state: str) -> Callable[[], float]:
        return lambda: float(nodes.count()[role, state])

    for role, state in nodes.count():
        metrics.upstreams.nodes.labels(role, state).set_function(counted(role, state))
