"""Bodies: bounded bytes, strict JSON, and a value of the shape a route declares.

Faces never use a framework's own parsing: parsers differ on equal keys, NaN and half surrogate pairs, and insist on a
content type that Make's clients do not send. A body that is absent is legal wherever a route says so.
"""

from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from make_bridge.faces.edge import shape_errors
from make_bridge.kernel import json
from make_bridge.kernel.errors import InvalidInput, TooLarge

Model = TypeVar("Model", bound=BaseModel)

# A form or a file is not JSON, whatever it holds: one that was meant for another parser is refused here.
_NEVER_JSON: Final = ("multipart/", "application/x-www-form-urlencoded")


async def read_bytes(request: Request, max_bytes: int) -> bytes:
    """Return the whole body; raises TooLarge, and stops reading, at the first byte too many."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_bytes:
            raise TooLarge(f"The body of this request is larger than {max_bytes} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


def check_content_type(request: Request) -> None:
    """Refuse a body that says it is a form."""
    if request.headers.get("content-type", "").lower().lstrip().startswith(_NEVER_JSON):
        message = "This address takes JSON: send the body with the content type application/json."
        raise InvalidInput(message, code="unsupported_media_type")


def require_json(request: Request) -> None:
    """Refuse a body that does not say it is JSON: a page elsewhere cannot send one without the browser asking first."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        message = "This address takes JSON: send the body with the content type application/json."
        raise InvalidInput(message, code="unsupported_media_type")


def parse_object(raw: bytes, model: type[Model], *, max_depth: int) -> Model:
    """Return the body as its model; raises InvalidInput with a sentence for each wrong member."""
    value = json.loads(raw, max_bytes=len(raw), max_depth=max_depth)
    if not isinstance(value, dict):
        raise InvalidInput("The body of this request must be a JSON object.", code="invalid_body")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        fields = shape_errors.fields_of(error.errors(include_url=False, include_input=False))
        raise InvalidInput(shape_errors.summary_of(fields), code="invalid_body", fields=fields) from None


def parse_optional(raw: bytes, model: type[Model], *, max_depth: int) -> Model | None:
    """Return the body as its model, or None for no body, blanks or ``null``."""
    if raw.strip() in {b"", b"null"}:
        return None
    return parse_object(raw, model, max_depth=max_depth)
