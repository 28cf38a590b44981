"""The webhook's face: a hook with API keys opens to them only, on both ways a request can come."""

import hashlib
from dataclasses import dataclass, field

import pytest

from make_bridge.domain.executions.trigger import CallHead, HookSettings
from make_bridge.engine.ports import WebhookResponse
from make_bridge.faces.edge.plain_http import PlainRequest
from make_bridge.faces.hooks.endpoint import HookEndpoint, hook_face
from make_bridge.kernel.errors import Unauthenticated
from support.asgi import Client

KEY = "hook-key-1"


@dataclass
class Accepting:
    """Targets and ingest in one: it knows one hook, and keeps the heads of the calls it takes."""

    settings: HookSettings
    taken: list[CallHead] = field(default_factory=list)

    async def find(self, _token):
        return self

    async def take(self, _target, head, _body):
        self.taken.append(head)
        return "e" * 32, WebhookResponse(status=200, headers=(("X-A", "1"),), body=b"Accepted")


@pytest.fixture
def accepting():
    return Accepting(HookSettings(api_keys=[hashlib.sha256(KEY.encode()).hexdigest()]))


@pytest.fixture
def face(accepting):
    return hook_face(HookEndpoint(accepting, accepting, max_body_bytes=100))


async def test_a_call_with_the_key_is_taken_and_the_key_is_not_kept(face, accepting):
    answer = await Client(face.application).send("GET", "/hook/t?a=1", headers=[("X-Make-ApiKey", KEY)])
    status, _, _ = await face.plain(PlainRequest("/hook/t", b"", [(b"x-make-apikey", KEY.encode())], b"{}"))
    assert (answer.status, status) == (200, 200)
    assert len(accepting.taken) == 2
    assert KEY not in str(accepting.taken)


@pytest.mark.parametrize("headers", [[], [("X-Make-ApiKey", "wrong")], [("X-Make-ApiKey", "")], [("X-Api-Key", KEY)]])
async def test_a_call_without_the_key_is_refused_before_its_body_is_read(headers, face, accepting):
    with pytest.raises(Unauthenticated):
        await Client(face.application).send("POST", "/hook/t", headers=headers, body=b"{}")
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    with pytest.raises(Unauthenticated):
        await face.plain(PlainRequest("/hook/t", b"", raw, b"{}"))
    assert accepting.taken == []
