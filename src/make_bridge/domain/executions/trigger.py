"""From a request to the bundle a webhook trigger gives out.

Pure, and used twice: at the edge before anything is stored (a malformed body is refused with 400),
and by a worker that reads a stored call back. The rules are those of Make's custom webhook: query
and body fields merge into one bundle, an uploaded file becomes ``{name, mime, data}``, other text
becomes ``value``; a JSON array becomes ``array``; a field that comes again becomes an array. A mail
(``message/rfc822``, handed over by a mail server) becomes its addresses, texts and files.
"""

import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from make_bridge.domain.executions.mail_body import mail_bundle
from make_bridge.domain.executions.mime import Part, read_part, split
from make_bridge.engine.packing import unpack
from make_bridge.engine.values import Value
from make_bridge.kernel import json
from make_bridge.kernel.errors import BridgeError, InvalidInput, Unauthenticated

Bundle = dict[str, Value]
_MAX_FIELDS = 2000
_MAX_DEPTH = 200
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_MAIL = "message/rfc822"
_OPAQUE = "application/octet-stream"


class TickNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which tick of its schedule started a run, and how many before it had no run of their own."""

    due: str
    missed: int = 0
    skipped: int = 0


class CallHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a webhook call beside its body; ``inputs`` is set for runs started by hand.

    ``tick`` is set for runs that a schedule started, ``callers`` for those another scenario called: its id and the ids
    of those that called it, outermost first. With ``packed`` the body holds the inputs, their types kept.
    """

    method: str = "POST"
    query: str = ""
    content_type: str = ""
    headers: list[tuple[str, str]] = []
    inputs: dict[str, Any] | None = None
    tick: TickNote | None = None
    callers: list[int] = []
    packed: bool = False


class HookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a hook presents a call; the names are those of Make's hook data."""

    headers: bool = False
    method: bool | str = False
    stringify: bool = False
    learning: bool = False
    """Its calls are to be learned from."""
    api_keys: list[str] = []
    """SHA-256 digests in hexadecimal; when there are any, a caller has to send one of their keys."""


def require_key(settings: HookSettings, given: str | None) -> None:
    """Refuse a caller without one of the hook's keys (header ``x-make-apikey``); raises Unauthenticated."""
    if not settings.api_keys:
        return
    digest = hashlib.sha256((given or "").encode("utf-8", "surrogateescape")).hexdigest()
    # All are compared, so that the time taken tells nothing of which one is near.
    if not any([hmac.compare_digest(digest, known) for known in settings.api_keys]):  # noqa: C419
        raise Unauthenticated("This webhook asks for an API key in the header x-make-apikey.")


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
    if head.packed:
        called = unpack(body)
        return called if isinstance(called, dict) else {}
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


def stored_bundle(row: Mapping[str, Any]) -> Bundle:
    """Read a stored run's bundle back for its ordering key; one that cannot be read any more says so when it runs."""
    body = bytes(row["body"])
    try:
        head, settings = decode_head(bytes(row["head"])), decode_settings(bytes(row["settings"] or b"{}"))
        return trigger_bundle(head, body, settings, max_bytes=max(len(body), 1))
    except (BridgeError, msgspec.MsgspecError):
        return {}


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
    if kind == _MAIL:
        return mail_bundle(body)
    if kind in ("", "text/plain") and body.lstrip()[:1] in (b"{", b"["):
        with suppress(InvalidInput):
            return _json_items(body, max_bytes)
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
    bundle: Bundle = {}
    for name, value in pairs:
        _add(bundle, name, value)
    return bundle


def _add(bundle: Bundle, name: str, value: Value) -> None:
    """Put a field in; a name that comes again makes an array, so that nothing is lost."""
    if name not in bundle:
        bundle[name] = value
        return
    known = bundle[name]
    if isinstance(known, list):
        known.append(value)
    else:
        bundle[name] = [known, value]


def _multipart_items(content_type: str, body: bytes) -> Bundle:
    boundary = Part(headers=(("content-type", content_type),), content=b"").structured().get_boundary()
    items: Bundle = {}
    for raw in split(body, boundary or "", most=_MAX_FIELDS, closed=True):
        part = read_part(raw)
        structured = part.structured()
        name = structured.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            raise InvalidInput("The multipart body has a part without a name.")
        file_name = structured.get_filename()
        if file_name is None:
            _add(items, _unescaped(name), part.content.decode("utf-8", errors="replace"))
            continue
        mime = part.header("content-type") or _OPAQUE
        _add(items, _unescaped(name), {"name": _unescaped(file_name), "mime": mime, "data": part.content})
    return items


def _unescaped(text: str) -> str:
    """Read what browsers escape in the names of fields and files."""
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
