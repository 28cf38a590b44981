"""Is this call from who it says? Signatures of webhook senders, over the bytes as they came.

Pure. ``hook_handlers`` reads secrets with ``key_of`` when they are set, ``domain/executions/senders.py`` calls
``verify`` for each call of a signed hook. What is expected is computed and compared as bytes: nothing that a sender
wrote is decoded, so junk in a signature can only be unequal. All keys are tried, so that the time taken tells nothing
of which is near.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final, Literal

import msgspec

Scheme = Literal["standard-webhooks", "hmac", "stripe", "github", "shopify"]
Algorithm = Literal["sha256", "sha1", "sha512"]
Encoding = Literal["hex", "base64"]
Headers = Sequence[tuple[bytes, bytes]]

SCHEMES: Final[tuple[Scheme, ...]] = ("standard-webhooks", "hmac", "stripe", "github", "shopify")
TIMED: Final = frozenset({"standard-webhooks", "stripe"})
MOST_SECRETS: Final = 2
MOST_SECRET_CHARACTERS: Final = 500
USUAL_TOLERANCE: Final = 300
_SHORTEST_KEY: Final = 16
_SHORTEST_SECRET: Final = 8
_MOST_SIGNATURES: Final = 20
_STANDARD_PREFIX: Final = "whsec_"
_TIMESTAMP: Final = re.compile(rb"[0-9]{1,12}")


class Reason(StrEnum):
    """Why a call was refused: for the counter, never for the caller."""

    UNARMED = "no_secret"
    MISSING = "missing"
    MALFORMED = "malformed"
    STALE = "stale"
    WRONG = "wrong"


class SignatureRefused(Exception):
    """The call is not from who it says, or cannot show it."""

    def __init__(self, reason: Reason) -> None:
        """Keep the reason."""
        self.reason = reason
        super().__init__(reason.value)


class SignatureRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a hook's senders sign. Header, algorithm, encoding and prefix belong to the scheme ``hmac``."""

    scheme: Scheme
    header: str = ""
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    tolerance_seconds: int = USUAL_TOLERANCE
    """How far a call's own time may be from ours, where the scheme has one."""
    secrets: list[str] = []
    """Sealed; two while one takes the other's place."""


def key_of(scheme: Scheme, secret: str) -> bytes:
    """Return the key that a secret stands for; raises ValueError with what is wrong about it."""
    if len(secret) > MOST_SECRET_CHARACTERS:
        raise ValueError(f"A secret has at most {MOST_SECRET_CHARACTERS} characters.")
    if scheme != "standard-webhooks":
        if len(secret.strip()) < _SHORTEST_SECRET:
            raise ValueError(f"A secret has at least {_SHORTEST_SECRET} characters.")
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_STANDARD_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("A secret of this scheme is base64, usually after 'whsec_': copy it whole.") from None
    if len(key) < _SHORTEST_KEY:
        raise ValueError(f"A secret of this scheme holds at least {_SHORTEST_KEY} bytes.")
    return key


def verify(rule: SignatureRule, keys: Sequence[bytes], headers: Headers, body: bytes, now: float) -> None:
    """Return if one of the keys has signed this call; raises SignatureRefused. Names of headers are in lower case."""
    if not keys:
        raise SignatureRefused(Reason.UNARMED)
    match rule.scheme:
        case "standard-webhooks":
            _standard(rule, keys, headers, body, now)
        case "stripe":
            _stripe(rule, keys, headers, body, now)
        case "github":
            _bare(_Form(b"x-hub-signature-256", prefix=b"sha256="), keys, headers, body)
        case "shopify":
            _bare(_Form(b"x-shopify-hmac-sha256", encoding="base64"), keys, headers, body)
        case "hmac":
            _bare(_form_of(rule), keys, headers, body)


class _Form(msgspec.Struct, frozen=True):
    """Where a signature of nothing but the body stands, and how it is written."""

    header: bytes
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: bytes = b""


def _form_of(rule: SignatureRule) -> _Form:
    return _Form(rule.header.encode("latin-1"), rule.algorithm, rule.encoding, rule.prefix.encode("latin-1"))


def _bare(form: _Form, keys: Sequence[bytes], headers: Headers, body: bytes) -> None:
    given = _one(headers, form.header)
    if not given.startswith(form.prefix):
        raise SignatureRefused(Reason.MALFORMED)
    text = given[len(form.prefix) :]
    if form.encoding == "hex":
        text = text.lower()
    written = _WRITTEN[form.encoding]
    _require_any((written(_digest(key, form.algorithm, b"", body)) for key in keys), [text])


def _standard(rule: SignatureRule, keys: Sequence[bytes], headers: Headers, body: bytes, now: float) -> None:
    message_id = _one(headers, b"webhook-id")
    timestamp = _one(headers, b"webhook-timestamp")
    given = _one(headers, b"webhook-signature").split(b" ")
    # A dot in the id would move the border between what is signed as id and what as time.
    if b"." in message_id or len(given) > _MOST_SIGNATURES:
        raise SignatureRefused(Reason.MALFORMED)
    _require_fresh(timestamp, now, rule.tolerance_seconds)
    signatures = [text.removeprefix(b"v1,") for text in given if text.startswith(b"v1,")]
    head = message_id + b"." + timestamp + b"."
    _require_any((base64.b64encode(_digest(key, "sha256", head, body)) for key in keys), signatures)


def _stripe(rule: SignatureRule, keys: Sequence[bytes], headers: Headers, body: bytes, now: float) -> None:
    parts = [part.strip().partition(b"=") for part in _one(headers, b"stripe-signature").split(b",")]
    times = [value for name, _, value in parts if name == b"t"]
    if len(parts) > _MOST_SIGNATURES or len(times) != 1:
        raise SignatureRefused(Reason.MALFORMED)
    _require_fresh(times[0], now, rule.tolerance_seconds)
    signatures = [value for name, _, value in parts if name == b"v1"]
    _require_any((_hex(_digest(key, "sha256", times[0] + b".", body)) for key in keys), signatures)


def _one(headers: Headers, name: bytes) -> bytes:
    """Return a header that has to be there once: of two, nobody could say which one is meant."""
    found = [value for given, value in headers if given == name]
    if not found or not found[0].strip():
        raise SignatureRefused(Reason.MISSING)
    if len(found) > 1:
        raise SignatureRefused(Reason.MALFORMED)
    return found[0].strip()


def _require_fresh(timestamp: bytes, now: float, tolerance: int) -> None:
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureRefused(Reason.MALFORMED)
    if abs(now - int(timestamp)) > tolerance:
        raise SignatureRefused(Reason.STALE)


def _require_any(expected: Iterable[bytes], given: Sequence[bytes]) -> None:
    if not any([hmac.compare_digest(right, text) for right in expected for text in given]):  # noqa: C419 - no early end
        raise SignatureRefused(Reason.WRONG)


def _digest(key: bytes, algorithm: Algorithm, head: bytes, body: bytes) -> bytes:
    signing = hmac.new(key, head, algorithm)
    signing.update(body)
    return signing.digest()


def _hex(digest: bytes) -> bytes:
    return digest.hex().encode()


_WRITTEN: Final[dict[Encoding, Callable[[bytes], bytes]]] = {"hex": _hex, "base64": base64.b64encode}
