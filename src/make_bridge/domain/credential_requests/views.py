"""What can be read of requests for credentials: by those who ask everything but the link, by the link its page."""

from dataclasses import dataclass
from typing import Any, Protocol

from make_bridge.domain.connections.types import type_of
from make_bridge.domain.credential_requests import store
from make_bridge.domain.credential_requests.handing_over import HAND_OVER
from make_bridge.domain.credential_requests.messages import (
    CredentialRequest,
    GetCredentialRequest,
    GetRequested,
    ListCredentialRequests,
    RequestedCredential,
)
from make_bridge.domain.credential_requests.model import KINDS, PENDING
from make_bridge.domain.credential_requests.prefill import open_prefill
from make_bridge.domain.credential_requests.providers import label_of, offers
from make_bridge.domain.credential_requests.selection import app_label
from make_bridge.domain.credential_requests.store import Row, Stored
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.oauth import store as oauth_store
from make_bridge.domain.oauth.messages import OAuthApplication
from make_bridge.domain.organizations.messages import Organization
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import Gone
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx
from make_bridge.platform.security.sealing import Sealing

JsonObject = dict[str, Any]


class Organizations(Protocol):
    """Knows an organization's name."""

    async def get(self, organization_id: OrganizationId) -> Organization:
        """Return it; raises NotFound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequestViews:
    """The views."""

    organizations: Organizations
    sealing: Sealing

    async def list_requests(
        self, tx: ReadTx, context: Context, query: ListCredentialRequests
    ) -> list[CredentialRequest]:
        """Answer ListCredentialRequests; raises NotFound for a team out of sight."""
        require_sight(context, query.team_id)
        return await store.list_of_team(tx, context.organization_id, query.team_id)

    async def get_request(self, tx: ReadTx, context: Context, query: GetCredentialRequest) -> CredentialRequest:
        """Answer GetCredentialRequest; raises NotFound, also for one of another team."""
        request = (await store.get(tx, context.organization_id, query.request_id)).request
        require_sight(context, request.team_id)
        return request

    async def get_requested(self, tx: ReadTx, context: Context, query: GetRequested) -> JsonObject:
        """Answer GetRequested; raises NotFound, and Gone when the link's time is over."""
        stored = await store.get(tx, context.organization_id, query.request_id)
        require_sight(context, stored.request.team_id)
        if stored.is_over:
            raise Gone("This link has expired. Ask for a new one where you got it.", code="request_expired")
        applications = await oauth_store.list_all(tx, context.organization_id)
        organization = await self.organizations.get(context.organization_id)
        return {
            "integrator": {"name": organization.name},
            "request": _request(stored),
            "credentials": [await self._credential(context, row, applications) for row in stored.rows],
        }

    async def _credential(self, context: Context, row: Row, applications: list[OAuthApplication]) -> JsonObject:
        """Return a credential as the page shows it; there is a way to hand it over only while it is open."""
        credential = row.credential
        component_type = type_of(KINDS[credential.component], credential.type)
        is_open = credential.state == PENDING
        consents = () if credential.component == "keychain" else offers(credential.type, applications)
        fields: list[JsonObject] = []
        if is_open and component_type is not None and not consents and not credential.extends:
            held = await open_prefill(self.sealing, context.organization_id, row.number, row.prefill_sealed)
            fields = held.fields(component_type)
        return {
            "id": credential.id,
            "kind": KINDS[credential.component],
            "label": label_of_credential(credential, applications),
            "description": credential.description,
            "name": credential.name_override,
            "app": app_label(credential.app_name) if credential.app_name else None,
            "scopes": list(credential.scope),
            "state": credential.state,
            "extends": credential.extends,
            "declineReason": credential.decline_reason,
            "hasForm": component_type is not None and not consents and not credential.extends,
            "fields": fields,
            "providers": [{"id": one.id, "name": one.facts.name} for one in consents]
            if is_open and not credential.extends
            else [],
        }


def label_of_credential(credential: RequestedCredential, applications: list[OAuthApplication]) -> str:
    """Return what people call what is asked for."""
    found = type_of(KINDS[credential.component], credential.type)
    if found is None:
        return label_of(credential.type, applications)
    return found.label


def _request(stored: Stored) -> JsonObject:
    request = stored.request
    return {
        "name": request.name,
        "description": request.description,
        "status": request.status,
        "expiresAt": request.expires_at.isoformat(),
    }


def queries(views: CredentialRequestViews) -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "connections:read"
    return [
        QueryRegistration(query=ListCredentialRequests, view=views.list_requests, permission=read),
        QueryRegistration(query=GetCredentialRequest, view=views.get_request, permission=read),
        QueryRegistration(query=GetRequested, view=views.get_requested, permission=HAND_OVER),
    ]
