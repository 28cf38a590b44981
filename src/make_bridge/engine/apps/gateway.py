"""The app `gateway`: webhooks and mail in, and the answer to a webhook's caller.

What becomes of a call's body stands in the domain (`executions/trigger`), because it is decided before
anything is stored. Answers go out on this server's own address: which headers a scenario may set there
is a list, so that no scenario can set cookies or loosen the rules of that address.
"""

import re
from typing import Final

from make_bridge.engine.apps.fields import Bounds, Field
from make_bridge.engine.apps.http_headers import MAX_NAME, has_header, read_headers
from make_bridge.engine.apps.module import Bundles, ErrorType, Kind, ModuleCall, ModuleError, ModuleSpec
from make_bridge.engine.ports import Headers, WebhookResponse
from make_bridge.engine.values import Value, to_json_text, to_number, to_text

MAX_HEADERS: Final = 16
MAX_HEADER_VALUE: Final = 4096
_LEAST_STATUS: Final = 100
_FIRST_FINAL: Final = 200
_MAX_STATUS: Final = 599
_NO_BODY: Final = frozenset({204, 205, 304})
_HOP_BY_HOP: Final = frozenset(
    {
        "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade",
    }
)  # fmt: skip
_ALLOWED: Final = frozenset(
    {
        "allow", "cache-control", "content-disposition", "content-language", "content-type", "etag", "expires",
        "last-modified", "link", "location", "pragma", "retry-after", "vary",
    }
)  # fmt: skip
# A scenario's own headers, those of webhook senders that ask for an echo, and answers to other origins.
_ALLOWED_FAMILIES: Final = re.compile(r"(?:x|webhook|ce|access-control)-[!#$%&'*+.^_`|~0-9a-z-]+")
_OURS: Final = frozenset({"x-content-type-options", "x-frame-options", "x-request-id", "x-execution-id"})
# What proxies take for orders of the server behind them: another answer, a file of theirs, a speed, ill health.
_FOR_PROXIES: Final = re.compile(r"x-(?:accel|sendfile|lighttpd|litespeed|reproxy|envoy)(?:-.*)?")


def _respond(call: ModuleCall) -> Bundles:
    status = int(to_number(call.input["status"]))
    if not _FIRST_FINAL <= status <= _MAX_STATUS:
        message = f"{status} is not an HTTP status that ends an answer ({_FIRST_FINAL} to {_MAX_STATUS})."
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, message)
    body, content_type = _body(call.input.get("body"))
    headers = _headers(call)
    if content_type and not has_header(headers, "content-type"):
        headers = (*headers, ("Content-Type", content_type))
    call.host.respond(WebhookResponse(status=status, headers=headers, body=b"" if status in _NO_BODY else body))
    return [{}]


def _headers(call: ModuleCall) -> Headers:
    """Return the headers that go out; those that may not are named in a warning, so that nobody searches for them."""
    rows = call.input.get("headers")
    if not rows:
        return ()
    given = read_headers(rows, "key", max_count=MAX_HEADERS, max_value=MAX_HEADER_VALUE)
    for name, _ in given:
        if name.lower() in _HOP_BY_HOP:
            message = f"The header {name} is about the connection, which is the server's business."
            raise ModuleError(ErrorType.BUNDLE_VALIDATION, message)
    for name, _ in given:
        if not _may_be_set(name.lower()):
            call.host.warn(call.module_id, f"The header {name} was left out: a webhook's answer cannot set it.")
    return tuple((name, _wire_text(value)) for name, value in given if _may_be_set(name.lower()))


def _may_be_set(name: str) -> bool:
    if name in _OURS or _FOR_PROXIES.fullmatch(name):
        return False
    return name in _ALLOWED or _ALLOWED_FAMILIES.fullmatch(name) is not None


def _wire_text(value: str) -> str:
    """Return the value as UTF-8 in the one charset that headers are written in."""
    return value.encode("utf-8", "replace").decode("latin-1")


def _body(value: Value) -> tuple[bytes, str]:
    if value is None or value == "":
        return b"", ""
    if isinstance(value, bytes):
        return value, "application/octet-stream"
    if isinstance(value, dict | list):
        return to_json_text(value).encode("utf-8", "replace"), "application/json; charset=utf-8"
    return to_text(value).encode("utf-8", "replace"), "text/plain; charset=utf-8"


def _not_called(call: ModuleCall) -> Bundles:
    """The runner takes a trigger's bundles from outside; reached in line it has none."""
    raise ModuleError(ErrorType.CONFIGURATION, f"Module {call.module_id} is a trigger and can only start a scenario.")


_MOST_RESULTS: Final = Field(name="maxResults", type="number", label="Maximum number of results")
_MAILBOX: Final = (
    Field(name="address", type="email", label="Address"),
    Field(name="name", type="text", label="Name"),
)

MODULES: Final = (
    ModuleSpec(
        name="gateway:CustomWebHook",
        label="Custom webhook",
        kind=Kind.TRIGGER,
        help="Starts the scenario with each request that reaches its address.",
        parameters=(
            Field(name="hook", type="hook:gateway-webhook", label="Webhook", required=True),
            _MOST_RESULTS,
        ),
        external=True,
        run=_not_called,
    ),
    ModuleSpec(
        name="gateway:CustomMailHook",
        label="Custom mailhook",
        kind=Kind.TRIGGER,
        help="Starts the scenario with each mail that a mail server hands over to its address.",
        parameters=(
            Field(
                name="hook",
                type="hook:gateway-mailhook",
                label="Mailhook",
                required=True,
                help="A mail server sends it each mail as message/rfc822.",
            ),
            _MOST_RESULTS,
        ),
        output=(
            Field(name="from", type="collection", label="From", spec=_MAILBOX),
            Field(name="to", type="array", label="To", spec=_MAILBOX),
            Field(name="cc", type="array", label="Copy", spec=_MAILBOX),
            Field(name="replyTo", type="array", label="Reply to", spec=_MAILBOX),
            Field(name="subject", type="text", label="Subject"),
            Field(name="text", type="text", label="Text content"),
            Field(name="html", type="text", label="HTML content"),
            Field(name="date", type="date", label="Date"),
            Field(name="messageId", type="text", label="Message ID"),
            Field(name="inReplyTo", type="text", label="In reply to"),
            Field(
                name="references",
                type="array",
                label="References",
                spec=(Field(name="value", type="text"),),
                scalar_items=True,
            ),
            Field(name="headers", type="collection", label="Headers"),
            Field(
                name="attachments",
                type="array",
                label="Attachments",
                spec=(
                    Field(name="fileName", type="filename", label="File name"),
                    Field(name="contentType", type="text", label="Content type"),
                    Field(name="data", type="buffer", label="Data"),
                    Field(name="size", type="number", label="Size"),
                    Field(name="cid", type="text", label="Content-ID"),
                ),
            ),
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
                validate=Bounds(min=_LEAST_STATUS),
            ),
            Field(name="body", type="any", label="Body", multiline=True),
            Field(
                name="headers",
                type="array",
                label="Custom headers",
                help="Of cookies, of the connection and of this server's own rules none can be set.",
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
