"""Ports for servers under test, and HTTP as plainly as it goes: one request on one connection, byte for byte.

A server that is killed and started again needs the same port each time, so a port is chosen first. It lies below the
range from which the kernel takes the ports of outgoing connections: one of those could otherwise sit on it while the
server is down. None of the ports chosen here is one that calls out of scenarios are refused to.
"""

import http.client
import json
import secrets
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_FIRST, _COUNT = 20000, 5000
_PATIENCE = 60.0


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    for _ in range(200):
        port = _FIRST + secrets.randbelow(_COUNT)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port between {_FIRST} and {_FIRST + _COUNT}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        """Show the answer in the message of a failed test."""
        return f"{self.status} {self.body[:2000]!r}"


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    json_body: object = None,
    patience: float = _PATIENCE,
    source: str | None = None,
    certificate: Path | None = None,
) -> Reply:
    """Send one request and return whatever is answered; nothing is followed, kept or retried.

    ``source`` is the address to call from: this machine has all that begin with 127. ``certificate`` is what an
    https server has to show.
    """
    address = urlsplit(url)
    target = address.path + (f"?{address.query}" if address.query else "")
    given = dict(headers or {})
    if json_body is not None:
        body = json.dumps(json_body).encode()
        given.setdefault("Content-Type", "application/json")
    here = None if source is None else (source, 0)
    host, port = address.hostname or "", address.port
    if certificate is None:
        connection = http.client.HTTPConnection(host, port, timeout=patience, source_address=here)
    else:
        trusting = ssl.create_default_context(cafile=certificate)
        connection = http.client.HTTPSConnection(host, port, timeout=patience, context=trusting)
    try:
        _write(connection, method, target or "/", given, body)
        response = connection.getresponse()
        headers_read = {name.lower(): value for name, value in response.getheaders()}
        return Reply(status=response.status, headers=headers_read, body=response.read())
    finally:
        connection.close()


def _write(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> None:
    """Write a request. A server may answer before it has read all of it, and hang up: the answer counts."""
    try:
        connection.request(method, target, body=body, headers=dict(headers))
    except (BrokenPipeError, ConnectionResetError):
        if body is None:
            raise
