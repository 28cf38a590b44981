"""How much of Redis the far cache uses, and how much is warm before a server serves; ``settings`` produces both."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FarConfig:
    """``seconds`` is for how long an entry that no change can make wrong stays, ``most_bytes`` how large one may be."""

    seconds: float
    most_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmConfig:
    """So many programs over all shards, 0 for none, and no longer than so many seconds."""

    programs: int
    seconds: float
