"""The console: the pages for people of organizations, and what those pages call."""

from pathlib import Path

from starlette.routing import BaseRoute

from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.routes import api_operations
from make_bridge.faces.console.gate import WayIn
from make_bridge.faces.console.page import ConsolePage
from make_bridge.faces.console.routes import console_calls, console_pages
from make_bridge.faces.console.sessions import SessionRoutes
from make_bridge.faces.console.signing import Signing


def console_routes(way_in: WayIn, signing: Signing, api: ApiDependencies, folder: Path) -> list[BaseRoute]:
    """Return the routes of this role."""
    sessions = SessionRoutes(
        commands=api.commands, queries=api.queries, sessions=way_in.sessions, max_body=api.bodies.api
    )
    v2 = [operation for operations in api_operations(api).values() for operation in operations]
    return [
        *console_pages(ConsolePage(folder, way_in.place), folder),
        *console_calls(way_in, signing, sessions, v2),
    ]
