"""An edge with small, known limits around any routes."""

from collections.abc import Mapping, Sequence

from starlette.routing import BaseRoute

from make_bridge.faces.edge.application import build_application
from make_bridge.faces.edge.config import BodyLimits, EdgeConfig, EdgeLimits
from make_bridge.faces.edge.cross_origin import CrossOrigin
from support.asgi import Client

LIMITS = EdgeLimits(
    url_bytes=8192,
    header_bytes=32768,
    token_bytes=4096,
    json_depth=200,
    body_seconds=30.0,
    bodies=BodyLimits(hook=5 * 1024 * 1024, api=1024 * 1024, blueprint=4 * 1024 * 1024),
)


def client_of(
    routes: Sequence[BaseRoute],
    *,
    aliases: Mapping[str, str] | None = None,
    limits: EdgeLimits = LIMITS,
    is_https: bool = False,
    cross_origin: CrossOrigin | None = None,
) -> Client:
    """Return a client of an application with these routes."""
    return Client(
        build_application(
            routes, EdgeConfig(limits=limits, is_https=is_https), aliases=aliases, cross_origin=cross_origin
        )
    )
