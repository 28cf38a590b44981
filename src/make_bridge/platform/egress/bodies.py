"""Reading a response's body, within a limit that counts before and after decompression.

``client`` lets nobody else decompress: a body of a hundred kilobytes may hold a hundred megabytes,
and a library that unpacks first and asks later has lost already.
"""

import asyncio
import zlib
from collections.abc import Iterator
from typing import Final

from aiohttp import ClientResponse

from make_bridge.platform.egress.messages import EgressFailure

ACCEPTED_ENCODINGS: Final = "gzip, deflate"
_CHUNK: Final = 64 * 1024
# What is unpacked at once, before other work gets its turn on the loop.
_STEP: Final = 1024 * 1024
# The first byte of a gzip file; the second may be in the next piece.
_GZIP_MAGIC: Final = b"\x1f"
_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_ZLIB_METHOD: Final = 8
# A gzip file may be several in a row. Real ones are few; thousands of tiny ones cost more than they hold.
_MAX_MEMBERS: Final = 64


async def read_body(response: ClientResponse, limit: int) -> tuple[bytes, bool]:
    """Return the body, and whether it was decompressed."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if response.content_length is not None and response.content_length > limit and response.method != "HEAD":
        raise too_large(limit)
    unpacker = Unpacker(limit) if encoding in {"gzip", "x-gzip", "deflate"} else None
    pieces: list[bytes] = []
    received = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        received += len(chunk)
        if received > limit:
            raise too_large(limit)
        if unpacker is None:
            pieces.append(chunk)
            continue
        for piece in unpacker.feed(chunk):
            pieces.append(piece)
            await asyncio.sleep(0)
    if unpacker and received:
        unpacker.finish()
    return b"".join(pieces), unpacker is not None and received > 0


async def read_start(response: ClientResponse, limit: int) -> bytes:
    """Return the first bytes of a body as they were sent, and leave the rest unread."""
    start = bytearray()
    async for chunk in response.content.iter_chunked(limit):
        start += chunk
        if len(start) >= limit:
            break
    return bytes(start[:limit])


def too_large(limit: int) -> EgressFailure:
    """Return the failure of an answer past the limit."""
    return EgressFailure("too_large", f"The answer is larger than {limit} bytes.", sent=True)


class Unpacker:
    """Decompresses gzip, zlib or bare deflate piece by piece, never past its limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._produced = 0
        self._members = 0
        self._stream: zlib._Decompress | None = None
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what this piece of the body holds."""
        while data and not self._ended:
            stream = self._stream_for(data)
            if stream is None:
                return
            try:
                piece = stream.decompress(data, min(_STEP, self._limit - self._produced + 1))
            except zlib.error:
                raise EgressFailure("protocol", "The answer's compression is broken.", sent=True) from None
            self._produced += len(piece)
            if self._produced > self._limit:
                raise too_large(self._limit)
            yield piece
            data = stream.unused_data if stream.eof else stream.unconsumed_tail

    def finish(self) -> None:
        """Refuse a body that stopped in the middle."""
        if self._stream is not None and not self._stream.eof:
            raise EgressFailure("protocol", "The answer's compressed body is cut off.", sent=True)

    def _stream_for(self, data: bytes) -> "zlib._Decompress | None":
        """Return the stream these bytes belong to; after the last member all else is padding."""
        if self._stream is not None and not self._stream.eof:
            return self._stream
        if self._stream is not None and not data.startswith(_GZIP_MAGIC):
            self._ended = True
            return None
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise EgressFailure("protocol", "The answer's compressed body has too many parts.", sent=True)
        has_header = data.startswith(_GZIP_MAGIC) or data[0] & 0x0F == _ZLIB_METHOD
        self._stream = zlib.decompressobj(_ZLIB_OR_GZIP if has_header else _RAW_DEFLATE)
        return self._stream
