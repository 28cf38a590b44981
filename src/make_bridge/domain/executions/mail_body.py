"""A mail as a mailhook gives it out: who wrote to whom, what, and the files with it.

Pure; used by ``trigger`` for bodies of the type ``message/rfc822``. Mail comes from anybody: parts, depth
and headers are counted, names of files lose their folders, charsets are only believed when they are text
encodings, and what cannot be read stays as it stood.
"""

from collections.abc import Iterator
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses, parsedate_to_datetime
from typing import Final

from make_bridge.domain.executions.mime import Part, decoded, read_part, split
from make_bridge.engine.apps.charsets import decode
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import InvalidInput

Bundle = dict[str, Value]

MAX_PARTS: Final = 200
MAX_DEPTH: Final = 10
_MAX_TEXT_HEADER: Final = 4096
_MAX_ADDRESS_HEADER: Final = 32 * 1024
_MAX_ADDRESSES: Final = 1000
_MAX_SHOWN_HEADERS: Final = 200
_MAX_FILE_NAME: Final = 255
_TEXTS: Final = {"text/plain": "text", "text/html": "html"}


def mail_bundle(body: bytes) -> Bundle:
    """Return the bundle of a message; raises InvalidInput when it has more parts or depth than a mail may have."""
    message = read_part(body)
    if not message.headers:
        raise InvalidInput("The body is not a mail: it has no headers.")
    texts: dict[str, list[str]] = {"text": [], "html": []}
    attachments: list[Value] = []
    for part in _leaves(message):
        kind = _text_kind(part)
        if kind is None:
            attachments.append(_attachment(part))
        else:
            texts[kind].append(_text_of(part))
    senders = _addresses(message, "from")
    return {
        "from": senders[0] if senders else None,
        "to": _addresses(message, "to"),
        "cc": _addresses(message, "cc"),
        "replyTo": _addresses(message, "reply-to"),
        "subject": _header_text(message.header("subject")),
        "text": "\n".join(texts["text"]) if texts["text"] else None,
        "html": "\n".join(texts["html"]) if texts["html"] else None,
        "date": _date(message.header("date")),
        "messageId": message.header("message-id")[:_MAX_TEXT_HEADER],
        "inReplyTo": message.header("in-reply-to")[:_MAX_TEXT_HEADER],
        "references": [*message.header("references")[:_MAX_ADDRESS_HEADER].split()],
        "headers": _headers(message),
        "attachments": attachments,
    }


def _leaves(message: Part) -> Iterator[Part]:
    """Yield the parts that hold something, in order, without recursion."""
    waiting: list[tuple[Part, int]] = [(message, 0)]
    count = 0
    while waiting:
        part, depth = waiting.pop()
        structured = part.structured()
        if structured.get_content_maintype() != "multipart":
            yield part
            continue
        if depth >= MAX_DEPTH:
            raise InvalidInput(f"The mail has parts within parts, more than {MAX_DEPTH} deep.")
        inner = [read_part(raw) for raw in split(part.content, _boundary(part), most=MAX_PARTS)]
        count += len(inner)
        if count > MAX_PARTS:
            raise InvalidInput(f"The mail has more than {MAX_PARTS} parts.")
        waiting.extend((found, depth + 1) for found in reversed(inner))


def _boundary(part: Part) -> str:
    boundary = part.structured().get_boundary()
    if not boundary:
        raise InvalidInput("The mail says that it has parts, and not where they begin.")
    return boundary


def _text_kind(part: Part) -> str | None:
    """Return which text a part belongs to; None for a file."""
    structured = part.structured()
    if structured.get_content_disposition() == "attachment" or structured.get_filename():
        return None
    return _TEXTS.get(structured.get_content_type())


def _text_of(part: Part) -> str:
    charset = part.structured().get_content_charset() or "utf-8"
    return decode(decoded(part.content, part.header("content-transfer-encoding")), charset)


def _attachment(part: Part) -> Value:
    structured = part.structured()
    data = decoded(part.content, part.header("content-transfer-encoding"))
    attachment: Bundle = {
        "fileName": _file_name(structured.get_filename() or "", structured.get_content_type()),
        "contentType": structured.get_content_type(),
        "data": data,
        "size": len(data),
    }
    cid = part.header("content-id")[:_MAX_TEXT_HEADER].strip("<> ")
    return attachment | ({"cid": cid} if cid else {})


def _file_name(given: str, content_type: str) -> str:
    name = _header_text(given).replace("\\", "/").rpartition("/")[2]
    name = "".join(sign for sign in name if sign.isprintable()).strip()[:_MAX_FILE_NAME]
    return name or ("message.eml" if content_type == "message/rfc822" else "file")


def _addresses(message: Part, name: str) -> list[Value]:
    raw = ", ".join(value for found, value in message.headers if found.lower() == name)[:_MAX_ADDRESS_HEADER]
    try:
        pairs = getaddresses([raw])[:_MAX_ADDRESSES]
    except (ValueError, IndexError, RecursionError):
        pairs = [("", raw)]
    return [{"address": address, "name": _header_text(shown)} for shown, address in pairs if address or shown]


def _header_text(raw: str) -> str:
    """Return a header's text with its encoded words read; where that fails, as it stands."""
    text = raw[:_MAX_TEXT_HEADER]
    try:
        pieces = decode_header(text)
    except (HeaderParseError, ValueError):
        return text
    return "".join(piece if isinstance(piece, str) else decode(piece, charset or "utf-8") for piece, charset in pieces)


def _date(text: str) -> Value:
    try:
        date = parsedate_to_datetime(text[:_MAX_TEXT_HEADER])
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _headers(message: Part) -> Bundle:
    """Return the headers by their lower-case names; one that comes again becomes a list."""
    found: Bundle = {}
    for name, value in message.headers[:_MAX_SHOWN_HEADERS]:
        key, text = name.lower(), _header_text(value)
        known = found.get(key)
        if known is None:
            found[key] = text
        else:
            found[key] = [*known, text] if isinstance(known, list) else [known, text]
    return found
