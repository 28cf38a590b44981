"""All routes of the console: its page, signing in and out, one's own account, members, and the Make API for people.

Resources are not written twice: each operation of the Make API stands below ``/console/api/v2`` behind the gate of
sessions, with the permission that it declares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.routing import BaseRoute

from make_bridge.domain.users.roles import OWN_SESSIONS
from make_bridge.faces.api_v2.operations import Operation, route
from make_bridge.faces.console.gate import SessionGate, SignInGate, WayIn
from make_bridge.faces.console.members import MemberRoutes
from make_bridge.faces.console.page import ConsolePage
from make_bridge.faces.console.password import PasswordRoutes
from make_bridge.faces.console.sessions import SessionRoutes
from make_bridge.faces.console.signing import Signing
from make_bridge.faces.edge.access import GuardedRoute, PublicMount, PublicRoute
from make_bridge.faces.edge.built_files import BuiltFiles
from make_bridge.faces.edge.gates import Access

ROOT: Final = "/console/api"
_V2: Final = f"{ROOT}/v2"
_PAGES: Final = tuple(f"/console{page}" for page in ("", "/keys", "/tokens", "/members", "/sessions", "/password"))
# An e-mail address, a password and an organization, however they are escaped.
_SIGN_IN_BYTES: Final = 16 * 1024


def console_pages(page: ConsolePage, folder: Path) -> list[BaseRoute]:
    """Return the page at each of its addresses, and its files."""
    shown = "the page is empty; its calls carry the session"
    return [
        *(PublicRoute(path, page.handle, because=shown) for path in _PAGES),
        PublicMount("/console/static", BuiltFiles(folder / "console"), because="scripts and styles of the page"),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleTables:
    """The rows of the console's own resources."""

    sessions: SessionRoutes
    password: PasswordRoutes
    members: MemberRoutes

    def operations(self) -> list[Operation]:
        """Return them all."""
        return [*self.sessions.operations(), *self.password.operations(), *self.members.operations()]


def console_calls(way_in: WayIn, signing: Signing, own: ConsoleTables, v2: Sequence[Operation]) -> list[BaseRoute]:
    """Return what the pages call."""
    sign_out = Operation(
        method="POST", path="/sign-out", endpoint=signing.sign_out,
        access=Access(permission=OWN_SESSIONS, max_body=_SIGN_IN_BYTES),
    )  # fmt: skip
    return [
        PublicRoute(f"{ROOT}/session", signing.who, because="it tells nobody but who has the cookie"),
        GuardedRoute(
            f"{ROOT}/sign-in",
            signing.sign_in,
            gate=SignInGate(place=way_in.place, max_body=_SIGN_IN_BYTES),
            methods=("POST",),
        ),
        *(
            route(operation, SessionGate(operation.access, way_in), "Console", root=ROOT, is_described=False)
            for operation in (sign_out, *own.operations())
        ),
        *(
            route(operation, SessionGate(operation.access, way_in), "Console", root=_V2, is_described=False)
            for operation in v2
        ),
    ]
