"""Taking a call's own credential out of what the other side answers.

Used by ``http_calls`` and ``email``. A scenario never sees the credential it calls with; a server that quotes what it
was sent, as many do in errors and echoes, would hand it over, and from there it would go into logs, journal, stored
runs and whatever the scenario sends on. What is exchanged in the clear form and in those that a request or an answer
gives it; a server that means to change its form can. Short texts are left alone: they would be found in ordinary data.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, quote_plus

from make_bridge.engine.ports import HttpResponse

CONCEALED: Final = "***"
SHORTEST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Concealed:
    """What is taken out; nothing by default. Its repr shows none of it."""

    marks: tuple[str, ...] = field(default=(), repr=False)

    def more(self, *secrets: str) -> "Concealed":
        """Return the same with these texts in every form that they take on the wire."""
        forms = (form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret))
        # A form that holds another one goes first.
        marks = sorted({*self.marks, *forms}, key=lambda mark: (-len(mark), mark))
        return Concealed(marks=tuple(marks))

    def text(self, text: str) -> str:
        """Return a text without them."""
        for mark in self.marks:
            text = text.replace(mark, CONCEALED)
        return text

    def response(self, response: HttpResponse) -> HttpResponse:
        """Return an answer without them, in body, headers and address."""
        if not self.marks:
            return response
        return replace(
            response,
            headers=tuple((name, self.text(value)) for name, value in response.headers),
            body=self._body(response.body),
            url=self.text(response.url),
        )

    def _body(self, body: bytes) -> bytes:
        for mark in self.marks:
            raw = mark.encode("utf-8", "replace")
            if raw in body:
                body = body.replace(raw, CONCEALED.encode())
        return body


def _forms(secret: str) -> set[str]:
    """Return the secret as it is, and as addresses, forms and JSON write it."""
    plain, ascii_only = json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(secret)[1:-1]
    escaped = {plain, ascii_only, plain.replace("/", "\\/"), ascii_only.replace("/", "\\/")}
    raw = secret.encode("utf-8", "replace")
    return {secret, secret.strip(), quote(raw, safe=""), quote(raw), quote_plus(raw), *escaped}
