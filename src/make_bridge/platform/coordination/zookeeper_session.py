"""The one session with ZooKeeper of a process: kazoo, its threads, and what of them reaches the loop.

What kazoo calls back is handed to the event loop (``call_soon_threadsafe``); nothing here waits for a thread, and every
wait has an end. ``zookeeper_election`` and ``zookeeper_members`` stand on it.

kazoo says when a connection breaks (SUSPENDED) and, once connected again, when the session has run out meanwhile
(LOST). Between the two it says nothing, and a process that slept believes for a moment what was true before. So the
session is proven as well: several times in its time-out something is written, which takes a quorum, and the session
counts as live for two thirds of the time-out from when the last proof was *sent*, by this process's own monotonic
clock. The servers count from a later moment, so nobody else is elected before. A reading would prove less: a server
cut off from the others still answers it for a while.

A session that was not proven for a whole time-out is given up for a new one. Where what is said arrives and no answer
comes back, kazoo would ask for it again and again, which keeps it alive: a leader that cannot act, and that nobody may
follow.

What happens on failure: ``ask`` raises Unavailable within its deadline. Without ZooKeeper at the start the process goes
on, and the session opens when there is one.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

import structlog
from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, KazooException, NoAuthError, NodeExistsError, NoNodeError
from kazoo.interfaces import IAsyncResult
from kazoo.protocol.states import KazooState, KeeperState
from kazoo.retry import KazooRetry
from kazoo.security import CREATOR_ALL_ACL

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.coordination.zookeeper_config import ZooKeeperConfig
from make_bridge.platform.observability.metrics import CoordinationGauges, Metrics

T = TypeVar("T")
_LIVE_FOR: Final = 2 / 3
_PROOFS: Final = 6
_RECONNECT_SECONDS: Final = 1.0
_REPLACE_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 3.0
_log = structlog.get_logger(__name__)


class Session:
    """See the module; an async context manager that opens whether or not ZooKeeper is there."""

    def __init__(self, config: ZooKeeperConfig, gauges: CoordinationGauges) -> None:
        """``gauges`` show whether the session is live."""
        self._config = config
        self._gauges = gauges
        self._client: KazooClient | None = None
        self._is_connected = False
        self._until = 0.0
        self._kept: float | None = None
        """When the session was proven last, or told of; None while there is none."""
        self._changed: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._expiry: asyncio.TimerHandle | None = None
        self._proving: asyncio.Task[None] | None = None
        self._pulse = f"{config.path}/pulse"
        self._began = 0.0
        self._soon: list[tuple[int, Callable[[], Awaitable[None]]]] = []
        self.number = 0
        """Grows with each session that was lost or given up: what belongs to a former one is not this one's."""
        gauges.watch_session(self.is_live)

    @property
    def path(self) -> str:
        """Return where the installation's nodes begin."""
        return self._config.path

    @property
    def id(self) -> int | None:
        """Return the number by which the servers know this session, None while there is no connection."""
        known = None if self._client is None else self._client.client_id
        return None if known is None else known[0]

    def is_proven(self) -> bool:
        """Say whether nobody else can have been told yet that this session is over."""
        return asyncio.get_running_loop().time() < self._until

    def is_live(self) -> bool:
        """Say whether what this session holds may be acted upon."""
        return self._is_connected and self.is_proven()

    def watch(self, changed: Callable[[], None]) -> None:
        """Have this called whenever the session may have become live, or ceased to be."""
        self._changed.append(changed)

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Call it no more."""
        with suppress(ValueError):
            self._changed.remove(changed)

    async def ask(self, work: "Callable[[KazooClient], IAsyncResult[T]]") -> T:
        """Return what a call answers; raises Unavailable, and what it says about a node (NoNodeError and others)."""
        client = self._client
        if client is None or not self._is_connected:
            raise Unavailable("There is no connection to ZooKeeper at MAKE_BRIDGE_ZOOKEEPER_HOSTS.")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        work(client).rawlink(partial(_hand_over, asyncio.get_running_loop(), answer))
        try:
            async with asyncio.timeout(self._config.answer_seconds):
                return await answer
        except TimeoutError:
            raise Unavailable("ZooKeeper did not answer in time.") from None
        except (NoNodeError, NodeExistsError, BadVersionError):
            raise
        except NoAuthError:
            raise Unavailable("ZooKeeper refuses the name or password in MAKE_BRIDGE_ZOOKEEPER_AUTH_FILE.") from None
        except KazooException as error:
            message = f"ZooKeeper answered with {type(error).__name__}."
            raise Unavailable(message) from None

    def soon(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have something taken away of this session, now or when there is a connection; it may be tried again."""
        self._soon.append((self.number, work))

    async def do_soon(self) -> None:
        """Do what waits; what cannot be done now waits on, and is over with the session."""
        waiting, self._soon = self._soon, []
        for number, work in waiting:
            if number != self.number:
                continue
            try:
                await work()
            except Unavailable:
                self._soon.append((number, work))

    async def __aenter__(self) -> Self:
        """Begin to connect, and wait a moment for it."""
        self._connect()
        self._proving = asyncio.create_task(self._keep_proving(), name="zookeeper")
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.answer_seconds):
                await self.until_live()
        if not self.is_live():
            _log.warning("zookeeper_away", reason="no answer at the start")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the session, so that what it holds is free at once."""
        if self._proving is not None:
            self._proving.cancel()
            await asyncio.gather(self._proving, return_exceptions=True)
        if self._expiry is not None:
            self._expiry.cancel()
        self._is_connected, self._until = False, 0.0
        client, self._client = self._client, None
        if client is not None:
            await _close(client)

    async def until_live(self) -> None:
        """Wait until the session is live."""
        event = asyncio.Event()
        self.watch(event.set)
        try:
            while not self.is_live():
                event.clear()
                await event.wait()
        finally:
            self.unwatch(event.set)

    async def until_turned(self, turned: asyncio.Event, number: int) -> None:
        """Wait until a watch has set the event, or the session ``number`` it was laid in has changed in any way.

        A client that was given up calls its watches no more.
        """
        self.watch(turned.set)
        try:
            if number == self.number:
                await turned.wait()
        finally:
            self.unwatch(turned.set)

    def _connect(self) -> None:
        client = make_client(self._config)
        client.add_listener(partial(_tell, asyncio.get_running_loop(), partial(self._turn, client)))
        self._client, self._began = client, asyncio.get_running_loop().time()
        client.start_async()

    def _turn(self, client: KazooClient, state: str) -> None:
        """Take what kazoo says of the connection; on the loop."""
        if client is not self._client:
            return
        self._is_connected = state == KazooState.CONNECTED
        if state == KazooState.LOST:
            self._end()
        elif self._is_connected and self._kept is None:
            self._kept = asyncio.get_running_loop().time()
        _log.info("zookeeper_session", state=state, session=self.number)
        self._wake.set()
        self._tell_watchers()

    def _end(self) -> None:
        self.number += 1
        self._is_connected, self._until, self._kept = False, 0.0, None

    def _tell_watchers(self) -> None:
        for changed in list(self._changed):
            changed()

    async def _keep_proving(self) -> None:
        """Prove the session again and again, and begin another where kazoo has given up."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            sent, number = loop.time(), self.number
            try:
                if self._is_connected:
                    await self._prove()
                    self._proven(sent, number)
                    await self.do_soon()
            except Unavailable as error:
                _log.debug("zookeeper_unproven", error=error.message)
            except Exception:  # noqa: BLE001
                # All duties of the installation hang on this loop: it tells and goes on.
                _log.exception("zookeeper_unproven")
            self._begin_again()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.05, sent + self._config.session_seconds / _PROOFS - loop.time())):
                    await self._wake.wait()

    async def _prove(self) -> None:
        try:
            await self.ask(lambda client: client.set_async(self._pulse, b""))
        except NoNodeError:
            await self.ask(lambda client: client.ensure_path_async(self._pulse))
            await self.ask(lambda client: client.set_async(self._pulse, b""))

    def _proven(self, sent: float, number: int) -> None:
        if number != self.number:
            return
        was_live = self.is_live()
        self._until, self._kept = sent + self._config.session_seconds * _LIVE_FOR, sent
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_at(self._until, self._tell_watchers)
        if not was_live:
            self._tell_watchers()

    def _begin_again(self) -> None:
        """Replace a client whose thread has ended, as kazoo has it after some faults, or whose session is given up."""
        client, now = self._client, asyncio.get_running_loop().time()
        if client is None:
            return
        is_over = client.client_state in {KeeperState.CLOSED, KeeperState.AUTH_FAILED}
        is_given_up = self._kept is not None and now > self._kept + self._config.session_seconds
        if is_given_up or (is_over and now > self._began + _REPLACE_SECONDS):
            _log.warning("zookeeper_client_replaced", state=client.client_state, session=self.number)
            threading.Thread(target=_stop, args=(client,), daemon=True).start()
            self._end()
            self._connect()
            self._tell_watchers()


async def examine(config: ZooKeeperConfig) -> str:
    """Return what a person wants to know of a ZooKeeper that answers; raises Unavailable with what to look at."""
    async with Session(config, Metrics().coordination) as session:
        if not session.is_live():
            await session.ask(lambda client: client.exists_async(config.path))
            raise Unavailable("ZooKeeper answers at MAKE_BRIDGE_ZOOKEEPER_HOSTS, but takes nothing: it has no quorum.")
    return f"answers, has a quorum and takes nodes below '{config.path}'"


def make_client(config: ZooKeeperConfig) -> KazooClient:
    """Return a client that connects for as long as it takes, and repeats no call by itself."""
    logger = logging.getLogger("make_bridge.kazoo")
    # Below this level kazoo writes what it sends; who loses the connection for how long is told here.
    logger.setLevel(logging.ERROR)
    auth, tls = config.auth, config.tls
    return KazooClient(
        hosts=",".join(config.hosts),
        timeout=config.session_seconds,
        connection_retry=KazooRetry(max_tries=-1, delay=0.1, max_jitter=0.2, max_delay=_RECONNECT_SECONDS),
        command_retry=KazooRetry(max_tries=0),
        auth_data=None if auth is None else [("digest", auth)],
        default_acl=None if auth is None else CREATOR_ALL_ACL,
        logger=logger,
        use_ssl=tls is not None,
        ca=None if tls is None else str(tls.authority),
        certfile=None if tls is None or tls.certificate is None else str(tls.certificate),
        keyfile=None if tls is None or tls.key is None else str(tls.key),
        check_hostname=tls is not None,
    )


def on_loop(turned: asyncio.Event) -> Callable[[object], None]:
    """Return what kazoo may call from its threads to set an event of this loop."""
    return partial(_tell, asyncio.get_running_loop(), lambda _event: turned.set())


def _tell(loop: asyncio.AbstractEventLoop, listener: Callable[[T], None], news: T) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
        loop.call_soon_threadsafe(listener, news)


def _hand_over(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[T]", result: "IAsyncResult[T]") -> None:
    _tell(loop, partial(_settle, answer), result)


def _settle(answer: "asyncio.Future[T]", result: "IAsyncResult[T]") -> None:
    if answer.done():
        return
    if result.exception is not None:
        answer.set_exception(result.exception)
    else:
        answer.set_result(result.value)


async def _close(client: KazooClient) -> None:
    """End a client on a thread of its own: it may wait for a connection that nobody answers."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        _stop(client)
        _tell(loop, lambda _nothing: ended.set(), None)

    threading.Thread(target=stop, name="zookeeper-close", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await ended.wait()


def _stop(client: KazooClient) -> None:
    with suppress(Exception):
        client.stop()
        client.close()
