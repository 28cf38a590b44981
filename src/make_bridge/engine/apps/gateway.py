"""The app `gateway`: webhooks in, and the answer to their caller."""

from typing import Final

from make_bridge.engine.apps.fields import Bounds, Field
from make_bridge.engine.apps.http_headers import MAX_NAME, has_header, read_headers
from make_bridge.engine.apps.module import Bundles, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.ports import WebhookResponse
from make_bridge.engine.values import Value, to_json_text, to_number, to_text

MAX_HEADERS: Final = 16
MAX_HEADER_VALUE: Final = 4096
_MIN_STATUS: Final = 100
_MAX_STATUS: Final = 599
_NO_BODY: Final = frozenset({204, 304})


def _respond(call: ModuleCall) -> Bundles:
    status = int(to_number(call.input["status"]))
    if not _MIN_STATUS <= status <= _MAX_STATUS:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"{status} is not an HTTP status (100 to 599).")
    body, content_type = _body(call.input.get("body"))
    rows = call.input.get("headers")
    headers = read_headers(rows, "key", max_count=MAX_HEADERS, max_value=MAX_HEADER_VALUE) if rows else ()
    if content_type and not has_header(headers, "content-type"):
        headers = (*headers, ("Content-Type", content_type))
    call.host.respond(WebhookResponse(status=status, headers=headers, body=b"" if status in _NO_BODY else body))
    return [{}]


def _body(value: Value) -> tuple[bytes, str]:
    if value is None or value == "":
        return b"", ""
    if isinstance(value, bytes):
        return value, "application/octet-stream"
    if isinstance(value, dict | list):
        return to_json_text(value).encode(), "application/json; charset=utf-8"
    return to_text(value).encode(), "text/plain; charset=utf-8"


def _not_called(call: ModuleCall) -> Bundles:
    """The runner takes a webhook's bundles from outside; reached in line it has none."""
    raise ModuleError(ErrorType.CONFIGURATION, f"Module {call.module_id} is a trigger and can only start a scenario.")


MODULES: Final = (
    ModuleSpec(
        name="gateway:CustomWebHook",
        label="Custom webhook",
        kind=Kind.TRIGGER,
        help="Starts the scenario with each request that reaches its address.",
        parameters=(
            Field(name="hook", type="hook:gateway-webhook", label="Webhook", required=True),
            Field(name="maxResults", type="number", label="Maximum number of results"),
        ),
        external=True,
        run=_not_called,
    ),
    ModuleSpec(
        name="gateway:WebhookRespond",
        label="Webhook response",
        kind=Kind.ACTION,
        help="Answers the caller of the webhook. The first one that runs wins.",
        mapper=(
            Field(
                name="status",
                type="uinteger",
                label="Status",
                required=True,
                default=200,
                validate=Bounds(min=_MIN_STATUS),
            ),
            Field(name="body", type="any", label="Body", multiline=True),
            Field(
                name="headers",
                type="array",
                label="Custom headers",
                validate=Bounds(max_items=MAX_HEADERS),
                spec=(
                    Field(name="key", type="text", label="Key", required=True, validate=Bounds(max=MAX_NAME)),
                    Field(
                        name="value",
                        type="text",
                        label="Value",
                        required=True,
                        validate=Bounds(max=MAX_HEADER_VALUE),
                    ),
                ),
            ),
        ),
        answers=True,
        run=_respond,
    ),
)
