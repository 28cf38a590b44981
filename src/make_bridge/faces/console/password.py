"""A person's own password."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field
from starlette.responses import Response

from make_bridge.domain.users.own_password import OwnPassword
from make_bridge.domain.users.roles import OWN_PASSWORD
from make_bridge.domain.users.sessions import Sessions
from make_bridge.faces.api_v2.operations import Operation, respond
from make_bridge.faces.console.gate import CurrentSession
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Access, CurrentCall
from make_bridge.faces.portal.bodies import Body

# Longer ones are refused in words by the domain; these keep what is normalized small.
_Password = Annotated[str, Field(min_length=1, max_length=1024)]


class ChangePasswordBody(Body):
    """The password somebody has and the one they want. Other members are refused."""

    model_config = ConfigDict(extra="forbid")

    current_password: _Password
    new_password: _Password


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRoutes:
    """The route; ``sessions`` are what this process remembers."""

    own_password: OwnPassword
    sessions: Sessions
    max_body: int
    json_depth: int

    def operations(self) -> list[Operation]:
        """Return the table."""
        own = Access(permission=OWN_PASSWORD, max_body=self.max_body)
        change = self.change_own_password
        return [Operation(method="POST", path="/password", endpoint=change, access=own, body=ChangePasswordBody)]

    async def change_own_password(self, call: CurrentCall, session: CurrentSession) -> Response:
        """Change the person's password and end every other session of theirs."""
        body = parse_object(call.body, ChangePasswordBody, max_depth=self.json_depth)
        digests = await self.own_password.change(call.context, session.id, body.current_password, body.new_password)
        for digest in digests:
            self.sessions.forget(digest)
        return respond({"ended": len(digests)})
