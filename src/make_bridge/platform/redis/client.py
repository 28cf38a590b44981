"""The one connection to Redis of a process: who asks has an answer within the deadline, or goes on without one.

``limits`` and ``domain/organizations/token_front.py`` ask it. Nothing is kept in Redis that its loss would break: each
caller has a way of its own for the answer None, which means that Redis is away. A call that is not answered in time, or
answered with a fault, opens the circuit: from then on every call is answered with None at once, and one task looks from
time to time whether Redis answers again, and answers as fast as callers need it.

Keys are the prefix, what they are for, and a keyed digest of the rest: who reads Redis finds no address and no token.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextvars import Context
from types import TracebackType
from typing import Final, Self, TypeVar

import structlog
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import TimeoutError as SocketTimeout

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.observability.metrics import RedisCounters
from make_bridge.platform.redis.config import RedisConfig

T = TypeVar("T")
_log = structlog.get_logger(__name__)

# A look that nobody waits for may take the time of a handshake with TLS.
_LOOK_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 1.0
_DIGEST_BYTES: Final = 16
_LENGTH_BYTES: Final = 4
_LEFT_BY_A_LOOK: Final = 1000


class RedisClient:
    """See the module; an async context manager that opens whether or not Redis is there."""

    def __init__(self, config: RedisConfig, *, key_secret: bytes, counters: RedisCounters) -> None:
        """``key_secret`` is the same in all processes of an installation."""
        self._config = config
        self._secret = hashlib.sha256(key_secret).digest()
        self._counters = counters
        self._client = connect(config)
        # The pool raises when it is used up; here callers wait, within their deadline.
        self._turns = asyncio.Semaphore(config.connections)
        self._is_up = False
        self._looking: asyncio.Task[None] | None = None
        self._changed: list[Callable[[], None]] = []
        counters.watch(lambda: self._is_up)

    @property
    def is_up(self) -> bool:
        """Whether Redis is asked at present."""
        return self._is_up

    def watch(self, changed: Callable[[], None]) -> None:
        """Have this called whenever Redis is found to be away, or back."""
        self._changed.append(changed)

    def key(self, kind: str, *parts: str | bytes | int) -> str:
        """Return the key of what ``parts`` name; ``kind`` is one of our own words and stays readable."""
        return key_name(self._config.prefix, self._secret, kind, *parts)

    async def call(self, work: Callable[[Redis], Awaitable[T]]) -> T | None:
        """Return what ``work`` answers within the deadline, None while Redis is away."""
        if not self._is_up:
            self._counters.calls["away"].inc()
            return None
        try:
            async with asyncio.timeout(self._config.seconds):
                answer = await self._in_turn(work)
        except (TimeoutError, SocketTimeout):
            self._counters.calls["slow"].inc()
            self._go_away("no answer in time")
        except (RedisError, OSError) as error:
            self._counters.calls["error"].inc()
            self._go_away(type(error).__name__)
        else:
            self._counters.calls["away" if answer is None else "ok"].inc()
            return answer
        return None

    async def _in_turn(self, work: Callable[[Redis], Awaitable[T]]) -> T | None:
        async with self._turns:
            # It may have gone while this one waited.
            return await work(self._client) if self._is_up else None

    async def pulse(self) -> None:
        """Ask for a sign of life, beside what callers ask and with more time; raises Unavailable."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                alive = await self._in_turn(lambda redis: redis.ping())
        except (TimeoutError, RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}.") from error
        if not alive:
            raise Unavailable("Redis is away, or answers too slowly for callers.")

    async def __aenter__(self) -> Self:
        """Look once; a Redis that is not there yet keeps nobody from starting."""
        if await self._answers():
            self._come_back()
        else:
            _log.warning("redis_away", reason="no answer at the start")
            self._look_later()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop looking, and close."""
        self._is_up = False
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._client.aclose(close_connection_pool=True)
        except (TimeoutError, RedisError, OSError) as failure:
            _log.debug("redis_not_closed", reason=type(failure).__name__)

    def _go_away(self, reason: str) -> None:
        """Open the circuit, once for all calls that fail together."""
        if not self._is_up:
            return
        self._is_up = False
        _log.warning("redis_away", reason=reason)
        self._tell()
        self._look_later()

    def _come_back(self) -> None:
        self._is_up = True
        _log.info("redis_up")
        self._tell()

    def _tell(self) -> None:
        for changed in self._changed:
            changed()

    def _look_later(self) -> None:
        # What it logs is of no request, whichever has found Redis away.
        self._looking = asyncio.create_task(self._look_until_up(), name="redis-look", context=Context())

    async def _look_until_up(self) -> None:
        while True:
            await asyncio.sleep(self._config.probe_seconds)
            if await self._answers():
                self._come_back()
                return

    async def _answers(self) -> bool:
        """Say whether Redis can be written, as fast as callers need it.

        A Redis that is full, or follows another, answers PING and takes nothing.
        """
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._client.connection_pool.disconnect(inuse_connections=False)
                await self._client.ping()
            async with asyncio.timeout(self._config.seconds):
                await self._client.set(self.key("look"), 1, px=_LEFT_BY_A_LOOK)
        except (TimeoutError, RedisError, OSError) as error:
            _log.debug("redis_still_away", reason=type(error).__name__)
            return False
        return True


def key_name(prefix: str, secret: bytes, kind: str, *parts: str | bytes | int) -> str:
    """Return a key that shows nothing of ``parts``; ``secret`` has at most 64 bytes."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=secret)
    for part in parts:
        encoded = part if isinstance(part, bytes) else str(part).encode(errors="surrogatepass")
        digest.update(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)
    return f"{prefix}:{kind}:{digest.hexdigest()}"


def connect(config: RedisConfig, *, connections: int | None = None, seconds: float = _LOOK_SECONDS) -> Redis:
    """Return a client that tries nothing twice: a call that was sent again could find its own first trace.

    ``seconds`` bounds the wait for an answer.
    """
    pool = ConnectionPool.from_url(
        config.url,
        max_connections=connections or config.connections + 1,
        socket_connect_timeout=_LOOK_SECONDS,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )
    return Redis(connection_pool=pool)


async def examine(config: RedisConfig) -> str:
    """Return what a person wants to know of a Redis that answers; raises Unavailable with what to look at."""
    client = connect(config)
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            facts = await client.info("server")
            await client.set(f"{config.prefix}:look", 1, px=_LEFT_BY_A_LOOK)
    except AuthenticationError:
        raise Unavailable("Redis refuses the name or password in MAKE_BRIDGE_REDIS_URL.") from None
    except (TimeoutError, RedisError, OSError) as error:
        message = f"Redis does not answer as it should at MAKE_BRIDGE_REDIS_URL ({type(error).__name__})."
        raise Unavailable(message) from None
    finally:
        await client.aclose(close_connection_pool=True)
    return f"version {facts['redis_version']} answers and takes keys below '{config.prefix}'"
