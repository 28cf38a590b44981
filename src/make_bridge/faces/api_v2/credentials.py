"""Portal keys and API tokens (``/organizations/{id}/keys``, ``/organizations/{id}/tokens``). An extension.

The organization in the path is the token's own or does not exist. Secrets are in the answer of the request that makes
them and in no other; such answers are not to be stored by anything in between.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.organizations.credential_messages import (
    ApiTokenFacts,
    CreateApiToken,
    CreatePortalKey,
    ListApiTokens,
    ListPortalKeys,
    PortalKeyFacts,
    PortalKeyMade,
    RevokeApiToken,
    RevokePortalKey,
    RotatePortalKey,
)
from make_bridge.faces.api_v2.bodies import NewApiTokenBody, NewPortalKeyBody, RotatePortalKeyBody
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import Operation, access, require_confirmation, respond, row_id
from make_bridge.faces.api_v2.parameters import CONFIRMED
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId

_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
JsonObject = dict[str, Any]


def _read_key_id(text: object) -> str:
    if isinstance(text, str) and _KEY_ID.fullmatch(text):
        return text
    raise NotFound("There is no such key.")


OrganizationPath = Annotated[OrganizationId, row_id("organization")]
KeyPath = Annotated[str, BeforeValidator(_read_key_id)]
TokenPath = Annotated[int, row_id("API token")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRoutes:
    """The routes of keys and tokens."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        read, write = access("organizations:read", size), access("organizations:write", size)
        keys, tokens = "/organizations/{organization_id}/keys", "/organizations/{organization_id}/tokens"
        return [
            Operation(method="GET", path=keys, endpoint=self.list_portal_keys, access=read),
            Operation(method="POST", path=keys, endpoint=self.create_portal_key, access=write, body=NewPortalKeyBody),
            Operation(
                method="POST",
                path=f"{keys}/rotate",
                endpoint=self.rotate_portal_key,
                access=write,
                body=RotatePortalKeyBody,
                is_body_required=False,
            ),
            Operation(
                method="DELETE",
                path=f"{keys}/{{key_id}}",
                endpoint=self.revoke_portal_key,
                access=write,
                query=(CONFIRMED,),
            ),
            Operation(method="GET", path=tokens, endpoint=self.list_api_tokens, access=read),
            Operation(method="POST", path=tokens, endpoint=self.create_api_token, access=write, body=NewApiTokenBody),
            Operation(
                method="DELETE",
                path=f"{tokens}/{{token_id}}",
                endpoint=self.revoke_api_token,
                access=write,
                query=(CONFIRMED,),
            ),
        ]

    async def list_portal_keys(self, organization_id: OrganizationPath, call: CurrentCall) -> Response:
        """List the organization's portal keys, the current one first, without their secrets."""
        _require_own(call, organization_id)
        found = await self.api.queries.ask(call.context, ListPortalKeys())
        return respond({"keys": [_key(key) for key in found]})

    async def create_portal_key(self, organization_id: OrganizationPath, call: CurrentCall) -> Response:
        """Put a portal key into the free slot; the secret of one for HS256 is in this answer only."""
        _require_own(call, organization_id)
        body = parse_object(call.body, NewPortalKeyBody, max_depth=self.api.json_depth)
        create = CreatePortalKey(
            algorithm=body.algorithm, public_key=body.public_key, permissions=frozenset(body.permissions)
        )
        return _shown_once({"key": _made(await self.api.commands.execute(call.context, create))})

    async def rotate_portal_key(self, organization_id: OrganizationPath, call: CurrentCall) -> Response:
        """Make a new current portal key; the one before is accepted until the overlap ends."""
        _require_own(call, organization_id)
        body = parse_object(call.body or b"{}", RotatePortalKeyBody, max_depth=self.api.json_depth)
        rotate = RotatePortalKey(
            overlap_seconds=body.overlap_seconds,
            algorithm=body.algorithm,
            public_key=body.public_key,
            replace_previous=body.replace_previous,
        )
        return _shown_once({"key": _made(await self.api.commands.execute(call.context, rotate))})

    async def revoke_portal_key(
        self, organization_id: OrganizationPath, key_id: KeyPath, request: Request, call: CurrentCall
    ) -> Response:
        """Remove a portal key: every node refuses it within five seconds."""
        _require_own(call, organization_id)
        require_confirmation(request)
        await self.api.commands.execute(call.context, RevokePortalKey(key_id=key_id))
        return respond({"key": {"keyId": key_id}})

    async def list_api_tokens(self, organization_id: OrganizationPath, call: CurrentCall) -> Response:
        """List the organization's API tokens with their scopes and their last use."""
        _require_own(call, organization_id)
        found = await self.api.queries.ask(call.context, ListApiTokens())
        return respond({"tokens": [_token(token) for token in found]})

    async def create_api_token(self, organization_id: OrganizationPath, call: CurrentCall) -> Response:
        """Make an API token with some scopes, of those the caller has; the token is in this answer only."""
        _require_own(call, organization_id)
        body = parse_object(call.body, NewApiTokenBody, max_depth=self.api.json_depth)
        create = CreateApiToken(label=body.label, permissions=frozenset(body.permissions), expires_at=body.expires_at)
        made = await self.api.commands.execute(call.context, create)
        return _shown_once({"token": _token(made.facts) | {"token": made.token}})

    async def revoke_api_token(
        self, organization_id: OrganizationPath, token_id: TokenPath, request: Request, call: CurrentCall
    ) -> Response:
        """Remove an API token: every node refuses it within five seconds."""
        _require_own(call, organization_id)
        require_confirmation(request)
        await self.api.commands.execute(call.context, RevokeApiToken(token_id=token_id))
        return respond({"token": {"id": token_id}})


def _require_own(call: Call, organization_id: OrganizationId) -> None:
    if organization_id != call.context.organization_id:
        raise NotFound("There is no such organization.")


def _shown_once(answer: JsonObject) -> Response:
    response = respond(answer)
    response.headers["Cache-Control"] = "no-store"
    return response


def _key(key: PortalKeyFacts) -> JsonObject:
    return {
        "keyId": key.key_id,
        "algorithm": key.algorithm,
        "isCurrent": key.is_current,
        "permissions": sorted(key.permissions),
        "createdAt": wire.instant(key.created_at),
        "notAfter": None if key.not_after is None else wire.instant(key.not_after),
    }


def _made(made: PortalKeyMade) -> JsonObject:
    return _key(made.key) | {"secret": made.secret}


def _token(token: ApiTokenFacts) -> JsonObject:
    return {
        "id": token.id,
        "label": token.label,
        "permissions": sorted(token.permissions),
        "createdAt": wire.instant(token.created_at),
        "lastUsedAt": None if token.last_used_at is None else wire.instant(token.last_used_at),
        "expiresAt": None if token.expires_at is None else wire.instant(token.expires_at),
    }
