"""Signing as Standard Webhooks 1.0 describes it: secrets, the signed text, the header. Pure but for fresh bytes.

What is signed is ``{id}.{timestamp}.{body}`` over the bytes that are sent. While a secret is being changed two
signatures stand in the header, separated by a space, and a receiver accepts a message when either of them fits.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from make_bridge.kernel.errors import InvalidInput

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
FEWEST_BYTES: Final = 24
MOST_BYTES: Final = 64
_VERSION: Final = "v1"


def new_secret() -> str:
    """Return a fresh secret in the form in which it is shown."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def read_secret(text: str) -> bytes:
    """Return the bytes of a secret; raises InvalidInput for one of another form, without showing it."""
    try:
        material = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        material = b""
    if not text.startswith(PREFIX) or not FEWEST_BYTES <= len(material) <= MOST_BYTES:
        raise InvalidInput(f"A secret is {PREFIX} and the base64 of {FEWEST_BYTES} to {MOST_BYTES} bytes.")
    return material


def signature_header(message_id: str, timestamp: int, body: bytes, materials: Sequence[bytes]) -> str:
    """Return the value of ``webhook-signature``: one signature for each secret, the newest first."""
    if "." in message_id:
        raise ValueError("The id of a message holds no dot: it would move the borders of what is signed.")
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        f"{_VERSION},{base64.b64encode(hmac.digest(material, signed, 'sha256')).decode()}" for material in materials
    )
