"""A mail server for tests: it speaks SMTP on a real socket and keeps what it takes.

It can refuse, be silent, close, or speak TLS, as the test says; it notes the commands it heard, so that a test sees
what was said before encryption and what after.
"""

import asyncio
import base64
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

_LONGEST = 64 * 1024 * 1024


@dataclass
class Taken:
    """One message that was taken."""

    sender: str
    recipients: list[str]
    message: bytes
    encrypted: bool
    user: str


@dataclass
class MailServer:
    """See the module. ``answers`` replaces the answer to a command, by its first word in capitals."""

    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    users: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    silent_after: str = ""
    port: int = 0
    ports: tuple[int, ...] = (0,)
    taken: list[Taken] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    connections: int = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["MailServer"]:
        """Listen on the loopback: on the first free of `ports`, by default on any."""
        listener = await self._listen()
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()

    async def _listen(self) -> asyncio.Server:
        tls = self.tls if self.implicit_tls else None
        for port in self.ports:
            with suppress(OSError):
                return await asyncio.start_server(self._talk, "127.0.0.1", port, ssl=tls, limit=_LONGEST)
        raise AssertionError(f"none of the ports {self.ports} is free")

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        talk = _Talk(self, reader, writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await talk.hold()
        writer.close()


class _Talk:
    """One connection."""

    def __init__(self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.encrypted = server.implicit_tls
        self.user = ""
        self.sender = ""
        self.recipients: list[str] = []

    async def hold(self) -> None:
        await self._say(self.server.answers.get("CONNECT", "220 mail.example ready"))
        while True:
            line = (await self.reader.readuntil(b"\r\n")).decode().rstrip("\r\n")
            self.server.heard.append(line)
            word = line.split(" ")[0].upper()
            if self.server.silent_after == word:
                await self.reader.read()
                return
            if word in self.server.answers:
                await self._say(self.server.answers[word])
                continue
            if not await self._obey(word, line):
                return

    async def _obey(self, word: str, line: str) -> bool:
        match word:
            case "EHLO":
                await self._say(*self._features())
            case "STARTTLS" if self.server.tls is not None:
                await self._say("220 go ahead")
                await self.writer.start_tls(self.server.tls)
                self.encrypted = True
            case "AUTH":
                await self._log_in(line)
            case "MAIL":
                self.sender, self.recipients = _address(line), []
                await self._say("250 ok")
            case "RCPT":
                await self._recipient(_address(line))
            case "DATA":
                await self._take()
            case "QUIT":
                await self._say("221 bye")
                return False
            case _:
                await self._say("502 what?")
        return True

    def _features(self) -> list[str]:
        features = ["250-mail.example", "250-SIZE 50000000"]
        if self.server.tls is not None and not self.encrypted:
            features.append("250-STARTTLS")
        if self.server.users and self.encrypted:
            features.append("250-AUTH PLAIN")
        return [*features, "250 8BITMIME"]

    async def _log_in(self, line: str) -> None:
        _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\x00")
        if self.server.users.get(user) != password:
            await self._say("535 no")
            return
        self.user = user
        await self._say("235 welcome")

    async def _recipient(self, address: str) -> None:
        if address in self.server.refused:
            await self._say("550 no such\x1b[2J mailbox")
            return
        self.recipients.append(address)
        await self._say("250 ok")

    async def _take(self) -> None:
        await self._say("354 go on")
        raw = await self.reader.readuntil(b"\r\n.\r\n")
        message = raw[: -len(b".\r\n")].replace(b"\r\n..", b"\r\n.")
        self.server.taken.append(Taken(self.sender, self.recipients, message, self.encrypted, self.user))
        await self._say(self.server.answers.get("TAKEN", "250 kept"))

    async def _say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self.writer.drain()


@contextmanager
def serving_mail(server: MailServer) -> Iterator[MailServer]:
    """Serve on a thread of its own, beside a test that waits for a server in another process."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with server.serving():
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="mail", daemon=True)
    thread.start()
    assert ready.wait(10), "the mail server did not start"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
