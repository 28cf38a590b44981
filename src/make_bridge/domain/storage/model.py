"""The rules of keeping runs: for how many days, how many bytes, and how gently what is past goes. Pure."""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.storage.messages import StorageLimits
from make_bridge.kernel.errors import InvalidInput

FEWEST_DAYS: Final = 1
MOST_DAYS: Final = 3650
FEWEST_BYTES: Final = 2**20
MOST_BYTES: Final = 2**50
LONGEST_REST: Final = 2.0
"""Seconds: a leader shows itself more often than its term is long."""

# Table → what it is counted as; a partition is counted as its parent. What is not here is ``other``.
KINDS: Final = {
    "executions": "executions",
    "outcomes": "outcomes",
    "payloads": "payloads",
    "execution_logs": "logs",
    "journal": "journal",
    "queue": "queue",
    "incomplete_executions": "incomplete",
    "incomplete_attempts": "incomplete",
    "dead_letters": "incomplete",
    "outbox": "events",
    "parked_events": "events",
    "webhook_messages": "deliveries",
    "webhook_attempts": "deliveries",
    "audit": "audit",
    "data_store_records": "data_stores",
    "jobs": "jobs",
    "report_parts": "reports",
}
OTHER: Final = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Numbers of the care of runs.

    ``days`` and ``bytes`` hold for organizations that were given none of their own. A run is measured
    ``settle_seconds`` after it was accepted; a round begins every ``look_seconds``, takes ``batch`` runs at a time, and
    is at work for ``busy_percent`` of the time at most.
    """

    days: int = 60
    bytes: int = 10 * 2**30
    look_seconds: float = 60.0
    settle_seconds: float = 900.0
    batch: int = 500
    busy_percent: float = 10.0


def in_force(limits: StorageLimits, config: StorageConfig) -> tuple[int, int]:
    """Return for how many days, and how many bytes of, an organization's runs are kept."""
    return limits.days or config.days, limits.bytes or config.bytes


def rest_after(seconds: float, busy_percent: float) -> float:
    """Return how long to rest after work of so many seconds.

    A database that is busy answers later, and so is left alone for longer.
    """
    return min(seconds * (100.0 / busy_percent - 1.0), LONGEST_REST)


def checked_days(days: int | None) -> int | None:
    """Return for how many days runs are kept, or raise InvalidInput; None is the installation's number."""
    if days is not None and not FEWEST_DAYS <= days <= MOST_DAYS:
        raise InvalidInput(f"Runs are kept for {FEWEST_DAYS} to {MOST_DAYS} days.")
    return days


def checked_bytes(size: int | None) -> int | None:
    """Return how many bytes runs may take, or raise InvalidInput; None is the installation's number."""
    if size is not None and not FEWEST_BYTES <= size <= MOST_BYTES:
        raise InvalidInput(f"Runs may take {FEWEST_BYTES} to {MOST_BYTES} bytes.")
    return size
