"""What the person with a request's link does: fill a credential in, agree at a provider, or decline.

Whoever has the link may do it, once for each credential: what was handed over cannot be seen, changed or replaced by
the link. What is made belongs to the request's team. A consent is given by the same way as in a set-up
(``domain/oauth``); that a credential was handed over so, follows from its connection.
"""

from dataclasses import dataclass
from typing import Any, Final

from make_bridge.domain.connections.messages import CreateComponent
from make_bridge.domain.connections.types import type_of
from make_bridge.domain.credential_requests import store
from make_bridge.domain.credential_requests.handlers import CredentialRequestHandlers
from make_bridge.domain.credential_requests.messages import (
    BeginHandOver,
    CredentialHandedOver,
    CredentialRequestId,
    HandOver,
    RefuseRequested,
    RequestedId,
)
from make_bridge.domain.credential_requests.model import AUTHORIZED, DECLINED, KINDS, name_of_component
from make_bridge.domain.credential_requests.prefill import open_prefill
from make_bridge.domain.credential_requests.providers import label_of, offers
from make_bridge.domain.credential_requests.store import Row, Stored
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.oauth import grants_store
from make_bridge.domain.oauth import store as oauth_store
from make_bridge.domain.oauth.handlers import OAuthHandlers
from make_bridge.domain.oauth.messages import ApplicationId, ConsentTicket, CreateOAuthConnection
from make_bridge.kernel.errors import Conflict, Gone, InvalidInput, NotFound
from make_bridge.kernel.ids import ComponentId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork

HAND_OVER: Final = "credentials:hand_over"
"""To answer one request by its link; no scope of keys or tokens, because only the link gives it."""
_SUBJECT: Final = "credential-request"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingOver:
    """The handlers, over those of the side that asks."""

    requests: CredentialRequestHandlers
    oauth: OAuthHandlers

    async def fill_in(self, work: UnitOfWork, command: HandOver) -> None:
        """Make the connection or key; raises InvalidInput with a sentence per field, Conflict, Gone."""
        stored, row = await self._open(work, command.request_id, command.credential_id)
        credential = row.credential
        component_type = type_of(KINDS[credential.component], credential.type)
        if component_type is None or credential.extends:
            raise InvalidInput("This is handed over by agreeing at its provider.", code="consent_wanted")
        organization_id = work.context.organization_id
        held = await open_prefill(self.requests.sealing, organization_id, row.number, row.prefill_sealed)
        await self.requests.remove_component(work, row)
        made = await self.requests.components.create(
            work,
            CreateComponent(
                team_id=stored.request.team_id,
                kind=component_type.kind,
                type=component_type.name,
                name=name_of_component(credential.name_override, component_type.label, stored.request.name),
                values=held.over(component_type, command.values),
            ),
        )
        await store.settle(work.tx, organization_id, credential, made.id)
        work.touch(f"{_SUBJECT}/{stored.request.id}", credential=credential.id, connection=made.id)
        event = CredentialHandedOver(request_id=stored.request.id, credential_id=credential.id, connection_id=made.id)
        work.emit(event, subject=f"{_SUBJECT}/{stored.request.id}")

    async def begin(self, work: UnitOfWork, command: BeginHandOver) -> ConsentTicket:
        """Let the person agree at a provider; raises InvalidInput, NotFound, Conflict, Gone, LimitExceeded."""
        stored, row = await self._open(work, command.request_id, command.credential_id)
        if row.credential.extends:
            connection_id = _extended(row)
        else:
            connection_id = await self._connecting(work, stored, row, command.application_id)
        ticket = await self.oauth.admit(work, connection_id, more_scopes=row.credential.scope)
        work.touch(f"{_SUBJECT}/{stored.request.id}", credential=row.credential.id, connection=connection_id)
        return ticket

    async def refuse(self, work: UnitOfWork, command: RefuseRequested) -> None:
        """Decline; raises Conflict for what was handed over, NotFound, Gone."""
        stored, _ = await self._open(work, command.request_id, command.credential_id)
        await self.requests.refuse(work, stored, command.credential_id, command.reason)

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands of the person with the link, for the composition root."""
        table: list[tuple[Any, Any, Any, str]] = [
            (HandOver, self.fill_in, None, "hand_over"),
            (BeginHandOver, self.begin, ConsentTicket, "begin_consent"),
            (RefuseRequested, self.refuse, None, "refuse"),
        ]
        return [
            CommandRegistration(
                command=command,
                handler=handler,
                result=result,
                permission=HAND_OVER,
                action=f"credential_request.{verb}",
            )
            for command, handler, result, verb in table
        ]

    async def _open(
        self, work: UnitOfWork, request_id: CredentialRequestId, credential_id: RequestedId
    ) -> tuple[Stored, Row]:
        """Hold a request whose link lives, and a credential of it that nobody has answered."""
        stored = await store.lock(work.tx, work.context.organization_id, request_id)
        require_sight(work.context, stored.request.team_id)
        if stored.is_over:
            raise Gone("This link has expired. Ask for a new one where you got it.", code="request_expired")
        row = stored.row(credential_id)
        if row.credential.state == AUTHORIZED:
            raise Conflict("This was handed over already.", code="handed_over")
        if row.credential.state == DECLINED:
            raise Conflict("This was declined: ask for a new link to hand it over after all.", code="declined")
        return stored, row

    async def _connecting(
        self, work: UnitOfWork, stored: Stored, row: Row, application_id: ApplicationId | None
    ) -> ComponentId:
        """Return the connection to agree to: the one begun before, or a new one."""
        organization_id, credential = work.context.organization_id, row.credential
        applications = await oauth_store.list_all(work.tx, organization_id)
        ids = [application.id for application in offers(credential.type, applications)]
        if credential.component != "account" or not ids:
            raise InvalidInput("Nobody can agree to this at a provider.", code="no_provider")
        chosen = ids[0] if application_id is None and len(ids) == 1 else application_id
        if chosen not in ids:
            raise NotFound("There is no such provider to choose here.")
        if row.component_id is not None:
            grant = await grants_store.find(work.tx, organization_id, row.component_id)
            if grant is not None and grant.application_id == chosen:
                return row.component_id
        await self.requests.remove_component(work, row)
        name = name_of_component(credential.name_override, label_of(credential.type, applications), stored.request.name)
        new = CreateOAuthConnection(team_id=stored.request.team_id, application_id=chosen, name=name)
        made = (await self.oauth.connect(work, new)).id
        await store.settle(work.tx, organization_id, credential, made)
        return made


def _extended(row: Row) -> ComponentId:
    """Return the connection that gets more scopes; raises Conflict where it is there no more."""
    if row.component_id is None:
        raise Conflict("The connection that was to be extended is there no more.", code="connection_gone")
    return row.component_id
