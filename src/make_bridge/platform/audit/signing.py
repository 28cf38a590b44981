"""Signing heads of the chain: what somebody with all rights on the database, but without the root key, cannot do.

Whoever owns the database could change a row and compute every hash after it anew. The head of each chain, its anchors
and the checkpoint of what was dropped are therefore signed (HMAC-SHA-256) with a key of the installation that is kept
wrapped by the root key, so that a rotation of the root changes no signature (``domain/organizations/audit_key``).
"""

import hashlib
import hmac
from typing import Final, Literal

import msgspec

from make_bridge.kernel.messages import Home
from make_bridge.platform.audit.chain import joined

Kind = Literal["head", "anchor", "dropped"]
_FORMAT: Final = "make-bridge audit head 1"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a chain: everything up to ``sequence`` gives ``hash``."""

    home: Home
    organization_id: int
    sequence: int
    hash: bytes


class Signer:
    """Signs and checks; its repr shows nothing of the key."""

    def __init__(self, material: bytes) -> None:
        """Take the installation's key."""
        self._material = material

    def sign(self, kind: Kind, head: Head) -> bytes:
        """Return the signature of a head."""
        text = joined(_FORMAT, kind, head.home, str(head.organization_id), str(head.sequence), head.hash)
        return hmac.new(self._material, text, hashlib.sha256).digest()

    def accepts(self, kind: Kind, head: Head, signature: bytes) -> bool:
        """Say whether a signature is this installation's."""
        return hmac.compare_digest(self.sign(kind, head), signature)

    def __repr__(self) -> str:
        return "Signer(…)"
