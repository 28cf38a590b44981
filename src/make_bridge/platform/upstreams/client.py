"""Calls from process to process of one installation: the one client that may reach private addresses.

Targets come from the list of servers alone and never from a request. One connection pool, no redirects, cookies,
proxies or decompression; every call has a deadline. What went wrong is told by whether the node can have seen anything
of the request, because only that decides whether another may be asked.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from make_bridge.kernel.errors import DeadlineExceeded

_READY: Final = "/ready"
_OK: Final = 200
_PIECE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamConfig:
    """Bounds of the client; times in seconds."""

    connections: int = 256
    connections_per_node: int = 128
    connect_seconds: float = 1.0
    check_seconds: float = 1.0


class UpstreamFailure(Exception):
    """The node did not answer. ``is_unseen`` says that nothing of the request can have reached it."""

    def __init__(self, cause: str, *, is_unseen: bool) -> None:
        """``cause`` is a word for logs."""
        self.cause = cause
        self.is_unseen = is_unseen
        super().__init__(cause)


class UpstreamAnswer:
    """An answer whose head is here; the body is read by its taker, who closes it in any case."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        """Take a response that is not read yet."""
        self._response = response
        self.status = response.status
        self.headers: Sequence[tuple[bytes, bytes]] = response.raw_headers

    @property
    def length(self) -> int | None:
        """The body's length when it was told."""
        return self._response.content_length

    async def read(self) -> bytes:
        """Return the whole body; raises UpstreamFailure."""
        try:
            return await self._response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailure("broken_answer", is_unseen=False) from error

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the body piece by piece; raises DeadlineExceeded when nothing comes for a while, UpstreamFailure."""
        try:
            while True:
                async with asyncio.timeout(_PIECE_SECONDS):
                    piece = await self._response.content.readany()
                if not piece:
                    return
                yield piece
        except TimeoutError as error:
            raise DeadlineExceeded from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailure("broken_answer", is_unseen=False) from error

    def close(self) -> None:
        """Give the connection back, or up when the body was not read to its end."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class UpstreamClient:
    """See the module; an async context manager."""

    def __init__(self, config: UpstreamConfig, tls: ssl.SSLContext | None = None) -> None:
        """``tls`` is what nodes that speak https are checked with; without it the system's certificates."""
        self._config = config
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        config = self._config
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=config.connections,
                limit_per_host=config.connections_per_node,
                keepalive_timeout=15.0,
                ssl=self._tls or True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=config.connect_seconds),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self, address: str, method: str, target: str, headers: Mapping[str, str], body: bytes, *, seconds: float
    ) -> UpstreamAnswer:
        """Return the answer's head; raises UpstreamFailure, and DeadlineExceeded after ``seconds``."""
        session = self._opened()
        try:
            async with asyncio.timeout(seconds):
                response = await session.request(
                    method,
                    URL(address + target, encoded=True),
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                )
        except TimeoutError as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                raise UpstreamFailure("connect_timeout", is_unseen=True) from error
            raise DeadlineExceeded(f"This took longer than the {seconds:g} seconds it had.") from error
        except aiohttp.ClientConnectorError as error:
            raise UpstreamFailure("unreachable", is_unseen=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailure("broken", is_unseen=False) from error
        return UpstreamAnswer(response)

    async def is_ready(self, address: str) -> bool:
        """Ask a node whether it is ready; one that says nothing in time is not."""
        try:
            answer = await self.send(address, "GET", _READY, {}, b"", seconds=self._config.check_seconds)
        except (UpstreamFailure, DeadlineExceeded):
            return False
        answer.close()
        return answer.status == _OK

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client of the other processes is not open")
        return self._session
