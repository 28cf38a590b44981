"""The bridge: the portal API of integrators and their customers, and the API of operators' tools."""

from starlette.routing import BaseRoute

from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.routes import api_routes
from make_bridge.faces.portal.dependencies import PortalDependencies
from make_bridge.faces.portal.routes import portal_routes


def bridge_routes(portal: PortalDependencies, api: ApiDependencies) -> list[BaseRoute]:
    """Return the routes of this role."""
    beside = api_routes(api)
    return [*portal_routes(portal, also_described=beside), *beside]
