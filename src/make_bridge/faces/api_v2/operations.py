"""From a row of a resource's table to a route below ``/api/v2``, and what every row shares.

A resource is one module: it lists its ``Operation``s, ``routes`` turns them into FastAPI routes behind the token gate;
the console serves the same ones to people, below an address and behind a gate of its own.
Answers are JSON objects with Make's own names, written here, because Make's clients choose the columns they want and
FastAPI's models would have to know them beforehand. Ids that are none of ours name nothing, so they are not found.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.faces.api_v2.parameters import PAGED, TEAM, THE_TEAM, Parameter
from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.authentication import Credentials
from make_bridge.faces.edge.doors import MakeRoute
from make_bridge.faces.edge.gates import Access, Call
from make_bridge.faces.portal.operations import IDEMPOTENCY_PARAMETER, PERMISSION, PROBLEM_RESPONSE, body_schema
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import MAX_ID, TeamId

ROOT: Final = "/api/v2"
API_TOKEN: Final = frozenset({Credentials.API_TOKEN})
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,15}")
_ENCODE: Final = msgspec.json.Encoder().encode
JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row: a method and a path below the root, what answers it, who may, and what it takes in body and query.

    The query's parameters are told, not read, by the row; what every route or every list takes need not be named.
    """

    method: str
    path: str
    endpoint: Callable[..., Any]
    access: Access
    body: type[BaseModel] | None = None
    is_body_required: bool = True
    query: tuple[Parameter, ...] = ()


def access(permission: str, max_body: int) -> Access:
    """Return what a route of this API asks: an API token with the permission."""
    return Access(permission=permission, max_body=max_body, accepts=API_TOKEN)


def row_id(noun: str) -> BeforeValidator:
    """Read an id out of a path; raises NotFound for what is no id."""

    def read(text: object) -> int:
        if isinstance(text, str) and _NUMBER.fullmatch(text) and int(text) <= MAX_ID:
            return int(text)
        raise NotFound(f"There is no such {noun}: its id is a whole number.")

    return BeforeValidator(read)


def route(
    operation: Operation,
    gate: Gate,
    tag: str,
    *,
    root: str = ROOT,
    make: MakeRoute = APIRoute,
    is_described: bool = True,
) -> APIRoute:
    """Make the route of one row; ``make`` is the kind of route. Describing it costs most of what making it does."""
    words = operation.endpoint.__name__.split("_")
    summary = (operation.endpoint.__doc__ or "").partition("\n")[0].strip().rstrip(".")
    return make(
        root + operation.path,
        operation.endpoint,
        methods=[operation.method],
        dependencies=[Depends(gate)],
        tags=[tag],
        summary=summary,
        operation_id="v2" + "".join(word.capitalize() for word in words),
        response_model=None,
        responses={"default": PROBLEM_RESPONSE} if is_described else None,
        openapi_extra=_description(operation) if is_described else None,
        include_in_schema=is_described,
    )


def _description(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "parameters": _parameters(operation),
        "security": [{"apiToken": []}],
        PERMISSION: operation.access.permission,
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.is_body_required,
            "content": {"application/json": {"schema": body_schema(operation.body)}},
        }
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    listed = PAGED if "page" in inspect.signature(operation.endpoint).parameters else ()
    team = () if THE_TEAM in operation.query else (TEAM,)
    described = [parameter.described() for parameter in (*team, *operation.query, *listed)]
    return described if operation.method == "GET" else [*described, IDEMPOTENCY_PARAMETER]


def respond(answer: JsonObject, *, status: int = 200) -> Response:
    """Return an answer as JSON."""
    return Response(_ENCODE(answer), status_code=status, media_type="application/json")


def required_team(call: Call) -> TeamId:
    """Return the team a list is about; raises InvalidInput when the request names none."""
    if call.context.team_id is None:
        raise InvalidInput("Missing required parameter teamId: name the team in the query.", code="team_required")
    return call.context.team_id


def require_organization(request: Request, call: Call) -> None:
    """Raise InvalidInput unless the query names an organization, NotFound for any other than the caller's own."""
    asked = request.query_params.getlist("organizationId")
    if not asked:
        message = "Missing required parameter organizationId: name the organization in the query."
        raise InvalidInput(message, code="organization_required")
    require_own_organization(asked, call)


def require_own_organization(asked: Sequence[str], call: Call) -> None:
    """Raise NotFound for an organization that is not the caller's own."""
    if list(asked) != [str(call.context.organization_id)]:
        raise NotFound("There is no such organization.")


def require_confirmation(request: Request) -> None:
    """Raise InvalidInput unless the request says ``confirmed=true``: what it asks cannot be undone."""
    if request.query_params.get("confirmed") != "true":
        raise InvalidInput("This deletes for good: repeat the request with confirmed=true.", code="IM004")
