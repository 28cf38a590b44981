"""Who walks a flow: whoever holds its secret.

The flow's id begins with its organization, the secret comes in a header (never in an address), and
only its digest is stored. A wrong id and a wrong secret look the same from outside.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from make_bridge.domain.integrations import store
from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.attempts import Attempts, attempt_of
from make_bridge.faces.edge.body import read_bytes, require_json
from make_bridge.faces.edge.idempotency import read_repetition
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import NotFound, Unauthenticated
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.limits.port import RateLimit
from make_bridge.platform.security.secrets import digest_of, opaque_token_organization

_HEADER = "flow-secret"
_LONGEST = 200
_PERMISSIONS = frozenset({"flow:walk", "integrations:read"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLimits:
    """Wrong secrets are counted by ``attempts``, calls of a flow by ``calls``."""

    attempts: Attempts
    calls: RateLimit


class FlowGate(Gate):
    """Checks the flow's secret and leaves the context and the body on the request."""

    def __init__(self, shards: Shards, limits: FlowLimits, *, max_body: int) -> None:
        """``max_body`` bounds the answers of one step, in bytes."""
        self._shards = shards
        self._limits = limits
        self._max_body = max_body

    async def __call__(self, request: Request) -> None:
        """Let the holder of the secret pass."""
        flow_id: str = request.path_params["flow_id"]
        secret = request.headers.get(_HEADER, "")
        attempts = self._limits.attempts
        attempt = attempt_of(request.state.address, f"{flow_id}\n{secret}" if secret else "")
        attempts.admit(attempt)
        try:
            organization, row = await self._find(flow_id, secret)
        except Unauthenticated as error:
            raise await attempts.failed(attempt) or error from error
        attempts.passed(attempt)
        await self._limits.calls.require(flow_id)
        body = await read_bytes(request, self._max_body)
        if body:
            require_json(request)
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
            address=request.state.address,
        )

    async def _find(self, flow_id: str, secret: str) -> tuple[OrganizationId, Mapping[str, Any]]:
        """Return whose flow this is and its row, or raise the same refusal for whatever is wrong."""
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
        return organization, row


def _refusal() -> Unauthenticated:
    message = "This link is not valid any more. Ask for a new one where you found it."
    return Unauthenticated(message, code="flow_link_invalid")
