"""The organization of one's token: the only one it sees, shown as Make shows one of many.

Organizations are made by the operator (``make-bridge org create``), so they are neither made nor deleted here. Limits
that this product does not have are left out of the licence instead of being shown as endless.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from starlette.responses import Response

from make_bridge.domain.organizations.messages import EditOrganization, Organization
from make_bridge.domain.teams.messages import FindTeams, Team
from make_bridge.domain.usage.messages import GetMonth, Month
from make_bridge.faces.api_v2 import time_zones
from make_bridge.faces.api_v2.bodies import OrganizationChangesBody
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, respond, row_id
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, narrowed, part_of
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal.wire import instant
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId

OrganizationPath = Annotated[OrganizationId, row_id("organization")]
_LISTED: Final = frozenset({"id", "name", "zone", "timezoneId"})
_SORTABLE: Final = frozenset({"id", "name", "timezoneId", "zone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationRoutes:
    """The routes of ``/organizations`` itself; what hangs on one has modules of its own."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        read, write = access("organizations:read", size), access("organizations:write", size)
        one = "/organizations/{organization_id}"
        changes = OrganizationChangesBody
        return [
            Operation(method="GET", path="/organizations", endpoint=self.list_organizations, access=read),
            Operation(method="GET", path=one, endpoint=self.get_organization, access=read),
            Operation(method="PATCH", path=one, endpoint=self.update_organization, access=write, body=changes),
        ]

    async def list_organizations(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List the organizations of this token: its own."""
        wanted = page if page.columns or page.all_columns else page.with_columns(_LISTED)
        found = await self.api.organizations.get(call.context.organization_id)
        shown = part_of([self._organization(found)], wanted, sort_by="name", sortable=_SORTABLE)
        return respond({"organizations": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="name")})

    async def get_organization(
        self, organization_id: OrganizationPath, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Show an organization with its limits, its teams and what it has used this month."""
        _require_own(call, organization_id)
        found = await self.api.organizations.get(organization_id)
        month = await self.api.queries.ask(call.context, GetMonth())
        teams = await self.api.queries.ask(call.context, FindTeams())
        shown = self._organization(found) | _license(month) | {"teams": [_name(team) for team in teams]}
        return respond({"organization": narrowed(shown, page)})

    async def update_organization(
        self, organization_id: OrganizationPath, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Rename an organization, or give it another time zone."""
        _require_own(call, organization_id)
        body = parse_object(call.body, OrganizationChangesBody, max_depth=self.api.json_depth)
        zone = None if body.timezone_id is None else time_zones.name_of(body.timezone_id)
        changed = await self.api.commands.execute(call.context, EditOrganization(name=body.name, timezone=zone))
        return respond({"organization": narrowed(self._organization(changed), page)})

    def _organization(self, organization: Organization) -> JsonObject:
        return {
            "id": organization.id,
            "name": organization.name,
            "timezoneId": time_zones.id_of(organization.timezone),
            "timezone": organization.timezone,
            "zone": self.api.public_url.partition("://")[2],
            "serviceName": "Make Bridge",
            "productName": "Make Bridge",
            "countryId": None,
            "externalId": None,
        }


def _require_own(call: Call, organization_id: OrganizationId) -> None:
    if organization_id != call.context.organization_id:
        raise NotFound("There is no such organization.")


def _license(month: Month) -> JsonObject:
    """Return limits and use, as Make shows them: what was used as text."""
    limits = {
        "operations": month.limits.operations,
        "transfer": month.limits.data_transfer,
        "executions": month.limits.executions,
    }
    return {
        "license": {name: limit for name, limit in limits.items() if limit is not None},
        "operations": str(month.operations),
        "transfer": str(month.data_transfer),
        "unusedOperations": _left(month.limits.operations, month.operations),
        "unusedTransfer": _left(month.limits.data_transfer, month.data_transfer),
        "isPaused": month.state == "reached",
        "nextReset": instant(month.until),
    }


def _left(limit: int | None, used: int) -> str | None:
    return None if limit is None else str(max(0, limit - used))


def _name(team: Team) -> JsonObject:
    return {"id": team.id, "name": team.name}
