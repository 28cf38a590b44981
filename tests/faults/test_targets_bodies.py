"""Targets whose answer is larger than anybody can take: without an end, declared, packed, or in a redirect.

The oracle is a process of its own per call, which tells how the call ended, after how long, and by how much its memory
grew at most. The answers are made once: a hundred megabytes of zeros pack to a hundred kilobytes. (F-43)
"""

import asyncio
import gzip
import json
import sys
import zlib
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import pytest

from faults.scene import tell
from make_bridge.platform.egress.bodies import ACCEPTED_ENCODINGS
from support.hostile import Connection, Request, misbehaving

pytestmark = pytest.mark.timeout(120)
LIMIT = 5 * 1024 * 1024
MOST_GROWTH_KB = 32 * 1024
MOST_SECONDS = 2.0
UNPACKED = 100 * 1024 * 1024
GIVEN_UP = 60.0
_EATER = Path(__file__).with_name("eater.py")
_PIECE = b"x" * 65_536


@cache
def gzip_bomb() -> bytes:
    return gzip.compress(bytes(UNPACKED))


@cache
def deflate_bomb() -> bytes:
    return zlib.compress(bytes(UNPACKED))


async def without_end(connection: Connection, request: Request) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await connection.send(b"10000\r\n" + _PIECE + b"\r\n")


async def until_it_hangs_up(connection: Connection, request: Request) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        await connection.send(_PIECE)


async def declared(connection: Connection, request: Request) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
    while True:
        await connection.send(_PIECE)


async def endless_head(connection: Connection, request: Request) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\n")
    number = 0
    while True:
        number += 1
        await connection.send(f"X-{number}: ".encode() + _PIECE[:1000] + b"\r\n")


async def packed_by_gzip(connection: Connection, request: Request) -> None:
    await connection.answer(gzip_bomb(), "200 OK", "Content-Encoding: gzip")


async def packed_by_deflate(connection: Connection, request: Request) -> None:
    await connection.answer(deflate_bomb(), "200 OK", "Content-Encoding: deflate")


async def many_members(connection: Connection, request: Request) -> None:
    await connection.answer(gzip.compress(b"") * 200_000, "200 OK", "Content-Encoding: gzip")


async def packed_twice(connection: Connection, request: Request) -> None:
    await connection.answer(gzip.compress(gzip_bomb()), "200 OK", "Content-Encoding: gzip, gzip")


async def packed_in_a_redirect(connection: Connection, request: Request) -> None:
    if request.path != "/end":
        await connection.answer(gzip_bomb(), "302 Found", "Content-Encoding: gzip", "Location: /end")
        return
    await connection.answer(b"the end")


async def without_end_in_a_redirect(connection: Connection, request: Request) -> None:
    if request.path != "/end":
        await connection.send(b"HTTP/1.1 302 Found\r\nLocation: /end\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await connection.send(b"10000\r\n" + _PIECE + b"\r\n")
    await connection.answer(b"the end")


async def packed_by_brotli(connection: Connection, request: Request) -> None:
    # What it is does not matter: nobody here reads it a first time, let alone a second.
    await connection.answer(gzip_bomb(), "200 OK", "Content-Encoding: br")


# How the call ends, and the bytes it brings.
BODIES: dict[str, tuple[Callable[[Connection, Request], Awaitable[None]], str, int]] = {
    "a body without an end": (without_end, "too_large", 0),
    "a body until it hangs up": (until_it_hangs_up, "too_large", 0),
    "ten gigabytes declared": (declared, "too_large", 0),
    "a head without an end": (endless_head, "protocol", 0),
    "packed by gzip": (packed_by_gzip, "too_large", 0),
    "packed by deflate": (packed_by_deflate, "too_large", 0),
    "200 000 members": (many_members, "protocol", 0),
    "packed in a redirect": (packed_in_a_redirect, "answered", 7),
    "without an end in a redirect": (without_end_in_a_redirect, "answered", 7),
}


async def eat(url: str) -> dict[str, float | str]:
    """Make one call in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, _EATER, url, str(LIMIT), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(GIVEN_UP):
            written, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told: dict[str, float | str] = json.loads(written)
    return told


@pytest.mark.parametrize("body", BODIES)
async def test_an_answer_that_is_too_large_is_left_where_it_is(body: str) -> None:
    answer, ended, size = BODIES[body]
    gzip_bomb()
    deflate_bomb()

    async def talk(connection: Connection) -> None:
        while True:
            await answer(connection, await connection.request())

    with misbehaving(talk) as target:
        told = await eat(target.url())
    tell(f"F-43 {body}: {told}, limits {MOST_GROWTH_KB} kB and {MOST_SECONDS:g} s")
    assert (told["ended"], told["size"]) == (ended, size)
    assert float(told["growth_kb"]) <= MOST_GROWTH_KB
    assert float(told["seconds"]) <= MOST_SECONDS


@pytest.mark.parametrize("body", [packed_by_brotli, packed_twice])
async def test_what_nobody_asked_for_is_handed_on_as_it_came(
    body: Callable[[Connection, Request], Awaitable[None]],
) -> None:
    gzip_bomb()

    async def talk(connection: Connection) -> None:
        await body(connection, await connection.request())

    with misbehaving(talk) as target:
        told = await eat(target.url())
        [request] = target.requests
    tell(f"F-43 {body.__name__}: {told}, offered {request.headers['accept-encoding']}")
    assert request.headers["accept-encoding"] == ACCEPTED_ENCODINGS == "gzip, deflate"
    assert told["ended"] == "answered"
    assert float(told["size"]) <= len(gzip_bomb())
    assert float(told["growth_kb"]) <= MOST_GROWTH_KB
    assert float(told["seconds"]) <= MOST_SECONDS
