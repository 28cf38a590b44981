"""Log lines in Elasticsearch or OpenSearch, by their common bulk API.

It is one request, made by the HTTP client that the program has (docs/decisions/0019-log-sinks.md). A call has one
deadline over everything, redirects are not followed, and of an answer only so much is read. Each line is created under
an id of its content: one that is sent again because an answer was lost is refused there as known, and not stored twice.
Where the service has no room (429) or is away, lines are given back; one that it does not want (a field of another
type) would never be taken, and counts as rejected.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.observability.sinks.elasticsearch_config import ElasticsearchConfig
from make_bridge.platform.observability.sinks.port import Taken

TIMESTAMP: Final = b'{"timestamp":'
"""How every line begins: here the field has the name that data streams ask for."""
_AT: Final = b'{"@timestamp":'
_TOLD: Final = "errors,items.*.status"
_MOST_ANSWER: Final = 4 * 1024 * 1024
_ID_BYTES: Final = 16
_GOOD: Final = range(200, 300)
_KNOWN: Final = 409
_TOO_LARGE: Final = 413
_UNKNOWN_CREDENTIALS: Final = 401
_FORBIDDEN: Final = 403
# The service, or who stands before it, may think otherwise later; other refusals of a whole request stay.
_LATER: Final = frozenset({401, 403, 404, 408, 429, 500, 502, 503, 504})


class _Item(msgspec.Struct):
    status: int


class _Answer(msgspec.Struct):
    errors: bool
    items: list[Mapping[str, _Item]] = []


class _Away(Exception):
    """The service takes nothing at the moment; the message says why, and nothing of what was sent."""


class ElasticsearchSink:
    """See the module; used by one thread, in which its calls have an event loop of their own."""

    def __init__(self, config: ElasticsearchConfig) -> None:
        """Nothing is opened before the first line."""
        self._config = config
        self._address = URL(f"{config.url}/{config.index}/_bulk").with_query(filter_path=_TOLD)
        self._runner: asyncio.Runner | None = None
        self._session: aiohttp.ClientSession | None = None

    def write(self, lines: Sequence[bytes]) -> Taken:
        """Send lines together."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._store(lines))

    def close(self) -> None:
        """Close the connection."""
        if self._runner is not None:
            if self._session is not None:
                self._runner.run(self._session.close())
            self._runner.close()

    async def _store(self, lines: Sequence[bytes]) -> Taken:
        try:
            status, answer = await self._post(b"".join(map(_action, lines)))
        except _Away as away:
            return Taken(left=lines, reason=str(away))
        if status == _TOO_LARGE and len(lines) > 1:
            return await self._store_halves(lines)
        if status in _GOOD:
            return _judge(lines, answer)
        if status in _LATER:
            return Taken(left=lines, reason=f"answers {status}")
        return Taken(rejected=len(lines), reason=f"answers {status}")

    async def _store_halves(self, lines: Sequence[bytes]) -> Taken:
        middle = len(lines) // 2
        first = await self._store(lines[:middle])
        if first.left:
            return Taken(left=[*first.left, *lines[middle:]], rejected=first.rejected, reason=first.reason)
        second = await self._store(lines[middle:])
        return Taken(left=second.left, rejected=first.rejected + second.rejected, reason=second.reason)

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the answer; raises _Away."""
        headers = {"Content-Type": "application/x-ndjson", "Accept": "application/json"}
        if self._config.authorization is not None:
            headers["Authorization"] = self._config.authorization
        try:
            async with (
                asyncio.timeout(self._config.seconds),
                self._opened().post(self._address, data=body, headers=headers, allow_redirects=False) as response,
            ):
                return response.status, await _read(response)
        except TimeoutError:
            raise _Away(f"no answer within {self._config.seconds:g} seconds") from None
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            raise _Away(_reason(error)) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _session(self._config)
        return self._session


async def examine(config: ElasticsearchConfig) -> str:
    """Return what a person wants to know of a service that answers; raises Unavailable with what to look at."""
    headers = {} if config.authorization is None else {"Authorization": config.authorization}
    try:
        async with (
            asyncio.timeout(config.seconds),
            _session(config) as session,
            session.get(URL(config.url), headers=headers, allow_redirects=False) as response,
        ):
            status = response.status
    except TimeoutError:
        raise Unavailable(f"Elasticsearch does not answer within {config.seconds:g} seconds.") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Unavailable(f"Elasticsearch: {_reason(error)} (MAKE_BRIDGE_ELASTICSEARCH_URL).") from None
    if status == _UNKNOWN_CREDENTIALS:
        raise Unavailable("Elasticsearch refuses the credentials in MAKE_BRIDGE_ELASTICSEARCH_AUTH_FILE.")
    # Credentials that may only write an index are told nothing of the service.
    if status not in _GOOD and status != _FORBIDDEN:
        raise Unavailable(f"What answers at MAKE_BRIDGE_ELASTICSEARCH_URL is not Elasticsearch: {status}.")
    return f"answers at {config.url}; lines go to '{config.index}'"


def _session(config: ElasticsearchConfig) -> aiohttp.ClientSession:
    """Return a client with one connection; the deadline of a call is its caller's."""
    authority = config.authority
    tls = True if authority is None else ssl.create_default_context(cafile=authority)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None),
    )


def _action(line: bytes) -> bytes:
    known = hashlib.blake2b(line, digest_size=_ID_BYTES).hexdigest()
    body = _AT + line[len(TIMESTAMP) :] if line.startswith(TIMESTAMP) else line
    return b'{"create":{"_id":"%b"}}\n%b\n' % (known.encode(), body)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    answer = bytearray()
    async for piece in response.content.iter_chunked(64 * 1024):
        answer += piece
        if len(answer) > _MOST_ANSWER:
            raise _Away("its answer is longer than any to this question")
    return bytes(answer)


def _judge(lines: Sequence[bytes], answer: bytes) -> Taken:
    """Tell lines that are stored from those to send again and those that are not wanted."""
    try:
        told = msgspec.json.decode(answer, type=_Answer)
    except msgspec.MsgspecError:
        return Taken(left=lines, reason="what answers is not Elasticsearch")
    if not told.errors:
        return Taken()
    states = [item.status for each in told.items for item in each.values()]
    if len(states) != len(lines):
        return Taken(left=lines, reason="what answers is not Elasticsearch")
    left = [line for line, status in zip(lines, states, strict=True) if status in _LATER]
    rejected = sum(status not in _GOOD and status not in _LATER and status != _KNOWN for status in states)
    busy = next((f"answers {status} for single lines" for status in states if status in _LATER), "")
    return Taken(left=left, rejected=rejected, reason=busy)


def _reason(error: Exception) -> str:
    """Say what went wrong by its kind; what libraries write may quote what was sent."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot be reached: {error.os_error.strerror or type(error.os_error).__name__}"
    return f"the connection failed: {type(error).__name__}"
