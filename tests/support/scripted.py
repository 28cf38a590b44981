"""Ports for engine tests that are real enough: they answer from a script and remember what they were asked.

`ScriptedTarget` plays every server a scenario calls. Time passes on a manual clock: each call costs a
fixed amount, a sleep costs what it says, so durations are part of what a test can expect.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from make_bridge.engine.ports import (
    Credential,
    CredentialUnavailable,
    FailureKind,
    HttpFailure,
    HttpRequest,
    HttpResponse,
    Intent,
    Ports,
    Record,
)
from make_bridge.kernel.clock import ManualClock

STARTED_AT = datetime(2026, 3, 31, 10, 20, 30, tzinfo=UTC)
CALL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the target says to a method and the beginning of an address; `times` limits how often."""

    method: str = "*"
    url: str = ""
    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    fail: FailureKind | None = None
    times: int | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Answer":
        """Read an answer from a scenario's expectations: `json` or `text` is the body."""
        headers = [(name, str(value)) for name, value in dict(raw.get("headers", {})).items()]
        body = str(raw.get("text", "")).encode()
        if "json" in raw:
            body = json.dumps(raw["json"]).encode()
            headers = [("Content-Type", "application/json"), *headers]
        return cls(
            method=str(raw.get("method", "*")),
            url=str(raw.get("url", "")),
            status=int(raw.get("status", 200)),
            headers=tuple(headers),
            body=body,
            fail=raw.get("fail"),
            times=raw.get("times"),
        )


class ScriptedTarget:
    """Every server at once. The first answer that fits and is not used up is given; none fitting is 404."""

    def __init__(self, answers: Sequence[Answer], clock: ManualClock) -> None:
        self.answers = list(answers)
        self.clock = clock
        self.requests: list[HttpRequest] = []
        self._given = [0] * len(self.answers)

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        self.clock.advance(CALL_SECONDS)
        for index, answer in enumerate(self.answers):
            fits = answer.method in ("*", request.method) and request.url.startswith(answer.url)
            if not fits or (answer.times is not None and self._given[index] >= answer.times):
                continue
            self._given[index] += 1
            if answer.fail is not None:
                raise HttpFailure(answer.fail, f"The target failed as scripted: {answer.fail}.")
            return HttpResponse(status=answer.status, headers=tuple(answer.headers), body=answer.body)
        return HttpResponse(status=404, headers=(("Content-Type", "text/plain"),), body=b"not scripted")


class ScriptedSleeper:
    """Sleeps by moving the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)


@dataclass
class Keyring:
    """Credentials by number."""

    credentials: Mapping[int, Credential] = field(default_factory=dict)
    asked: list[tuple[int, str]] = field(default_factory=list)

    async def credential(self, component_id: int, *, url: str) -> Credential:
        self.asked.append((component_id, url))
        if component_id not in self.credentials:
            raise CredentialUnavailable(f"There is no connection {component_id}.")
        return self.credentials[component_id]


class MemoryJournal:
    """A journal in memory; `entries` outlive the run and can be given to the next."""

    def __init__(self, entries: Mapping[str, Record | Intent] | None = None) -> None:
        self.entries: dict[str, Record | Intent] = dict(entries or {})

    def recall(self, key: str) -> Record | Intent | None:
        return self.entries.get(key)

    async def intend(self, intent: Intent) -> None:
        self.entries[intent.key] = intent

    async def record(self, record: Record) -> None:
        self.entries[record.key] = record


@dataclass
class World:
    """All ports of one run, at hand."""

    target: ScriptedTarget
    sleeper: ScriptedSleeper
    keyring: Keyring
    journal: MemoryJournal
    clock: ManualClock

    @property
    def ports(self) -> Ports:
        return Ports(
            http=self.target,
            sleeper=self.sleeper,
            components=self.keyring,
            journal=self.journal,
            clock=self.clock,
        )


def make_world(
    answers: Sequence[Answer] = (),
    *,
    credentials: Mapping[int, Credential] | None = None,
    journal: MemoryJournal | None = None,
) -> World:
    """Return ports on a clock that starts at `STARTED_AT`."""
    clock = ManualClock(STARTED_AT)
    return World(
        target=ScriptedTarget(answers, clock),
        sleeper=ScriptedSleeper(clock),
        keyring=Keyring(credentials or {}),
        journal=journal or MemoryJournal(),
        clock=clock,
    )
