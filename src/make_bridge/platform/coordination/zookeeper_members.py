"""Which servers serve together, as ZooKeeper sees it: an ephemeral node for each, with what its row says as well.

Where there is a ZooKeeper, ``membership`` asks this beside the rows of the directory. A node that goes says sooner than
a row that somebody is gone, also when a whole host is; but a process that has only lost its session goes on serving, so
whoever is to be left out has to be silent in the database too. What happens on failure: without a session, and in the
first moments of a new one, nobody is taken for gone, and the rows decide alone.

A node of this process that belongs to a former session of it, and has not gone yet, is replaced by one of its own.
"""

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, unquote

import msgspec
import structlog
from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.states import ZnodeStat

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.coordination.membership import MOST_SERVERS, Member
from make_bridge.platform.coordination.zookeeper_session import Session, on_loop

_AGAIN_SECONDS: Final = 0.2
_log = structlog.get_logger(__name__)


class _Node(msgspec.Struct, frozen=True, kw_only=True):
    """What a node holds; other versions may add to it."""

    limits: tuple[str, ...] = ()
    address: str | None = None
    roles: tuple[str, ...] = ()
    weight: int = 1
    version: str = ""


class EphemeralMembers:
    """One server's node, and what the others' say; a ``membership.Witness`` and an async context manager."""

    def __init__(self, session: Session, member: Member) -> None:
        """Announce ``member`` whenever the session is live."""
        self._session = session
        self._member = member
        self._folder = f"{session.path}/members"
        self._node = f"{self._folder}/{quote(member.name, safe='')}"
        self._present: dict[str, Member] = {}
        self._gone: set[str] = set()
        self._changed: list[Callable[[], None]] = []
        self._following: asyncio.Task[None] | None = None

    def watch(self, changed: Callable[[], None]) -> None:
        """Have this called when somebody has come or gone."""
        self._changed.append(changed)

    def corrected(self, members: Sequence[Member], late: AbstractSet[str]) -> list[Member]:
        """Leave out of the rows who is gone here and ``late`` there, and add who is here already."""
        if not self._session.is_live():
            return list(members)
        kept = [member for member in members if not (member.name in self._gone and member.name in late)]
        known = {member.name for member in kept}
        return [*kept, *(member for name, member in self._present.items() if name not in known)]

    async def leave(self) -> None:
        """Take the node away, before this server stops to serve."""
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            with suppress(Unavailable, NoNodeError):
                await self._session.ask(lambda client: client.delete_async(self._node))

    async def __aenter__(self) -> Self:
        """Begin to announce and to follow; nobody waits for it."""
        self._following = asyncio.create_task(self._keep(), name="members")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        await self.leave()

    async def _keep(self) -> None:
        while True:
            try:
                await self._session.until_live()
                await self._announce()
                await self._follow()
            except (Unavailable, NodeExistsError, NoNodeError) as error:
                _log.debug("members_paused", error=str(error))
            except Exception:  # noqa: BLE001
                # Who is there is heard by every gateway: it tells and goes on.
                _log.exception("members_failed")
            self._present.clear()
            self._gone.clear()
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _announce(self) -> None:
        """Have a node of this session; one that a former session of this process has left is taken away."""
        given = _encoded(self._member)
        with suppress(NoNodeError):
            _, stat = await self._session.ask(lambda client: client.get_async(self._node))
            if stat.ephemeralOwner == self._session.id:
                return
            await self._session.ask(lambda client: client.delete_async(self._node))
        await self._session.ask(
            lambda client: client.create_async(self._node, given, ephemeral=True, makepath=True)
        )  # fmt: skip

    async def _follow(self) -> None:
        """Know who is there for as long as the session and this server's own node are."""
        number = self._session.number
        while number == self._session.number:
            turned = asyncio.Event()
            nodes = await self._session.ask(partial(_children, self._folder, on_loop(turned)))
            names = {unquote(node) for node in sorted(nodes)[:MOST_SERVERS]}
            if self._member.name not in names:
                return
            await self._learn(names - {self._member.name})
            for changed in list(self._changed):
                changed()
            await self._session.until_turned(turned, number)

    async def _learn(self, names: set[str]) -> None:
        self._gone = (self._gone | (self._present.keys() - names)) - names
        for name in self._present.keys() - names:
            del self._present[name]
        for name in sorted(names - self._present.keys()):
            path = f"{self._folder}/{quote(name, safe='')}"
            with suppress(NoNodeError, msgspec.DecodeError):
                raw, _ = await self._session.ask(partial(_get, path))
                self._present[name] = _decoded(name, raw)


def _children(path: str, watch: Callable[[object], None], client: KazooClient) -> "IAsyncResult[list[str]]":
    return client.get_children_async(path, watch)


def _get(path: str, client: KazooClient) -> "IAsyncResult[tuple[bytes, ZnodeStat]]":
    return client.get_async(path)


def _encoded(member: Member) -> bytes:
    return msgspec.json.encode(
        _Node(
            limits=member.limits,
            address=member.address,
            roles=tuple(sorted(member.roles)),
            weight=member.weight,
            version=member.version,
        )
    )


def _decoded(name: str, raw: bytes) -> Member:
    node = msgspec.json.decode(raw, type=_Node)
    return Member(
        name=name,
        limits=node.limits,
        address=node.address,
        roles=frozenset(node.roles),
        weight=node.weight,
        version=node.version,
    )
