"""Rate limits in Redis: GCRA as in ``local``, by one script, on the clock of Redis.

The script judges any number of questions in one round trip, each for itself and all atomically. Questions that come
while one trip is under way go together with the next, so a request that counts for two limits makes one, and a flood
makes few. Every key ends by itself when its share has been given back. What happens on failure: None, at once while
Redis is known to be away, after its deadline otherwise (``platform/redis``); who waits behind a trip that fails is
answered with it.
"""

import asyncio
import hashlib
from collections.abc import Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from make_bridge.platform.limits.port import Rate, Taken
from make_bridge.platform.redis.client import RedisClient

_MOST_AT_ONCE: Final = 128
_MOST_WAITING: Final = 4096
_MICROSECONDS: Final = 1e6
_ANSWERS: Final = 2

# All times are microseconds. A clock that went back must not lock anybody out, so a key is used up for one period at
# most. A microsecond of waiting is rounding.
SCRIPT: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local answers = {}
for i, key in ipairs(KEYS) do
  local period, share, known = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local stored = redis.call('GET', key)
  local used = math.min(math.max((tonumber(stored) or now) - now, known, 0), period)
  local wait = used - (period - share)
  if wait > 1 then
    answers[#answers + 1] = math.ceil(wait)
  else
    answers[#answers + 1] = 0
    used = used + share
  end
  answers[#answers + 1] = math.ceil(used)
  if used > 0 then
    redis.call('SET', key, string.format('%.0f', now + used), 'PX', math.ceil(used / 1000) + 1)
  end
end
return answers
"""
_DIGEST: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    key: str
    arguments: tuple[int, int, int]
    answer: asyncio.Future[Taken | None]


class RedisCounts:
    """See the module; ``Counts``."""

    def __init__(self, redis: RedisClient) -> None:
        """Ask there."""
        self._redis = redis
        self._waiting: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None

    async def take(self, rate: Rate, key: Hashable, known: float) -> Taken | None:
        """Let one happen, or let it not; None while Redis is away, or more wait than it can answer."""
        if not self._redis.is_up or len(self._waiting) >= _MOST_WAITING:
            return None
        period = rate.seconds * _MICROSECONDS
        question = _Question(
            key=self._redis.key("rate", rate.name, repr(key)),
            arguments=(int(period), int(period / rate.most), int(known * _MICROSECONDS)),
            answer=asyncio.get_running_loop().create_future(),
        )
        self._waiting.append(question)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="rate-limits", context=Context())
        return await question.answer

    async def close(self) -> None:
        """Answer whoever still waits."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        """Make trips until nobody waits."""
        batch: list[_Question] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                _answer(batch, await self._redis.call(partial(_judge, batch)) or [])
        finally:
            _answer([*batch, *self._waiting], [])
            self._waiting = []
            self._asking = None


async def _judge(batch: Sequence[_Question], redis: Redis) -> list[int]:
    """Run the script, and hand it over where it is not known."""
    given: list[str | int] = [question.key for question in batch]
    given += [number for question in batch for number in question.arguments]
    try:
        answers: list[int] = await redis.evalsha(_DIGEST, len(batch), *given)
    except NoScriptError:
        answers = await redis.eval(SCRIPT, len(batch), *given)
    return answers


def _answer(batch: Sequence[_Question], numbers: Sequence[int]) -> None:
    """Tell those who still wait: what was counted, or that nothing was."""
    for place, question in enumerate(batch):
        if not question.answer.done():
            found = numbers[_ANSWERS * place : _ANSWERS * (place + 1)]
            question.answer.set_result(Taken(*(number / _MICROSECONDS for number in found)) if found else None)
