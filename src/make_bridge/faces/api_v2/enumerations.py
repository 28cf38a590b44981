"""What Make's clients look up beside an organization's own things: time zones, roles, and devices, of which none exist.

Roles are those of people who sign in to the console; they are fixed, so they are shown as the system's own.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from starlette.responses import Response

from make_bridge.domain.organizations.model import OWN_IDENTITY
from make_bridge.domain.users.roles import PERMISSIONS, Role
from make_bridge.faces.api_v2 import time_zones
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, respond
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, part_of
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.clock import Clock, SystemClock

_CATEGORY: Final = "organization"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumerationRoutes:
    """The routes; ``clock`` says which offset a time zone has now."""

    api: ApiDependencies
    clock: Clock = field(default_factory=SystemClock)

    def operations(self) -> list[Operation]:
        """Return the table."""
        own = access(OWN_IDENTITY, self.api.bodies.api)
        return [
            Operation(method="GET", path="/enums/timezones", endpoint=self.list_time_zones, access=own),
            Operation(method="GET", path="/users/roles", endpoint=self.list_roles, access=own),
            Operation(method="GET", path="/devices", endpoint=self.list_devices, access=own),
        ]

    async def list_time_zones(self, call: CurrentCall) -> Response:
        """List the time zones that an organization may have."""
        del call
        now = self.clock.now()
        return respond({"timezones": [_time_zone(name, now) for name in sorted(available_timezones())]})

    async def list_roles(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List the roles that people may have."""
        del call
        shown = part_of([_role(number, role) for number, role in enumerate(Role, 1)], page, sort_by="id")
        return respond({"usersRoles": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="id")})

    async def list_devices(self, call: CurrentCall) -> Response:
        """List the devices: there are none, since no mobile application belongs to this server."""
        del call
        return respond({"devices": []})


def _time_zone(name: str, now: datetime) -> JsonObject:
    local = now.astimezone(UTC).astimezone(ZoneInfo(name))
    return {"id": time_zones.id_of(name), "name": name, "code": local.tzname(), "offset": local.strftime("%z")}


def _role(number: int, role: Role) -> JsonObject:
    return {
        "id": number,
        "name": role.value.capitalize(),
        "identifier": role.value,
        "category": _CATEGORY,
        "managementType": "system_locked",
        "description": None,
        "permissions": sorted(PERMISSIONS[role]),
    }
