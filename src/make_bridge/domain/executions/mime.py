"""Splitting bodies into their parts: uploads of forms, and mail.

Pure; used by ``trigger`` at the edge, before anything is stored, so its cost is bounded by the body's
length whatever stands in it: parts are found by searching for the boundary, headers are short and few,
and nothing recurses. The standard library's parser works line by line through all open boundaries.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from string import ascii_letters, digits
from typing import Final

from make_bridge.kernel.errors import InvalidInput

MAX_PARTS: Final = 1000
_MAX_HEAD: Final = 256 * 1024
_MAX_HEADERS: Final = 1000
# What is read for its parameters; the reading is quadratic in old Pythons.
_MAX_STRUCTURED: Final = 2000
_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_NOT_BASE64: Final = bytes(set(range(256)) - set(f"{ascii_letters}{digits}+/".encode()))
_MAX_BOUNDARY: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: its headers as they stand, unfolded, and what follows them."""

    headers: tuple[tuple[str, str], ...]
    content: bytes

    def header(self, name: str) -> str:
        """Return the first value of a header, or an empty text."""
        return next((value for found, value in self.headers if found.lower() == name), "")

    def structured(self) -> Message:
        """Return the two headers with parameters, in the library's reading of them."""
        message = Message()
        for name in ("content-type", "content-disposition"):
            value = self.header(name)[:_MAX_STRUCTURED]
            if value:
                message[name] = value
        return message


def read_part(raw: bytes) -> Part:
    """Return headers and content of a part, or of a whole message."""
    if raw.startswith((b"\r\n", b"\n")):
        return Part(headers=(), content=raw.removeprefix(b"\r").removeprefix(b"\n"))
    end = _END_OF_HEAD.search(raw, 0, _MAX_HEAD)
    if end is None and len(raw) > _MAX_HEAD:
        raise InvalidInput(f"The headers of a part are longer than {_MAX_HEAD} bytes.")
    head, content = (raw, b"") if end is None else (raw[: end.start()], raw[end.end() :])
    lines = (line.partition(b":") for line in _FOLD.sub(b"", head).split(b"\n", _MAX_HEADERS)[:_MAX_HEADERS])
    headers = tuple((_text(name), _text(value)) for name, colon, value in lines if colon and name.strip())
    return Part(headers=headers, content=content)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()


def split(content: bytes, boundary: str, *, most: int = MAX_PARTS, closed: bool = False) -> Iterator[bytes]:
    """Yield the parts between the boundaries; ``closed`` asks for the boundary that ends the last one."""
    if not boundary or len(boundary) > _MAX_BOUNDARY:
        raise InvalidInput("The boundary of the multipart body is missing or too long.")
    delimiter = b"--" + boundary.encode("utf-8", "replace")
    count, start, at_end = 0, -1, False
    for found, after in _delimiters(content, delimiter):
        if start >= 0:
            count += 1
            if count > most:
                raise InvalidInput(f"The body has more than {most} parts.")
            yield content[start:found].removesuffix(b"\n").removesuffix(b"\r")
        at_end = content.startswith(b"--", after)
        if at_end:
            break
        line_end = content.find(b"\n", after)
        start = len(content) if line_end < 0 else line_end + 1
    if closed and not at_end:
        raise InvalidInput("The multipart body is malformed: check its boundary and its parts.")
    if not at_end and start >= 0:
        yield content[start:]


def _delimiters(content: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """Yield where a line begins with the delimiter and ends with it, but for blanks."""
    at = content.find(delimiter)
    while at >= 0:
        after = at + len(delimiter)
        at_line_start = at == 0 or content[at - 1 : at] == b"\n"
        behind = content[after : after + 2]
        if at_line_start and (behind == b"--" or behind.lstrip(b" \t\r")[:1] in (b"", b"\n")):
            yield at, after
        at = content.find(delimiter, after)


def decoded(content: bytes, encoding: str) -> bytes:
    """Return a part's bytes as they were before their transfer encoding; what is broken is read as far as it goes."""
    match encoding.strip().lower():
        case "base64":
            signs = content.translate(None, _NOT_BASE64)
            whole = signs[: len(signs) - 1] if len(signs) % 4 == 1 else signs
            return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))
        case "quoted-printable":
            return binascii.a2b_qp(content)
        case _:
            return content
