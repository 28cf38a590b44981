"""The far cache: what the servers of an installation remember together, in Redis where there is one.

For what is expensive to read or compute. Every caller has a way of its own for "not there", which is also what a slow,
full, emptied or lying Redis says (``platform/redis``: one deadline, once, and then nothing).

* *Whose, what, which version*: a ``Place`` names the organization and all that the value hangs on. The key in Redis is
  a keyed digest of it.
* *Sealed.* Values lie there under AES-256-GCM, with a key that follows from the installation's secret and the place.
  Redis holds nothing in clear; what somebody else wrote, moved or changed there is no value: it is counted, and read
  from the database. What the database seals is not brought here at all.
* *Nothing old.* A shelf whose values can change keeps a token of chance beside each. Who reads notes it before the
  database is read; Redis takes what is written only while that token stands, and a change puts another. A token that
  is lost makes its value unreadable, never an old one readable. After Redis was away it may not have been told of
  changes: such shelves are not believed until everything that was there has ended.
* *A guest.* Where Redis forgets nothing to make room, a quarter of its memory stays with the counts of rate limits.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.entropy import chance
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.cache.config import FarConfig
from make_bridge.platform.cache.near import SPREAD
from make_bridge.platform.observability.metrics import FarCacheCounters
from make_bridge.platform.redis.client import RedisClient

Kept = TypeVar("Kept")

_TOKEN_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_AROUND: Final = _TOKEN_BYTES + _NONCE_BYTES + _TAG_BYTES
_KEY_BYTES: Final = 32
_LENGTH_BYTES: Final = 4
_MILLISECONDS: Final = 1000
_NO_TOKEN: Final = bytes(_TOKEN_BYTES)
# Above what part of its memory nothing is brought to a Redis that would rather refuse than forget; looked at so often,
# and after so many bytes.
_MOST_OF_MEMORY: Final = 0.75
_LOOK_SECONDS: Final = 1.0
_LOOK_BYTES: Final = 1024 * 1024

# The token lives longer than any value under it; where it has ended, a new one makes what is left unreadable.
_READ: Final = """
local token = redis.call('GET', KEYS[1])
if not token then
  token = ARGV[1]
  redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
end
return {token, redis.call('GETRANGE', KEYS[2], 0, ARGV[3])}
"""
_WRITE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose value it is, and everything that it hangs on: ids, versions."""

    organization_id: OrganizationId
    parts: tuple[int | str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[Kept]):
    """What Redis had, and the token under which what is read elsewhere may be written; without one nothing may."""

    value: Kept | None
    token: bytes | None


class FarCache:
    """What all shelves of a process share."""

    def __init__(
        self, redis: RedisClient, clock: Clock, config: FarConfig, *, secret: bytes, counters: FarCacheCounters
    ) -> None:
        """``secret`` is the same in all processes of an installation, and known to nobody else."""
        self.redis = redis
        self.clock = clock
        self.config = config
        self.secret = hashlib.sha256(b"far cache" + secret).digest()
        self.counters = counters
        self.away_until = -inf
        self._looked_at = -inf
        self._unseen_bytes = 0
        self._is_full = False
        redis.watch(self._note)

    def _note(self) -> None:
        """Redis has gone, or come back: what was changed meanwhile, it may not have been told."""
        self.away_until = self.clock.monotonic()

    async def has_room(self, size: int) -> bool:
        """Say whether there is memory for what can be read elsewhere; looks once in a while."""
        now = self.clock.monotonic()
        self._unseen_bytes += size
        if now >= self._looked_at + _LOOK_SECONDS or self._unseen_bytes > _LOOK_BYTES:
            self._looked_at, self._unseen_bytes = now, 0
            memory = await self.redis.call(_memory) or {}
            most = _MOST_OF_MEMORY * float(memory.get("maxmemory", 0))
            keeps_all = memory.get("maxmemory_policy") == "noeviction"
            self._is_full = keeps_all and 0 < most < float(memory.get("used_memory", 0))
        return not self._is_full

    def shelf(self, name: str, kept: type[Kept], *, schema: int, seconds: float = 0.0) -> "FarShelf[Kept]":
        """Return the place of one kind of value; ``schema`` is raised when its form changes.

        With ``seconds`` values can change and live that long, without they never do: all they hang on is their place.
        """
        return FarShelf(self, name, kept, schema=schema, seconds=seconds)


class FarShelf(Generic[Kept]):
    """Values of one kind; see the module."""

    def __init__(self, far: FarCache, name: str, kept: type[Kept], *, schema: int, seconds: float) -> None:
        """Made by ``FarCache.shelf``."""
        self._far = far
        self._name = name
        self._schema = schema
        self._changes = seconds > 0
        self._seconds = seconds or far.config.seconds
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(kept).decode

    async def through(self, place: Place, read: Callable[[], Awaitable[Kept]]) -> Kept:
        """Return what the far cache has, or what ``read`` finds, which is kept unless it changed meanwhile."""
        found = await self.find(place)
        if found.value is not None:
            return found.value
        value = await read()
        await self.keep(place, value, found.token)
        return value

    async def find(self, place: Place) -> Found[Kept]:
        """Return what is there, with the token of this moment."""
        if self._changes and self._far.clock.monotonic() < self._far.away_until + self._seconds:
            return self._read_as("distrusted", None)
        answer = await self._far.redis.call(partial(self._ask, place))
        if answer is None:
            return self._read_as("away", None)
        token, stored = answer
        if not stored:
            return self._read_as("miss", token)
        if stored[:_TOKEN_BYTES] != token:
            return self._read_as("outdated", token)
        value = self._open(place, stored)
        return self._read_as("broken", token) if value is None else self._read_as("hit", token, value)

    async def keep(self, place: Place, value: Kept, token: bytes | None) -> None:
        """Write a value that was read after the token was: taken only while that stands."""
        if token is None:
            return
        encoded = self._encode(value)
        if len(encoded) > self._far.config.most_bytes:
            self._wrote("large")
            return
        if not await self._far.has_room(len(encoded)):
            self._wrote("full")
            return
        nonce = secrets.token_bytes(_NONCE_BYTES)
        stored = token + nonce + self._cipher(place).encrypt(nonce, encoded, token)
        life = int(self._seconds * (1.0 - SPREAD * chance()) * _MILLISECONDS)
        taken = await self._far.redis.call(partial(self._put, place, token, stored, life))
        self._wrote("away" if taken is None else "stored" if taken else "outdated")

    async def forget(self, place: Place) -> bool:
        """Make what is there unreadable, and refuse what was read before; False while Redis is away."""
        life = int(2 * self._seconds * _MILLISECONDS)
        token = secrets.token_bytes(_TOKEN_BYTES)
        key = self._keys(place)[0]
        return bool(await self._far.redis.call(lambda redis: redis.set(key, token, px=life)))

    async def _ask(self, place: Place, redis: Redis) -> tuple[bytes, bytes]:
        keys, most = self._keys(place), self._far.config.most_bytes + _AROUND
        try:
            if not self._changes:
                return _NO_TOKEN, cast("bytes", await redis.getrange(keys[1], 0, most))
            life = int(2 * self._seconds * _MILLISECONDS)
            token, stored = await _run(redis, _READ, keys, secrets.token_bytes(_TOKEN_BYTES), life, most)
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            # Nobody of us has put it there.
            await redis.unlink(*keys)
            return _NO_TOKEN, _NO_TOKEN
        return token, stored

    async def _put(self, place: Place, token: bytes, stored: bytes, life: int, redis: Redis) -> bool:
        keys = self._keys(place)
        if not self._changes:
            return bool(await redis.set(keys[1], stored, px=life))
        return bool(await _run(redis, _WRITE, keys, token, stored, life))

    def _keys(self, place: Place) -> tuple[str, str]:
        """Return where the token stands and where the value."""
        named = (self._name, self._schema, place.organization_id, *place.parts)
        return self._far.redis.key("far-token", *named), self._far.redis.key("far", *named)

    def _cipher(self, place: Place) -> AESGCM:
        """Return the cipher of one place: a value that was moved does not open, and few share a key."""
        digest = hashlib.blake2b(key=self._far.secret, digest_size=_KEY_BYTES)
        for part in (self._name, self._schema, place.organization_id, *place.parts):
            encoded = f"{type(part).__name__}:{part}".encode(errors="surrogatepass")
            digest.update(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)
        return AESGCM(digest.digest())

    def _open(self, place: Place, stored: bytes) -> Kept | None:
        token, nonce = stored[:_TOKEN_BYTES], stored[_TOKEN_BYTES : _TOKEN_BYTES + _NONCE_BYTES]
        try:
            return self._decode(self._cipher(place).decrypt(nonce, stored[_TOKEN_BYTES + _NONCE_BYTES :], token))
        except (InvalidTag, ValueError, msgspec.DecodeError):
            return None

    def _read_as(self, result: str, token: bytes | None, value: Kept | None = None) -> Found[Kept]:
        self._far.counters.reads.labels(self._name, result).inc()
        return Found(value=value, token=token)

    def _wrote(self, result: str) -> None:
        self._far.counters.writes.labels(self._name, result).inc()


async def _run(redis: Redis, script: str, keys: tuple[str, str], *given: bytes | int) -> tuple[bytes, bytes]:
    """Run a script, and hand it over where it is not known."""
    digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    try:
        answer: tuple[bytes, bytes] = await redis.evalsha(digest, len(keys), *keys, *given)
    except NoScriptError:
        answer = await redis.eval(script, len(keys), *keys, *given)
    return answer


async def _memory(redis: Redis) -> dict[str, Any]:
    try:
        return await redis.info("memory")
    except NoPermissionError:
        # Whoever gave us a Redis of theirs does not want it looked at.
        return {}
