"""From a row of a face's table to a route: the gate, the description, the errors, all the same for every row.

A face lists its ``Operation``s; ``routes.py`` turns them into FastAPI routes. FastAPI's part is answers and their
description: bodies are read by the gate and parsed strictly by the face, so they are described here by hand.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator

from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.authentication import Credentials
from make_bridge.faces.edge.doors import MakeRoute
from make_bridge.faces.edge.gates import Access
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import MAX_ID, CustomerId, ExecutionId, ScenarioId, TemplateId, TemplateVersionId
from make_bridge.kernel.ids import is_execution_id as has_execution_form

ROOT: Final = "/portal/api/bridge"
PORTAL_TOKEN: Final = "portalToken"  # noqa: S105 - the name of a scheme
API_TOKEN: Final = "apiToken"  # noqa: S105 - the name of a scheme
PERMISSION: Final = "x-permission"
ADMINISTRATORS: Final = "x-administrators-only"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,15}")
_FLOW: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TEAM_PARAMETER: Final = {
    "name": "teamId",
    "in": "query",
    "required": False,
    "description": "The team that is meant. Without it: the customer's own; an administrator sees all teams.",
    "schema": {"type": "integer"},
}
PROBLEM: Final = "Problem"
# Named and not given as a model, which each of some hundred routes would make a schema of when a server starts;
# ``routes.describe`` puts it into the document.
PROBLEM_RESPONSE: Final[dict[str, Any]] = {
    "description": "What was wrong, as a sentence and as a code.",
    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{PROBLEM}"}}},
}
IDEMPOTENCY_PARAMETER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repeated request the same request: it is answered as the first one was.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row: a method and a path below ``ROOT``, what answers it, who may, and the body it takes."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    access: Access
    body: type[BaseModel] | None = None
    is_body_required: bool = False


def _row_id(noun: str) -> BeforeValidator:
    """Read an id out of a path; what is no id of ours names nothing, so it is not found."""

    def read(text: object) -> int:
        if isinstance(text, str) and _NUMBER.fullmatch(text) and int(text) <= MAX_ID:
            return int(text)
        raise NotFound(f"There is no such {noun}: its id is a whole number.")

    return BeforeValidator(read)


def _read_flow_id(text: object) -> str:
    if isinstance(text, str) and _FLOW.fullmatch(text):
        return text
    raise NotFound("There is no such flow.")


def _read_execution_id(text: object) -> str:
    if isinstance(text, str) and has_execution_form(text):
        return text
    raise NotFound("There is no such execution: its id is 32 hexadecimal characters.")


ScenarioPath = Annotated[ScenarioId, _row_id("scenario")]
TemplatePath = Annotated[TemplateId, _row_id("template")]
VersionPath = Annotated[TemplateVersionId, _row_id("published template")]
CustomerPath = Annotated[CustomerId, _row_id("customer")]
FlowPath = Annotated[str, BeforeValidator(_read_flow_id)]
ExecutionPath = Annotated[ExecutionId, BeforeValidator(_read_execution_id)]


def route(operation: Operation, gate: Gate, tag: str, *, make: MakeRoute = APIRoute) -> APIRoute:
    """Make the route of one row; ``make`` is the kind of route."""
    words = operation.endpoint.__name__.split("_")
    summary, _, description = (operation.endpoint.__doc__ or "").partition("\n")
    return make(
        ROOT + operation.path,
        operation.endpoint,
        methods=[operation.method],
        dependencies=[Depends(gate)],
        tags=[tag],
        summary=summary.strip().rstrip("."),
        description=description.strip() or summary.strip(),
        operation_id=words[0] + "".join(word.capitalize() for word in words[1:]),
        response_model_exclude_unset=True,
        responses={"default": PROBLEM_RESPONSE},
        openapi_extra=_description(operation),
    )


def _description(operation: Operation) -> dict[str, Any]:
    schemes = [PORTAL_TOKEN, *([API_TOKEN] if Credentials.API_TOKEN in operation.access.accepts else ())]
    parameters = [_TEAM_PARAMETER] if operation.method == "GET" else [_TEAM_PARAMETER, IDEMPOTENCY_PARAMETER]
    described: dict[str, Any] = {
        "parameters": parameters,
        "security": [{scheme: []} for scheme in schemes],
        PERMISSION: operation.access.permission,
        ADMINISTRATORS: operation.access.administrators_only,
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.is_body_required,
            "content": {"application/json": {"schema": body_schema(operation.body)}},
        }
    return described


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the model's JSON schema in one piece: a nested model stands where it is used."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inline(part: object) -> Any:  # noqa: ANN401 - JSON in, JSON out
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            return inline(definitions[name]) if name else {key: inline(value) for key, value in part.items()}
        return [inline(item) for item in part] if isinstance(part, list) else part

    whole: dict[str, Any] = inline(schema)
    return whole
