"""The calls of the page behind a credential request's link: read it, fill in, agree at a provider, decline.

The page is the wizard's own, at another address; the gate is the wizard's too. Each call answers with the request as
the page shows it then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.credential_requests.messages import (
    BeginHandOver,
    CredentialRequestId,
    GetRequested,
    HandOver,
    RefuseRequested,
    RequestedId,
)
from make_bridge.domain.credential_requests.model import MAX_REASON, checked_credential_id
from make_bridge.domain.oauth.messages import ApplicationId
from make_bridge.faces.edge.access import GuardedRoute
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.wizard.gate import FlowGate
from make_bridge.kernel.ids import MAX_ID
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus

_ID = "/hand-over-api/{flow_id}"


class HandOverBody(BaseModel):
    """The values of one credential; they are secrets."""

    model_config = ConfigDict(strict=True, extra="ignore")
    values: dict[str, Any] = Field(max_length=50, repr=False)


class ProviderChoiceBody(BaseModel):
    """By which application the person agrees."""

    model_config = ConfigDict(strict=True, extra="ignore")
    application_id: int | None = Field(None, alias="applicationId", ge=1, le=MAX_ID)


class RefusalBody(BaseModel):
    """Why a credential is not handed over."""

    model_config = ConfigDict(strict=True, extra="ignore")
    reason: str = Field("", max_length=MAX_REASON)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOverCalls:
    """The endpoints with what they need."""

    commands: CommandBus
    queries: QueryBus
    public_url: str
    max_depth: int

    async def read(self, request: Request) -> Response:
        """Answer what is asked for, and what was handed over already."""
        query = GetRequested(request_id=_request(request))
        return _json(await self.queries.ask(request.state.context, query))

    async def fill_in(self, request: Request) -> Response:
        """Take the values of a credential."""
        body = parse_object(request.state.body, HandOverBody, max_depth=self.max_depth)
        command = HandOver(request_id=_request(request), credential_id=_credential(request), values=body.values)
        await self.commands.execute(request.state.context, command)
        return await self.read(request)

    async def authorize(self, request: Request) -> Response:
        """Begin a consent: answers with the address that the page opens in a window of its own."""
        body = parse_object(request.state.body, ProviderChoiceBody, max_depth=self.max_depth)
        chosen = body.application_id
        command = BeginHandOver(
            request_id=_request(request),
            credential_id=_credential(request),
            application_id=None if chosen is None else ApplicationId(chosen),
        )
        begun = await self.commands.execute(request.state.context, command)
        return _json({"startUrl": f"{self.public_url}/oauth/start#{begun.ticket}"})

    async def decline(self, request: Request) -> Response:
        """Take a refusal."""
        body = parse_object(request.state.body, RefusalBody, max_depth=self.max_depth)
        command = RefuseRequested(request_id=_request(request), credential_id=_credential(request), reason=body.reason)
        await self.commands.execute(request.state.context, command)
        return await self.read(request)


def hand_over_calls(calls: HandOverCalls, gate: FlowGate) -> Sequence[GuardedRoute]:
    """Return the routes."""
    one = f"{_ID}/credentials/{{credential_id}}"
    return (
        GuardedRoute(_ID, calls.read, gate=gate, methods=("GET",)),
        GuardedRoute(one, calls.fill_in, gate=gate, methods=("POST",)),
        GuardedRoute(f"{one}/authorize", calls.authorize, gate=gate, methods=("POST",)),
        GuardedRoute(f"{one}/decline", calls.decline, gate=gate, methods=("POST",)),
    )


def _request(request: Request) -> CredentialRequestId:
    """Return what the gate found behind the link."""
    return CredentialRequestId(request.state.linked)


def _credential(request: Request) -> RequestedId:
    return checked_credential_id(request.path_params["credential_id"])


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
