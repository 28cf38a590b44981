"""A person with the link of a credential request: what the page behind it sends."""

import json
from dataclasses import dataclass, field
from typing import Any

from support.asgi import Answer, Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Somebody who was given a link."""

    client: Client
    link: str
    secret: str = field(repr=False)

    @classmethod
    def of(cls, client: Client, public_uri: str) -> "Holder":
        """Open a ``publicUri``."""
        page, _, secret = public_uri.partition("#")
        return cls(client=client, link=page.rpartition("/")[2], secret=secret)

    async def send(self, method: str, path: str = "", body: Any = None, *, secret: str | None = None) -> Answer:
        """Make a call of the page."""
        headers = [("Flow-Secret", self.secret if secret is None else secret)]
        raw = b""
        if body is not None:
            headers.append(("Content-Type", "application/json"))
            raw = json.dumps(body).encode()
        return await self.client.send(method, f"/hand-over-api/{self.link}{path}", headers=headers, body=raw)

    async def ask(self, method: str, path: str = "", body: Any = None) -> Any:
        """Make a call that must succeed."""
        answer = await self.send(method, path, body)
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json()
