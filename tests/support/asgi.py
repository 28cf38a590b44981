"""A small client that drives an ASGI application directly: no sockets, no second HTTP library.

It sends exactly the bytes a test names (also the dishonest ones: a lying content length, pieces that never end) and
notes how much of the body the application has asked for.
"""

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Message = MutableMapping[str, Any]
Application = Callable[[dict[str, Any], Callable[..., Any], Callable[..., Any]], Any]


@dataclass(slots=True, kw_only=True)
class Answer:
    """What came back; how many bytes of the body were taken before it was decided, and thrown away after."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    taken: int = 0
    thrown_away: int = 0

    def header(self, name: str) -> Any:
        """Return a header's value, None without one; nothing is sent twice."""
        found = [value for key, value in self.headers if key == name.lower()]
        assert len(found) <= 1, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends requests to one application."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] | AsyncIterable[bytes] = b"",
        content_length: int | None = -1,
    ) -> Answer:
        """Send one request; ``content_length`` -1 is the honest one of plain bytes, None announces none."""
        path, _, query = target.partition("?")
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        if not any(name == b"host" for name, _ in raw):
            raw.append((b"host", b"bridge.example"))
        if isinstance(body, bytes):
            length = len(body) if content_length == -1 else content_length
        else:
            length = None if content_length == -1 else content_length
            if length is None:
                raw.append((b"transfer-encoding", b"chunked"))
        if length is not None:
            raw.append((b"content-length", str(length).encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": raw,
            "client": ("192.0.2.1", 40000),
            "server": ("bridge.example", 80),
        }
        answer = Answer()
        await self._application(scope, _Reader(_pieces(body), answer).receive, _writer(answer))
        return answer

    async def get(self, target: str, **more: Any) -> Answer:
        return await self.send("GET", target, **more)

    async def post(self, target: str, **more: Any) -> Answer:
        return await self.send("POST", target, **more)


class _Reader:
    """Gives out the body piece by piece, then says that the client is gone."""

    def __init__(self, pieces: AsyncIterator[bytes], answer: Answer) -> None:
        self._pieces = pieces
        self._answer = answer
        self._ended = False

    async def receive(self) -> Message:
        if self._ended:
            return {"type": "http.disconnect"}
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if self._answer.status:
            self._answer.thrown_away += len(piece)
        else:
            self._answer.taken += len(piece)
        return {"type": "http.request", "body": piece, "more_body": True}


async def _pieces(body: bytes | Iterable[bytes] | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, AsyncIterable):
        async for piece in body:
            yield piece
    else:
        for piece in [body] if isinstance(body, bytes) else body:
            yield piece


def _writer(answer: Answer) -> Callable[[Message], Any]:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert answer.status == 0, "the answer began twice"
            answer.status = message["status"]
            answer.headers = [(name.decode(), value.decode("latin-1")) for name, value in message["headers"]]
        else:
            assert answer.status, "a body without a head"
            answer.body += message.get("body", b"")

    return send
