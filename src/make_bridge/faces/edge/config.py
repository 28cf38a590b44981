"""The numbers of the edge, produced by ``settings``."""

from dataclasses import dataclass


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
    """Seconds for a request's head and between requests, bytes of a head, and how many connections there may be."""

    head_seconds: float
    idle_seconds: float
    head_bytes: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeConfig:
    """``is_https`` says that the public address is https, so browsers may be told to stay there."""

    limits: EdgeLimits
    is_https: bool
