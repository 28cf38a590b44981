"""Base64 for addresses and headers, read strictly: one text for one value.

Used by ``portal_tokens`` and ``sealing``. The standard library skips characters it does not know and
ignores loose bits at the end, so that many texts mean one value; a replayed token or a copied box
could then look new.
"""

import base64
import binascii


def encode(octets: bytes) -> str:
    """Return URL-safe text without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return what was encoded; raises ``ValueError`` for every text that ``encode`` does not write."""
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if encode(octets) != text:
        raise ValueError("not in canonical form")
    return octets
