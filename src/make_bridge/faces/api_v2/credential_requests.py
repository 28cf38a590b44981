"""Credential requests: ask an end user for connections and keys by a link, and see what became of it.

The link stands in the answer to whoever makes a request, and in no other: its secret is kept nowhere. A page of this
server opens it (``faces/wizard``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.connections.types import type_of
from make_bridge.domain.credential_requests.messages import (
    CreateCredentialRequest,
    CredentialRequest,
    CredentialRequestId,
    DeclineRequested,
    DeleteCredentialRequest,
    ExtendConnection,
    GetCredentialRequest,
    ListCredentialRequests,
    MadeRequest,
    RequestedCredential,
    RequestedId,
    ResetRequested,
)
from make_bridge.domain.credential_requests.model import (
    AUTHORIZED,
    KINDS,
    checked_credential_id,
    checked_request_id,
)
from make_bridge.domain.credential_requests.providers import label_of
from make_bridge.domain.credential_requests.selection import LATEST, AppModule, modules_with_credentials
from make_bridge.faces.api_v2.credential_request_bodies import (
    ByAppsBody,
    ByCredentialsBody,
    DeclineBody,
    ExtendBody,
    NewCredentialRequestBody,
)
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    JsonObject,
    Operation,
    access,
    require_confirmation,
    required_team,
    respond,
)
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, narrowed, part_of
from make_bridge.faces.api_v2.parameters import CONFIRMED, THE_TEAM, text
from make_bridge.faces.edge.body import parse_object, parse_optional
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, OrganizationId, TeamId

RequestPath = Annotated[CredentialRequestId, BeforeValidator(checked_request_id)]
CredentialPath = Annotated[RequestedId, BeforeValidator(checked_credential_id)]
HAND_OVER_PAGE: Final = "/hand-over"
_VERSION: Final = re.compile(r"[1-9][0-9]{0,5}")
_FILTERS: Final = ("userId", "makeProviderId", "status", "name")
_LISTED: Final = (
    THE_TEAM,
    text("userId", "Those that somebody made.", longest=32),
    text("makeProviderId", "Those to somebody.", longest=255),
    text("status", "Those that are `pending`, `authorized`, `declined` or `expired`.", longest=32),
    text("name", "Those of this name.", longest=128),
)
_SORTABLE: Final = frozenset({"id", "name", "status", "createdAt", "updatedAt", "expiresAt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequestRoutes:
    """The routes of ``/credential-requests``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        read, write = access("connections:read", size), access("connections:write", size)
        root = "/credential-requests"
        every, one = f"{root}/requests", f"{root}/requests/{{credential_request_id}}"
        credential, actions = f"{root}/credentials/{{credential_id}}", f"{root}/actions"
        modules = f"{root}/apps/{{app_name}}/{{app_version}}/modules-with-credentials"
        create, by_types = self.create_credential_request, self.create_by_credentials
        return [
            Operation(method="GET", path=every, endpoint=self.list_credential_requests, access=read, query=_LISTED),
            Operation(method="POST", path=every, endpoint=create, access=write, body=NewCredentialRequestBody),
            Operation(method="GET", path=one, endpoint=self.get_credential_request, access=read),
            Operation(method="GET", path=f"{one}/detail", endpoint=self.get_credential_request_detail, access=read),
            Operation(
                method="DELETE", path=one, endpoint=self.delete_credential_request, access=write, query=(CONFIRMED,)
            ),
            Operation(
                method="POST",
                path=f"{credential}/decline",
                endpoint=self.decline_credential,
                access=write,
                body=DeclineBody,
                is_body_required=False,
            ),
            Operation(
                method="POST", path=f"{credential}/delete-remote", endpoint=self.delete_remote_credential, access=write
            ),
            Operation(
                method="POST", path=f"{actions}/create", endpoint=self.create_by_apps, access=write, body=ByAppsBody
            ),
            Operation(
                method="POST",
                path=f"{actions}/create-by-credentials",
                endpoint=by_types,
                access=write,
                body=ByCredentialsBody,
            ),
            Operation(
                method="POST", path=f"{actions}/extend", endpoint=self.extend_connection, access=write, body=ExtendBody
            ),
            Operation(method="GET", path=modules, endpoint=self.list_modules_with_credentials, access=read),
        ]

    async def list_credential_requests(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the credential requests of a team."""
        found = await self.api.queries.ask(call.context, ListCredentialRequests(team_id=required_team(call)))
        rows = [_request(one, call.context.organization_id) for one in found]
        for name in _FILTERS:
            wanted = request.query_params.get(name)
            if wanted:
                rows = [row for row in rows if str(row[name]) == wanted]
        shown = part_of(rows, page, sort_by="createdAt", sortable=_SORTABLE)
        return respond({"requests": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="createdAt")})

    async def create_credential_request(self, call: CurrentCall) -> Response:
        """Ask somebody for connections and keys of these types."""
        body = parse_object(call.body, NewCredentialRequestBody, max_depth=self.api.json_depth)
        provider = body.provider
        command = CreateCredentialRequest(
            team_id=TeamId(body.team_id),
            name=body.name or "",
            description=body.description or "",
            make_provider_id=_id(None if provider is None else provider.provider_make_user_id),
            external_provider_id=_id(None if provider is None else provider.external_provider_id),
            wanted=body.wanted(),
        )
        return self._made(call, await self.api.commands.execute(call.context, command))

    async def get_credential_request(
        self, credential_request_id: RequestPath, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Show one credential request."""
        found = await self.api.queries.ask(call.context, GetCredentialRequest(request_id=credential_request_id))
        return respond({"request": narrowed(_request(found, call.context.organization_id), page)})

    async def get_credential_request_detail(self, credential_request_id: RequestPath, call: CurrentCall) -> Response:
        """Show one credential request with its credentials."""
        found = await self.api.queries.ask(call.context, GetCredentialRequest(request_id=credential_request_id))
        detail = _request(found, call.context.organization_id)
        detail |= {"makeProvider": None, "user": None, "credentials": _credentials(found.credentials)}
        return respond({"requestDetail": detail})

    async def delete_credential_request(
        self, credential_request_id: RequestPath, request: Request, call: CurrentCall
    ) -> Response:
        """Delete a credential request with the connections and keys that were handed over by it."""
        require_confirmation(request)
        await self.api.commands.execute(call.context, DeleteCredentialRequest(request_id=credential_request_id))
        return respond({"request": credential_request_id})

    async def decline_credential(self, credential_id: CredentialPath, call: CurrentCall) -> Response:
        """Have a credential not handed over any more."""
        body = parse_optional(call.body, DeclineBody, max_depth=self.api.json_depth) or DeclineBody()
        command = DeclineRequested(credential_id=credential_id, reason=body.reason)
        return respond({"credential": _credential(await self.api.commands.execute(call.context, command))})

    async def delete_remote_credential(self, credential_id: CredentialPath, call: CurrentCall) -> Response:
        """Delete what was handed over: the credential can be handed over again, while the link lives."""
        command = ResetRequested(credential_id=credential_id)
        return respond({"credential": _credential(await self.api.commands.execute(call.context, command))})

    async def create_by_apps(self, call: CurrentCall) -> Response:
        """Ask for the credentials that modules of apps need."""
        body = parse_object(call.body, ByAppsBody, max_depth=self.api.json_depth)
        command = CreateCredentialRequest(
            team_id=TeamId(body.team_id),
            name=body.name or "",
            description=body.description or "",
            apps=tuple(one.selection() for one in body.credentials),
        )
        return self._made(call, await self.api.commands.execute(call.context, command))

    async def create_by_credentials(self, call: CurrentCall) -> Response:
        """Ask for connections and keys of these types; answers with the credentials too."""
        body = parse_object(call.body, ByCredentialsBody, max_depth=self.api.json_depth)
        command = CreateCredentialRequest(
            team_id=TeamId(body.team_id),
            name=body.name or "",
            description=body.description or "",
            wanted=body.wanted(),
        )
        return self._made(call, await self.api.commands.execute(call.context, command))

    async def extend_connection(self, call: CurrentCall) -> Response:
        """Ask for more scopes of a connection at a provider."""
        body = parse_object(call.body, ExtendBody, max_depth=self.api.json_depth)
        command = ExtendConnection(connection_id=ComponentId(body.connection_id), scopes=tuple(body.scopes))
        return self._made(call, await self.api.commands.execute(call.context, command))

    async def list_modules_with_credentials(self, app_name: str, app_version: str, call: CurrentCall) -> Response:
        """List the modules of an app that need credentials, by the app's version or `latest`."""
        del call
        return respond(
            {"appModules": [_module(one) for one in modules_with_credentials(app_name, _number(app_version))]}
        )

    def _made(self, call: Call, made: MadeRequest) -> Response:
        answer = {
            "request": _request(made.request, call.context.organization_id),
            "credentials": _credentials(made.request.credentials),
            "publicUri": f"{self.api.public_url}{HAND_OVER_PAGE}/{made.link}#{made.secret}",
        }
        return respond(answer)


def _number(text: str) -> int:
    """Read the version of an app; raises NotFound."""
    if text == "latest":
        return LATEST
    if _VERSION.fullmatch(text):
        return int(text)
    raise NotFound("An app's version is a number, or 'latest'.")


def _id(value: int | str | None) -> str:
    return "" if value is None else str(value)


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _request(request: CredentialRequest, organization_id: OrganizationId) -> JsonObject:
    return {
        "id": request.id,
        "organizationId": organization_id,
        "teamId": request.team_id,
        "userId": request.user_id,
        "name": request.name,
        "description": request.description or None,
        "externalProviderId": request.external_provider_id or None,
        "makeProviderId": request.make_provider_id or None,
        "createdAt": _moment(request.created_at),
        "updatedAt": _moment(request.updated_at),
        "expiresAt": _moment(request.expires_at),
        "status": request.status,
        "shouldSendEmail": False,
        "emailSentAt": None,
        "appNames": sorted({one.app_name for one in request.credentials if one.app_name}),
    }


def _credentials(credentials: Sequence[RequestedCredential]) -> list[JsonObject]:
    return [_credential(one) for one in credentials]


def _credential(credential: RequestedCredential) -> JsonObject:
    found = type_of(KINDS[credential.component], credential.type)
    is_ours = credential.state == AUTHORIZED and credential.component_id is not None
    return {
        "id": credential.id,
        "requestId": credential.request_id,
        "component": credential.component,
        "type": "basic" if found is not None and found.name != "oauth2" else "oauth",
        "name": credential.type,
        "label": label_of(credential.type) if found is None else found.label,
        "description": credential.description or None,
        "scope": list(credential.scope),
        "remoteId": str(credential.component_id) if is_ours else None,
        "remoteScope": list(credential.granted),
        "tokenId": None,
        "createdAt": _moment(credential.created_at),
        "updatedAt": _moment(credential.updated_at),
        "state": credential.state,
        "declineReason": credential.decline_reason or None,
        "appName": credential.app_name or None,
        "appModules": list(credential.app_modules),
        "appVersion": credential.app_version or None,
        "nameOverride": credential.name_override or None,
    }


def _module(module: AppModule) -> JsonObject:
    told: JsonObject = {
        "id": module.id,
        "name": module.name,
        "label": module.label,
        "type": f"{module.component}:{module.type}",
        "hook": module.is_hook,
    }
    return told | ({"scope": list(module.scope)} if module.scope else {})
