"""The people of an organization: list, add with a first password, give another role, remove."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.users.members import Welcoming
from make_bridge.domain.users.messages import ListMembers, Member, RemoveMember, SetMemberRole
from make_bridge.domain.users.model import checked_role
from make_bridge.domain.users.roles import MEMBERS_READ, MEMBERS_WRITE, Role, within
from make_bridge.domain.users.sessions import Sessions
from make_bridge.faces.api_v2.operations import Operation, require_confirmation, respond, row_id
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Access, CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.faces.portal.bodies import Body
from make_bridge.faces.portal.dependencies import Commands, Queries
from make_bridge.kernel.ids import UserId

JsonObject = dict[str, Any]
PersonPath = Annotated[UserId, row_id("person in this organization")]
_RoleName = Annotated[str, Field(min_length=1, max_length=20)]


class NewMemberBody(Body):
    """Who is added, and as what. Other members are refused."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(min_length=1, max_length=320)]
    role: _RoleName


class MemberRoleBody(Body):
    """What somebody is to be. Other members are refused."""

    model_config = ConfigDict(extra="forbid")

    role: _RoleName


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRoutes:
    """The routes; ``sessions`` are what this process remembers."""

    commands: Commands
    queries: Queries
    welcoming: Welcoming
    sessions: Sessions
    max_body: int
    json_depth: int

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = Access(permission=MEMBERS_READ, max_body=self.max_body)
        write = Access(permission=MEMBERS_WRITE, max_body=self.max_body)
        one = "/members/{user_id}"
        return [
            Operation(method="GET", path="/members", endpoint=self.list_members, access=read),
            Operation(method="POST", path="/members", endpoint=self.add_member, access=write, body=NewMemberBody),
            Operation(method="PATCH", path=one, endpoint=self.set_member_role, access=write, body=MemberRoleBody),
            Operation(method="DELETE", path=one, endpoint=self.remove_member, access=write),
        ]

    async def list_members(self, call: CurrentCall) -> Response:
        """List the organization's people, and the roles that the caller may give."""
        found = await self.queries.ask(call.context, ListMembers())
        roles = [role.value for role in Role if within(role, found.role)]
        shown = [
            _member(one) | {"isYou": one.user_id == found.asker, "mayChange": within(one.role, found.role)}
            for one in found.members
        ]
        return respond({"members": shown, "roles": roles})

    async def add_member(self, call: CurrentCall) -> Response:
        """Add a person; their first password is in this answer only."""
        body = parse_object(call.body, NewMemberBody, max_depth=self.json_depth)
        added = await self.welcoming.add(call.context, body.email, checked_role(body.role))
        response = respond({"member": _member(added.member) | {"password": added.password}})
        response.headers["Cache-Control"] = "no-store"
        return response

    async def set_member_role(self, user_id: PersonPath, call: CurrentCall) -> Response:
        """Give a person another role; their sessions in this organization end."""
        body = parse_object(call.body, MemberRoleBody, max_depth=self.json_depth)
        role = checked_role(body.role)
        self._forget(await self.commands.execute(call.context, SetMemberRole(user_id=user_id, role=role)))
        return respond({"member": {"id": user_id, "role": role.value}})

    async def remove_member(self, user_id: PersonPath, request: Request, call: CurrentCall) -> Response:
        """Take a person out of the organization; their sessions in it end."""
        require_confirmation(request)
        self._forget(await self.commands.execute(call.context, RemoveMember(user_id=user_id)))
        return respond({"member": {"id": user_id}})

    def _forget(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            self.sessions.forget(digest)


def _member(member: Member) -> JsonObject:
    return {
        "id": member.user_id,
        "email": member.email,
        "role": member.role.value,
        "since": wire.instant(member.since),
        "isDisabled": member.is_disabled,
        "lastSeenAt": None if member.seen_at is None else wire.instant(member.seen_at),
    }
