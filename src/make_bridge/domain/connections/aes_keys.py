"""What makes the key of a cipher: as many bytes as AES takes, however they are written. Pure; used by the types."""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

_LENGTHS: Final = (16, 24, 32)


def wrong_key(values: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with a key, by field; the key itself is in no sentence."""
    encoding = values["keyEncoding"]
    try:
        size = len(_decoded(values["key"], encoding))
    except (ValueError, binascii.Error):
        return {"key": f"This is not {'hexadecimal' if encoding == 'hex' else 'Base64'}."}
    if size not in _LENGTHS:
        return {"key": f"An AES key has 16, 24 or 32 bytes; this has {size}."}
    return {}


def _decoded(text: str, encoding: str) -> bytes:
    match encoding:
        case "hex":
            return bytes.fromhex(text)
        case "base64":
            return base64.b64decode(text, validate=True)
        case _:
            return text.encode()
