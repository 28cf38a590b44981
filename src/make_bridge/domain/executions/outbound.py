"""The engine's ports on the platform: calls out through the egress guard, waiting on the loop.

The engine knows no socket; every call of every scenario goes through the one guarded client, and those of a team's runs
through its circuit breakers and its turn at the host before that. Who waits for a turn lends its slot of the worker, so
that a target that hangs keeps nobody else from running.
"""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Final

from make_bridge.domain.executions.lending import LentSlots
from make_bridge.engine.ports import (
    FailureKind,
    HttpClient,
    HttpFailure,
    HttpRequest,
    HttpResponse,
    Mail,
    Mailer,
    MailFailure,
    MailServer,
)
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.egress.circuits import CircuitOpen, Circuits
from make_bridge.platform.egress.client import EgressClient
from make_bridge.platform.egress.host_turns import HostTurns
from make_bridge.platform.egress.mail import MailRefusal, MailSender, MailServerAddress, OutgoingMail
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, EgressResponse, TlsTrust
from make_bridge.platform.egress.urls import read_target

# So many slots are lent at most: what waits is held in memory.
_MOST_LENT: Final = 500
_SHORTEST: Final = 0.001
_KINDS: Final[dict[str, FailureKind]] = {
    "refused": "refused",
    "timeout": "timeout",
    "too_large": "too_large",
}


class GuardedHttp:
    """``HttpClient`` over the egress client; with ``lane`` for the runs of one team: past its breakers, in its turn."""

    __slots__ = ("_client", "_lane")

    def __init__(self, client: EgressClient, lane: "TeamLane | None" = None) -> None:
        """Share the client over all runs of the process."""
        self._client = client
        self._lane = lane

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send it; raises HttpFailure."""
        outgoing = EgressRequest(
            url=request.url,
            method=request.method,
            headers=list(request.headers),
            body=request.body,
            timeout=request.timeout,
            follow_redirects=request.follow_redirects,
            max_response_bytes=request.max_bytes,
            verify_tls=request.verify_tls,
            trust=_trust(request),
            cookies=request.cookies,
        )
        try:
            answer = await self._exchange(request, outgoing)
        except CircuitOpen as pause:
            raise HttpFailure("connect", pause.message, retry_after=pause.retry_after) from pause
        except EgressFailure as failure:
            raise HttpFailure(_KINDS.get(failure.kind, "connect"), failure.message) from failure
        return HttpResponse(status=answer.status, headers=tuple(answer.headers), body=answer.body, url=answer.final_url)

    async def _exchange(self, request: HttpRequest, outgoing: EgressRequest) -> EgressResponse:
        if self._lane is None:
            return await self._client.send(outgoing)
        return await self._lane.send(outgoing, request.credential)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """What the calls of all teams pass on their way out."""

    circuits: Circuits
    turns: HostTurns
    lent: LentSlots = field(default_factory=LentSlots)
    count: Callable[[str, str], None] = lambda _kind, _result: None
    """Is told of each call: http or mail, and the class of its status or why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamLane:
    """The way out for one team's calls."""

    client: EgressClient
    lanes: Lanes
    organization_id: OrganizationId
    team_id: TeamId

    async def send(self, request: EgressRequest, credential: str) -> EgressResponse:
        """Send it unless its circuit is open; raises CircuitOpen and EgressFailure."""
        lanes = self.lanes
        try:
            answer = await lanes.circuits.call(request, self._in_turn, team_id=self.team_id, credential=credential)
        except CircuitOpen:
            lanes.count("http", "paused")
            raise
        except EgressFailure as failure:
            lanes.count("http", failure.kind)
            raise
        lanes.count("http", f"{min(answer.status // 100, 5)}xx")
        return answer

    async def _in_turn(self, request: EgressRequest) -> EgressResponse:
        """Send it when there is room at its host; waiting takes from its own time."""
        turns, lent = self.lanes.turns, self.lanes.lent
        host = (int(self.organization_id), read_target(request.url).authority)
        if not turns.try_take(host, self.team_id):
            loop = asyncio.get_running_loop()
            deadline = loop.time() + request.timeout
            with lent.lend() if lent.count < _MOST_LENT else nullcontext():
                await turns.wait(host, self.team_id, request.timeout)
            request = replace(request, timeout=max(deadline - loop.time(), _SHORTEST))
        try:
            return await self.client.send(request)
        finally:
            turns.leave(host, self.team_id)


class HttpByTeam:
    """Makes the port for each run."""

    def __init__(self, client: EgressClient, lanes: Lanes) -> None:
        """Share client, breakers and turns over all runs of the process."""
        self._client = client
        self.lanes = lanes

    def of(self, organization_id: OrganizationId, team_id: TeamId) -> HttpClient:
        """Return the port of one team."""
        lane = TeamLane(client=self._client, lanes=self.lanes, organization_id=organization_id, team_id=team_id)
        return GuardedHttp(self._client, lane)


def _trust(request: HttpRequest) -> TlsTrust | None:
    shown = request.client_certificate
    if not request.trusted_ca and shown is None:
        return None
    return TlsTrust(
        authorities=request.trusted_ca,
        certificate="" if shown is None else shown.certificate,
        key="" if shown is None else shown.key,
    )


class LoopSleeper:
    """``Sleeper`` on the event loop."""

    async def sleep(self, seconds: float) -> None:
        """Wait without holding anything but the lease."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedMail:
    """``Mailer`` over the guarded mail sender, for the runs of one team: past its breakers."""

    sender: MailSender
    lanes: Lanes
    team_id: TeamId

    async def send(self, mail: Mail, server: MailServer) -> tuple[str, ...]:
        """Send it; raises MailFailure."""
        outgoing = OutgoingMail(
            sender=mail.sender, recipients=mail.recipients, message=mail.message, timeout=mail.timeout
        )
        address = MailServerAddress(
            host=server.host,
            port=server.port,
            security=server.security,
            user=server.user,
            password=server.password,
        )
        try:
            refused = await self.lanes.circuits.hand_over(
                outgoing, address, self.sender.send, team_id=self.team_id, credential=server.credential
            )
        except CircuitOpen as pause:
            self.lanes.count("mail", "paused")
            raise MailFailure("connect", pause.message, retry_after=pause.retry_after) from pause
        except MailRefusal as refusal:
            self.lanes.count("mail", refusal.kind)
            raise MailFailure(refusal.kind, refusal.message) from refusal
        self.lanes.count("mail", "sent")
        return refused


@dataclass(frozen=True, slots=True, kw_only=True)
class MailByTeam:
    """Makes the port for each run; sender and lanes are those of the process."""

    sender: MailSender
    lanes: Lanes

    def of(self, _organization_id: OrganizationId, team_id: TeamId) -> Mailer:
        """Return the port of one team."""
        return GuardedMail(sender=self.sender, lanes=self.lanes, team_id=team_id)
