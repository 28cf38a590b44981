"""What people do with applications and connections. Nothing here calls out: that is ``consent`` and ``keeping``."""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from make_bridge.domain.connections.messages import Component
from make_bridge.domain.connections.model import checked_name
from make_bridge.domain.connections.store import ComponentStore, SealedComponent
from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.oauth import attempts_store, grants_store, sealed, store
from make_bridge.domain.oauth.attempts_store import NewAttempt
from make_bridge.domain.oauth.messages import (
    ApplicationFacts,
    ApplicationId,
    BeginConsent,
    ConsentTicket,
    CreateOAuthApplication,
    CreateOAuthConnection,
    DeleteOAuthApplication,
    DeleteOAuthConnection,
    OAuthApplication,
    OAuthConnection,
    UpdateOAuthApplication,
)
from make_bridge.domain.oauth.model import CONNECTION_TYPE, OAuthLimits, checked_secret, origin_of
from make_bridge.domain.oauth.revoking import Revoking
from make_bridge.domain.oauth.targets import checked_facts
from make_bridge.domain.organizations.messages import Organization
from make_bridge.kernel.errors import Conflict, InvalidInput, LimitExceeded
from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.security.sealing import Sealing
from make_bridge.platform.security.secrets import digest_of, encode_organization, new_secret

_EMPTY: Final = b"{}"


class Organizations(Protocol):
    """Knows an organization's origins."""

    async def get(self, organization_id: OrganizationId) -> Organization:
        """Return it; raises NotFound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthHandlers:
    """The slice's commands; flows use ``connect`` and ``admit`` from within a step."""

    sealing: Sealing
    organizations: Organizations
    revoking: Revoking
    policy: EgressPolicy
    own_origin: str
    limits: OAuthLimits = field(default_factory=OAuthLimits)
    components: ComponentStore = field(default_factory=ComponentStore)

    async def create_application(self, work: UnitOfWork, command: CreateOAuthApplication) -> OAuthApplication:
        """Keep an application; raises InvalidInput with a sentence per member, LimitExceeded."""
        organization_id = work.context.organization_id
        facts = self._checked(command.facts, command.client_secret, has_secret=False)
        if await store.count(work.tx, organization_id) >= self.limits.applications:
            raise LimitExceeded(
                f"An organization has at most {self.limits.applications} OAuth applications: delete one first.",
                code="too_many_applications",
            )
        application_id = await store.new_id(work.tx)
        box = await self._sealed(organization_id, application_id, command.client_secret)
        await store.insert(work.tx, organization_id, application_id, facts, box)
        work.touch(f"oauth_application/{application_id}", name=facts.name)
        return (await store.get(work.tx, organization_id, application_id)).application

    async def update_application(self, work: UnitOfWork, command: UpdateOAuthApplication) -> OAuthApplication:
        """Write an application anew; raises InvalidInput, NotFound.

        A secret belongs to the address it was given for: where the token address moves, it has to be given again.
        """
        organization_id = work.context.organization_id
        now = await store.lock(work.tx, organization_id, command.application_id)
        keeps = now.application.has_secret and command.facts.authentication != "none"
        facts = self._checked(command.facts, command.client_secret, has_secret=keeps)
        has_moved = origin_of(facts.token_url) != origin_of(now.application.facts.token_url)
        if keeps and command.client_secret is None and has_moved:
            why = "The token address moves to another host: give the client secret again."
            raise InvalidInput(why, fields={"clientSecret": why})
        box = await self._sealed(organization_id, command.application_id, command.client_secret)
        box = now.secret_sealed if box is None and keeps else box
        await store.update(work.tx, organization_id, command.application_id, facts, box)
        work.touch(f"oauth_application/{command.application_id}", name=facts.name)
        return (await store.get(work.tx, organization_id, command.application_id)).application

    async def delete_application(self, work: UnitOfWork, command: DeleteOAuthApplication) -> None:
        """Forget an application; raises NotFound, and Conflict while connections use it."""
        organization_id = work.context.organization_id
        await store.lock(work.tx, organization_id, command.application_id)
        used = await store.uses(work.tx, organization_id, command.application_id)
        if used:
            raise Conflict(
                f"{used} connections have their tokens by this application: delete them first.",
                code="application_in_use",
            )
        await store.delete(work.tx, organization_id, command.application_id)
        work.touch(f"oauth_application/{command.application_id}")

    async def connect(self, work: UnitOfWork, command: CreateOAuthConnection) -> OAuthConnection:
        """Make a connection; raises InvalidInput, NotFound, also for another's team or application."""
        organization_id = work.context.organization_id
        name = checked_name(command.name)
        require_sight(work.context, command.team_id)
        await customer_store.require_team(work.tx, organization_id, command.team_id)
        application = (await store.lock(work.tx, organization_id, command.application_id)).application
        is_of_person = command.kind == "authorization_code"
        if is_of_person and not application.facts.authorize_url:
            raise InvalidInput("This application has no authorization address: people cannot agree to it.")
        if not is_of_person and application.facts.authentication == "none":
            raise InvalidInput("An application without a secret cannot act for itself.")
        connection_id = await self.components.new_id(work.tx)
        component = Component(
            id=connection_id,
            team_id=command.team_id,
            kind="connection",
            type=CONNECTION_TYPE,
            name=name,
            state="pending" if is_of_person else "active",
        )
        box = await self.sealing.seal(organization_id, sealed.nothing(connection_id), _EMPTY)
        await self.components.insert(work.tx, organization_id, SealedComponent(component=component, sealed=box))
        await grants_store.insert(work.tx, organization_id, connection_id, application.id, command.kind)
        work.touch(f"connection/{connection_id}", application=application.id, team=command.team_id)
        return await grants_store.show(work.tx, organization_id, connection_id)

    async def begin(self, work: UnitOfWork, command: BeginConsent) -> ConsentTicket:
        """Give a ticket for one browser; raises NotFound, InvalidInput, LimitExceeded."""
        if command.return_to:
            await self._require_own_page(work, command.return_to)
        return await self.admit(work, command.connection_id, return_to=command.return_to)

    async def admit(
        self,
        work: UnitOfWork,
        connection_id: ComponentId,
        *,
        flow_id: str | None = None,
        return_to: str = "",
        more_scopes: tuple[str, ...] = (),
    ) -> ConsentTicket:
        """Give a ticket for a connection that the caller sees; ``more_scopes`` are asked for beside what it has."""
        organization_id = work.context.organization_id
        grant = await grants_store.get(work.tx, organization_id, connection_id)
        require_sight(work.context, grant.team_id)
        if grant.kind != "authorization_code":
            raise InvalidInput("This connection acts for its application: nobody has to agree to it.")
        if await attempts_store.room(work.tx, organization_id) >= self.limits.attempts:
            raise LimitExceeded("Too many people are connecting at this moment.", retry_after=60)
        ticket = encode_organization(organization_id) + new_secret()
        new = NewAttempt(
            ticket=digest_of(ticket),
            connection_id=connection_id,
            application_id=grant.application_id,
            flow_id=flow_id,
            return_to=return_to,
            more_scopes=tuple(dict.fromkeys((*grant.more_scopes, *more_scopes))),
        )
        await attempts_store.insert(work.tx, organization_id, new, self.limits.attempt_seconds)
        work.touch(f"connection/{connection_id}", application=grant.application_id)
        return ConsentTicket(connection_id=connection_id, ticket=ticket)

    async def delete(self, work: UnitOfWork, command: DeleteOAuthConnection) -> None:
        """Remove a connection; raises NotFound, also for one of another team or kind."""
        organization_id = work.context.organization_id
        grant = await grants_store.get(work.tx, organization_id, command.connection_id)
        require_sight(work.context, grant.team_id)
        await self.revoking.enqueue(work.tx, organization_id, grant)
        await self.components.delete(work.tx, organization_id, command.connection_id)
        work.touch(f"connection/{command.connection_id}", team=grant.team_id)

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        applications, connections = "oauth:write", "connections:write"
        table: list[tuple[Any, Any, Any, str, str]] = [
            (CreateOAuthApplication, self.create_application, OAuthApplication, applications, "application.create"),
            (UpdateOAuthApplication, self.update_application, OAuthApplication, applications, "application.update"),
            (DeleteOAuthApplication, self.delete_application, None, applications, "application.delete"),
            (CreateOAuthConnection, self.connect, OAuthConnection, connections, "connection.create"),
            (BeginConsent, self.begin, ConsentTicket, connections, "consent.begin"),
            (DeleteOAuthConnection, self.delete, None, connections, "connection.delete"),
        ]
        return [
            CommandRegistration(
                command=command, handler=handler, result=result, permission=permission, action=f"oauth.{verb}"
            )
            for command, handler, result, permission, verb in table
        ]

    def _checked(self, facts: ApplicationFacts, secret: str | None, *, has_secret: bool) -> ApplicationFacts:
        checked_secret(facts, secret, has_one=has_secret)
        return checked_facts(facts, self.policy, plain_http=self.limits.plain_http)

    async def _sealed(
        self, organization_id: OrganizationId, application_id: ApplicationId, secret: str | None
    ) -> str | None:
        if secret is None:
            return None
        return await self.sealing.seal(organization_id, sealed.client_secret(application_id), secret.encode())

    async def _require_own_page(self, work: UnitOfWork, url: str) -> None:
        """Refuse to send a browser anywhere but to the organization's own pages, and to this server's."""
        origins = (await self.organizations.get(work.context.organization_id)).origins
        if origin_of(url) not in {*origins, self.own_origin}:
            why = "Name a page of an origin that is registered for this organization."
            raise InvalidInput(why, fields={"returnTo": why})


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthFarewell:
    """Has the tokens of a connection revoked that is removed by another way (``connections.handlers``)."""

    revoking: Revoking

    async def leaving(self, work: UnitOfWork, component: Component) -> None:
        """Enqueue the revocation where there is something to revoke."""
        organization_id = work.context.organization_id
        grant = await grants_store.find(work.tx, organization_id, component.id)
        if grant is not None:
            await self.revoking.enqueue(work.tx, organization_id, grant)
