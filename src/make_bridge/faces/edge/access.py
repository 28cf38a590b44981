"""Who may pass: every route says it, or the server does not start.

A route is either *guarded* (a ``Gate`` stands before it) or *public* with the reason written beside it. The
declaration is the enforcement: there is no list of paths elsewhere that could fall behind. ``require_declared`` is
called once, when the application is put together.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Scope

from make_bridge.kernel.errors import ConfigurationError

Endpoint = Callable[[Request], Awaitable[Response]]


class Gate(ABC):
    """Stands before a route: lets a request pass, and leaves on it what it learned, or raises."""

    @abstractmethod
    async def __call__(self, request: Request) -> None:
        """Check the request; raises Unauthenticated, PermissionDenied, InvalidInput and their kin."""


class _Named(BaseRoute):
    """A route that leaves itself on the request, as FastAPI's own do: who tells of requests names their route."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        return match, {**found, "route": self} if found else found


class GuardedRoute(_Named, Route):
    """A plain route behind a gate, for faces that do without FastAPI."""

    def __init__(self, path: str, endpoint: Endpoint, *, gate: Gate, methods: Sequence[str]) -> None:
        """Let ``endpoint`` see only what ``gate`` let pass."""

        async def guarded(request: Request) -> Response:
            await gate(request)
            return await endpoint(request)

        super().__init__(path, guarded, methods=list(methods), name=getattr(endpoint, "__name__", path))


class PublicRoute(_Named, Route):
    """A plain route open to everybody, and why that is right."""

    def __init__(self, path: str, endpoint: Endpoint, *, because: str, methods: Sequence[str] = ("GET",)) -> None:
        """``because`` is for the reader of the route table."""
        super().__init__(path, endpoint, methods=list(methods), name=getattr(endpoint, "__name__", path))
        self.because = because


class PublicMount(_Named, Mount):
    """A folder of files, or an application that checks its callers itself, and why that is right."""

    def __init__(self, path: str, app: ASGIApp, *, because: str) -> None:
        """``because`` is for the reader of the route table."""
        super().__init__(path, app=app)
        self.because = because


def is_declared(route: BaseRoute) -> bool:
    """Say whether a route tells who may pass."""
    if isinstance(route, APIRoute):
        return any(isinstance(dependency.dependency, Gate) for dependency in route.dependencies)
    return isinstance(route, GuardedRoute | PublicRoute | PublicMount)


def require_declared(routes: Iterable[BaseRoute]) -> None:
    """Raise ConfigurationError that names every route which does not say who may pass."""
    silent = [getattr(route, "path", repr(route)) for route in routes if not is_declared(route)]
    if silent:
        raise ConfigurationError(f"These routes do not say who may pass: {', '.join(silent)}.")
