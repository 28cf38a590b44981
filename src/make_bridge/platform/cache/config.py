"""How much of Redis the far cache uses; ``settings`` produces it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FarConfig:
    """``seconds`` is for how long an entry that no change can make wrong stays, ``most_bytes`` how large one may be."""

    seconds: float
    most_bytes: int
