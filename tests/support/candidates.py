"""Candidates for one duty, as several processes would be: each with a session and a way to ZooKeeper of its own."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.coordination import leader_store
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.coordination.port import Candidacy
from make_bridge.platform.coordination.zookeeper_config import ZooKeeperConfig
from make_bridge.platform.coordination.zookeeper_election import Election
from make_bridge.platform.coordination.zookeeper_session import Session
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.observability.metrics import Metrics
from support.waiting import until_async
from support.zookeeper_process import SESSION_SECONDS

ADDED = (
    "INSERT INTO shard.leaders (name, owner, fence, until) VALUES (%s, 'counter', 1, 'infinity') "
    "ON CONFLICT (name) DO UPDATE SET fence = leaders.fence + 1"
)


def config_of(*addresses: str, path: str = "/make-bridge", seconds: float = SESSION_SECONDS) -> ZooKeeperConfig:
    return ZooKeeperConfig(hosts=addresses, path=path, session_seconds=seconds, answer_seconds=2.0)


@contextlib.asynccontextmanager
async def open_session(*addresses: str, path: str = "/make-bridge") -> AsyncIterator[Session]:
    async with Session(config_of(*addresses, path=path), Metrics().coordination) as session:
        yield session


@dataclass(slots=True)
class Candidate:
    """One process's claim, and what it adds to a counter under its fence."""

    candidacy: Candidacy
    shard: Shard
    session: Session | None = None

    async def holds(self) -> bool:
        return await self.candidacy.hold() is not None

    async def wins(self, within: float = 20.0) -> int:
        """Wait until it leads, and return its fence."""
        await until_async(self.holds, f"{self.candidacy.owner} leads", within=within)
        fence = await self.candidacy.hold()
        assert fence is not None
        return fence

    async def write(self, fence: int) -> bool:
        """Do what only the leader may; return whether it was accepted."""
        try:
            async with self.shard.engine_write() as tx:
                await leader_store.require(tx, self.candidacy.name, self.candidacy.owner, fence)
                await tx.execute(ADDED, (f"written {self.candidacy.name}",))
        except Unavailable:
            return False
        return True


CandidateOf = Callable[[str], Candidate]


def leasing(shard: Shard, duty: str) -> CandidateOf:
    return lambda owner: Candidate(Leadership(shard, duty, owner), shard)


def electing(session: Session, shard: Shard, duty: str, owner: str) -> Candidate:
    return Candidate(Election(session, shard, duty, owner), shard, session)
