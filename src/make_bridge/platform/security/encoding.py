"""Base64 for addresses and headers, read strictly: one text for one value.

Used by ``portal_tokens`` and ``sealing``. The standard library skips characters it does not know and
ignores loose bits at the end, so that many texts mean one value; a replayed token or a copied box
could then look new.
"""

import base64
import binascii
from typing import Final

# What the address-safe alphabet does not have: the other one's signs, and padding, which is never written.
_FOREIGN: Final = ("+", "/", "=")


def encode(octets: bytes) -> str:
    """Return URL-safe text without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return what was encoded; raises ``ValueError`` for every text that ``encode`` does not write."""
    if any(sign in text for sign in _FOREIGN):
        raise ValueError("not base64")
    standard = (text + "=" * (-len(text) % 4)).replace("-", "+").replace("_", "/")
    try:
        octets = binascii.a2b_base64(standard, strict_mode=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    # All but the last group have one form only; its loose bits are seen by writing it again.
    rest = len(octets) % 3
    if rest and encode(octets[-rest:]) != text[-(rest + 1) :]:
        raise ValueError("not in canonical form")
    return octets
