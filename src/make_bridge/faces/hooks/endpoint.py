"""``/hook/{token}``: a plain ASGI application, because it is the hottest path of the product.

The body is read once, counted while it streams. The answer goes out after the commit, or when the
scenario's own response module has spoken. Headers are kept without credentials: a stored execution
is read by people.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from make_bridge.domain.executions.ingest import Ingest
from make_bridge.domain.executions.targets import Targets
from make_bridge.domain.executions.trigger import CallHead
from make_bridge.faces.edge.body import read_bytes
from make_bridge.kernel.errors import NotFound

PREFIX = "/hook/"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-make-apikey", "x-api-key"})
_MAX_TOKEN = 200
_MAX_HEADERS = 100


class HookEndpoint:
    """Takes webhook calls."""

    def __init__(self, targets: Targets, ingest: Ingest, *, max_body_bytes: int) -> None:
        """``max_body_bytes`` bounds what is read; beyond it the answer is 413 and reading stops."""
        self._targets = targets
        self._ingest = ingest
        self._max_body_bytes = max_body_bytes

    async def handle(self, request: Request, token: str) -> Response:
        """Handle one call."""
        if len(token) > _MAX_TOKEN:
            message = "There is no webhook at this address."
            raise NotFound(message)
        target = await self._targets.find(token)
        body = await read_bytes(request, self._max_body_bytes)
        headers = request.headers
        head = CallHead(
            method=request.method,
            query=request.scope["query_string"].decode("latin-1"),
            content_type=headers.get("content-type", ""),
            headers=[pair for pair in headers.items() if pair[0] not in _SECRET_HEADERS][:_MAX_HEADERS],
        )
        execution_id, answer = await self._ingest.take(target, head, body)
        response = Response(answer.body, status_code=answer.status)
        for name, value in answer.headers:
            response.headers.append(name, value)
        response.headers["x-execution-id"] = execution_id
        return response


def hook_application(endpoint: HookEndpoint) -> ASGIApp:
    """Return the face as an application of its own, which the edge calls without a router in between.

    It is public: the address holds the secret, and a sender's signature is the scenario's business.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        token = scope["path"].removeprefix(PREFIX)
        if not token or "/" in token:
            raise HTTPException(404)
        if scope["method"] not in _METHODS:
            raise HTTPException(405, headers={"allow": ", ".join(sorted(_METHODS))})
        response = await endpoint.handle(Request(scope, receive), token)
        await response(scope, receive, send)

    return application
