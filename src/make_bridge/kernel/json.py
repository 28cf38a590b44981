"""Strict JSON: the one way foreign text becomes values, and values become bytes.

Faces call ``loads`` on request bodies and webhooks, ``platform.security`` on the inside of tokens.
Parsers differ on the odd cases (two equal keys, NaN, half a surrogate pair, numbers no float can
hold), and each difference is a way to show one thing to the check and another to the use; here each
is refused, with its position and a sentence.

``msgspec`` decodes in C and refuses most of that by itself. What it lets through is found by
counting in C, because a Python function per object would cost five times as much:

* **Equal keys.** msgspec keeps the last pair silently. So the value is encoded again and the quotes
  are counted: every string of the text has two, every ``\\"`` or ``\\u0022`` inside one gives one
  more on both sides, and a dropped pair takes at least two away. Equal counts: nothing was dropped.
* **Depth.** A text with no more opening brackets than the limit cannot be too deep. Otherwise the
  text outside of strings is reduced to its brackets and the innermost pairs are peeled, one layer
  at a time. Nothing recurses; a text deeper than the C stack's guard is refused by msgspec.
* **Integers.** Only a run of twenty digits can be beyond 64 bits.

Only a refused text is read slowly, in Python, to find where it is wrong.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from make_bridge.kernel.errors import InvalidInput, TooLarge

DEFAULT_MAX_BYTES: Final = 1024 * 1024
DEFAULT_MAX_DEPTH: Final = 64

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SMALLEST_INTEGER: Final = -(2**63)
_LARGEST_INTEGER: Final = 2**64 - 1
_LONG_NUMBER: Final = b"0" * 20
_DIGITS_AS_ZERO: Final = bytes(ord("0") if chr(octet).isdigit() else octet for octet in range(256))
_NO_BRACKETS: Final = bytes(octet for octet in range(256) if octet not in b"[]{}")
_POSITION: Final = re.compile(r"^(?:JSON is malformed: )?(?P<what>.*?) \(byte (?P<position>\d+)\)")
_ODD_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*(?P<nul>\\u0000)")
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[\[\]{}:]', re.DOTALL)
# Beyond this the position of an error is not looked for: reading a megabyte in Python costs 0.1 s.
_LOCATED_BYTES: Final = 256 * 1024

_decode: Final = msgspec.json.Decoder(strict=True).decode
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_encode_quickly: Final = msgspec.json.Encoder().encode


class InvalidJson(InvalidInput):
    """The text is not valid JSON."""

    code = "invalid_json"

    def __init__(self, message: str, position: int | None = None) -> None:
        """``position`` counts bytes from 0; it is None where a very large text was not searched."""
        super().__init__(message)
        self.position = position


def loads(
    raw: bytes | str,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
    max_depth: int = DEFAULT_MAX_DEPTH,
    allow_nul: bool = False,
    allow_bom: bool = False,
) -> object:
    """Return the value of a JSON text, or raise ``InvalidJson`` (``TooLarge`` past ``max_bytes``).

    ``allow_nul`` lets ``\\u0000`` into strings (PostgreSQL's text refuses it, so API bodies do too;
    webhooks keep it); ``allow_bom`` takes a leading byte order mark. ``max_depth`` counts arrays and
    objects; beyond about 900 the C stack's guard decides first.
    """
    octets = _to_bytes(raw, max_bytes=max_bytes, allow_bom=allow_bom)
    try:
        value = _decode(octets)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(octets, error, max_depth) from error
    if octets.count(b"[") + octets.count(b"{") > max_depth and _too_deep(octets, max_depth):
        raise _depth_error(octets, max_depth)
    if b"\\" in octets:
        # With the pairs gone, a backslash that is left begins an escape of its own.
        unpaired = octets.replace(b"\\\\", b"")
        if not allow_nul and b"\\u0000" in unpaired:
            raise _nul_error(octets)
        quotes = octets.count(b'"') + unpaired.count(b"\\u0022")
    else:
        quotes = octets.count(b'"')
    if _encode_quickly(value).count(b'"') != quotes:
        raise _duplicate_error(octets)
    if _LONG_NUMBER in octets.translate(_DIGITS_AS_ZERO) and _holds_large_integer(value):
        raise _number_error(octets)
    return value


def dumps(value: object) -> bytes:
    """Return compact UTF-8; equal values give equal bytes, because keys are sorted."""
    return _encode(value)


def _to_bytes(raw: bytes | str, *, max_bytes: int, allow_bom: bool) -> bytes:
    if len(raw) > max_bytes:
        raise TooLarge(f"The JSON text is larger than {max_bytes} bytes.")
    try:
        octets = raw.encode() if isinstance(raw, str) else bytes(raw)
    except UnicodeEncodeError as error:
        raise InvalidJson(f"The text has half a surrogate pair at character {error.start}.", error.start) from error
    if len(octets) > max_bytes:
        raise TooLarge(f"The JSON text is larger than {max_bytes} bytes.")
    if octets.startswith(_BYTE_ORDER_MARK):
        if not allow_bom:
            raise InvalidJson("The JSON text begins with a byte order mark; send plain UTF-8.", 0)
        return octets[len(_BYTE_ORDER_MARK) :]
    return octets


def _too_deep(octets: bytes, max_depth: int) -> bool:
    """Say whether a text that msgspec accepted nests deeper than ``max_depth``."""
    unescaped = octets.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in octets else octets
    brackets = b"".join(unescaped.split(b'"')[::2]).translate(None, _NO_BRACKETS)
    for _ in range(max_depth):
        if not brackets:
            return False
        brackets = _peel(brackets)
    return bool(brackets)


def _peel(brackets: bytes) -> bytes:
    """Take the innermost layer off: every leaf at once, in C."""
    marked = brackets.replace(b"[]", b" ").replace(b"{}", b" ")
    return marked.replace(b" ", b"")


def _holds_large_integer(value: object) -> bool:
    """Walk a decoded value with a list of what is left, never by recursion."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
        elif isinstance(item, int) and not _SMALLEST_INTEGER <= item <= _LARGEST_INTEGER:
            return True
    return False
