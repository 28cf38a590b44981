"""Who one is, and what one may do: the first thing every client asks."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from make_bridge.domain.organizations.model import OWN_IDENTITY
from make_bridge.domain.users.messages import Oneself, WhoAmI
from make_bridge.faces.api_v2 import time_zones
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, respond
from make_bridge.faces.edge.gates import CurrentCall

_LANGUAGE: Final = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRoutes:
    """The routes of ``/users``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        own = access(OWN_IDENTITY, self.api.bodies.api)
        return [
            Operation(method="GET", path="/users/me", endpoint=self.get_me, access=own),
            Operation(
                method="GET", path="/users/me/current-authorization", endpoint=self.get_authorization, access=own
            ),
        ]

    async def get_me(self, call: CurrentCall) -> Response:
        """Show who the credentials of this request belong to."""
        return respond({"authUser": _user(await self.api.queries.ask(call.context, WhoAmI()))})

    async def get_authorization(self, call: CurrentCall) -> Response:
        """Show what the credentials of this request allow."""
        oneself = await self.api.queries.ask(call.context, WhoAmI())
        kind = call.context.actor.kind.value
        return respond({"authorization": {"authUsed": kind, "scope": list(oneself.permissions)}})


def _user(oneself: Oneself) -> JsonObject:
    return {
        "id": oneself.id,
        "name": oneself.name,
        "email": oneself.email or "",
        "language": _LANGUAGE,
        "timezoneId": time_zones.id_of(oneself.timezone),
        "timezone": oneself.timezone,
        "locale": _LANGUAGE,
        "countryId": None,
        "avatar": "",
        "features": {},
    }
