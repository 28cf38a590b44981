"""Incomplete executions: what is kept of a run that stopped at a module, and when it is tried again.

Pure. A ``Parked`` is made by the performer from the engine's ``IncompleteRun`` and written when the outcome
settles; a ``Resumed`` travels with the execution that tries one again, so that its outcome says what becomes
of the record. Values keep their types (dates stay dates, buffers buffers): the document is packed, not JSON.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, cast

import msgspec

from make_bridge.engine.apps.module import ErrorType
from make_bridge.engine.packing import pack, unpack
from make_bridge.engine.runner.request import ResumePoint
from make_bridge.engine.runner.result import IncompleteRun, RetryMode, RunError
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import InvalidInput

# The kinds of queue rows: the timer of a record (its id is the record's), and an execution that tries one again.
TIMER: Final = "incomplete.retry"
RETRY: Final = "scenario.retry"
ORIGIN: Final = "retry"
DONE: Final = "done"
NOT_DONE: Final = "not_done"
# Minutes before each automatic attempt; after the last a person decides.
BACKOFF_MINUTES: Final = (1, 10, 10, 30, 30, 30, 180, 180)
# No wait is longer than a day, whatever a server asks for; each is spread by chance, so that what failed at one moment
# does not come back at one moment.
LONGEST_WAIT: Final = 24 * 60 * 60.0
SPREAD: Final = 0.2
_MINUTE: Final = 60.0
_MAX_MESSAGE: Final = 2000
_ID_BYTES: Final = 16
Bundle = dict[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompleteLimits:
    """How many unresolved records, and how many bytes of them, a scenario and an organization may have."""

    per_scenario: int = 1000
    per_organization: int = 10_000
    bytes_per_scenario: int = 256 * 1024 * 1024
    bytes_per_organization: int = 1024 * 1024 * 1024


class RetryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Who tries again, at most how often, and with Break's own interval."""

    mode: str = RetryMode.NONE.value
    most_attempts: int = 0
    interval_minutes: int = 0

    def delay(self, attempts: int) -> int | None:
        """Return the minutes until the next automatic attempt after so many, or None: a person decides."""
        if attempts >= self.most_attempts:
            return None
        if self.mode == RetryMode.BACKOFF:
            return BACKOFF_MINUTES[attempts] if attempts < len(BACKOFF_MINUTES) else None
        return self.interval_minutes if self.mode == RetryMode.FIXED else None

    def wait(self, attempts: int, asked: float, chance: float) -> float | None:
        """Return the seconds until the next automatic attempt, or None: a person decides.

        It is its own interval, a fifth more or less, or what the server ``asked`` for and up to a fifth more, whichever
        is later. ``chance`` is from 0 up to 1. An interval that a person has chosen may be longer than a day.
        """
        minutes = self.delay(attempts)
        if minutes is None:
            return None
        own = minutes * _MINUTE
        wished = min(asked, LONGEST_WAIT) * (1 + SPREAD * chance)
        if wished > LONGEST_WAIT:
            wished = LONGEST_WAIT * (1 - SPREAD * chance)
        return max(own * (1 - SPREAD + 2 * SPREAD * chance), wished)


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that stopped at a module; ``document`` holds all the module could see, perhaps sealed."""

    id: str
    module_id: int
    error_type: str
    message: str
    plan: RetryPlan
    blueprint_version: int
    document: bytes
    size: int
    is_sealed: bool
    sequential: bool
    ordering_key: str | None = None
    """The key its run was ordered by: only later runs of that key wait for it."""
    may_drop: bool
    """The scenario prefers losing this bundle to standing still (``dataloss``), should the store be full."""
    asked_wait: float = 0.0
    """Seconds the server wants to be left alone before it is called again."""


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """The record an execution tries again, as it was when the attempt began."""

    record_id: str
    attempts: int
    plan: RetryPlan


def needs_answer(error_type: str, answer: str | None) -> bool:
    """Say whether a record waits for a person to say whether a call was done: until then nobody tries it again."""
    return error_type == ErrorType.POSSIBLY_DONE and answer is None


def new_record_id() -> str:
    """Return a fresh id: 32 hexadecimal characters."""
    return os.urandom(_ID_BYTES).hex()


def plan_of(incomplete: IncompleteRun) -> RetryPlan:
    """Return who tries an incomplete run again."""
    retry = incomplete.retry
    return RetryPlan(mode=retry.mode.value, most_attempts=retry.attempts, interval_minutes=retry.interval_minutes)


def asked_wait(incomplete: IncompleteRun) -> float:
    """Return the seconds the server wanted to be left alone, 0 when it asked for nothing."""
    return seconds_asked_by(incomplete.error)


def seconds_asked_by(error: RunError) -> float:
    """Return the seconds for which an error says that its server wants to be left alone, a day at most."""
    detail = error.detail
    asked = detail.get("retryAfter") if isinstance(detail, dict) else None
    return min(float(asked), LONGEST_WAIT) if isinstance(asked, int) and asked > 0 else 0.0


def plain_text(text: str) -> str:
    """Return a message as a column takes it: no NUL, no half characters, of bounded length."""
    return text.encode("utf-8", errors="replace").decode().replace("\x00", "")[:_MAX_MESSAGE]


def encode_document(incomplete: IncompleteRun) -> bytes:
    """Return the stored form of everything the module could see; raises InvalidInput for what cannot be stored."""
    point = ResumePoint(
        module_id=incomplete.module_id,
        bundles=incomplete.bundles,
        cycle_variables=incomplete.cycle_variables,
        run_variables=incomplete.run_variables,
        step_key=incomplete.step_key,
    )
    return encode_point(point)


def encode_point(point: ResumePoint, done: Bundle | None = None) -> bytes:
    """Return the stored form of a place to go on from; its module is a column beside it.

    ``done`` is what the module gave, where a person has said that its call was done.
    """
    document: dict[str, Value] = {
        "bundles": [[module_id, bundle] for module_id, bundle in point.bundles],
        "cycleVariables": dict(point.cycle_variables),
        "runVariables": dict(point.run_variables),
        "stepKey": point.step_key,
    }
    if done is not None:
        document["done"] = done
    try:
        return pack(document)
    except OverflowError:
        raise InvalidInput("A number of this bundle is too large to be stored.") from None


def decode_point(document: bytes, module_id: int) -> ResumePoint:
    """Read it back."""
    stored = cast("dict[str, Value]", unpack(document))
    pairs = cast("list[tuple[int, Value]]", stored["bundles"])
    return ResumePoint(
        module_id=module_id,
        bundles=[(number, bundle) for number, bundle in pairs],
        cycle_variables=cast("dict[str, Value]", stored["cycleVariables"]),
        run_variables=cast("dict[str, Value]", stored["runVariables"]),
        step_key=cast("str | None", stored["stepKey"]),
    )


def decode_done(document: bytes) -> Bundle | None:
    """Return what the module gave, where a person has said that its call was done."""
    done = cast("dict[str, Value]", unpack(document)).get("done")
    return done if isinstance(done, dict) else None


def answered(
    point: ResumePoint, record_id: str, *, done: bool, output: Mapping[str, object] | None
) -> tuple[ResumePoint, Bundle | None]:
    """Return where to go on after a person's answer, and with what.

    A call that was done is known by its key, so a place whose key an edit has taken away is given one.
    """
    if not done:
        return point, None
    given: Bundle = {name: _value(item) for name, item in (output or {}).items()}
    return replace(point, step_key=point.step_key or f"answer-{record_id}"), given


def edited(
    point: ResumePoint,
    *,
    module_id: int,
    bundles: Mapping[int, object] | None,
    other_blueprint: bool,
    is_done: bool = False,
) -> ResumePoint:
    """Return the place with changed bundles.

    What is asked anew needs a key of its own: a target that remembers the old key would answer with the old refusal.
    A call that a person has said was done is not asked anew, and keeps the key it is known by.
    """
    changes = dict(bundles or {})
    known = {number for number, _ in point.bundles}
    strange = sorted(changes.keys() - known)
    if strange:
        names = ", ".join(map(str, strange))
        raise InvalidInput(f"No bundle of module {names} is stored here: only stored bundles can be edited.")
    kept = [
        (number, merged(bundle, changes[number]) if number in changes else bundle) for number, bundle in point.bundles
    ]
    is_here = module_id == point.module_id
    is_same = is_here and (is_done or (not other_blueprint and kept == list(point.bundles)))
    return ResumePoint(
        module_id=module_id,
        bundles=kept,
        cycle_variables=point.cycle_variables,
        run_variables=point.run_variables,
        step_key=point.step_key if is_same else None,
    )


def merged(old: Value, new: object) -> Value:
    """Return a value as edited in JSON: what was not changed keeps the type JSON could not show."""
    if as_json(old) == new:
        return old
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: merged(old[key], item) if key in old else _value(item) for key, item in new.items()}
    if isinstance(old, list) and isinstance(new, list):
        paired = [merged(before, after) for before, after in zip(old, new, strict=False)]
        return [*paired, *(_value(item) for item in new[len(old) :])]
    return _value(new)


def as_json(value: Value) -> object:
    """Return a value as JSON shows it: dates are ISO text in UTC, buffers base64."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _value(json: object) -> Value:
    """JSON is a subset of the values."""
    return cast("Value", json)
