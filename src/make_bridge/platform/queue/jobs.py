"""What a job is: its type, what its work returns, and what is asked when one is enqueued. Pure.

How to use it. Declare a type once, in ``boot``::

    types.add(JobType(name="report.make", run=reports.make, seconds=120, tells=True))

and enqueue where the reason for the job is written, in the same transaction (under either role)::

    await jobs.enqueue(work.tx, NewJob(type="report.make", organization_id=..., team_id=..., payload=b"..."))

``run`` is called with a ``RunningJob`` by any worker of any process, at least once: a worker that dies in the middle
is followed by another, so what a job does has to bear repetition; ``job.id`` and ``job.number_of_try`` make good keys.
It returns ``Done``, ``Later`` or ``Failed``; whatever it raises is a failed try. The last failed try, ``Failed`` and
the death of three workers in a row leave the job failed with a dead letter, from which it can be replayed.
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from make_bridge.kernel.entropy import random_hex
from make_bridge.kernel.errors import ConfigurationError, InvalidInput
from make_bridge.kernel.ids import MAX_ID, BatchId, JobId, OrganizationId, TeamId
from make_bridge.platform.queue.leases import DEFAULT, HIGH, LOW

JITTER: Final = 0.2
LONGEST_DELAY: Final = 24 * 3600.0
LONGEST_KEY: Final = 200
# Kinds of the queue's rows that are no jobs: a type of one of these names would never be asked.
NO_JOBS: Final = frozenset({"scenario.execute", "scenario.retry", "incomplete.retry"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after a failed try, in seconds: a growing series, or ``steps`` one by one (the last repeats)."""

    first: float = 2.0
    factor: float = 2.0
    longest: float = 3600.0
    steps: tuple[float, ...] = ()

    def after(self, tries: int) -> float:
        """Return the pause after so many failed tries, without jitter."""
        if self.steps:
            return self.steps[min(tries, len(self.steps)) - 1]
        # The exponent is held so that no number of tries overflows.
        return min(self.first * self.factor ** min(tries - 1, 64), self.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """How often a job is tried, and how far apart."""

    most: int
    backoff: Backoff = field(default_factory=Backoff)


QUICK: Final = Tries(most=3)
"""For what somebody waits for: three tries, from 2 s."""
_STEPS: Final = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
DELIVERIES: Final = Tries(most=10, backoff=Backoff(steps=_STEPS))
"""For what is handed to other servers: ten tries over about 75 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The job is done; ``result`` is kept with it (JSON, if it is to be shown as such)."""

    result: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Not now: go on after so many seconds (0 to 24 h; up to 20 % are added, so that it is not before what was asked).

    With ``counts`` it was one of the tries, and the last one ends the job.
    """

    after_seconds: float
    why: str
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """It will never succeed: no further try."""

    why: str


JobResult = Done | Later | Failed
Report = Callable[[int, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """One try of a job, as its type's ``run`` sees it."""

    id: JobId
    type: str
    organization_id: OrganizationId
    team_id: TeamId | None
    payload: bytes
    number_of_try: int
    created_at: datetime
    report: Report

    async def progress(self, percent: int, note: str = "") -> None:
        """Say how far it is (0 to 100): written and told at most once a second, what comes between is left out."""
        await self.report(max(0, min(percent, 100)), note)


Run = Callable[[RunningJob], Awaitable[JobResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobType:
    """A kind of job: what does it, in which class of the queue, how often, for how long, and whether it tells."""

    name: str
    run: Run
    queue_class: int = DEFAULT
    tries: Tries = QUICK
    seconds: float = 60.0
    """After so long a try is stopped and has failed."""
    tells: bool = False


class JobTypes:
    """The types this process knows; put together at start."""

    def __init__(self, types: Iterable[JobType] = ()) -> None:
        """Begin with ``types``; raises ConfigurationError as ``add`` does."""
        self._types: dict[str, JobType] = {}
        for kind in types:
            self.add(kind)

    def add(self, kind: JobType) -> None:
        """Take a type in; raises ConfigurationError for a name that is taken, or for numbers that cannot work."""
        if kind.name in self._types or kind.name in NO_JOBS:
            raise ConfigurationError(f"There are two types of jobs with the name '{kind.name}'.")
        if kind.queue_class not in {HIGH, DEFAULT, LOW} or kind.tries.most < 1 or kind.seconds <= 0:
            raise ConfigurationError(f"The type of jobs '{kind.name}' has a class, tries or seconds that cannot work.")
        self._types[kind.name] = kind

    def find(self, name: str) -> JobType | None:
        """Return a type, or None when this process does not know it."""
        return self._types.get(name)

    def named(self, name: str) -> JobType:
        """Return a type; raises ConfigurationError when there is none of this name."""
        kind = self._types.get(name)
        if kind is None:
            raise ConfigurationError(f"There is no type of jobs with the name '{name}': add it in boot.")
        return kind


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """How large jobs may be: bytes of a payload and a result, jobs of one batch."""

    payload_bytes: int = 262_144
    result_bytes: int = 65_536
    batch_jobs: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job about to be enqueued.

    Without ``team_id`` it is work of the organization, with a turn of its own beside its teams. It begins not before
    ``not_before`` nor before ``delay_seconds`` from now. While a job of the same type and ``unique_key`` of the
    organization is unfinished, no other is made. With ``batch_id`` it joins a batch that has not ended. Without
    ``trace_context`` it belongs to the trace in which it is enqueued.
    """

    type: str
    organization_id: OrganizationId
    team_id: TeamId | None = None
    payload: bytes = b""
    not_before: datetime | None = None
    delay_seconds: float = 0.0
    unique_key: str | None = None
    batch_id: BatchId | None = None
    queue_class: int | None = None
    trace_context: str | None = None
    """Instead of the type's own."""


def check(job: NewJob, limits: JobLimits) -> None:
    """Raise InvalidInput for a job that is too large."""
    if len(job.payload) > limits.payload_bytes:
        raise InvalidInput(f"The payload of a job has at most {limits.payload_bytes} bytes.", code="job_too_large")
    if job.unique_key is not None and not 0 < len(job.unique_key) <= LONGEST_KEY:
        raise InvalidInput(f"The key of a job has 1 to {LONGEST_KEY} characters.")
    if not 0 <= job.delay_seconds <= 366 * LONGEST_DELAY:
        raise InvalidInput("The delay of a job is 0 seconds to a year.")


def lane_of(organization_id: OrganizationId, team_id: TeamId | None) -> int:
    """Return by what the queue takes turns: the team, or a number beyond all ids for the organization's own work."""
    return MAX_ID + 1 + organization_id if team_id is None else team_id


def chance() -> float:
    """Return a number from 0 up to 1."""
    return int(random_hex(4), 16) / 2**32


def pause_after(kind: JobType, tries: int, luck: float) -> float:
    """Return the seconds to wait after so many failed tries, up to 20 % more or less."""
    return kind.tries.backoff.after(tries) * (1 + JITTER * (2 * luck - 1))


def pause_until_later(after_seconds: float, luck: float) -> float:
    """Return the seconds to wait for ``Later``: bounded, and never less than asked."""
    # Written so that a NaN becomes the bound.
    seconds = max(0.0, after_seconds) if after_seconds < LONGEST_DELAY else LONGEST_DELAY
    return seconds * (1 + JITTER * luck)


def shown_result(result: bytes) -> object:
    """Return a stored result as the JSON value it holds; None for another one."""
    try:
        return json.loads(result)
    except ValueError:
        return None
