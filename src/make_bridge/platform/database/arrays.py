"""Binary arrays for statements over many rows.

The driver writes a list of bytes element by element in Python. A batch of hundreds of bodies is
joined here in one go, in the server's own array format (``array_recv``: dimensions, a null flag, the
element type, length and lower bound, then each element with its length).
"""

import struct
from collections.abc import Sequence

from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_BYTEA = 17
_BYTEA_ARRAY = 1001
_HEADER = struct.Struct("!IIIII")
_LENGTH = struct.Struct("!I")


class ByteaArray:
    """A list of byte strings about to be sent as one ``bytea[]``."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[bytes]) -> None:
        """Keep the list; it is joined when it is sent."""
        self.items = items


class ByteaArrayDumper(Dumper):
    """Writes a ``ByteaArray``."""

    format = Format.BINARY
    oid = _BYTEA_ARRAY

    def dump(self, obj: ByteaArray) -> Buffer:
        """Return the array as the server reads it."""
        pieces = [_HEADER.pack(1, 0, _BYTEA, len(obj.items), 1)]
        pack = _LENGTH.pack
        for item in obj.items:
            pieces.append(pack(len(item)))
            pieces.append(item)
        return b"".join(pieces)


def register(context: AdaptContext) -> None:
    """Teach a connection to write ``ByteaArray``."""
    if context.adapters is not None:
        context.adapters.register_dumper(ByteaArray, ByteaArrayDumper)
