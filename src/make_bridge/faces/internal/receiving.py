"""Serving what a gateway hands on: the other side of a call from process to process.

Nobody else is served here. Each request carries the signed context of a gateway of this installation, written for this
role, this call and this body; without one it is refused, whatever credentials it brings. Who acts, for whom and with
which permissions is what the context says, and the handlers check the permission as they always do. What is not done
by the deadline is given up: nobody waits for it any more.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.body import read_bytes
from make_bridge.faces.edge.doors import Doors, MakeRoute
from make_bridge.faces.edge.gates import READING, Access, Call
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import DeadlineExceeded, PermissionDenied
from make_bridge.kernel.roles import Role
from make_bridge.platform.observability.tracing.spans import adopt, of_organization
from make_bridge.platform.security.internal_context import (
    HEADER,
    ForwardedCall,
    InternalContextRefused,
    InternalContexts,
)

_log = structlog.get_logger(__name__)


class ReceivingGate(Gate):
    """Lets pass what a gateway has let pass."""

    def __init__(self, access: Access, role: Role, contexts: InternalContexts, clock: Clock) -> None:
        """Stand before one route of a role."""
        self.access = access
        self._role = role
        self._contexts = contexts
        self._clock = clock

    async def __call__(self, request: Request) -> None:
        """Leave the ``Call`` on the request, or raise."""
        body = b"" if request.method in READING else await read_bytes(request, self.access.max_body)
        target, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
        call = ForwardedCall(
            audience=self._role, method=request.method, target=f"{target}?{query}" if query else target, body=body
        )
        now = self._clock.now()
        try:
            forwarded = self._contexts.read(request.headers.getlist(HEADER), call, now)
        except InternalContextRefused as refusal:
            _log.warning("internal_call_refused", fault=str(refusal.fault), role=str(self._role))
            raise
        adopt(forwarded.trace)
        of_organization(forwarded.context.organization_id)
        structlog.contextvars.bind_contextvars(organization_id=forwarded.context.organization_id)
        if not forwarded.context.allows(self.access.permission):
            raise PermissionDenied
        request.state.deadline.reschedule(
            asyncio.get_running_loop().time() + (forwarded.deadline - now).total_seconds()
        )
        request.state.call = Call(context=forwarded.context, team_id=forwarded.home, body=body)


class DeadlineRoute(APIRoute):
    """A route that is given up when nobody waits for it any more; its gate knows until when."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Bound the whole of it."""
        handle = super().get_route_handler()

        async def handle_in_time(request: Request) -> Response:
            try:
                async with asyncio.timeout(None) as deadline:
                    request.state.deadline = deadline
                    return await handle(request)
            except TimeoutError:
                raise DeadlineExceeded from None

        return handle_in_time


class ReceivingDoors(Doors):
    """Those of a process that only gateways call."""

    def __init__(self, here: frozenset[Role], contexts: InternalContexts, clock: Clock) -> None:
        """``here`` are the roles of this process."""
        self._here = here
        self._contexts = contexts
        self._clock = clock

    def serves(self, role: Role) -> bool:
        """Say whether the role is this process's."""
        return role in self._here

    def open(self, access: Access, role: Role) -> tuple[Gate, MakeRoute]:
        """Return a route for gateways alone."""
        return ReceivingGate(access, role, self._contexts, self._clock), DeadlineRoute
