"""The bridge, templates and scenarios: the portal API of integrators and customers, and the API of operators' tools."""

from typing import Protocol

from starlette.routing import BaseRoute

from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.routes import api_routes
from make_bridge.faces.edge.authentication import Authenticator
from make_bridge.faces.edge.doors import Doors, MakeGate, OpenDoors
from make_bridge.faces.edge.gates import Access, TokenGate
from make_bridge.faces.edge.teams import Organizations, TeamChooser, Teams
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.faces.edge.witness import Witness
from make_bridge.faces.portal.dependencies import PortalDependencies
from make_bridge.faces.portal.routes import description_route, portal_routes


def bridge_routes(
    portal: PortalDependencies, api: ApiDependencies, doors: Doors | None = None, *, is_described: bool = True
) -> list[BaseRoute]:
    """Return the routes of these roles: all of them for whoever has credentials, or those that the doors lead to."""
    doors = doors or OpenDoors(token_gates(portal))
    routes = [*portal_routes(portal, doors), *api_routes(api, doors)]
    return [*routes, description_route(routes, portal.config.public_url)] if is_described else routes


class Entrance(Protocol):
    """What gates stand on: both faces bring it."""

    @property
    def authenticator(self) -> Authenticator:
        """Who knows credentials."""

    @property
    def organizations(self) -> Organizations:
        """Who knows root teams."""

    @property
    def teams(self) -> Teams:
        """Who knows whose team it is."""

    @property
    def turnstile(self) -> Turnstile | None:
        """Who counts."""

    @property
    def witness(self) -> Witness | None:
        """Who takes down what was refused."""


def token_gates(entrance: Entrance) -> MakeGate:
    """Return what makes the gate of a route that asks for credentials."""
    choose = TeamChooser(entrance.organizations, entrance.teams)

    def gate(access: Access) -> TokenGate:
        return TokenGate(access, entrance.authenticator, choose, entrance.turnstile, entrance.witness)

    return gate
