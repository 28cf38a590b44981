"""What people see of their own sessions."""

from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.users import store
from make_bridge.domain.users.handlers import person_of
from make_bridge.domain.users.messages import ListSessions, SessionFacts
from make_bridge.domain.users.model import SessionLimits
from make_bridge.domain.users.roles import OWN_SESSIONS
from make_bridge.kernel.context import Context
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

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the queries for the composition root."""
        return [
            QueryRegistration(query=ListSessions, view=self.list_sessions, permission=OWN_SESSIONS, home="directory")
        ]
