"""Leadership by an election in ZooKeeper: the adapter of an installation that has one.

Each candidate has a node of its own, ephemeral and numbered; the lowest leads, every other watches only the one before
it, so that a death wakes one candidate and not all. The winner then takes the next fence in ``shard.leaders``, and its
writes are guarded as everybody's are (``leader_store``). ZooKeeper says who leads, sooner than a term ends;
PostgreSQL says whose writes count.

A node's name begins with a mark that is this candidacy's and this session's alone: a candidate whose answer was lost on
the way finds its node by it instead of standing twice, and never takes a node of a former session for its own: such a
one, of a session that was given up and has not run out, it takes away. It deletes only what it has made.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import structlog
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.states import ZnodeStat

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.coordination import leader_store
from make_bridge.platform.coordination.leadership import RENEW_SECONDS
from make_bridge.platform.coordination.zookeeper_session import Session, on_loop
from make_bridge.platform.database.pools import Shard

_AGAIN_SECONDS: Final = 0.2
_RESIGN_SECONDS: Final = 2.0
_SEQUENCE_DIGITS: Final = 10
_log = structlog.get_logger(__name__)


class Election:
    """One process's claim to one duty on one shard; a ``port.Candidacy``."""

    look_seconds = _AGAIN_SECONDS

    def __init__(self, session: Session, shard: Shard, name: str, owner: str) -> None:
        """``owner`` is the node's name; the candidacy begins when it is asked for first."""
        self._session = session
        self._shard = shard
        self.name = name
        self.owner = owner
        self._path = f"{session.path}/leaders/{shard.number}-{name}"
        self._guid = secrets.token_hex(8)
        self._campaign: asyncio.Task[None] | None = None
        self._elected: str | None = None
        """The node with which this process leads, while it knows that it does."""
        self._taken: tuple[str, int] | None = None
        """The fence that was taken with which node."""
        self._keep_at = 0.0
        self._acts: set[asyncio.Timeout] = set()

    async def hold(self) -> int | None:
        """Stand if it does not yet; return the fence if it was elected, None while it was not or cannot know."""
        if self._campaign is None:
            self._session.watch(self._look)
            self._campaign = asyncio.create_task(self._stand(), name=f"election {self._path}")
        node = self._node()
        if node is None or not self._session.is_live():
            return None
        fence = await self._fence_of(node)
        return fence if self.stands() else None

    def stands(self) -> bool:
        """Say whether this process leads as far as anybody can know, and has its fence."""
        return self._session.is_live() and self._taken is not None and self._taken[0] == self._node()

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[None]:
        """Break off what is done inside when the session cannot be proven any more, or another leads."""
        if self._is_lost():
            raise Unavailable(f"The lead of '{self.name}' was lost before the step began.")
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._acts.add(limit)
                try:
                    yield
                finally:
                    self._acts.discard(limit)
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"The lead of '{self.name}' was lost in the middle of a step, which was broken off."
            raise Unavailable(message) from None

    async def resign(self) -> None:
        """Take the node away and end the term; a node that cannot be taken away goes with the session."""
        campaign, self._campaign = self._campaign, None
        taken, self._taken, self._elected = self._taken, None, None
        if campaign is None:
            return
        self._session.unwatch(self._look)
        campaign.cancel()
        await asyncio.gather(campaign, return_exceptions=True)
        try:
            async with asyncio.timeout(_RESIGN_SECONDS):
                if taken is not None:
                    await leader_store.resign(self._shard, self.name, self.owner, taken[1])
        except TimeoutError:
            raise Unavailable("The database did not take the end of the term in time.") from None
        finally:
            self._session.soon(self._leave)
            await self._session.do_soon()

    async def _leave(self) -> None:
        await self._delete(await self._made())

    async def _fence_of(self, node: str) -> int:
        """Return the fence taken with this node, or take the next."""
        now = asyncio.get_running_loop().time()
        taken = self._taken
        if taken is not None and taken[0] == node:
            if now < self._keep_at:
                return taken[1]
            if await leader_store.keep(self._shard, self.name, self.owner, taken[1]):
                self._keep_at = now + RENEW_SECONDS
                return taken[1]
        self._taken = None
        fence = await leader_store.take(self._shard, self.name, self.owner)
        self._taken, self._keep_at = (node, fence), now + RENEW_SECONDS
        _log.info("lead_taken", duty=self.name, shard=self._shard.number, fence=fence)
        return fence

    def _look(self) -> None:
        """Break off what is under way when it may not go on; called whenever the session changes.

        A connection that is gone for a moment keeps new steps from beginning, and does no more.
        """
        if self._acts and self._is_lost():
            now = asyncio.get_running_loop().time()
            for limit in list(self._acts):
                limit.reschedule(now)

    def _is_lost(self) -> bool:
        return self._node() is None or not self._session.is_proven()

    def _node(self) -> str | None:
        """Return the node with which this process leads, as far as it knows; one of a former session is none."""
        node = self._elected
        return node if node is not None and self._is_of_session(node) else None

    def _mark(self) -> str:
        return f"{self._guid}.{self._session.number}-"

    def _is_of_session(self, node: str) -> bool:
        return node.startswith(self._mark())

    async def _stand(self) -> None:
        """Be a candidate for as long as the task lives."""
        while True:
            try:
                await self._session.until_live()
                await self._stand_once()
            except Unavailable as error:
                _log.debug("election_paused", path=self._path, error=error.message)
            except NoNodeError:
                _log.debug("election_node_gone", path=self._path)
            except Exception:  # noqa: BLE001
                # The duty hangs on this task: it tells and stands again.
                _log.exception("election_failed", path=self._path)
            await asyncio.sleep(_AGAIN_SECONDS)

    def _forget(self) -> None:
        self._elected = None
        self._look()

    async def _stand_once(self) -> None:
        """Enter, and follow the candidates before until none is left; return when the place has to be found anew."""
        number = self._session.number
        mine = await self._enter()
        while number == self._session.number:
            turned = asyncio.Event()
            before = await self._before(mine)
            # Whoever leads watches its own node: somebody may take it away.
            watched = f"{self._path}/{before or mine}"
            stat = await self._session.ask(partial(_exists, watched, on_loop(turned)))
            if stat is None:
                if before is None:
                    self._forget()
                    return
                continue
            if before is None:
                self._elected = mine
            await self._session.until_turned(turned, number)

    async def _enter(self) -> str:
        """Return this candidate's node, found again or made; whatever else it has made is deleted.

        That is one too many, of an answer that was lost, or one of a session that was given up.
        """
        made = await self._made()
        if not any(map(self._is_of_session, made)):
            await self._session.ask(partial(_create, f"{self._path}/{self._mark()}", self.owner.encode()))
            made = await self._made()
        mine = next(filter(self._is_of_session, made), None)
        if mine is None:
            raise Unavailable("ZooKeeper did not keep this candidate's node.")
        await self._delete(node for node in made if node != mine)
        return mine

    async def _made(self) -> list[str]:
        return [node for node in await self._candidates() if node.startswith(f"{self._guid}.")]

    async def _delete(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            with suppress(NoNodeError):
                await self._session.ask(partial(_delete, f"{self._path}/{node}"))

    async def _before(self, mine: str) -> str | None:
        """Return the candidate before this one, None when there is none; raises Unavailable where it stands no more."""
        candidates = await self._candidates()
        if mine not in candidates:
            self._forget()
            raise Unavailable("This candidate's node was taken away.")
        place = candidates.index(mine)
        return candidates[place - 1] if place else None

    async def _candidates(self) -> list[str]:
        """Return the nodes of all candidates, the leader's first."""
        try:
            nodes = await self._session.ask(lambda client: client.get_children_async(self._path))
        except NoNodeError:
            return []
        return sorted(nodes, key=lambda node: node[-_SEQUENCE_DIGITS:])


def _create(path: str, value: bytes, client: KazooClient) -> "IAsyncResult[str]":
    return client.create_async(path, value, ephemeral=True, sequence=True, makepath=True)


def _exists(path: str, watch: Callable[[object], None], client: KazooClient) -> "IAsyncResult[ZnodeStat | None]":
    return client.exists_async(path, watch)


def _delete(path: str, client: KazooClient) -> "IAsyncResult[bool]":
    return client.delete_async(path)
