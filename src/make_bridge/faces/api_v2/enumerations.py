"""What Make's clients look up beside an organization's own things: countries, zones, roles, and no devices.

Roles are those of people who sign in to the console; they are fixed, so they are shown as the system's own. The one
region is this server.
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.organizations.model import OWN_IDENTITY, SCOPES
from make_bridge.domain.users.roles import MEMBERS_READ, MEMBERS_WRITE, PERMISSIONS, Role
from make_bridge.faces.api_v2 import time_zones
from make_bridge.faces.api_v2.countries import countries
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    JsonObject,
    Operation,
    access,
    require_own_organization,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, part_of
from make_bridge.faces.api_v2.parameters import OF_ORGANIZATION, Parameter, one_of
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.clock import Clock, SystemClock
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import MAX_ID

_CATEGORY: Final = "organization"
_ROLES: Final = tuple(enumerate(Role, 1))
_GRANTED: Final = tuple(enumerate(sorted(SCOPES | {MEMBERS_READ, MEMBERS_WRITE}), 1))
_OF_CATEGORY: Final = one_of("category", "Those of an organization, or of a team.", "organization", "team")
_OF_ROLE_CATEGORY: Final = one_of("roleCategory", "Those of an organization, or of a team.", "organization", "team")
_ROLE_ID: Final = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_THIS_ROLE: Final = Parameter(name="roleId", description="This one only.", schema=_ROLE_ID)
_WITHOUT: Final = Parameter(
    name="excludeRole[]", description="Not these.", schema={"type": "array", "items": _ROLE_ID, "maxItems": 100}
)
# Makes an agent reach systems of one's own network by it. Here no agent stands between: the modules of this app reach
# what `egress_allow` lets them.
_REACHING: Final = {"name": "http", "label": "HTTP", "icon": "http"}
RolePath = Annotated[int, row_id("role")]
_SORTABLE: Final = frozenset({"id", "name", "category"})


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
            Operation(method="GET", path="/enums/countries", endpoint=self.list_countries, access=own),
            Operation(method="GET", path="/enums/imt-regions", endpoint=self.list_regions, access=own),
            Operation(method="GET", path="/enums/connected-system-apps", endpoint=self.list_system_apps, access=own),
            Operation(
                method="GET",
                path="/users/roles",
                endpoint=self.list_roles,
                access=own,
                query=(OF_ORGANIZATION, _OF_CATEGORY, _THIS_ROLE, _WITHOUT),
            ),
            Operation(
                method="GET",
                path="/users/roles/permissions",
                endpoint=self.list_role_permissions,
                access=own,
                query=(_OF_ROLE_CATEGORY,),
            ),
            Operation(method="GET", path="/users/roles/{role_id}", endpoint=self.get_role, access=own),
            Operation(method="GET", path="/devices", endpoint=self.list_devices, access=own),
        ]

    async def list_time_zones(self, call: CurrentCall) -> Response:
        """List the time zones that an organization may have."""
        del call
        now = self.clock.now()
        return respond({"timezones": [_time_zone(name, now) for name in sorted(available_timezones())]})

    async def list_countries(self, call: CurrentCall) -> Response:
        """List the countries of the world."""
        del call
        return respond({"countries": [asdict(country) for country in countries()]})

    async def list_regions(self, call: CurrentCall) -> Response:
        """List the regions: the one that this server is."""
        del call
        return respond({"imtRegions": [{"id": 1, "name": self.api.public_url.partition("://")[2]}]})

    async def list_system_apps(self, call: CurrentCall) -> Response:
        """List the apps that reach systems of one's own network."""
        del call
        return respond({"connectedSystemApps": [_REACHING]})

    async def list_roles(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the roles that people may have."""
        query = request.query_params
        asked = query.getlist("organizationId")
        if asked:
            require_own_organization(asked, call)
        only, without = query.get("roleId"), set(query.getlist("excludeRole[]"))
        found = [] if _is_of_teams(query.get("category"), "category") else _ROLES
        rows = [_role(number, role) for number, role in found if only in {None, str(number)}]
        shown = part_of([row for row in rows if str(row["id"]) not in without], page, sort_by="id", sortable=_SORTABLE)
        return respond({"usersRoles": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="id")})

    async def list_role_permissions(self, request: Request, call: CurrentCall) -> Response:
        """List what roles allow."""
        del call
        found = [] if _is_of_teams(request.query_params.get("roleCategory"), "roleCategory") else _GRANTED
        return respond({"usersRolesPermissions": [_permission(number, name) for number, name in found]})

    async def get_role(self, role_id: RolePath, call: CurrentCall) -> Response:
        """Show one role."""
        del call
        role = dict(_ROLES).get(role_id)
        if role is None:
            raise NotFound("There is no such role.")
        return respond({"usersRole": _role(role_id, role)})

    async def list_devices(self, call: CurrentCall) -> Response:
        """List the devices: there are none, since no mobile application belongs to this server."""
        del call
        return respond({"devices": []})


def _time_zone(name: str, now: datetime) -> JsonObject:
    local = now.astimezone(UTC).astimezone(ZoneInfo(name))
    return {"id": time_zones.id_of(name), "name": name, "code": local.tzname(), "offset": local.strftime("%z")}


def _is_of_teams(category: str | None, name: str) -> bool:
    """Say whether a list is about teams, whose roles are none here; raises InvalidInput."""
    if category not in {None, "organization", "team"}:
        raise InvalidInput(f"{name} is organization or team.", code="invalid_page")
    return category == "team"


def _permission(number: int, name: str) -> JsonObject:
    noun, _, act = name.partition(":")
    return {
        "id": number,
        "name": name,
        "note": "",
        "category": noun,
        "roleCategory": _CATEGORY,
        "label": f"{noun.capitalize()}: {act}",
        "customRolesHidden": False,
        "requires": [],
    }


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
