"""The gateway: what the world calls. Webhooks go by the router: the edge hands them to their face itself."""

from pathlib import Path

from starlette.routing import BaseRoute

from make_bridge.faces.docs.page import docs_pages
from make_bridge.faces.oauth.routes import OAuthFace, oauth_routes
from make_bridge.faces.ops.routes import Operations, ops_routes
from make_bridge.faces.wizard.calls import WizardCalls, wizard_calls
from make_bridge.faces.wizard.gate import FlowGate
from make_bridge.faces.wizard.hand_over_calls import HandOverCalls, hand_over_calls
from make_bridge.faces.wizard.page import WizardPage, wizard_pages


def gateway_routes(
    *,
    operations: Operations,
    flows: tuple[WizardCalls, FlowGate],
    hand_over: tuple[HandOverCalls, FlowGate],
    page: WizardPage,
    folder: Path,
    oauth: OAuthFace,
) -> list[BaseRoute]:
    """Return the routes of this role."""
    return [
        *wizard_calls(*flows),
        *hand_over_calls(*hand_over),
        *wizard_pages(page, folder),
        *docs_pages(folder),
        *oauth_routes(oauth),
        *ops_routes(operations),
    ]
