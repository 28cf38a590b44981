"""The witness of the gates: what is written down of requests beside what they do.

Who may not do what they ask has a row in the audit trail (``platform/audit/refusals``), and where screening is on, so
has who sends words of attacks. Both gates ask it; neither lets anybody pass or keeps anybody out because of it.
"""

from dataclasses import dataclass

from starlette.requests import Request

from make_bridge.faces.edge.authentication import Identity
from make_bridge.faces.edge.screening import Screening
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.platform.audit.refusals import Refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """See the module; without ``screening`` nobody looks for words of attacks."""

    refusals: Refusals
    screening: Screening | None = None

    async def refused(self, request: Request, identity: Identity, error: PermissionDenied) -> None:
        """Take down who may not use a route."""
        context = Context(
            organization_id=identity.organization_id,
            actor=identity.actor,
            permissions=identity.permissions,
            request_id=request.state.request_id,
            address=request.state.address,
        )
        await self.refusals.note(context, _act_of(request), error)

    async def saw(self, request: Request, context: Context, body: bytes) -> None:
        """Look at a request that is let through."""
        if self.screening is not None:
            await self.screening.look(request, context, _act_of(request), body)


def _act_of(request: Request) -> str:
    """Return the method and the path as the route writes it; what stands in a real one is for the access log."""
    path = getattr(request.scope.get("route"), "path", request.scope["path"])
    return f"{request.method} {path}"
