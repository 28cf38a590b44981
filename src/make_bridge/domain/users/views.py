"""What people see of themselves and their sessions."""

from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.organizations import credential_store
from make_bridge.domain.organizations import store as organization_store
from make_bridge.domain.organizations.model import OWN_IDENTITY
from make_bridge.domain.users import store
from make_bridge.domain.users.handlers import person_of
from make_bridge.domain.users.messages import ListSessions, Oneself, SessionFacts, WhoAmI
from make_bridge.domain.users.model import SessionLimits
from make_bridge.domain.users.roles import OWN_SESSIONS
from make_bridge.kernel.context import ActorKind, Context
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionViews:
    """The views."""

    limits: SessionLimits = field(default_factory=SessionLimits)

    async def list_sessions(self, tx: ReadTx, context: Context, query: ListSessions) -> list[SessionFacts]:
        """Answer ListSessions."""
        del query
        return await store.sessions_of(tx, person_of(context), self.limits)

    async def who_am_i(self, tx: ReadTx, context: Context, query: WhoAmI) -> Oneself:
        """Answer WhoAmI; raises NotFound for those who are neither a person nor a token."""
        del query
        kind, organization_id = context.actor.kind, context.organization_id
        organization = await organization_store.get(tx, organization_id)
        name, email = None, None
        if kind is ActorKind.USER:
            name = email = await store.email_of(tx, person_of(context))
        elif kind is ActorKind.API_TOKEN:
            row = await credential_store.token(tx, organization_id, int(context.actor.reference))
            name = None if row is None else row["label"]
        if organization is None or name is None:
            raise NotFound("There is nobody to tell about.")
        return Oneself(
            id=int(context.actor.reference),
            name=name,
            email=email,
            permissions=tuple(sorted(context.permissions - {OWN_IDENTITY, OWN_SESSIONS})),
            organization_name=organization.name,
            timezone=organization.timezone,
        )

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the queries for the composition root."""
        return [
            QueryRegistration(query=ListSessions, view=self.list_sessions, permission=OWN_SESSIONS, home="directory"),
            QueryRegistration(query=WhoAmI, view=self.who_am_i, permission=OWN_IDENTITY, home="directory"),
        ]
