"""What calls out are watched with: a resolver that answers from a script, and a record of every address dialled."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Names(AbstractResolver):
    """Answers from a script: each look-up of a name takes its next answer, the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(script) for name, script in answers.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        script = self.answers.get(host)
        if not script:
            raise OSError(None, "unknown name")
        return found(host, port, script.pop(0) if len(script) > 1 else script[0])

    async def close(self) -> None:
        self.answers.clear()


def found(host: str, port: int, addresses: list[str]) -> list[ResolveResult]:
    """Return what a resolver finds."""
    return [
        ResolveResult(hostname=host, host=address, port=port, family=_family(address), proto=0, flags=0)
        for address in addresses
    ]


class Dialled:
    """The interpreter's own record of connections; it sees what no part of the client can hide.

    An audit hook cannot be taken out again: make one for a whole run.
    """

    def __init__(self) -> None:
        self.addresses: list[tuple[str, int]] = []
        self.listening = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.listening and event == "socket.connect" and arguments[0].family in {socket.AF_INET, socket.AF_INET6}:
            self.addresses.append(arguments[1][:2])

    @contextmanager
    def heard(self) -> Iterator[list[tuple[str, int]]]:
        """Note what is dialled from here on."""
        self.addresses = []
        self.listening = True
        try:
            yield self.addresses
        finally:
            self.listening = False
