"""Decompressing piece by piece, within a limit."""

import gzip
import tracemalloc
import zlib

import pytest

from make_bridge.platform.egress.bodies import Unpacker
from make_bridge.platform.egress.messages import EgressFailure

TEXT = b"one of many words, " * 500


def bare_deflate(data):
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def unpack(packed, limit=100_000, step=1):
    unpacker = Unpacker(limit)
    pieces = [piece for start in range(0, len(packed), step) for piece in unpacker.feed(packed[start : start + step])]
    unpacker.finish()
    return b"".join(pieces)


@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
@pytest.mark.parametrize(
    "packed", [gzip.compress(TEXT), zlib.compress(TEXT), bare_deflate(TEXT)], ids=["gzip", "zlib", "deflate"]
)
def test_gzip_zlib_and_bare_deflate_are_read_in_pieces_of_any_size(packed, step):
    assert unpack(packed, step=step) == TEXT


@pytest.mark.parametrize("step", [1, 13, 10_000])
def test_several_gzip_files_in_a_row_are_one_body_and_padding_is_ignored(step):
    packed = gzip.compress(TEXT) + gzip.compress(b"") + gzip.compress(b"end") + b"\x00" * 20
    assert unpack(packed, step=step) == TEXT + b"end"


def test_a_body_exactly_at_the_limit_is_taken_and_one_byte_more_is_not():
    assert unpack(gzip.compress(TEXT), limit=len(TEXT), step=100) == TEXT
    with pytest.raises(EgressFailure) as caught:
        unpack(gzip.compress(TEXT), limit=len(TEXT) - 1, step=100)
    assert caught.value.kind == "too_large"


def test_a_bomb_is_stopped_at_the_limit_and_not_after():
    bomb = gzip.compress(b"\0" * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(EgressFailure) as caught:
            list(Unpacker(3_000_000).feed(bomb))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.kind == "too_large"
    assert most < 6_000_000


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(TEXT)[:-9], b"\x1f\x8b\x08 no gzip at all", gzip.compress(b"x") * 65],
    ids=["cut", "broken", "endless"],
)
def test_a_cut_broken_or_endlessly_divided_body_is_refused(packed):
    with pytest.raises(EgressFailure) as caught:
        unpack(packed, step=50)
    assert caught.value.kind == "protocol"
