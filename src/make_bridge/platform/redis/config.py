"""Where Redis is and how much of it is used; ``settings`` produces it."""

from dataclasses import dataclass, field

from redis.asyncio.connection import parse_url

SCHEMES = ("redis://", "rediss://", "unix://")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisConfig:
    """``seconds`` bounds what a request may wait, ``probe_seconds`` parts looks at a Redis that is away."""

    url: str = field(repr=False)
    prefix: str
    seconds: float
    probe_seconds: float
    connections: int


def is_redis_address(url: str) -> bool:
    """Say whether the client could read this address; what it says about a wrong one would show the password."""
    try:
        parse_url(url)
    except ValueError:
        return False
    return url.startswith(SCHEMES)
