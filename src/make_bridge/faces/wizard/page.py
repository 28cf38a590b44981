"""The wizard's page and the static files: what a browser loads.

The page is one built file with a nonce put in per response. It may be embedded only by the origins
its organization registered (the flow's id says whose it is) and by this server itself; everything
it may load comes from this server. No cookie is set, so it works where frames get none.
"""

import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from make_bridge.domain.integrations.reading import Organizations
from make_bridge.faces.edge.access import PublicMount, PublicRoute
from make_bridge.faces.edge.built_files import BuiltFiles
from make_bridge.faces.edge.built_page import BuiltPage
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.secrets import opaque_token_organization

_NONCE = "__CSP_NONCE__"


class WizardPage:
    """Serves ``/flow/{id}``, and ``/hand-over/{id}`` for requests for credentials."""

    def __init__(self, folder: Path, organizations: Organizations) -> None:
        """``folder`` holds the built pages."""
        self._template = BuiltPage(folder / "wizard" / "index.html")
        self._organizations = organizations

    async def handle(self, request: Request) -> Response:
        """Answer the page for a flow."""
        origins = await self._origins(request.path_params["flow_id"])
        nonce = secrets.token_urlsafe(16)
        policy = page_policy(nonce, frame_ancestors=("'self'", *origins))
        headers = {"content-security-policy": policy, "cache-control": "no-store"}
        return HTMLResponse(self._template.text.replace(_NONCE, nonce), headers=headers)

    async def _origins(self, flow_id: str) -> tuple[str, ...]:
        organization_id = opaque_token_organization(flow_id)
        if organization_id is None:
            return ()
        try:
            return (await self._organizations.get(OrganizationId(organization_id))).origins
        except NotFound:
            return ()


def page_policy(nonce: str, *, frame_ancestors: tuple[str, ...]) -> str:
    """Return the full policy of a page: own scripts and styles, nothing inline without the nonce."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}'",
            f"style-src 'self' 'nonce-{nonce}'",
            "connect-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {' '.join(frame_ancestors)}",
        )
    )


async def no_icon(_request: Request) -> Response:
    """Answer the icon that browsers ask for by themselves: there is none, and that is no error."""
    return Response(status_code=204, headers={"cache-control": "public, max-age=86400"})


def wizard_pages(page: WizardPage, folder: Path) -> tuple[PublicRoute | PublicMount, ...]:
    """Return the page's route and the static files of widget and wizard."""
    return (
        PublicRoute("/favicon.ico", no_icon, because="every browser asks for it"),
        PublicRoute("/flow/{flow_id}", page.handle, because="the page is empty; its calls carry the flow's secret"),
        PublicRoute("/hand-over/{flow_id}", page.handle, because="as empty; its calls carry the secret too"),
        PublicMount(
            "/portal/static",
            BuiltFiles(folder),
            because="scripts and styles that every customer's browser loads",
        ),
    )
