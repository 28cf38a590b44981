"""From a request to the bundle a webhook trigger gives out.

Pure, and used twice: at the edge before anything is stored (a malformed body is refused with 400),
and by a worker that reads a stored call back. The rules are those of Make's custom webhook: query
and body fields merge into one bundle, an uploaded file becomes ``{name, mime, data}``, other text
becomes ``value``; a JSON array becomes ``array``.
"""

import io
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
from python_multipart import parse_form
from python_multipart.exceptions import FormParserError

from make_bridge.engine.values import Value
from make_bridge.kernel import json
from make_bridge.kernel.errors import InvalidInput

Bundle = dict[str, Value]
_MAX_FIELDS = 2000
_MAX_DEPTH = 200
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


class CallHead(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a webhook call beside its body; ``inputs`` is set for runs started by hand."""

    method: str = "POST"
    query: str = ""
    content_type: str = ""
    headers: list[tuple[str, str]] = []
    inputs: dict[str, Any] | None = None


class HookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a hook presents a call; the names are those of Make's hook data."""

    headers: bool = False
    method: bool | str = False
    stringify: bool = False


_head_encoder = msgspec.json.Encoder()
_head_decoder = msgspec.json.Decoder(CallHead)
_settings_decoder = msgspec.json.Decoder(HookSettings)


def encode_head(head: CallHead) -> bytes:
    """Return the stored form."""
    return _head_encoder.encode(head)


def decode_head(raw: bytes) -> CallHead:
    """Read the stored form back."""
    return _head_decoder.decode(raw)


def decode_settings(raw: bytes) -> HookSettings:
    """Read a hook's stored settings."""
    return _settings_decoder.decode(raw)


def trigger_bundle(head: CallHead, body: bytes, settings: HookSettings, *, max_bytes: int) -> Bundle:
    """Return the one bundle of a call; raises InvalidInput (400) when the body is not what it says it is."""
    if head.inputs is not None:
        return dict(head.inputs)
    bundle: Bundle = {}
    if head.query:
        bundle.update(_pairs(head.query))
    bundle.update(_body_items(head.content_type, body, settings, max_bytes))
    if settings.headers:
        bundle["__IMTHEADERS__"] = [{"name": name, "value": value} for name, value in head.headers]
    if settings.method:
        bundle["__IMTMETHOD__"] = head.method
    return bundle


def _body_items(content_type: str, body: bytes, settings: HookSettings, max_bytes: int) -> Bundle:
    if not body:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if settings.stringify:
        return {"value": body.decode("utf-8", errors="replace")}
    if kind == "application/json" or kind.endswith("+json"):
        return _json_items(body, max_bytes)
    if kind == _FORM:
        return _pairs(body.decode("utf-8", errors="replace"))
    if kind == _MULTIPART:
        return _multipart_items(content_type, body)
    if kind in ("", "text/plain") and body.lstrip()[:1] in (b"{", b"["):
        try:
            return _json_items(body, max_bytes)
        except InvalidInput:
            return {"value": body.decode("utf-8", errors="replace")}
    return {"value": body.decode("utf-8", errors="replace")}


def _json_items(body: bytes, max_bytes: int) -> Bundle:
    value = cast("Value", json.loads(body, max_bytes=max_bytes, max_depth=_MAX_DEPTH, allow_nul=True))
    if isinstance(value, dict):
        return value
    return {"array": value} if isinstance(value, list) else {"value": value}


def _pairs(text: str) -> Bundle:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        message = f"The request has more than {_MAX_FIELDS} form or query fields."
        raise InvalidInput(message) from error
    return dict(pairs)


def _multipart_items(content_type: str, body: bytes) -> Bundle:
    items: Bundle = {}

    def on_field(field: object) -> None:
        items[_text(getattr(field, "field_name", b""))] = _text(getattr(field, "value", b""))

    def on_file(file: object) -> None:
        stream: io.BytesIO = file.file_object  # type: ignore[attr-defined]
        stream.seek(0)
        mime = getattr(file, "content_type", None) or b"application/octet-stream"
        name = _text(getattr(file, "file_name", b""))
        items[_text(getattr(file, "field_name", b""))] = {"name": name, "mime": _text(mime), "data": stream.read()}

    try:
        headers = {"Content-Type": content_type.encode(), "Content-Length": str(len(body)).encode()}
        parse: Callable[..., None] = parse_form
        parse(headers, io.BytesIO(body), on_field, on_file)
    except (FormParserError, ValueError, KeyError) as error:
        message = "The multipart body is malformed: check its boundary and its parts."
        raise InvalidInput(message) from error
    return items


def _text(raw: bytes | str | None) -> str:
    return raw.decode("utf-8", errors="replace") if isinstance(raw, bytes) else (raw or "")
