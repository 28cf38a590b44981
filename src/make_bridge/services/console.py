"""The console: the pages for people of organizations, and what those pages call."""

from dataclasses import dataclass
from pathlib import Path

from starlette.routing import BaseRoute

from make_bridge.domain.users.members import Welcoming
from make_bridge.domain.users.own_password import OwnPassword
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.routes import api_operations
from make_bridge.faces.console.gate import WayIn
from make_bridge.faces.console.members import MemberRoutes
from make_bridge.faces.console.page import ConsolePage
from make_bridge.faces.console.password import PasswordRoutes
from make_bridge.faces.console.routes import ConsoleTables, console_calls, console_pages
from make_bridge.faces.console.sessions import SessionRoutes
from make_bridge.faces.console.signing import Signing


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleActs:
    """What hashes passwords before a command writes them."""

    own_password: OwnPassword
    welcoming: Welcoming


def console_routes(
    way_in: WayIn, signing: Signing, acts: PeopleActs, api: ApiDependencies, folder: Path
) -> list[BaseRoute]:
    """Return the routes of this role."""
    sessions, size = way_in.sessions, api.bodies.api
    own = ConsoleTables(
        sessions=SessionRoutes(commands=api.commands, queries=api.queries, sessions=sessions, max_body=size),
        password=PasswordRoutes(
            own_password=acts.own_password, sessions=sessions, max_body=size, json_depth=api.json_depth
        ),
        members=MemberRoutes(
            commands=api.commands, queries=api.queries, welcoming=acts.welcoming, sessions=sessions, max_body=size,
            json_depth=api.json_depth,
        ),
    )  # fmt: skip
    v2 = [operation for operations in api_operations(api).values() for operation in operations]
    return [
        *console_pages(ConsolePage(folder, way_in.place), folder),
        *console_calls(way_in, signing, own, v2),
    ]
