r"""Strict JSON: the one way foreign text becomes values, and values become bytes.

Faces call ``loads`` on request bodies and webhooks, ``platform.security`` on the inside of tokens.
Parsers differ on the odd cases (two equal keys, NaN, half a surrogate pair, numbers no float can
hold), and each difference is a way to show one thing to the check and another to the use; here each
is refused, with its position and a sentence.

``msgspec`` decodes in C and refuses most of that by itself. What it lets through is found by
counting in C, because a Python function per object costs twice as much as all of this:

* **Equal keys.** msgspec keeps the last pair silently. So the value is encoded again and the quotes
  are counted: every string has two, every ``\"`` or ``\u0022`` inside one gives one more on both
  sides, and a dropped pair takes at least two away. Equal counts: nothing was dropped.
* **Depth.** A text with no more opening brackets than the limit cannot be too deep. Otherwise the
  text outside of strings is reduced to its brackets and these are peeled from the inside, one layer
  at a time. Nothing recurses here, and msgspec has a guard of its own.
* **Integers.** Only a run of nineteen digits can be beyond 64 bits.

Only a refused text is read in Python, to find where it is wrong.
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
_NINETEEN_ZEROS: Final = b"0" * 19
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"0" * 9)
# Of any nineteen neighbours this keeps three, side by side: a sixth of the work for texts without long numbers.
_SAMPLE: Final = slice(None, None, 6)
_THREE_ZEROS: Final = b"000"
_ONE_KIND_OF_BRACKET: Final = bytes.maketrans(b"{}", b"[]")
_NEITHER_BRACKET_NOR_QUOTE: Final = bytes(octet for octet in range(256) if octet not in b'[]{}"')

# The pieces of a text that an error can be about; a string is one piece, so that nothing in it counts.
_PIECE: Final = re.compile(
    rb'(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<number>-?[0-9][0-9.eE+-]*)|(?P<mark>[\[\]{}:])|(?P<cut>")', re.DOTALL
)
# Read from the left, so that a backslash is never taken for the wrong one of a pair.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half_pair>u[dD][89a-fA-F])|(?P<nul>u0000)|.)", re.DOTALL
)
_SYNTAX_ERROR: Final = re.compile(r"JSON is malformed: (?P<what>.+) \(byte (?P<position>\d+)\)")
# An error past this has no position: reading a megabyte piece by piece would take a third of a second.
_LOCATED_BYTES: Final = 128 * 1024

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_encode_in_order: Final = msgspec.json.Encoder(order="deterministic").encode


class InvalidJson(InvalidInput):
    """The text is not valid JSON."""

    code = "invalid_json"

    def __init__(self, what: str, position: int | None = None) -> None:
        """``position`` counts bytes from 0; it is None past what is searched of a very large text."""
        where = "" if position is None else f" at byte {position}"
        super().__init__(f"The JSON text is not valid{where}: {what}.")
        self.position = position


def loads(
    raw: bytes | str,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
    max_depth: int = DEFAULT_MAX_DEPTH,
    allow_nul: bool = False,
    allow_bom: bool = False,
) -> object:
    r"""Return the value of a JSON text, or raise ``InvalidJson`` (``TooLarge`` past ``max_bytes``).

    ``max_depth`` counts arrays and objects; past about 900 the guard of msgspec decides first.
    ``allow_nul`` lets ``\u0000`` into strings: PostgreSQL's text refuses it and so do API bodies,
    but a webhook must not be lost for it. ``allow_bom`` takes a leading byte order mark.
    """
    octets = _to_bytes(raw, max_bytes=max_bytes, allow_bom=allow_bom)
    try:
        value = _decode(octets)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(octets, error, max_depth) from error
    skeleton = octets.translate(_ONE_KIND_OF_BRACKET, _NEITHER_BRACKET_NOR_QUOTE)
    if skeleton.count(b"[") > max_depth and _is_deeper(octets, skeleton, max_depth):
        raise InvalidJson(f"it nests deeper than {max_depth} levels", _locate_depth(octets, max_depth))
    quotes = skeleton.count(b'"')
    if b"\\u00" in octets:
        # With the pairs gone, a backslash that is left begins an escape.
        escapes = octets.replace(b"\\\\", b"")
        quotes += escapes.count(b"\\u0022")
        if not allow_nul and b"\\u0000" in escapes:
            raise InvalidJson("a string holds the character NUL", _locate_escape(octets, "nul"))
    if _encode(value).count(b'"') != quotes:
        raise InvalidJson("a key stands twice in one object", _locate_duplicate(octets))
    if _has_long_number(octets) and _holds_large_integer(value):
        raise InvalidJson("a whole number does not fit into 64 bits", _locate_number(octets))
    return value


def dumps(value: object) -> bytes:
    """Return compact UTF-8; equal values give equal bytes, because keys and sets are sorted."""
    return _encode_in_order(value)


def _to_bytes(raw: bytes | str, *, max_bytes: int, allow_bom: bool) -> bytes:
    if len(raw) > max_bytes:
        raise TooLarge(f"The JSON text is larger than {max_bytes} bytes.")
    try:
        octets = raw.encode() if isinstance(raw, str) else raw
    except UnicodeEncodeError as error:
        position = len(str(raw)[: error.start].encode())
        raise InvalidJson("it holds half a surrogate pair", position) from error
    if len(octets) > max_bytes:
        raise TooLarge(f"The JSON text is larger than {max_bytes} bytes.")
    if octets.startswith(_BYTE_ORDER_MARK):
        if not allow_bom:
            raise InvalidJson("it begins with a byte order mark; send plain UTF-8", 0)
        return octets[len(_BYTE_ORDER_MARK) :]
    return octets


def _is_deeper(octets: bytes, skeleton: bytes, max_depth: int) -> bool:
    """Say whether a text that msgspec has accepted nests deeper than ``max_depth``."""
    if b"\\" in octets:
        unescaped = octets.replace(b"\\\\", b"").replace(b'\\"', b"")
        skeleton = unescaped.translate(_ONE_KIND_OF_BRACKET, _NEITHER_BRACKET_NOR_QUOTE)
    # A string with a bracket in it has an odd run of quotes on either side, so one quote of each stays.
    layers = skeleton.replace(b'""', b"")
    if b'"' in layers:
        layers = b"".join(layers.split(b'"')[::2])
    for _ in range(max_depth):
        if not layers:
            return False
        layers = layers.replace(b"[]", b"")
    return bool(layers)


def _has_long_number(octets: bytes) -> bool:
    """Say whether nineteen digits stand in a row somewhere; cheap where they do not."""
    if _THREE_ZEROS not in octets[_SAMPLE].translate(_DIGITS_TO_ZERO):
        return False
    return _NINETEEN_ZEROS in octets.translate(_DIGITS_TO_ZERO)


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


def _explain(octets: bytes, error: Exception, max_depth: int) -> InvalidJson:
    """Turn what the decoder said into one of our sentences."""
    if isinstance(error, RecursionError):
        return InvalidJson(f"it nests deeper than {max_depth} levels", _locate_depth(octets, max_depth))
    if isinstance(error, UnicodeDecodeError):
        return _explain_encoding(octets)
    said = str(error)
    if "out of range" in said:
        return InvalidJson("a number is too large to be held", _locate_number(octets))
    if "surrogate" in said or "truncated" in said:
        half_pair = _locate_escape(octets, "half_pair")
        if half_pair is not None:
            return InvalidJson("a string holds half a surrogate pair", half_pair)
    if syntax := _SYNTAX_ERROR.fullmatch(said):
        return InvalidJson(syntax["what"], int(syntax["position"]))
    return InvalidJson("it ends too early", len(octets))


def _explain_encoding(octets: bytes) -> InvalidJson:
    """Find the position in the whole text: the decoder counts from the start of a string."""
    try:
        octets.decode()
    except UnicodeDecodeError as error:
        return InvalidJson("it is not UTF-8", error.start)
    return InvalidJson("it is not UTF-8")


def _pieces(octets: bytes) -> Iterator[re.Match[bytes]]:
    """Yield what an error can be about, up to the first string without an end."""
    for piece in _PIECE.finditer(octets, 0, _LOCATED_BYTES):
        if piece["cut"]:
            return
        yield piece


def _locate_depth(octets: bytes, max_depth: int) -> int | None:
    depth = 0
    for piece in _pieces(octets):
        if piece[0] in b"[{":
            depth += 1
            if depth > max_depth:
                return piece.start()
        elif piece[0] in b"]}":
            depth -= 1
    return None


def _locate_duplicate(octets: bytes) -> int | None:
    """Find the second of two equal keys in a text that is otherwise valid."""
    open_keys: list[set[object]] = []
    last = None
    for piece in _pieces(octets):
        if piece[0] in b"[{":
            open_keys.append(set())
        elif piece[0] in b"]}":
            open_keys.pop()
        elif piece[0] == b":" and last is not None:
            key = _decode(last[0])
            if key in open_keys[-1]:
                return last.start()
            open_keys[-1].add(key)
        last = piece
    return None


def _locate_number(octets: bytes) -> int | None:
    for piece in _pieces(octets):
        if piece["number"] and _is_out_of_range(piece[0]):
            return piece.start()
    return None


def _is_out_of_range(number: bytes) -> bool:
    try:
        value = _decode(number)
    except msgspec.MsgspecError:
        return True
    return _holds_large_integer(value)


def _locate_escape(octets: bytes, kind: str) -> int | None:
    return next((escape.start() for escape in _ESCAPE.finditer(octets) if escape[kind]), None)
