"""The numbers of the look at how evenly shards are loaded: apart, so that reading settings loads no database."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceConfig:
    """``seconds`` lie between two looks; ``most`` is the imbalance (busiest over mean) that is still in order."""

    seconds: float = 30.0
    most: float = 1.5
