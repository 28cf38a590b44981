"""The names that spans may carry: those of OpenTelemetry's semantic conventions, and a few of our own.

The list is closed, so that nothing which a caller, a scenario or a target says can become an attribute by accident:
no address with its path or query, no header, no body, no statement. A value is text of ours, a number, or the name of
a host, and passes the redaction of the logs before it leaves (``encoding``).
"""

from typing import Final, Literal, get_args

Name = Literal[
    "db.namespace",
    "db.operation.name",
    "db.query.summary",
    "db.system.name",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "make_bridge.credential.kind",
    "make_bridge.event.type",
    "make_bridge.execution.attempt",
    "make_bridge.execution.id",
    "make_bridge.execution.operations",
    "make_bridge.execution.origin",
    "make_bridge.execution.status",
    "make_bridge.job.id",
    "make_bridge.job.try",
    "make_bridge.module.id",
    "make_bridge.module.name",
    "make_bridge.organization.id",
    "make_bridge.role",
    "make_bridge.scenario.id",
    "make_bridge.team.id",
    "messaging.destination.name",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "network.protocol.name",
    "server.address",
    "server.port",
    "url.scheme",
]
Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attribute = str | int | float | bool

ALLOWED: Final[frozenset[str]] = frozenset(get_args(Name))
OURS: Final = "make_bridge."
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
OTHER: Final = "_OTHER"


def known_method(method: str) -> str:
    """Return a method of HTTP, or the word that the conventions have for any other: methods are a caller's text."""
    return method if method in _METHODS else OTHER
