"""The application: routes of the faces inside, the edge around them.

``boot`` (and every test of a face) calls ``build_application`` with the routes of the services a process runs.
FastAPI's own pages, redirects and telemetry are off: pages are ours, a redirect would show the address behind an
integrator's proxy, and what leaves the process is decided in one place.
"""

from collections.abc import Mapping, Sequence

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from make_bridge.faces.edge.access import require_declared
from make_bridge.faces.edge.config import EdgeConfig
from make_bridge.faces.edge.cross_origin import CrossOrigin
from make_bridge.faces.edge.pipeline import DirectFace, Edge, Observers
from make_bridge.faces.edge.problems import answer
from make_bridge.kernel.errors import BridgeError


def build_application(
    routes: Sequence[BaseRoute],
    config: EdgeConfig,
    *,
    aliases: Mapping[str, str] | None = None,
    direct: Mapping[str, DirectFace] | None = None,
    cross_origin: CrossOrigin | None = None,
    observers: Observers | None = None,
) -> Edge:
    """Put the application together; raises ConfigurationError when a route does not say who may pass.

    Routes are tried in their order, so the busiest come first. ``aliases`` maps short paths to full ones, ``direct``
    prefixes to public faces that the edge calls itself, past the router; ``cross_origin`` answers browsers' preflights,
    ``observers`` are told of all requests.
    """
    require_declared(routes)
    kinds: tuple[int | type[Exception], ...] = (BridgeError, HTTPException, RequestValidationError, Exception)
    app = FastAPI(
        routes=list(routes),
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers=dict.fromkeys(kinds, answer),
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    return Edge(app, config, aliases or {}, direct or {}, cross_origin, observers)
