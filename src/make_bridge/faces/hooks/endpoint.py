"""``/hook/{token}``: a plain ASGI application, because it is the hottest path of the product.

The body is read once, counted while it streams. The answer goes out after the commit, or when the
scenario's own response module has spoken. Headers are kept without credentials: a stored execution
is read by people. A hook's signed senders are asked for their signature over the bytes as they came.

Calls are limited for each hook, and counted only once key and signature are right: strangers use up nothing of it.
"""

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from make_bridge.domain.executions.ingest import Ingest
from make_bridge.domain.executions.senders import Senders
from make_bridge.domain.executions.targets import Target, Targets
from make_bridge.domain.executions.trigger import CallHead, require_key
from make_bridge.engine.ports import WebhookResponse
from make_bridge.faces.edge.body import read_bytes
from make_bridge.faces.edge.pipeline import DirectFace
from make_bridge.faces.edge.plain_http import PlainRequest
from make_bridge.faces.edge.request_head import RawHeaders
from make_bridge.kernel.errors import NotFound, TooLarge
from make_bridge.platform.limits.port import RateLimit
from make_bridge.platform.observability.tracing.spans import of_organization

PREFIX = "/hook/"
TEMPLATE = "/hook/{token}"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_SECRET_HEADERS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-make-apikey", b"x-api-key"})
_API_KEY = b"x-make-apikey"
_MAX_TOKEN = 200
_MAX_HEADERS = 100


class HookEndpoint:
    """Takes webhook calls."""

    def __init__(
        self, targets: Targets, ingest: Ingest, senders: Senders, calls: RateLimit, *, max_body_bytes: int
    ) -> None:
        """``max_body_bytes`` bounds what is read; beyond it the answer is 413 and reading stops."""
        self._targets = targets
        self._ingest = ingest
        self._senders = senders
        self._calls = calls
        self._max_body_bytes = max_body_bytes

    async def handle(self, request: Request, token: str) -> Response:
        """Handle one call."""
        target = await self._find(token, request.headers.raw)
        if target.signature is None and self._calls.rate.most:
            await self._calls.require(target.hook_id)
        body = await read_bytes(request, self._max_body_bytes)
        if target.signature is not None:
            self._senders.require(target.signature, request.headers.raw, body)
            if self._calls.rate.most:
                await self._calls.require(target.hook_id)
        head = _head(request.method, request.scope["query_string"], request.headers.raw)
        if target.only_learns:
            learned = await self._ingest.learn(target, head, body)
            return Response(learned.body, status_code=learned.status, headers=dict(learned.headers))
        execution_id, answer = await self._ingest.take(target, head, body)
        response = Response(answer.body, status_code=answer.status)
        for name, value in answer.headers:
            response.headers.append(name, value)
        response.headers["x-execution-id"] = execution_id
        return response

    async def handle_plain(self, request: PlainRequest, token: str) -> tuple[int, RawHeaders, bytes]:
        """Handle one call that came the short way, whole and with nothing unusual about it."""
        target = await self._find(token, request.headers)
        if len(request.body) > self._max_body_bytes:
            raise TooLarge(f"The body of this request is larger than {self._max_body_bytes} bytes.")
        if target.signature is not None:
            self._senders.require(target.signature, request.headers, request.body)
        if self._calls.rate.most:
            await self._calls.require(target.hook_id)
        head = _head("POST", request.query, request.headers)
        if target.only_learns:
            learned = await self._ingest.learn(target, head, request.body)
            return learned.status, _raw(learned), learned.body
        execution_id, answer = await self._ingest.take(target, head, request.body)
        headers = _raw(answer)
        headers.append((b"x-execution-id", execution_id.encode()))
        return answer.status, headers, answer.body

    async def _find(self, token: str, headers: RawHeaders) -> Target:
        if len(token) > _MAX_TOKEN:
            message = "There is no webhook at this address."
            raise NotFound(message)
        target = await self._targets.find(token)
        of_organization(target.organization_id)
        structlog.contextvars.bind_contextvars(organization_id=target.organization_id)
        if target.settings.api_keys:
            given = next((value for name, value in headers if name == _API_KEY), b"")
            require_key(target.settings, given.decode("latin-1"))
        return target


def _raw(answer: WebhookResponse) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]


def _head(method: str, query: bytes, headers: RawHeaders) -> CallHead:
    kept = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name not in _SECRET_HEADERS]
    content_type = next((value for name, value in kept if name == "content-type"), "")
    return CallHead(
        method=method, query=query.decode("latin-1"), content_type=content_type, headers=kept[:_MAX_HEADERS]
    )


def hook_face(endpoint: HookEndpoint) -> DirectFace:
    """Return the face as the edge calls it, without a router in between.

    It is public: the address holds the secret; keys and signatures are asked for where a hook has them.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        token = _token(scope["path"])
        if scope["method"] not in _METHODS:
            raise HTTPException(405, headers={"allow": ", ".join(sorted(_METHODS))})
        response = await endpoint.handle(Request(scope, receive), token)
        await response(scope, receive, send)

    async def plain(request: PlainRequest) -> tuple[int, RawHeaders, bytes]:
        return await endpoint.handle_plain(request, _token(request.path))

    return DirectFace(application=application, plain=plain, template=TEMPLATE)


def _token(path: str) -> str:
    token = path.removeprefix(PREFIX)
    if not token or "/" in token:
        raise HTTPException(404)
    return token
