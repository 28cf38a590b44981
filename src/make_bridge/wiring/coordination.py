"""Coordination's wiring: a session with ZooKeeper where there is one, and what decides who does what only one may."""

from contextlib import AsyncExitStack

from make_bridge.platform.coordination.leadership import leases
from make_bridge.platform.coordination.port import Candidacy, CandidacyOf
from make_bridge.platform.coordination.zookeeper_election import Election
from make_bridge.platform.coordination.zookeeper_session import Session
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.settings import LoadedSettings


async def open_session(stack: AsyncExitStack, loaded: LoadedSettings, metrics: Metrics) -> Session | None:
    """Open the session of this process, which closes after everything that stands on it."""
    config = loaded.settings.zookeeper()
    return None if config is None else await stack.enter_async_context(Session(config, metrics.coordination))


def candidacies(session: Session | None, node: str) -> CandidacyOf:
    """Return what makes this process's claims: elections where there is a session, else leases."""
    if session is None:
        return leases(node)
    there = session

    def stand(shard: Shard, name: str) -> Candidacy:
        return Election(there, shard, name, node)

    return stand
