"""What a webhook asks of its callers, from the outside: signatures, repeated events, and how they are set."""

import hmac
import json
import time

import pytest

from acceptance.test_incomplete_executions import make_scene
from support.integrator import new_organization
from support.network import send
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
FELT_WITHIN = 5.0
OLD, NEW = "an-older-secret-3c1f", "a-newer-secret-9d2e"
BODY = b'{"id": "evt-7", "total":  12.50}'


def compose():
    return {
        "id": 2,
        "module": "util:ComposeTransformer",
        "version": 1,
        "parameters": {},
        "mapper": {"value": "{{1.id}}"},
    }


def signature(secret, body=BODY, at=None):
    at = int(time.time()) if at is None else at
    return {"Stripe-Signature": f"t={at},v1={hmac.new(secret.encode(), b'%d.%s' % (at, body), 'sha256').hexdigest()}"}


class Hook:
    """A scenario's hook, as its owner and as its callers meet it."""

    def __init__(self, product):
        self.scene = make_scene(new_organization(product.installation, product.url, "Signed"), product.shop, compose())
        listed = self.scene.ask("GET", f"/hooks?teamId={self.scene.integrator.team_id}")["hooks"]
        [self.id] = [hook["id"] for hook in listed if hook["scenarioId"] == self.scene.id]

    def set(self, **rules):
        return self.scene.ask("PATCH", f"/hooks/{self.id}", rules)["hook"]

    def call(self, headers=None, body=BODY):
        return send(
            "POST", self.scene.hook_url, headers={"Content-Type": "application/json"} | (headers or {}), body=body
        )

    def await_status(self, status, headers):
        return until(
            lambda: reply if (reply := self.call(headers())).status == status else None,
            f"the hook answers {status}",
            within=FELT_WITHIN,
        )


@pytest.fixture
def hook(product):
    return Hook(product)


@pytest.mark.attack("D01", "D04", "D06")
def test_a_hook_takes_signed_calls_only_from_when_it_says_so(hook, product):
    assert hook.call().status == 200
    hook.set(signature={"scheme": "stripe", "secrets": [OLD]})
    hook.await_status(401, dict)
    taken = hook.call(signature(OLD))
    assert taken.status == 200
    path = f"/scenarios/{hook.scene.id}/logs/{taken.headers['x-execution-id']}"
    administrator = hook.scene.integrator.administrator()
    until(lambda: administrator.get(path)["status"] == 1, "the call was carried out", within=FELT_WITHIN)
    stored, refused = len(hook.scene.logs()), product.installation.metric("webhook_signatures_refused_total")
    forged = [
        {},
        {"Stripe-Signature": "é".encode().decode("latin-1")},
        {"Stripe-Signature": signature(OLD)["Stripe-Signature"][:-1]},
        signature(NEW),
        signature(OLD, BODY.replace(b"  ", b" ")),
        signature(OLD, at=int(time.time()) - 301),
        signature(OLD, at=int(time.time()) + 400),
    ]
    answers = [hook.call(headers) for headers in forged]
    assert {answer.status for answer in answers} == {401}
    told = [{name: text for name, text in answer.json().items() if name != "requestId"} for answer in answers]
    assert all(one == told[0] for one in told)
    assert len(hook.scene.logs()) == stored
    assert product.installation.metric("webhook_signatures_refused_total") == refused + len(forged)
    assert product.installation.metric("webhook_signatures_refused_total", reason="stale") >= 2


@pytest.mark.attack("D08")
def test_secrets_overlap_while_one_takes_the_other_s_place_and_are_told_nowhere(hook, product):
    hook.set(signature={"scheme": "stripe", "secrets": [OLD]})
    hook.await_status(401, dict)
    shown = hook.set(signature={"scheme": "stripe", "secrets": [NEW, OLD]})
    assert shown["signature"] == {"scheme": "stripe", "secretCount": 2, "toleranceSeconds": 300}
    hook.await_status(200, lambda: signature(NEW))
    assert hook.call(signature(OLD)).status == 200
    hook.set(signature={"scheme": "stripe", "secrets": [NEW]})
    hook.await_status(401, lambda: signature(OLD))
    assert hook.call(signature(NEW)).status == 200
    other = Hook(product)
    other.set(signature={"scheme": "stripe", "secrets": [OLD]})
    other.await_status(401, lambda: signature(NEW))
    assert OLD not in product.server.log_tail()
    assert NEW not in json.dumps(hook.scene.ask("GET", f"/hooks/{hook.id}"))


def test_a_repeated_event_is_answered_with_the_execution_of_the_first(hook):
    shown = hook.set(dedupe={"expression": "{{1.id}}", "windowSeconds": 60})
    assert shown["dedupe"] == {"expression": "{{1.id}}", "windowSeconds": 60}
    until(lambda: "x-duplicate" in hook.call().headers, "the hook knows its events", within=FELT_WITHIN)
    before = len(hook.scene.logs())
    answers = [hook.call(body=b'{"id": "evt-8", "try": %d}' % number) for number in range(5)]
    assert [answer.status for answer in answers] == [200] * 5
    assert len({answer.headers["x-execution-id"] for answer in answers}) == 1
    assert [answer.headers.get("x-duplicate") for answer in answers] == [None, "true", "true", "true", "true"]
    assert len(hook.scene.logs()) == before + 1
    wrong = hook.call(body=b'{"id": ["evt-8"]}')
    assert (wrong.status, wrong.json()["code"]) == (400, "event_id")
    hook.set(dedupe=None)
    until(lambda: "x-duplicate" not in hook.call().headers, "the hook knows them no more", within=FELT_WITHIN)
