"""``/docs``: one built page that draws ``/openapi.json``, with a nonce put in per response.

It holds nothing of anybody: the description is public, and a token that a reader types in stays in the page's memory.
"""

import secrets
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from make_bridge.faces.edge.access import PublicMount, PublicRoute
from make_bridge.faces.edge.built_files import BuiltFiles
from make_bridge.faces.edge.built_page import BuiltPage
from make_bridge.faces.wizard.page import page_policy

_NONCE: Final = "__CSP_NONCE__"
_BECAUSE: Final = "the description of an open API is no secret"


class DocsPage:
    """Serves the page."""

    def __init__(self, folder: Path) -> None:
        """``folder`` holds the built pages."""
        self._template = BuiltPage(folder / "docs" / "index.html")

    async def handle(self, _request: Request) -> Response:
        """Answer the page."""
        nonce = secrets.token_urlsafe(16)
        policy = page_policy(nonce, frame_ancestors=("'none'",))
        headers = {"content-security-policy": policy, "cache-control": "no-store"}
        return HTMLResponse(self._template.text.replace(_NONCE, nonce), headers=headers)


def docs_pages(folder: Path) -> tuple[PublicRoute | PublicMount, ...]:
    """Return the page's route and its files."""
    return (
        PublicRoute("/docs", DocsPage(folder).handle, because=_BECAUSE),
        PublicMount("/docs/static", BuiltFiles(folder / "docs"), because=_BECAUSE),
    )
