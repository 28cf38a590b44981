"""Values as bytes and back, for whoever stores them: data stores, journals, incomplete runs.

MessagePack keeps what JSON loses: a date comes back as a date, a buffer as a buffer. The markers (leave out, empty)
become null, half a surrogate pair becomes U+FFFD, as in all text that leaves a run.
"""

from typing import Any, Final

import msgspec

from make_bridge.engine.values import Value, encode_text
from make_bridge.kernel.errors import InvalidInput

_encode: Final = msgspec.msgpack.Encoder(enc_hook=lambda _marker: None).encode
_decode: Final = msgspec.msgpack.Decoder().decode


def pack(value: Value) -> bytes:
    """Return the bytes of a value; raises InvalidInput for one that is nested too deeply."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _encode(_with_whole_characters(value))
    except RecursionError:
        raise InvalidInput("This value is nested too deeply to be stored.") from None


def unpack(raw: bytes) -> Value:
    """Return the value of bytes made by `pack`."""
    value: Value = _decode(raw)
    return value


def _with_whole_characters(value: Any) -> Any:  # noqa: ANN401  any value in, the same kind out
    if isinstance(value, str):
        return encode_text(value).decode()
    if isinstance(value, dict):
        return {_with_whole_characters(key): _with_whole_characters(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_characters(item) for item in value]
    return value
