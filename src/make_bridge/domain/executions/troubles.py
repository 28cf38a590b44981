"""What a failed run means for its scenario: does it count, must it wait, is it switched off.

Pure. The performer asks it once per failed run; the settlement carries the answer out in the transaction that
ends the run. A run that ended well has no trouble, and costs nothing here.

A failure of the other side (no connection, too many requests, no answer in time) is never counted: a scheduled
scenario is run again as a whole after ``BACKOFF_MINUTES``, spread by chance, or when the other side said that it may
come again, and switched off when all of these were in vain; a webhook item ends with its error (``dlq`` keeps it). Runs
that a person started and is looking at are not counted either.
"""

from typing import Final

import msgspec

from make_bridge.domain.executions.incomplete import RetryPlan, seconds_asked_by
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.runner.result import Ending, RetryMode, RunError
from make_bridge.kernel.errors import BridgeError

BACKOFF_MINUTES: Final = (1, 2, 5, 10, 60, 180, 720, 1440)
AT_ONCE: Final = frozenset(
    {
        "InconsistencyError",
        "OperationsLimitExceededError",
        "DataSizeLimitExceededError",
        "ScenarioValidationError",
        "ValidationError",
    }
)
WAITED_FOR: Final = frozenset({"ConnectionError", "RateLimitError", "ModuleTimeoutError"})
NOT_COUNTED: Final = frozenset({"DataError", "DuplicateDataError", "MemoryLimitExceededError"}) | WAITED_FOR
_WATCHED: Final = frozenset({"manual", "retry"})
_INSTANT: Final = "webhook"
_SCHEDULED: Final = "schedule"


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A failed run. ``limit`` consecutive ones that count switch the scenario off; 0 means at once."""

    error_type: str
    message: str
    counts: bool
    limit: int
    waits: bool
    cause: str
    asked: float = 0.0
    """For so many seconds the other side wants to be left alone."""


def trouble_of(error: RunError | None, ending: Ending, *, origin: str, max_errors: int) -> Trouble:
    """Return what a run that ended with an error means; ``origin`` is how it was started."""
    kind = "UnknownError" if error is None else error.type
    message = "" if error is None else error.message
    if ending is Ending.ROLLED_BACK:
        return _uncounted(kind, message)
    if kind in AT_ONCE:
        return Trouble(error_type=kind, message=message, counts=True, limit=0, waits=False, cause="error_at_once")
    if origin in _WATCHED or (kind in NOT_COUNTED and not (kind in WAITED_FOR and origin == _SCHEDULED)):
        return _uncounted(kind, message)
    if kind in WAITED_FOR:
        asked = 0.0 if error is None else seconds_asked_by(error)
        return Trouble(
            error_type=kind, message=message, counts=False, limit=1, waits=True, cause="backoff_exhausted", asked=asked
        )
    instant = origin == _INSTANT
    return Trouble(
        error_type=kind,
        message=message,
        counts=True,
        limit=1 if instant else max(max_errors, 1),
        waits=False,
        cause="first_error" if instant else "consecutive_errors",
    )


def trouble_of_start(error: BridgeError, *, origin: str) -> Trouble:
    """Return what it means that a run could not begin: an invalid blueprint never gets better by itself."""
    if isinstance(error, BlueprintInvalid) and origin != "retry":
        name = "ScenarioValidationError"
        return Trouble(error_type=name, message=error.message, counts=True, limit=0, waits=False, cause="error_at_once")
    return _uncounted(type(error).__name__, error.message)


def backoffs(asked: float, chance: float) -> list[float]:
    """Return the seconds of each step of the back-off, by the rule for retries (``RetryPlan.wait``).

    A step is its own interval, a fifth more or less, or what the other side ``asked`` for, whichever is later.
    """
    plans = [RetryPlan(mode=RetryMode.FIXED.value, most_attempts=1, interval_minutes=m) for m in BACKOFF_MINUTES]
    return [plan.wait(0, asked, chance) or 0.0 for plan in plans]


def _uncounted(kind: str, message: str) -> Trouble:
    return Trouble(error_type=kind, message=message, counts=False, limit=1, waits=False, cause="")
