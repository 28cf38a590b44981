"""The bridge: the portal API of integrators and their customers."""

from starlette.routing import BaseRoute

from make_bridge.faces.portal.dependencies import PortalDependencies
from make_bridge.faces.portal.routes import portal_routes


def bridge_routes(portal: PortalDependencies) -> list[BaseRoute]:
    """Return the routes of this role."""
    return portal_routes(portal)
