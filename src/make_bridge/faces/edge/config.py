"""The numbers of the edge, produced by ``settings``."""

from dataclasses import dataclass, field

from make_bridge.faces.edge.addresses import Addresses
from make_bridge.faces.edge.hosts import HostRule
from make_bridge.faces.edge.request_log import RequestLogConfig
from make_bridge.platform.limits.port import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """The largest bodies, in bytes: of a webhook, of an API call, of a call that carries a blueprint."""

    hook: int
    api: int
    blueprint: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """What a request may measure, and how long its body may take; above it, it is refused before anything is done."""

    url_bytes: int
    header_bytes: int
    token_bytes: int
    json_depth: int
    body_seconds: float
    bodies: BodyLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Seconds for a head, between requests and for an answer to be taken; bytes of a head; how many there may be."""

    head_seconds: float
    idle_seconds: float
    write_seconds: float
    head_bytes: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeConfig:
    """``is_https`` says that the public address is https, so browsers may be told to stay there.

    Without ``hosts`` a request may name any. ``is_internal`` is for processes that only gateways call: these bring the
    signed context, and the id that the request already has.
    """

    limits: EdgeLimits
    is_https: bool
    is_internal: bool = False
    hosts: HostRule | None = None
    addresses: Addresses = field(default_factory=Addresses)
    request_log: RequestLogConfig = field(default_factory=RequestLogConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """How often what may happen; for how long failing credentials stay unread; how many keys each limit keeps."""

    general: Rate
    failures: Rate
    strangers: Rate
    api: Rate
    hook: Rate
    flow: Rate
    block_seconds: float
    keys: int
