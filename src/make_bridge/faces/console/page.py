"""The console's page: one built file for all its addresses, with a nonce put in per response.

It may be framed by nobody, and everything it may load or call is this server's. Who is signed in, its first call asks;
the page itself holds nothing of anybody.
"""

import secrets
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from make_bridge.faces.console.place import ConsolePlace
from make_bridge.faces.edge.built_page import BuiltPage
from make_bridge.faces.wizard.page import page_policy

_NONCE: Final = "__CSP_NONCE__"


class ConsolePage:
    """Serves ``/console`` and what lies below it."""

    def __init__(self, folder: Path, place: ConsolePlace) -> None:
        """``folder`` holds the built pages."""
        self._template = BuiltPage(folder / "console" / "index.html")
        self._place = place

    async def handle(self, request: Request) -> Response:
        """Answer the page, or where it is by https: a password must not be typed into one that came in the clear."""
        self._place.require_safe(request.headers)
        peer = request.client.host if request.client else ""
        if (address := self._place.https_instead(peer, request.headers, request.url.path)) is not None:
            return Response(status_code=308, headers={"location": address, "cache-control": "no-store"})
        nonce = secrets.token_urlsafe(16)
        policy = page_policy(nonce, frame_ancestors=("'none'",))
        headers = {"content-security-policy": policy, "cache-control": "no-store"}
        return HTMLResponse(self._template.text.replace(_NONCE, nonce), headers=headers)
