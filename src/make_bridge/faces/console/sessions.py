"""A person's own sessions: see them, end one, end all others."""

from dataclasses import dataclass
from typing import Annotated, Any

from starlette.responses import Response

from make_bridge.domain.users.messages import EndOtherSessions, EndSession, ListSessions, SessionFacts
from make_bridge.domain.users.roles import OWN_SESSIONS
from make_bridge.domain.users.sessions import Sessions
from make_bridge.faces.api_v2.operations import Operation, respond, row_id
from make_bridge.faces.console.gate import CurrentSession
from make_bridge.faces.edge.gates import Access, CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.faces.portal.dependencies import Commands, Queries
from make_bridge.kernel.ids import SessionId

JsonObject = dict[str, Any]
SessionPath = Annotated[SessionId, row_id("session")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRoutes:
    """The routes; ``sessions`` are what this process remembers."""

    commands: Commands
    queries: Queries
    sessions: Sessions
    max_body: int

    def operations(self) -> list[Operation]:
        """Return the table."""
        own = Access(permission=OWN_SESSIONS, max_body=self.max_body)
        return [
            Operation(method="GET", path="/sessions", endpoint=self.list_sessions, access=own),
            Operation(method="POST", path="/sessions/end-others", endpoint=self.end_other_sessions, access=own),
            Operation(method="DELETE", path="/sessions/{session_id}", endpoint=self.end_session, access=own),
        ]

    async def list_sessions(self, call: CurrentCall, session: CurrentSession) -> Response:
        """List where the person is signed in, the place used last first."""
        found = await self.queries.ask(call.context, ListSessions())
        return respond({"sessions": [_session(one, is_current=one.id == session.id) for one in found]})

    async def end_other_sessions(self, call: CurrentCall, session: CurrentSession) -> Response:
        """End every session of the person except the one that asks."""
        digests = await self.commands.execute(call.context, EndOtherSessions(keep=session.id))
        for digest in digests:
            self.sessions.forget(digest)
        return respond({"ended": len(digests)})

    async def end_session(self, session_id: SessionPath, call: CurrentCall) -> Response:
        """End one session of the person: every process refuses it within five seconds."""
        self.sessions.forget(await self.commands.execute(call.context, EndSession(session_id=session_id)))
        return respond({"session": {"id": session_id}})


def _session(facts: SessionFacts, *, is_current: bool) -> JsonObject:
    return {
        "id": facts.id,
        "isCurrent": is_current,
        "organizationId": facts.organization_id,
        "createdAt": wire.instant(facts.created_at),
        "lastSeenAt": wire.instant(facts.seen_at),
        "endsAt": wire.instant(facts.ends_at),
        "address": facts.address,
        "userAgent": facts.user_agent,
    }
