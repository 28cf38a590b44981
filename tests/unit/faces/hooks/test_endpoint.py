"""The webhook's face: a hook with API keys opens to them only, on both ways a request can come."""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from make_bridge.domain.executions.senders import Senders, Signed
from make_bridge.domain.executions.trigger import CallHead, HookSettings
from make_bridge.domain.scenarios.signatures import SignatureRule
from make_bridge.engine.ports import WebhookResponse
from make_bridge.faces.edge.plain_http import PlainRequest
from make_bridge.faces.hooks.endpoint import HookEndpoint, hook_face
from make_bridge.kernel.clock import ManualClock, SystemClock
from make_bridge.kernel.errors import RateLimited, Unauthenticated
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.limits.shared import SharedRateLimit
from support.asgi import Client

KEY = "hook-key-1"


@dataclass
class Accepting:
    """Targets and ingest in one: it knows one hook, and keeps the heads of the calls it takes."""

    settings: HookSettings
    hook_id: int = 1
    organization_id: int = 7
    signature: Signed | None = None
    only_learns: bool = False
    taken: list[CallHead] = field(default_factory=list)
    learned: list[bytes] = field(default_factory=list)

    async def find(self, _token):
        return self

    async def take(self, _target, head, _body):
        self.taken.append(head)
        return "e" * 32, WebhookResponse(status=200, headers=(("X-A", "1"),), body=b"Accepted")

    async def learn(self, _target, _head, body):
        self.learned.append(body)
        return WebhookResponse(status=200, headers=(("X-A", "1"),), body=b"Learned")


@pytest.fixture
def accepting():
    return Accepting(HookSettings(api_keys=[hashlib.sha256(KEY.encode()).hexdigest()]))


@pytest.fixture
def calls():
    """The limit of calls for each hook: as many as a test here needs."""
    clock = ManualClock(datetime(2026, 11, 22, tzinfo=UTC))
    return SharedRateLimit(LocalRateLimit(Rate(name="hook", most=3, seconds=3.0), clock, keys=9))


@pytest.fixture
def refused():
    return []


@pytest.fixture
def face(accepting, refused, calls):
    senders = Senders(SystemClock(), refused.append)
    return hook_face(HookEndpoint(accepting, accepting, senders, calls, max_body_bytes=100))


@pytest.fixture
def signing(accepting):
    """The hook asks for a signature, and for no key."""
    accepting.settings = HookSettings()
    accepting.signature = Signed(rule=SignatureRule(scheme="github"), keys=(b"secret-1",))
    return accepting


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


async def test_a_signed_call_is_taken_on_both_ways(face, signing):
    signature = "sha256=" + hmac.new(b"secret-1", b"{ }", "sha256").hexdigest()
    answer = await Client(face.application).send(
        "POST", "/hook/t", headers=[("X-Hub-Signature-256", signature)], body=b"{ }"
    )
    raw = [(b"x-hub-signature-256", signature.encode())]
    status, _, _ = await face.plain(PlainRequest("/hook/t", b"", raw, b"{ }"))
    assert (answer.status, status, len(signing.taken)) == (200, 200, 2)


@pytest.mark.attack("D04")
@pytest.mark.parametrize(
    ("signature", "reason"),
    [(None, "missing"), ("", "missing"), ("md5=1", "malformed"), ("sha256=1", "wrong"), ("sha256=é", "wrong")],
)
async def test_a_refusal_says_the_same_for_every_reason_and_takes_nothing(signature, reason, face, signing, refused):
    headers = [] if signature is None else [("X-Hub-Signature-256", signature)]
    with pytest.raises(Unauthenticated, match="This webhook takes signed calls only") as long_way:
        await Client(face.application).send("POST", "/hook/t", headers=headers, body=b"{}")
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    with pytest.raises(Unauthenticated) as short_way:
        await face.plain(PlainRequest("/hook/t", b"", raw, b"{}"))
    assert long_way.value.message == short_way.value.message
    assert (signing.taken, refused) == ([], [reason, reason])


@pytest.mark.attack("D01")
async def test_a_hook_that_is_to_be_signed_and_has_no_secret_takes_nothing(face, signing, refused):
    signing.signature = Signed(rule=SignatureRule(scheme="github"), keys=())
    raw = [(b"x-hub-signature-256", b"sha256=" + hmac.new(b"", b"{}", "sha256").hexdigest().encode())]
    with pytest.raises(Unauthenticated):
        await face.plain(PlainRequest("/hook/t", b"", raw, b"{}"))
    assert (signing.taken, refused) == ([], ["no_secret"])


def test_keys_are_not_shown(signing):
    assert "secret-1" not in repr(signing.signature)


async def test_a_hook_called_too_often_says_when_to_come_back_and_takes_nothing(face, accepting):
    accepting.settings = HookSettings()
    client = Client(face.application)
    for _ in range(3):
        assert (await client.send("POST", "/hook/t", body=b"{}")).status == 200
    for send in (client.send("POST", "/hook/t", body=b"{}"), face.plain(PlainRequest("/hook/t", b"", [], b"{}"))):
        with pytest.raises(RateLimited) as raised:
            await send
        assert raised.value.retry_after == 1
    assert len(accepting.taken) == 3
    accepting.hook_id = 2
    assert (await client.send("POST", "/hook/t", body=b"{}")).status == 200


async def test_strangers_without_key_or_signature_use_up_nothing_of_a_hook(face, accepting, signing):
    signature = "sha256=" + hmac.new(b"secret-1", b"{}", "sha256").hexdigest()
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await face.plain(PlainRequest("/hook/t", b"", [(b"x-hub-signature-256", b"sha256=0")], b"{}"))
    status, _, _ = await face.plain(PlainRequest("/hook/t", b"", [(b"x-hub-signature-256", signature.encode())], b"{}"))
    assert status == 200
    accepting.signature, accepting.settings = None, HookSettings(api_keys=["0" * 64])
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            await face.plain(PlainRequest("/hook/t", b"", [], b"{}"))
    accepting.settings = HookSettings()
    assert (await face.plain(PlainRequest("/hook/t", b"", [], b"{}")))[0] == 200


async def test_a_call_that_is_only_learned_from_starts_nothing_and_needs_its_signature(face, signing):
    signing.only_learns = True
    client = Client(face.application)
    with pytest.raises(Unauthenticated):
        await client.send("POST", "/hook/t", body=b"{}")
    with pytest.raises(Unauthenticated):
        await face.plain(PlainRequest("/hook/t", b"", [], b"{}"))
    assert signing.learned == []
    signature = "sha256=" + hmac.new(b"secret-1", b"{}", "sha256").hexdigest()
    answer = await client.send("POST", "/hook/t", headers=[("X-Hub-Signature-256", signature)], body=b"{}")
    assert (answer.status, answer.body, answer.header("x-a")) == (200, b"Learned", "1")
    short = await face.plain(PlainRequest("/hook/t", b"", [(b"x-hub-signature-256", signature.encode())], b"{}"))
    assert short == (200, [(b"x-a", b"1")], b"Learned")
    assert (signing.learned, signing.taken) == ([b"{}", b"{}"], [])
