"""The circuit breakers of one process: one for each team, host and credential that calls go out with.

``domain/executions/outbound.py`` sends every call of a scenario through ``call``, and every message of one through
``hand_over``; the API and the metrics read what is open. Breakers are few: those that nobody used for a while go, and
at the limit the one unused longest, first of the team that has too many, so that a team that calls ever new hosts
pushes out its own and nobody else's.

They are kept in memory by each process for itself: what one has learned costs another at most its own twenty calls.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from make_bridge.kernel import entropy
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.egress.breaker import Breaker, BreakerLimits, Opening, Permit, State, Verdict
from make_bridge.platform.egress.mail import MailRefusal, MailServerAddress, OutgoingMail
from make_bridge.platform.egress.messages import DEFAULT_TIMEOUT, EgressFailure, EgressRequest, EgressResponse
from make_bridge.platform.egress.urls import read_target

_log = structlog.get_logger(__name__)

_IDLE_SECONDS: Final = 900.0
_DROPPED_AT_ONCE: Final = 4
_SHORTEST_WAIT: Final = 1.0
_CLIENT_ERRORS: Final = range(400, 500)
_SERVER_ERRORS: Final = range(500, 600)
# What tells that the target is not there; "refused" is our own guard, which dialled nothing.
_BAD_KINDS: Final = {
    "connect": "no connection",
    "tls": "no connection",
    "protocol": "the connection broke",
    "timeout": "no answer in time",
}
_ANSWERED_KINDS: Final = frozenset({"too_large", "redirect"})
_MAIL_ANSWERED_KINDS: Final = frozenset({"login", "temporary", "rejected"})
_SLOW: Final = "slow"

Send = Callable[[EgressRequest], Awaitable[EgressResponse]]
Hand = Callable[[OutgoingMail, MailServerAddress], Awaitable[tuple[str, ...]]]
Name = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitsConfig:
    """When breakers open, and how many there may be."""

    limits: BreakerLimits = field(default_factory=BreakerLimits)
    slow: float = 8.0
    """Seconds after which a call counts as slow; more for a call whose own time limit is longer than usual."""
    overslept: float = 1.0
    """A timer that is so late says that this process was stopped or stuck, and nothing of a target."""
    most: int = 4096
    most_of_team: int = 256


class CircuitOpen(Unavailable):
    """Calls to this host are paused, because too many of them failed."""

    code = "circuit_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCircuit:
    """A breaker that is not closed, as people are told of it. ``credential`` is a name, no secret."""

    host: str
    credential: str
    state: State
    since: datetime
    until: datetime
    reason: str


@dataclass(slots=True, eq=False)
class _Circuit:
    breaker: Breaker
    used: float


class Circuits:
    """See the module."""

    def __init__(
        self,
        config: CircuitsConfig,
        clock: Clock,
        *,
        opened: Callable[[], None] = lambda: None,
        refused: Callable[[], None] = lambda: None,
        chance: Callable[[], float] | None = None,
    ) -> None:
        """``opened`` and ``refused`` are called for each breaker that opens, and each call that is not made."""
        self.config = config
        self._clock = clock
        self._opened = opened
        self._refused = refused
        self._chance = chance or entropy.chance
        self._teams: OrderedDict[int, OrderedDict[Name, _Circuit]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def by_state(self) -> Mapping[str, int]:
        """Return how many breakers are in each state, for the metrics."""
        now = self._clock.monotonic()
        counts: dict[str, int] = dict.fromkeys(State, 0)
        for circuits in self._teams.values():
            for circuit in circuits.values():
                counts[circuit.breaker.state(now)] += 1
        return counts

    def open_of(self, team_id: int) -> list[OpenCircuit]:
        """Return the team's breakers that are not closed, the longest first."""
        circuits: Mapping[Name, _Circuit] = self._teams.get(team_id, {})
        opened = [
            self._told(name, circuit.breaker, opening)
            for name, circuit in circuits.items()
            if (opening := circuit.breaker.opening) is not None
        ]
        return sorted(opened, key=lambda circuit: circuit.since)

    async def call(self, request: EgressRequest, send: Send, *, team_id: int, credential: str) -> EgressResponse:
        """Send the request, unless its circuit is open; raises CircuitOpen and what ``send`` raises."""
        target = read_target(request.url)
        passage = self._enter(team_id, target.host, target.port, credential)
        return await passage.take(request, send)

    async def hand_over(
        self, mail: OutgoingMail, server: MailServerAddress, hand: Hand, *, team_id: int, credential: str
    ) -> tuple[str, ...]:
        """Hand a message over, unless the circuit is open; raises CircuitOpen and what ``hand`` raises."""
        passage = self._enter(team_id, server.host, server.port, credential)
        return await passage.take_mail(mail, server, hand)

    def slow_after(self, timeout: float) -> float:
        """Return when a call is slow: whoever waits longer than usual expects to."""
        return self.config.slow * max(timeout / DEFAULT_TIMEOUT, 1.0)

    def judge(self, passage: "_Passage", verdict: Verdict, cause: str) -> None:
        """Tell the breaker what a call says of its target."""
        breaker = passage.breaker
        if breaker.judge(passage.permit, verdict, self._clock.monotonic(), cause):
            self._opened()
            opening = breaker.opening
            reason = _reason(opening, self.config.limits.window) if opening is not None else cause
            _log.warning("circuit_opened", team_id=passage.team_id, host=passage.name[0], reason=reason)

    def _enter(self, team_id: int, named: str, port: int, credential: str) -> "_Passage":
        host = f"[{named}]" if ":" in named else named
        name = (f"{host}:{port}", credential)
        breaker = self._breaker(team_id, name)
        permit = breaker.admit(self._clock.monotonic())
        if permit is None:
            self._refused()
            raise self._refusal(name, breaker)
        return _Passage(circuits=self, breaker=breaker, permit=permit, team_id=team_id, name=name)

    def _breaker(self, team_id: int, name: Name) -> Breaker:
        now = self._clock.monotonic()
        circuits = self._teams.get(team_id)
        if circuits is None:
            circuits = self._teams[team_id] = OrderedDict()
        self._teams.move_to_end(team_id)
        circuit = circuits.get(name)
        if circuit is None:
            circuit = circuits[name] = _Circuit(breaker=Breaker(self.config.limits, self._chance), used=now)
            self._count += 1
            self._make_room(circuits, now)
        circuits.move_to_end(name)
        circuit.used = now
        return circuit.breaker

    def _make_room(self, own: OrderedDict[Name, _Circuit], now: float) -> None:
        if len(own) > self.config.most_of_team:
            own.popitem(last=False)
            self._count -= 1
        for _ in range(_DROPPED_AT_ONCE):
            team_id, circuits = next(iter(self._teams.items()))
            oldest = next(iter(circuits.values()))
            if self._count <= self.config.most and now - oldest.used < _IDLE_SECONDS:
                return
            circuits.popitem(last=False)
            self._count -= 1
            if not circuits:
                del self._teams[team_id]

    def _refusal(self, name: Name, breaker: Breaker) -> CircuitOpen:
        opening = breaker.opening
        now = self._clock.monotonic()
        wait = max(opening.until - now if opening is not None else 0.0, _SHORTEST_WAIT)
        reason = _reason(opening, self.config.limits.window) if opening is not None else ""
        message = f"Calls to {name[0]} are paused, because {reason}. Try again in {wait:.0f} s."
        return CircuitOpen(message, retry_after=wait)

    def _told(self, name: Name, breaker: Breaker, opening: Opening) -> OpenCircuit:
        now, wall = self._clock.monotonic(), self._clock.now()
        return OpenCircuit(
            host=name[0],
            credential=name[1],
            state=breaker.state(now),
            since=wall - timedelta(seconds=now - opening.since),
            until=wall + timedelta(seconds=opening.until - now),
            reason=_reason(opening, self.config.limits.window),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _Passage:
    """One call with its permit, from the breaker's yes to the end."""

    circuits: Circuits
    breaker: Breaker
    permit: Permit
    team_id: int
    name: Name
    timer: asyncio.TimerHandle | None = None

    async def take(self, request: EgressRequest, send: Send) -> EgressResponse:
        """Send it, and tell what came of it. A call that is cancelled says nothing and frees its slot."""
        loop = asyncio.get_running_loop()
        slow = self.circuits.slow_after(request.timeout)
        overslept = loop.time() + request.timeout + self.circuits.config.overslept

        def begin() -> None:
            # A slow call counts while it still waits: a target that hangs must not cost its whole time limit first.
            due = loop.time() + slow
            self.timer = loop.call_at(due, self._judge_slow, loop, due + self.circuits.config.overslept)

        try:
            response = await send(replace(request, on_sent=begin))
        except EgressFailure as failure:
            if loop.time() < overslept:
                self._judge_failure(failure)
            raise
        else:
            self._judge_status(response.status)
            return response
        finally:
            if self.timer is not None:
                self.timer.cancel()
            self.breaker.finish(self.permit)

    async def take_mail(self, mail: OutgoingMail, server: MailServerAddress, hand: Hand) -> tuple[str, ...]:
        """Hand a message over, and tell what came of it: a server that answers lives, whatever it says."""
        loop = asyncio.get_running_loop()
        overslept = loop.time() + mail.timeout + self.circuits.config.overslept
        try:
            refused = await hand(mail, server)
        except MailRefusal as refusal:
            if loop.time() < overslept:
                self._judge_refusal(refusal)
            raise
        else:
            self.circuits.judge(self, Verdict.GOOD, "")
            return refused
        finally:
            self.breaker.finish(self.permit)

    def _judge_refusal(self, refusal: MailRefusal) -> None:
        if refusal.kind in _MAIL_ANSWERED_KINDS:
            self.circuits.judge(self, Verdict.ANSWERED, "")
        elif refusal.kind in _BAD_KINDS:
            self.circuits.judge(self, Verdict.BAD, _BAD_KINDS[refusal.kind])

    def _judge_slow(self, loop: asyncio.AbstractEventLoop, overslept: float) -> None:
        if loop.time() < overslept:
            self.circuits.judge(self, Verdict.BAD, _SLOW)

    def _judge_failure(self, failure: EgressFailure) -> None:
        if failure.kind in _ANSWERED_KINDS:
            self.circuits.judge(self, Verdict.ANSWERED, "")
        elif failure.kind in _BAD_KINDS and not failure.queued:
            self.circuits.judge(self, Verdict.BAD, _BAD_KINDS[failure.kind])

    def _judge_status(self, status: int) -> None:
        if status in _SERVER_ERRORS:
            self.circuits.judge(self, Verdict.BAD, f"status {status}")
        elif status in _CLIENT_ERRORS:
            self.circuits.judge(self, Verdict.ANSWERED, "")
        else:
            self.circuits.judge(self, Verdict.GOOD, "")


def _reason(opening: Opening, window: float) -> str:
    if opening.is_relapse:
        return f"a trial call failed as well ({opening.cause})"
    counted = f"{opening.failed} of {opening.calls} calls within {window:g} s failed or were slow"
    return f"{counted} (the last: {opening.cause})"
