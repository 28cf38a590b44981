"""The gateway: what the world calls. Webhooks first, because they are most."""

from pathlib import Path

from starlette.routing import BaseRoute

from make_bridge.faces.hooks.endpoint import HookEndpoint, hook_routes
from make_bridge.faces.ops.routes import Operations, ops_routes
from make_bridge.faces.wizard.calls import WizardCalls, wizard_calls
from make_bridge.faces.wizard.gate import FlowGate
from make_bridge.faces.wizard.page import WizardPage, wizard_pages


def gateway_routes(
    *, hooks: HookEndpoint, operations: Operations, calls: WizardCalls, gate: FlowGate, page: WizardPage, folder: Path
) -> list[BaseRoute]:
    """Return the routes of this role."""
    return [
        *hook_routes(hooks),
        *wizard_calls(calls, gate),
        *wizard_pages(page, folder),
        *ops_routes(operations),
    ]
