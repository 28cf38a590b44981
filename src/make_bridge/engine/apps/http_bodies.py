"""Bodies of requests, out of mapped fields: raw, JSON, forms, multipart with files.

Used by `http_request`. Both families of modules have the same four kinds under different names. What
varies between two attempts of one step would make them two requests, so the boundary of a multipart
body comes from the step's key.
"""

from mimetypes import MimeTypes
from typing import Final
from urllib.parse import urlencode

from make_bridge.engine.apps.module import Collection, ErrorType, ModuleError
from make_bridge.engine.values import Value, to_array, to_json_text, to_text

Body = tuple[bytes | None, str]
"""The bytes and their content type; None and an empty text for no body."""

MAX_FIELDS: Final = 1000
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_BYTES: Final = "application/octet-stream"
# Only the table that Python brings: what the machine has installed must not decide what is sent.
_TYPES: Final = MimeTypes(())


def body_v3(given: Collection, key: str) -> Body:
    """Read the body of http:ActionSendData and its relatives."""
    match given.get("bodyType"):
        case "x_www_form_urlencoded":
            return _form(given.get("formFields"))
        case "multipart_form_data":
            return _multipart(_first(given, "formDataFields", "formFields"), key)
        case _:
            content_type = to_text(given.get("contentType"))
            return raw(given.get("data")), "" if content_type == "custom" else content_type or "text/plain"


def body_v4(given: Collection, key: str) -> Body:
    """Read the body of http:MakeRequest."""
    content = _first(given, "bodyContent", "dataStructureBodyContent", "customBodyContent", "body", "data")
    match given.get("contentType"):
        case "urlEncoded":
            return _form(_first(given, "urlEncodedBodyContent", "formFields") or content)
        case "multipart":
            return _multipart(_first(given, "multipartBodyContent", "formFields") or content, key)
        case "custom":
            return raw(content), to_text(given.get("customContentType"))
        case _:
            typed = given.get("inputMethod") == "dataStructure"
            return raw(content if typed else _first(given, "jsonStringBodyContent") or content), _JSON


def _first(given: Collection, *names: str) -> Value:
    return next((given[name] for name in names if given.get(name) not in (None, "")), None)


def raw(value: Value) -> bytes | None:
    """Return the body of any value: buffers as they are, collections as JSON, the rest as text."""
    if value is None or value == "":
        return None
    if isinstance(value, bytes):
        return value
    return (to_json_text(value) if isinstance(value, dict | list) else to_text(value)).encode("utf-8", "replace")


def pairs(rows: Value, key: str = "name") -> tuple[tuple[str, str], ...]:
    """Return names and values of a list of collections; nameless rows are empty lines of the editor."""
    found = [(to_text(row.get(key, row.get("name", row.get("key")))), _text(row.get("value"))) for row in _rows(rows)]
    return tuple((name, value) for name, value in found if name)


def _rows(rows: Value) -> list[Collection]:
    found = [row for row in to_array(rows) if isinstance(row, dict)]
    if len(found) > MAX_FIELDS:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"There are {len(found)} fields; at most {MAX_FIELDS}.")
    return found


def _text(value: Value) -> str:
    return to_json_text(value) if isinstance(value, dict) else to_text(value)


def _form(rows: Value) -> Body:
    fields = pairs(rows, "key")
    return (urlencode(fields, errors="replace").encode(), _FORM) if fields else (None, "")


def _multipart(rows: Value, key: str) -> Body:
    boundary = f"----MakeBridge{key}"
    parts = [_part(row, boundary) for row in _rows(rows)]
    if not parts:
        return None, ""
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _part(row: Collection, boundary: str) -> bytes:
    """Write one field; a whole file ({name, mime, data}) mapped as a value is sent as the file it is."""
    name = _quoted(to_text(row.get("key", row.get("name"))))
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    value = row.get("value")
    upload = value if isinstance(value, dict) and isinstance(value.get("data"), bytes) else None
    if upload is None and "file" not in (row.get("fieldType"), row.get("multipartFieldType")):
        return f"{head}\r\n\r\n".encode("utf-8", "replace") + (raw(value) or b"") + b"\r\n"
    file = upload or row
    file_name = to_text(file.get("fileName") or (file.get("name") if upload else "")) or "file"
    kind = _content_type(to_text(file.get("contentType") or file.get("mime")), file_name)
    content = raw(file.get("data", value)) or b""
    head += f'; filename="{_quoted(file_name)}"\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode("utf-8", "replace") + content + b"\r\n"


def _content_type(given: str, file_name: str) -> str:
    """Return the type an author gave, or the one the file's name says."""
    if given:
        return _quoted(given)
    return _TYPES.guess_type(file_name)[0] or _BYTES


def content_type_of(file_name: str) -> str:
    """Return the type of a file by its name."""
    return _content_type("", file_name)


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
