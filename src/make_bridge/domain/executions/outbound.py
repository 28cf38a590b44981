"""The engine's ports on the platform: calls out through the egress guard, waiting on the loop.

The engine knows no socket; every call of every scenario goes through the one guarded client, and those of a team's runs
through its circuit breakers before that.
"""

import asyncio
from typing import Final

from make_bridge.engine.ports import (
    FailureKind,
    HttpClient,
    HttpFailure,
    HttpRequest,
    HttpResponse,
    Mail,
    MailFailure,
    MailServer,
)
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.egress.circuits import CircuitOpen, Circuits
from make_bridge.platform.egress.client import EgressClient
from make_bridge.platform.egress.mail import MailRefusal, MailSender, MailServerAddress, OutgoingMail
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, EgressResponse, TlsTrust

NO_TEAM: Final = TeamId(0)
_KINDS: Final[dict[str, FailureKind]] = {
    "refused": "refused",
    "timeout": "timeout",
    "too_large": "too_large",
}


class GuardedHttp:
    """``HttpClient`` over the egress client; with ``circuits`` for the runs of one team, past its breakers."""

    __slots__ = ("_circuits", "_client", "_team_id")

    def __init__(self, client: EgressClient, circuits: Circuits | None = None, team_id: TeamId = NO_TEAM) -> None:
        """Share client and breakers over all runs of the process."""
        self._client = client
        self._circuits = circuits
        self._team_id = team_id

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
        if self._circuits is None:
            return await self._client.send(outgoing)
        return await self._circuits.call(
            outgoing, self._client.send, team_id=self._team_id, credential=request.credential
        )


class HttpByTeam:
    """Makes the port for each run."""

    def __init__(self, client: EgressClient, circuits: Circuits) -> None:
        """Share client and breakers over all runs of the process."""
        self._client = client
        self._circuits = circuits

    def of(self, team_id: TeamId) -> HttpClient:
        """Return the port of one team."""
        return GuardedHttp(self._client, self._circuits, team_id)


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


class GuardedMail:
    """``Mailer`` over the guarded mail sender."""

    def __init__(self, sender: MailSender) -> None:
        """Share one sender over all runs of the process."""
        self._sender = sender

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
            return await self._sender.send(outgoing, address)
        except MailRefusal as refusal:
            raise MailFailure(refusal.kind, refusal.message) from refusal
