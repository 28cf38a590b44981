"""What those who ask for credentials do: make a request, extend a connection, decline, take back, delete.

A request's link is made here and shown this once: of its address and of the secret behind it only digests are kept.
What was handed over by a request goes with it; a connection that a request only extends was there before and stays.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.connections.messages import DeleteComponent
from make_bridge.domain.credential_requests import prefill, store
from make_bridge.domain.credential_requests.messages import (
    CreateCredentialRequest,
    CredentialDeclined,
    CredentialRequestId,
    DeclineRequested,
    DeleteCredentialRequest,
    ExtendConnection,
    MadeRequest,
    RequestedCredential,
    RequestedId,
    ResetRequested,
    Wanted,
)
from make_bridge.domain.credential_requests.model import (
    AUTHORIZED,
    DECLINED,
    MAX_DESCRIPTION,
    MAX_PROVIDER,
    MAX_REASON,
    RequestLimits,
    checked_text,
    checked_wanted,
    request_name,
)
from make_bridge.domain.credential_requests.selection import wanted_of
from make_bridge.domain.credential_requests.store import NewRequest, NewRequested, Row, Stored
from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.oauth import grants_store
from make_bridge.domain.oauth import store as oauth_store
from make_bridge.domain.oauth.model import checked_scopes
from make_bridge.domain.oauth.views import granted
from make_bridge.kernel.context import ActorKind, Context
from make_bridge.kernel.errors import Conflict, InvalidInput, LimitExceeded
from make_bridge.kernel.ids import ComponentId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.security.sealing import Sealing
from make_bridge.platform.security.secrets import digest_of, new_opaque_token, new_secret

_SUBJECT: Final = "credential-request"
_NUMBERED: Final = frozenset({ActorKind.USER, ActorKind.API_TOKEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequestHandlers:
    """The handlers; ``handing_over`` has those of the other side."""

    sealing: Sealing
    components: ComponentHandlers
    limits: RequestLimits = field(default_factory=RequestLimits)

    async def create(self, work: UnitOfWork, command: CreateCredentialRequest) -> MadeRequest:
        """Make a request; raises InvalidInput, LimitExceeded, NotFound for another's team or an app that is none."""
        require_sight(work.context, command.team_id)
        await customer_store.require_team(work.tx, work.context.organization_id, command.team_id)
        derived = [wanted for app in command.apps for wanted in wanted_of(app)]
        return await self._make(work, command, (*command.wanted, *derived), None)

    async def extend(self, work: UnitOfWork, command: ExtendConnection) -> MadeRequest:
        """Ask for more scopes of a connection; raises InvalidInput where it has them, or can have none."""
        organization_id = work.context.organization_id
        scopes = checked_scopes(command.scopes)
        found = (await self.components.components.get(work.tx, organization_id, command.connection_id)).component
        require_sight(work.context, found.team_id)
        grant = await grants_store.find(work.tx, organization_id, found.id)
        if grant is None or grant.kind != "authorization_code":
            raise InvalidInput("Nobody agreed to this connection at a provider: it has no scopes to extend.")
        has = await granted(work.tx, organization_id, found.id)
        if set(scopes) <= set(has) and found.state == "active":
            raise InvalidInput("This connection has all of these scopes already.", code="scopes_present")
        wanted = Wanted(component="account", type=found.type, scope=scopes, name_override=found.name)
        ask = CreateCredentialRequest(team_id=found.team_id)
        return await self._make(work, ask, (wanted,), found.id)

    async def delete(self, work: UnitOfWork, command: DeleteCredentialRequest) -> None:
        """Remove a request with what was handed over by it; raises NotFound."""
        stored = await self._lock(work, command.request_id)
        for row in stored.rows:
            await self.remove_component(work, row)
        await store.delete(work.tx, work.context.organization_id, command.request_id)
        work.touch(f"{_SUBJECT}/{command.request_id}", team=stored.request.team_id)

    async def decline(self, work: UnitOfWork, command: DeclineRequested) -> RequestedCredential:
        """Have a credential not handed over any more; raises Conflict for one that was, NotFound."""
        request_id = await store.request_of(work.tx, work.context.organization_id, command.credential_id)
        stored = await self._lock(work, request_id)
        return await self.refuse(work, stored, command.credential_id, command.reason)

    async def reset(self, work: UnitOfWork, command: ResetRequested) -> RequestedCredential:
        """Delete what was handed over, or take a refusal back; raises Conflict, NotFound."""
        request_id = await store.request_of(work.tx, work.context.organization_id, command.credential_id)
        stored = await self._lock(work, request_id)
        row = stored.row(command.credential_id)
        if row.credential.extends and row.credential.state == AUTHORIZED:
            raise Conflict(
                "This connection was there before the request: delete the connection itself.", code="extends_connection"
            )
        await self.remove_component(work, row)
        kept = row.component_id if row.credential.extends else None
        await store.settle(work.tx, work.context.organization_id, row.credential, kept)
        work.touch(f"{_SUBJECT}/{request_id}", credential=row.credential.id, had=row.component_id)
        return await self._again(work, row)

    async def refuse(
        self, work: UnitOfWork, stored: Stored, credential_id: RequestedId, reason: str
    ) -> RequestedCredential:
        """Write a refusal, of either side; whoever refuses twice changes nothing."""
        row = stored.row(credential_id)
        reason = checked_text(reason, "reason", MAX_REASON)
        if row.credential.state == AUTHORIZED:
            raise Conflict("This credential was handed over already: delete it first.", code="handed_over")
        work.touch(f"{_SUBJECT}/{stored.request.id}", credential=credential_id)
        if row.credential.state == DECLINED:
            return row.credential
        await self.remove_component(work, row)
        kept = row.component_id if row.credential.extends else None
        await store.settle(work.tx, work.context.organization_id, row.credential, kept, refused=reason)
        work.touch(f"{_SUBJECT}/{stored.request.id}", credential=credential_id, reason=reason)
        event = CredentialDeclined(request_id=stored.request.id, credential_id=credential_id)
        work.emit(event, subject=f"{_SUBJECT}/{stored.request.id}")
        return await self._again(work, row)

    async def remove_component(self, work: UnitOfWork, row: Row) -> None:
        """Delete the connection or key that a credential has become, unless it was there before."""
        if row.component_id is not None and not row.credential.extends:
            await self.components.delete(work, DeleteComponent(component_id=row.component_id))

    async def _lock(self, work: UnitOfWork, request_id: CredentialRequestId) -> Stored:
        stored = await store.lock(work.tx, work.context.organization_id, request_id)
        require_sight(work.context, stored.request.team_id)
        return stored

    async def _again(self, work: UnitOfWork, row: Row) -> RequestedCredential:
        stored = await store.get(work.tx, work.context.organization_id, row.credential.request_id)
        return stored.row(row.credential.id).credential

    async def _make(
        self,
        work: UnitOfWork,
        command: CreateCredentialRequest,
        wanted: tuple[Wanted, ...],
        extends: ComponentId | None,
    ) -> MadeRequest:
        organization_id, limits = work.context.organization_id, self.limits
        applications = await oauth_store.list_all(work.tx, organization_id)
        checked = checked_wanted(wanted, applications, limits.credentials)
        name, description = (
            request_name(command.name),
            checked_text(command.description, "description", MAX_DESCRIPTION),
        )
        if await store.count(work.tx, organization_id, command.team_id) >= limits.requests:
            raise LimitExceeded(
                f"A team has at most {limits.requests} credential requests: delete some that have ended.",
                code="too_many_requests",
            )
        link, secret = new_opaque_token(organization_id), new_secret()
        new = NewRequest(
            team_id=command.team_id,
            link=digest_of(link),
            secret=digest_of(secret),
            name=name,
            description=description,
            user_id=_maker(work.context),
            make_provider_id=checked_text(command.make_provider_id, "provider", MAX_PROVIDER),
            external_provider_id=checked_text(command.external_provider_id, "provider", MAX_PROVIDER),
            days=limits.days,
        )
        asked = [await self._numbered(work, one, extends) for one in checked]
        request_id = await store.insert(work.tx, organization_id, new, asked)
        types = ", ".join(f"{one.component}:{one.type}" for one in checked)
        work.touch(f"{_SUBJECT}/{request_id}", team=command.team_id, wanted=types)
        stored = await store.get(work.tx, organization_id, request_id)
        return MadeRequest(request=stored.request, link=link, secret=secret)

    async def _numbered(self, work: UnitOfWork, wanted: Wanted, extends: ComponentId | None) -> NewRequested:
        number = await store.new_number(work.tx)
        box = await prefill.seal(self.sealing, work.context.organization_id, number, wanted)
        return NewRequested(number=number, wanted=wanted, prefill_sealed=box, extends=extends)


def commands(handlers: CredentialRequestHandlers) -> list[CommandRegistration[Any, Any]]:
    """Return the commands of those who ask, for the composition root."""
    table: list[tuple[Any, Any, Any, str]] = [
        (CreateCredentialRequest, handlers.create, MadeRequest, "create"),
        (ExtendConnection, handlers.extend, MadeRequest, "extend"),
        (DeleteCredentialRequest, handlers.delete, None, "delete"),
        (DeclineRequested, handlers.decline, RequestedCredential, "decline"),
        (ResetRequested, handlers.reset, RequestedCredential, "reset"),
    ]
    return [
        CommandRegistration(
            command=command,
            handler=handler,
            result=result,
            permission="connections:write",
            action=f"credential_request.{verb}",
        )
        for command, handler, result, verb in table
    ]


def _maker(context: Context) -> int | None:
    """Return who makes a request, where that is somebody with a number."""
    return int(context.actor.reference) if context.actor.kind in _NUMBERED else None
