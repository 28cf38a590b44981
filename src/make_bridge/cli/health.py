"""``health``: asks a server whether it is ready, for containers, which have no shell and no other program to ask with.

It loads nothing of the server, because it is started every few seconds beside one, and it answers within its seconds
whatever the server does.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from make_bridge.cli.output import command, complain, say
from make_bridge.kernel.errors import BridgeError, ConfigurationError

_MOST_BYTES: Final = 64 * 1024
_READY: Final = 200


@command
async def health(
    *,
    url: Annotated[str, typer.Option("--url", help="What to ask.")] = "http://127.0.0.1:8080/ready",
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=60.0, help="How long to wait.")] = 3.0,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="The server's certificate, which is trusted under any name.")
    ] = None,
) -> None:
    """Ask a server on this machine whether it is ready; ends with 1 when it is not."""
    try:
        async with asyncio.timeout(seconds):
            status, said = await ask(url, certificate)
    except TimeoutError:
        raise BridgeError(f"No answer from {url} within {seconds:g} seconds.") from None
    except OSError as error:
        raise BridgeError(f"{url} cannot be reached: {error.strerror or error}.") from error
    if status != _READY:
        complain(f"{status} {said}")
        raise typer.Exit(1)
    say(said)


async def ask(url: str, certificate: Path | None, *, most: int = _MOST_BYTES) -> tuple[int, str]:
    """Return status and body of an answer; a body that is larger than any of ours is cut off."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        raise ConfigurationError(f"{url} is not an address like http://127.0.0.1:8080/ready.")
    tls = _trust(certificate) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    try:
        head = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("ascii", "replace"))
        answer = await _read(reader, most)
    finally:
        writer.close()
    line, _, rest = answer.partition(b"\r\n")
    words = line.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():  # noqa: PLR2004 - version, status
        raise BridgeError(f"What answers at {url} does not speak HTTP.")
    return int(words[1]), rest.partition(b"\r\n\r\n")[2].decode("utf-8", "replace").strip()


async def _read(reader: asyncio.StreamReader, most: int) -> bytes:
    answer = b""
    while len(answer) < most and (part := await reader.read(most)):
        answer += part
    return answer[:most]


def _trust(certificate: Path | None) -> ssl.SSLContext:
    """Trust what the machine trusts, or this one certificate: the server is asked by an address, not by its name."""
    context = ssl.create_default_context(cafile=certificate)
    if certificate is not None:
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
