"""Who walks a flow, or answers a request for credentials: whoever holds the secret of its link.

What stands in the address begins with its organization, the secret comes in a header (never in an address), and
only its digest is stored. A wrong address and a wrong secret look the same from outside.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from starlette.requests import Request

from make_bridge.domain.credential_requests import store as request_store
from make_bridge.domain.credential_requests.handing_over import HAND_OVER
from make_bridge.domain.integrations import store as flow_store
from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.attempts import Attempts, attempt_of
from make_bridge.faces.edge.body import read_bytes, require_json
from make_bridge.faces.edge.idempotency import read_repetition
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import NotFound, Unauthenticated
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import ReadTx
from make_bridge.platform.limits.port import RateLimit
from make_bridge.platform.observability.tracing.spans import of_organization
from make_bridge.platform.security.secrets import digest_of, opaque_token_organization

_HEADER = "flow-secret"
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What a link leads to: its id as the domain has it."""

    id: str
    team_id: TeamId
    secret_digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkKind:
    """What the links of one kind lead to, by what stands in the address, and what their holders may do."""

    find: Callable[[ReadTx, OrganizationId, str], Awaitable[Linked | None]]
    permissions: frozenset[str]


async def _flow(tx: ReadTx, organization_id: OrganizationId, text: str) -> Linked:
    row = await flow_store.get(tx, organization_id, text)
    return Linked(id=text, team_id=row["team_id"], secret_digest=bytes(row["secret_digest"]))


async def _request(tx: ReadTx, organization_id: OrganizationId, text: str) -> Linked | None:
    row = await request_store.by_link(tx, organization_id, digest_of(text))
    return (
        None if row is None else Linked(id=row["id"], team_id=row["team_id"], secret_digest=bytes(row["secret_digest"]))
    )


FLOWS = LinkKind(find=_flow, permissions=frozenset({"flow:walk", "integrations:read"}))
CREDENTIAL_REQUESTS = LinkKind(find=_request, permissions=frozenset({HAND_OVER}))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLimits:
    """Wrong secrets are counted by ``attempts``, calls of a flow by ``calls``."""

    attempts: Attempts
    calls: RateLimit


class FlowGate(Gate):
    """Checks the link's secret and leaves the context, the body and what is linked to on the request."""

    def __init__(self, shards: Shards, limits: FlowLimits, *, max_body: int, kind: LinkKind = FLOWS) -> None:
        """``max_body`` bounds the answers of one step, in bytes."""
        self._kind = kind
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
            organization, linked = await self._find(flow_id, secret)
        except Unauthenticated as error:
            raise await attempts.failed(attempt) or error from error
        attempts.passed(attempt)
        of_organization(organization)
        structlog.contextvars.bind_contextvars(organization_id=organization)
        await self._limits.calls.require(flow_id)
        body = await read_bytes(request, self._max_body)
        if body:
            require_json(request)
        repetition = read_repetition(request, body)
        request.state.body = body
        request.state.linked = linked.id
        request.state.context = Context(
            organization_id=organization,
            actor=Actor(kind=ActorKind.FLOW, reference=linked.id),
            permissions=self._kind.permissions,
            request_id=request.state.request_id,
            team_id=linked.team_id,
            idempotency_key=repetition.key if repetition else None,
            body_digest=repetition.digest if repetition else None,
            address=request.state.address,
        )

    async def _find(self, flow_id: str, secret: str) -> tuple[OrganizationId, Linked]:
        """Return whose link this is and where it leads, or raise the same refusal for whatever is wrong."""
        organization_id = opaque_token_organization(flow_id) if len(flow_id) <= _LONGEST else None
        if organization_id is None or not 0 < len(secret) <= _LONGEST:
            raise _refusal()
        organization = OrganizationId(organization_id)
        try:
            shard = await self._shards.of(organization)
            async with shard.read(organization) as tx:
                linked = await self._kind.find(tx, organization, flow_id)
        except NotFound as error:
            raise _refusal() from error
        if linked is None or not hmac.compare_digest(linked.secret_digest, digest_of(secret)):
            raise _refusal()
        return organization, linked


def _refusal() -> Unauthenticated:
    message = "This link is not valid any more. Ask for a new one where you found it."
    return Unauthenticated(message, code="flow_link_invalid")
