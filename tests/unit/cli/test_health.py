"""``make-bridge health``: what a container asks its own server with."""

import asyncio
import contextlib
import inspect
import subprocess
import sys

import pytest
import typer

from make_bridge.cli import health
from make_bridge.kernel.errors import BridgeError, ConfigurationError
from support.network import free_port

PATIENT, HASTY = 30.0, 0.3


@contextlib.asynccontextmanager
async def answering(answer: bytes, *, ends: bool = True):
    """Serve one answer to everybody, and hold the line afterwards if it does not end."""
    asked = []

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        if not ends:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ready", asked
    finally:
        server.close()


def told(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


async def ask(url, seconds=PATIENT):
    await inspect.unwrap(health.health)(url=url, seconds=seconds, certificate=None)


async def test_a_server_that_is_ready_is_well(capsys):
    async with answering(told(b"200 OK", b'{"status":"ready"}')) as (url, asked):
        await ask(url)
    assert capsys.readouterr().out == '{"status":"ready"}\n'
    assert asked[0].startswith(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_one_that_is_not_tells_why_and_is_a_failure(capsys):
    async with answering(told(b"503 Service Unavailable", b'{"reasons":["The database does not answer."]}')) as (
        url,
        _,
    ):
        with pytest.raises(typer.Exit) as ended:
            await ask(url)
    assert ended.value.exit_code == 1
    assert "The database does not answer." in capsys.readouterr().err


async def test_one_that_is_not_there_is_a_sentence():
    with pytest.raises(BridgeError, match=r"cannot be reached"):
        await ask(f"http://127.0.0.1:{free_port()}/ready")


async def test_one_that_holds_the_line_is_waited_for_no_longer_than_asked():
    async with answering(b"HTTP/1.1 200 OK\r\n", ends=False) as (url, _):
        with pytest.raises(BridgeError, match=r"within 0.3 seconds"):
            await ask(url, HASTY)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n"], ids=range(4))
async def test_what_speaks_no_http_is_not_well(answer):
    async with answering(answer) as (url, _):
        with pytest.raises(BridgeError, match="does not speak HTTP"):
            await ask(url)


async def test_an_answer_without_an_end_is_cut_off():
    async with answering(told(b"200 OK", b"x" * 1_000_000)) as (url, _):
        await ask(url)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/ready", "127.0.0.1:8080", "http:///ready"])
async def test_an_address_that_is_none_is_a_sentence(url):
    with pytest.raises(ConfigurationError, match="is not an address like"):
        await ask(url)


def test_it_loads_nothing_of_the_server():
    code = "import sys, make_bridge.cli.health; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert {name.split(".")[1] for name in loaded if name.startswith("make_bridge.")} == {"cli", "kernel"}
    assert loaded & {"psycopg", "aiohttp", "pydantic_settings", "sqlalchemy", "starlette"} == set()
