"""The wizard's page and the static files: what a browser loads.

The page is one built file with a nonce put in per response. It may be embedded only by the origins
its organization registered (the flow's id says whose it is) and by this server itself; everything
it may load comes from this server. No cookie is set, so it works where frames get none.
"""

import secrets
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from make_bridge.domain.integrations.reading import Organizations
from make_bridge.faces.edge.access import PublicMount, PublicRoute
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.secrets import opaque_token_organization

_NONCE = "__CSP_NONCE__"
_UNBUILT = "The pages of this server are not built: run 'make web'."


class WizardPage:
    """Serves ``/flow/{id}``."""

    def __init__(self, folder: Path, organizations: Organizations) -> None:
        """``folder`` holds the built pages; the template is read once."""
        file = folder / "wizard" / "index.html"
        self._template = file.read_text() if file.exists() else _UNBUILT
        self._organizations = organizations

    async def handle(self, request: Request) -> Response:
        """Answer the page for a flow."""
        origins = await self._origins(request.path_params["flow_id"])
        nonce = secrets.token_urlsafe(16)
        policy = page_policy(nonce, frame_ancestors=("'self'", *origins))
        headers = {"content-security-policy": policy, "cache-control": "no-store"}
        return HTMLResponse(self._template.replace(_NONCE, nonce), headers=headers)

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


class BuiltFiles(StaticFiles):
    """Static files; those with a hash in their name never change."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer a file with the time it may be kept."""
        response = await super().get_response(path, scope)
        hashed = path.startswith(("wizard/assets/", "demo/assets/"))
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response


async def no_icon(_request: Request) -> Response:
    """Answer the icon that browsers ask for by themselves: there is none, and that is no error."""
    return Response(status_code=204, headers={"cache-control": "public, max-age=86400"})


def wizard_pages(page: WizardPage, folder: Path) -> tuple[PublicRoute | PublicMount, ...]:
    """Return the page's route and the static files of widget and wizard."""
    return (
        PublicRoute("/favicon.ico", no_icon, because="every browser asks for it"),
        PublicRoute("/flow/{flow_id}", page.handle, because="the page is empty; its calls carry the flow's secret"),
        PublicMount(
            "/portal/static",
            BuiltFiles(directory=folder, check_dir=False),
            because="scripts and styles that every customer's browser loads",
        ),
    )
