"""The plainest of requests, a whole POST in one piece with nothing unusual in its head, and its answer.

Nearly every webhook is one. ``protocol`` asks here first and takes the short way with what it gets;
everything else (a body in pieces, another method, chunks, an odd header, a second request behind the
first) is None here and goes through the full parser, which refuses it or not. So this may only ever
say yes when both would read the same request: the head is matched as a whole, byte by byte.
"""

import re
from http import HTTPStatus
from typing import Final

import msgspec

from make_bridge.faces.edge.request_head import RawHeaders

_HEAD: Final = re.compile(
    rb"POST (/[A-Za-z0-9_/-]{1,300})(?:\?([!$-;=?-Z_a-z~]{0,4000}))? HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9-]{1,64}:[ ]?[!-~](?:[ -~]*[!-~])?\r\n){1,50})\r\n"
)
_LARGEST_HEAD: Final = 8192
# Headers that change how the message is read, or what is done with the connection.
_UNUSUAL: Final = frozenset(
    {b"connection", b"expect", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_STATUS_LINES: Final = {
    **{status: b"HTTP/1.1 %d \r\n" % status for status in range(200, 600)},
    **{int(status): f"HTTP/1.1 {int(status)} {status.phrase}\r\n".encode() for status in HTTPStatus if status >= 200},  # noqa: PLR2004
}
_WITHOUT_BODY: Final = frozenset({204, 304})
_FORBIDDEN_IN_NAME: Final = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# What the answer's own frame says; a face cannot say otherwise.
_FRAME: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class PlainRequest(msgspec.Struct):
    """A complete POST; header names are in lower case."""

    path: str
    query: bytes
    headers: RawHeaders
    body: bytes


def read_plain(data: bytes) -> PlainRequest | None:
    """Return the request that ``data`` is, whole and alone, or None."""
    head = _HEAD.match(data, 0, _LARGEST_HEAD)
    if head is None:
        return None
    path, query, lines = head.groups()
    headers: RawHeaders = []
    length = -1
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name == b"content-length":
            if length >= 0 or not value.strip().isdigit():
                return None
            length = int(value)
        elif name in _UNUSUAL:
            return None
        headers.append((name, value.lstrip(b" ")))
    body = data[head.end() :]
    return PlainRequest(path.decode("ascii"), query or b"", headers, body) if length == len(body) else None


def check_headers(headers: RawHeaders) -> RawHeaders:
    """Return a face's headers without those of the frame; raises ValueError for what HTTP cannot say."""
    for name, value in headers:
        if _FORBIDDEN_IN_NAME.search(name) or _FORBIDDEN_IN_VALUE.search(value):
            raise ValueError(f"The header {name!r} of an answer is not valid.")
    return [pair for pair in headers if pair[0] not in _FRAME]


def render(status: int, headers: RawHeaders, body: bytes) -> bytes:
    """Return an answer as it goes over the wire; raises ValueError for a status that is none."""
    line = _STATUS_LINES.get(status)
    if line is None:
        raise ValueError(f"{status} is not the status of an answer.")
    lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
    if status in _WITHOUT_BODY:
        return b"%b%b\r\n" % (line, lines)
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (line, lines, len(body), body)
