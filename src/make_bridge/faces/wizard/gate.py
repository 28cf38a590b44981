"""Who walks a flow: whoever holds its secret.

The flow's id begins with its organization, the secret comes in a header (never in an address), and
only its digest is stored. A wrong id and a wrong secret look the same from outside.
"""

import hmac

from starlette.requests import Request

from make_bridge.domain.integrations import store
from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.body import read_bytes
from make_bridge.faces.edge.idempotency import read_repetition
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import NotFound, Unauthenticated
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.security.secrets import digest_of, opaque_token_organization

_HEADER = "flow-secret"
_LONGEST = 200
_PERMISSIONS = frozenset({"flow:walk", "integrations:read"})


class FlowGate(Gate):
    """Checks the flow's secret and leaves the context and the body on the request."""

    def __init__(self, shards: Shards, *, max_body: int) -> None:
        """``max_body`` bounds the answers of one step, in bytes."""
        self._shards = shards
        self._max_body = max_body

    async def __call__(self, request: Request) -> None:
        """Let the holder of the secret pass."""
        flow_id: str = request.path_params["flow_id"]
        secret = request.headers.get(_HEADER, "")
        organization_id = opaque_token_organization(flow_id) if len(flow_id) <= _LONGEST else None
        if organization_id is None or not 0 < len(secret) <= _LONGEST:
            raise _refusal()
        organization = OrganizationId(organization_id)
        try:
            shard = await self._shards.of(organization)
            async with shard.read(organization) as tx:
                row = await store.get(tx, organization, flow_id)
        except NotFound as error:
            raise _refusal() from error
        if not hmac.compare_digest(bytes(row["secret_digest"]), digest_of(secret)):
            raise _refusal()
        body = await read_bytes(request, self._max_body)
        repetition = read_repetition(request, body)
        request.state.body = body
        request.state.context = Context(
            organization_id=organization,
            actor=Actor(kind=ActorKind.FLOW, reference=flow_id),
            permissions=_PERMISSIONS,
            request_id=request.state.request_id,
            team_id=row["team_id"],
            idempotency_key=repetition.key if repetition else None,
            body_digest=repetition.digest if repetition else None,
        )


def _refusal() -> Unauthenticated:
    message = "This link is not valid any more. Ask for a new one where you found it."
    return Unauthenticated(message, code="flow_link_invalid")
