"""Binary and hash functions (spec §7.3)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from functools import partial
from typing import Final

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.functions.parameters import anything, optional, text, text_or_buffer
from make_bridge.engine.iml.functions.signature import Example, Function, OnNull, example
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.values import Value, describe, encode_text, to_buffer

_EMPTY: Final = OnNull(value="")
_URL_SAFE: Final = str.maketrans("-_", "+/", " \t\r\n=")
_QUARTET: Final = 4


def _bytes(scope: Scope, value: str | bytes) -> bytes:
    """Return the bytes to work on; text is UTF-8, a copy that is gone when the function returns."""
    scope.budget.scan(len(value))
    return value if isinstance(value, bytes) else encode_text(value)


def _from_hex(text: str) -> bytes:
    return bytes.fromhex(text)


def _from_base64(text: str) -> bytes:
    """Read base64 in either alphabet, with or without padding and line ends."""
    compact = text.translate(_URL_SAFE)
    return base64.b64decode(compact + "=" * (-len(compact) % _QUARTET), validate=True)


def _from_latin1(text: str) -> bytes:
    return text.encode("latin-1")


_DECODERS: Final[dict[str, Callable[[str], bytes]]] = {
    "utf8": encode_text,
    "utf-8": encode_text,
    "text": encode_text,
    "hex": _from_hex,
    "base64": _from_base64,
    "base64url": _from_base64,
    "binary": _from_latin1,
    "latin1": _from_latin1,
    "ascii": _from_latin1,
}


def _decode(scope: Scope, text: str, encoding: str, *, argument: int, naming: int) -> bytes:
    """Read ``text``, the ``argument``-th, as the encoding says that the ``naming``-th names."""
    decoder = _DECODERS.get(encoding.lower())
    if decoder is None:
        raise ExpressionError(f"{describe(encoding)} is not an encoding; use utf8, hex or base64.", argument=naming)
    scope.budget.scan(len(text))
    scope.budget.allocate(len(text) if text.isascii() else 3 * len(text))
    try:
        return decoder(text)
    except (binascii.Error, ValueError):
        raise ExpressionError(f"{describe(text)} is not valid {encoding}.", argument=argument) from None


def _to_binary(scope: Scope, value: Value, encoding: str | None = None) -> Value:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return _decode(scope, value, encoding or "utf8", argument=1, naming=2)
    return to_buffer(value)


def _base64(scope: Scope, value: str | bytes) -> Value:
    buffer = _bytes(scope, value)
    scope.budget.allocate(len(buffer) * 4 // 3 + 4)
    return base64.b64encode(buffer).decode("ascii")


def _md5(scope: Scope, value: str | bytes) -> Value:
    return hashlib.md5(_bytes(scope, value), usedforsecurity=False).hexdigest()


def _show(digest: bytes, encoding: str) -> str:
    match encoding.lower():
        case "hex":
            return digest.hex()
        case "base64":
            return base64.b64encode(digest).decode("ascii")
        case "latin1" | "binary":
            return digest.decode("latin-1")
    raise ExpressionError(f"{describe(encoding)} is not an encoding; use hex, base64 or latin1.", argument=2)


def _hash(
    algorithm: str,
    scope: Scope,
    value: str | bytes,
    encoding: str | None = None,
    key: str | bytes | None = None,
    key_encoding: str | None = None,
) -> Value:
    """Hash, or with a key authenticate, and show the digest in an encoding."""
    data = _bytes(scope, value)
    if not key:
        return _show(hashlib.new(algorithm, data, usedforsecurity=False).digest(), encoding or "hex")
    secret = key if isinstance(key, bytes) else _decode(scope, key, key_encoding or "text", argument=3, naming=4)
    return _show(hmac.digest(secret, data, algorithm), encoding or "hex")


def _hash_function(algorithm: str, *examples: Example) -> Function:
    return Function(
        name=algorithm,
        summary=f"Returns the {algorithm.upper()} hash; with a key, the message authentication code (HMAC).",
        run=partial(_hash, algorithm),
        parameters=(
            text_or_buffer("value"),
            optional(text("encoding")),
            optional(text_or_buffer("key")),
            optional(text("keyEncoding")),
        ),
        required=1,
        on_null=_EMPTY,
        examples=examples,
    )


BINARY: Final = (
    Function(
        name="toBinary",
        summary="Makes a buffer of a text, which is read as UTF-8 or in the encoding named: hex, base64, latin1.",
        run=_to_binary,
        parameters=(anything("value"), optional(text("encoding"))),
        required=1,
        on_null=OnNull(value=None),
        examples=(example('toBinary("aGk="; "base64")', b"hi"), example('toBinary("6869"; "hex")', b"hi")),
    ),
    Function(
        name="base64",
        summary="Writes a text's UTF-8, or a buffer, in base64.",
        run=_base64,
        parameters=(text_or_buffer("value"),),
        required=1,
        on_null=_EMPTY,
        examples=(example('base64("héllo")', "aMOpbGxv"), example('base64("Make")', "TWFrZQ==")),
    ),
    Function(
        name="md5",
        summary="Returns the MD5 sum in hexadecimal digits.",
        run=_md5,
        parameters=(text_or_buffer("value"),),
        required=1,
        on_null=_EMPTY,
        examples=(example('md5("abc")', "900150983cd24fb0d6963f7d28e17f72"),),
    ),
    _hash_function("sha1", example('sha1("abc")', "a9993e364706816aba3e25717850c26c9cd0d89d")),
    _hash_function(
        "sha256",
        example('sha256("abc"; "base64"; "key")', "nBluMtwBdfhvSxy4konWYZ3mvuaZ5MN45oMJ7Zehpqs="),
        example(
            'sha256("abc"; "hex"; "6b6579"; "hex")', "9c196e32dc0175f86f4b1cb89289d6619de6bee699e4c378e68309ed97a1a6ab"
        ),
    ),
    _hash_function(
        "sha512",
        example(
            'sha512("abc"; "base64")',
            "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==",
        ),
    ),
)
