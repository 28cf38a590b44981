"""The ``Idempotency-Key`` of a request: what makes a retry the same request and not a second one.

The command bus keeps the key with this digest and the answer. The digest covers what was asked for, so that a key used
again for something else is a conflict and not a stranger's answer.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from make_bridge.kernel.errors import InvalidInput

_LONGEST = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """The key of a request that may be repeated, with the digest of what it asks."""

    key: str
    digest: bytes


def read_repetition(request: Request, body: bytes) -> Repetition | None:
    """Return the key and the digest, None without the header; raises InvalidInput for a key that is none."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    key = keys[0]
    if len(keys) > 1 or not 0 < len(key) <= _LONGEST or not all("!" <= character <= "~" for character in key):
        message = f"The Idempotency-Key header must be one key of 1 to {_LONGEST} visible ASCII characters."
        raise InvalidInput(message, code="invalid_idempotency_key")
    return Repetition(key=key, digest=_digest(request, body))


def _digest(request: Request, body: bytes) -> bytes:
    parts: Sequence[bytes] = (
        request.method.encode(), request.scope["path"].encode(), request.scope["query_string"], body
    )  # fmt: skip
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
