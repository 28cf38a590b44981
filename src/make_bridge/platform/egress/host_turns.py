"""Turns at a host: how many calls one process has in flight for an organization at one host, and for a team in all.

``domain/executions/outbound.py`` asks for a turn before each call of a scenario. Without one, a target that accepts
and never answers would soon hold every run of the process. Who finds no room waits in order of arrival, as long as the
call's own deadline allows; a waiter whose team is full lets others of the same host pass. Nothing is remembered of a
host at which nobody calls or waits, so what is kept is bounded by the runs in flight.

Each process counts for itself. Only the first host of a call is counted, not those that it is redirected to.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from make_bridge.platform.egress.messages import EgressFailure

Host = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLimits:
    """Calls in flight of an organization at one host and of a team in all, and how many may wait for a host."""

    per_host: int = 20
    per_team: int = 100
    waiting_per_host: int = 1000


@dataclass(slots=True, kw_only=True, eq=False)
class _Line:
    """The calls of a host, or of a team."""

    most: int
    in_flight: int = 0
    waiting: "deque[_Waiter]" = field(default_factory=deque)

    @property
    def has_room(self) -> bool:
        return self.in_flight < self.most


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiter:
    host: Host
    team_id: int
    granted: asyncio.Future[None]


class HostTurns:
    """See the module."""

    def __init__(self, limits: TurnLimits) -> None:
        """Begin with nobody calling."""
        self._limits = limits
        self._hosts: dict[Host, _Line] = {}
        self._teams: dict[int, _Line] = {}
        self.waiting = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._hosts) + len(self._teams)

    def by_state(self) -> Mapping[str, int]:
        """Return how many calls are in flight, wait, and were refused so far, for the metrics."""
        in_flight = sum(line.in_flight for line in self._hosts.values())
        return {"in_flight": in_flight, "waiting": self.waiting, "refused": self.refused}

    def try_take(self, host: Host, team_id: int) -> bool:
        """Take a turn if there is room and nobody waits for it; give it back with ``leave``."""
        at_host, of_team = self._lines(host, team_id)
        if at_host.waiting or not (at_host.has_room and of_team.has_room):
            self._forget(host, team_id)
            return False
        _take(at_host, of_team)
        return True

    async def wait(self, host: Host, team_id: int, seconds: float) -> None:
        """Wait for a turn, at most so long; raises EgressFailure, which says that nothing was sent."""
        at_host, of_team = self._lines(host, team_id)
        if len(at_host.waiting) >= self._limits.waiting_per_host:
            raise self._refusal(host)
        waiter = _Waiter(host=host, team_id=team_id, granted=asyncio.get_running_loop().create_future())
        at_host.waiting.append(waiter)
        of_team.waiting.append(waiter)
        self.waiting += 1
        # Those before it may wait for their team, while the host has room.
        self._serve(at_host)
        try:
            async with asyncio.timeout(seconds):
                await waiter.granted
        except BaseException as error:
            at_host.waiting = deque(w for w in at_host.waiting if w is not waiter)
            of_team.waiting = deque(w for w in of_team.waiting if w is not waiter)
            if waiter.granted.done() and not waiter.granted.cancelled():
                self.leave(host, team_id)
            self._forget(host, team_id)
            if isinstance(error, TimeoutError):
                raise self._refusal(host) from None
            raise
        finally:
            self.waiting -= 1

    def leave(self, host: Host, team_id: int) -> None:
        """Give a turn back: to who has waited longest at this host, or else to one of the team at another."""
        at_host, of_team = self._lines(host, team_id)
        at_host.in_flight -= 1
        of_team.in_flight -= 1
        for line in (at_host, of_team):
            self._serve(line)
        self._forget(host, team_id)

    def _serve(self, line: _Line) -> None:
        """Let those begin for whom there is room, in their order; who is granted a turn leaves both of its lines."""
        for waiter in list(line.waiting):
            if not line.has_room:
                return
            at_host, of_team = self._lines(waiter.host, waiter.team_id)
            if waiter.granted.done() or not (at_host.has_room and of_team.has_room):
                continue
            at_host.waiting.remove(waiter)
            of_team.waiting.remove(waiter)
            _take(at_host, of_team)
            waiter.granted.set_result(None)

    def _lines(self, host: Host, team_id: int) -> tuple[_Line, _Line]:
        at_host = self._hosts.get(host)
        if at_host is None:
            at_host = self._hosts[host] = _Line(most=self._limits.per_host)
        of_team = self._teams.get(team_id)
        if of_team is None:
            of_team = self._teams[team_id] = _Line(most=self._limits.per_team)
        return at_host, of_team

    def _forget(self, host: Host, team_id: int) -> None:
        """Keep nothing of where nobody calls or waits."""
        if (at_host := self._hosts.get(host)) is not None and not at_host.in_flight and not at_host.waiting:
            del self._hosts[host]
        if (of_team := self._teams.get(team_id)) is not None and not of_team.in_flight and not of_team.waiting:
            del self._teams[team_id]

    def _refusal(self, host: Host) -> EgressFailure:
        self.refused += 1
        limits = self._limits
        message = (
            f"Too many calls to {host[1]} are in flight ({limits.per_host} at once for an organization,"
            f" {limits.per_team} for a team): this one found no turn. Try again later."
        )
        return EgressFailure("connect", message, queued=True)


def _take(at_host: _Line, of_team: _Line) -> None:
    at_host.in_flight += 1
    of_team.in_flight += 1
