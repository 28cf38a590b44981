"""From an error to an answer: the one table, and the one shape every refusal has.

``{detail, message, code, requestId}``: ``detail`` is the sentence for this case (what Make's own clients show),
``message`` the kind of problem, ``code`` the word programs test for. Where single members are wrong, ``fields`` names
each. What nobody foresaw is logged with its trace and told as nothing but "something went wrong" and the request id.
The edge uses this for what it refuses itself, the application for what faces and the domain raise.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from make_bridge.faces.edge import shape_errors
from make_bridge.kernel.errors import (
    BridgeError,
    ChangedMeanwhile,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    Gone,
    InvalidInput,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

_log = structlog.get_logger(__name__)

_INTERNAL: Final = "Something went wrong on our side. Try again; if it stays, tell us the request id."
_STATUS: Final[Mapping[type[BridgeError], int]] = {
    InvalidInput: 400,
    Unauthenticated: 401,
    PermissionDenied: 403,
    NotFound: 404,
    Conflict: 409,
    ChangedMeanwhile: 412,
    Gone: 410,
    TooLarge: 413,
    LimitExceeded: 429,
    Unavailable: 503,
    DeadlineExceeded: 504,
    ConfigurationError: 500,
    BridgeError: 500,
}
# Causes that HTTP has a finer status for than their class.
_STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "request_timeout": 408,
    "url_too_long": 414,
    "misdirected_host": 421,
    "unsupported_media_type": 415,
    "headers_too_large": 431,
    "IM004": 406,
}
_WITH_FIELDS: Final = 422
_SERVER_ERROR: Final = 500
_METHOD_NOT_ALLOWED: Final = 405
_NOT_FOUND: Final = 404
_ENCODE: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An answer that refuses."""

    status: int
    detail: str
    message: str
    code: str
    fields: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def body(self, request_id: str) -> bytes:
        """Return the JSON of the answer."""
        members: dict[str, Any] = {
            "detail": self.detail,
            "message": self.message,
            "code": self.code,
            "requestId": request_id,
        }
        return _ENCODE(members | {"fields": self.fields} if self.fields else members)


def problem_of(error: Exception) -> Problem:
    """Find the answer for an error; an unknown one tells nothing of itself."""
    if isinstance(error, BridgeError):
        return _of_ours(error)
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, RequestValidationError):
        fields = shape_errors.fields_of(error.errors(), skip=1)
        return _of_ours(InvalidInput(shape_errors.summary_of(fields), fields=fields))
    if isinstance(error, ClientDisconnect):
        return _of_ours(InvalidInput("The request ended before its body was complete.", code="request_incomplete"))
    return Problem(status=_SERVER_ERROR, detail=_INTERNAL, message="Internal error", code="internal_error")


def _of_ours(error: BridgeError) -> Problem:
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    if status == _SERVER_ERROR:
        return problem_of(RuntimeError())
    fields = error.fields if isinstance(error, InvalidInput) else {}
    title = next(kind for kind in type(error).__mro__ if kind in _STATUS).__doc__ or ""
    return Problem(
        status=_STATUS_OF_CODE.get(error.reason, _WITH_FIELDS if fields else status),
        detail=error.message,
        message=title.strip().partition("\n")[0],
        code=error.reason,
        fields=fields,
        headers=_headers_of(error),
    )


def _headers_of(error: BridgeError) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(error, Unauthenticated):
        return ((b"www-authenticate", b"Bearer"),)
    if isinstance(error, LimitExceeded | Unavailable):
        retry_after = (b"retry-after", str(max(1, math.ceil(error.retry_after))).encode())
        return (retry_after, *limit_headers(error)) if isinstance(error, RateLimited) else (retry_after,)
    return ()


def limit_headers(error: RateLimited) -> tuple[tuple[bytes, bytes], ...]:
    """Return how the limit stands that refuses: nothing left, until the moment that Retry-After names."""
    return rate_headers(error.policy, error.most, error.seconds, left=0, clear_in=error.retry_after)


def rate_headers(
    policy: str, most: int, seconds: float, *, left: int, clear_in: float
) -> tuple[tuple[bytes, bytes], ...]:
    """Return the ``RateLimit`` fields (draft-ietf-httpapi-ratelimit-headers) of one limit."""
    return (
        (b"ratelimit-policy", f'"{policy}";q={most};w={math.ceil(seconds)}'.encode()),
        (b"ratelimit", f'"{policy}";r={left};t={math.ceil(clear_in)}'.encode()),
    )


def _of_http(error: HTTPException) -> Problem:
    """Translate what the router and the file server raise."""
    headers = tuple((name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items())
    if error.status_code == _NOT_FOUND:
        detail = "There is nothing at this address."
    elif error.status_code == _METHOD_NOT_ALLOWED:
        detail = "This address does not take this method; the Allow header says which it takes."
    else:
        detail = HTTPStatus(error.status_code).description or HTTPStatus(error.status_code).phrase
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    return Problem(status=error.status_code, detail=detail, message=phrase, code=code, headers=headers)


def methods_at(routes: Iterable[BaseRoute], path: str) -> list[str]:
    """Return every method some route takes at this path; the router itself names only the first route's."""
    matching = (route for route in routes if isinstance(route, Route) and route.path_regex.match(path))
    return sorted({method for route in matching for method in route.methods or ()})


async def answer(request: Request, error: Exception) -> Response:
    """Answer an error that reached the application; the signature is the one Starlette asks for."""
    if isinstance(error, BridgeError) and is_unforeseen(error):
        log_fault(error, method=request.method)
    problem = problem_of(error)
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    response = Response(problem.body(request_id), status_code=problem.status, media_type="application/json")
    response.raw_headers.extend(problem.headers)
    if problem.status == _METHOD_NOT_ALLOWED:
        methods = methods_at(request.app.routes, request.scope["path"])
        response.headers["allow"] = ", ".join(methods or ("GET", "HEAD"))
    return response


def is_unforeseen(error: Exception) -> bool:
    """Say whether an error is a fault of ours that belongs into the log with its trace."""
    return not isinstance(error, ClientDisconnect) and problem_of(error).status == _SERVER_ERROR


def log_fault(error: Exception, **facts: str | None) -> None:
    """Write an unforeseen error into the log, where its trace belongs and nobody outside reads it."""
    _log.error("request_failed", exc_info=error, **facts)
