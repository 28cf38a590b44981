"""A stand-in for Elasticsearch and OpenSearch that takes their bulk API, as strictly as they do.

No distribution of either can be installed from the registries that the tests have. It checks what the real ones
refuse: method and path, the media type, credentials, NDJSON that ends with a line break, an action line before each
document, documents that are JSON objects with ``@timestamp`` (a data stream asks for it), ids that are there already
(409 for that item). What it then answers is up to the test: it may be silent, out of room, want smaller requests,
refuse single documents, or talk rubbish. It runs on a thread of the test process.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from support.network import free_port

_PATIENCE = 10.0
_LARGEST = 64 * 1024 * 1024


class BulkService:
    """See the module. Lists are appended to by the thread and only read by the test."""

    def __init__(self, index: str = "make-bridge-logs", authorization: str | None = None) -> None:
        self.port = free_port()
        self.index = index
        self.authorization = authorization
        self.documents: dict[str, dict[str, Any]] = {}
        self.raw: list[bytes] = []
        self.complaints: list[str] = []
        self.requests = 0
        self.repeated = 0
        self.status = 200
        self.most_bytes = _LARGEST
        self.refused_items: dict[str, int] = {}
        self.rubbish: bytes | None = None
        self.is_silent = False
        self.loses_answers = 0
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bulk service", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def events(self) -> list[str]:
        return [str(document["event"]) for document in list(self.documents.values())]

    def refuse(self, event: str, status: int) -> None:
        """Answer documents of this event with a status of their own."""
        self.refused_items[event] = status

    def start(self) -> "BulkService":
        self._thread.start()
        assert self._started.wait(_PATIENCE), "the bulk service did not start"
        return self

    def stop(self) -> None:
        """End; may be repeated."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{rest:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(self._runner.setup())
        self._loop.run_until_complete(web.TCPSite(self._runner, "127.0.0.1", self.port).start())
        self._started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _take(self, request: web.Request) -> web.Response:
        self.requests += 1
        body = await request.read()
        self.raw.append(body)
        if self.is_silent:
            await asyncio.sleep(3600)
        if self.authorization is not None and request.headers.get("Authorization") != self.authorization:
            return web.json_response({"error": {"type": "security_exception"}, "status": 401}, status=401)
        if request.path == "/" and request.method == "GET":
            return web.json_response({"version": {"number": "8.15.0"}})
        if self.status != 200:
            return web.json_response({"error": {"type": "made_up"}, "status": self.status}, status=self.status)
        if len(body) > self.most_bytes:
            return web.Response(status=413, text="<html>Request Entity Too Large</html>", content_type="text/html")
        if self.rubbish is not None:
            return web.Response(body=self.rubbish)
        answer = self._store(request, body)
        if self.loses_answers:
            self.loses_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return answer

    def _store(self, request: web.Request, body: bytes) -> web.Response:
        try:
            items = [self._store_one(*pair) for pair in self._pairs(request, body)]
        except (AssertionError, ValueError) as complaint:
            self.complaints.append(str(complaint))
            return web.json_response({"error": {"type": "illegal_argument_exception"}, "status": 400}, status=400)
        errors = any(item["create"]["status"] >= 300 for item in items)
        return web.json_response({"errors": errors, "items": items})

    def _pairs(self, request: web.Request, body: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        assert request.method in {"POST", "PUT"}, f"{request.method} is not allowed"
        assert request.path == f"/{self.index}/_bulk", f"{request.path} is no bulk address"
        assert request.content_type in {"application/x-ndjson", "application/json"}, request.content_type
        assert body.endswith(b"\n"), "The bulk request must be terminated by a newline"
        lines = body.split(b"\n")[:-1]
        assert len(lines) % 2 == 0, "an action without its document"
        assert b"\r" not in body, "a carriage return between lines"
        return [(json.loads(action), json.loads(line)) for action, line in zip(lines[::2], lines[1::2], strict=True)]

    def _store_one(self, action: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        assert list(action) == ["create"], f"a data stream takes no {list(action)}"
        assert set(action["create"]) <= {"_id", "_index"}, f"unknown members: {action}"
        known = str(action["create"]["_id"])
        assert 0 < len(known) <= 512, "an id has at most 512 bytes"
        assert isinstance(document, dict), "a document is an object"
        assert "@timestamp" in document, "a document of a data stream needs @timestamp"
        status = self.refused_items.get(str(document.get("event")), 201)
        if status == 201 and known in self.documents:
            self.repeated += 1
            status = 409
        if status == 201:
            self.documents[known] = document
        return {"create": {"_id": known, "status": status}}


@contextlib.contextmanager
def serving_bulk(index: str = "make-bridge-logs", authorization: str | None = None) -> Iterator[BulkService]:
    """A service for the block."""
    service = BulkService(index, authorization).start()
    try:
        yield service
    finally:
        service.stop()
