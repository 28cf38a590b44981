"""A confidential scenario from the outside: callers get their answers, the log tells counts and no contents."""

import json
import uuid
from typing import Any

import pytest

from acceptance.conftest import Product
from support.network import send
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
SECRET = "zaunkoenig4711"
WITHIN = 20.0


def flow(url: str) -> list[dict[str, Any]]:
    """A webhook that is answered with what it was sent, after a call out."""
    trigger = {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 1}, "mapper": {}}
    asked = {"url": url, "method": "post", "headers": [], "bodyType": "raw", "contentType": "text/plain"}
    calls = {
        "id": 2,
        "module": "http:ActionSendData",
        "version": 3,
        "parameters": {"handleErrors": True},
        "mapper": asked | {"data": "{{1.secret}}", "parseResponse": True},
    }
    answers = {
        "id": 3,
        "module": "gateway:WebhookRespond",
        "version": 1,
        "parameters": {},
        "mapper": {"status": "201", "body": "{{1.secret}} is taken", "headers": []},
    }
    return [trigger, calls, answers]


@pytest.mark.parametrize("sequential", [False, True])
def test_the_caller_gets_the_answer_and_the_log_tells_counts_only(product: Product, sequential: bool) -> None:
    path = f"/{uuid.uuid4().hex}"
    settings = {"confidential": True, "sequential": sequential}
    blueprint = {
        "name": "Secret orders",
        "flow": flow(product.shop.url + path),
        "metadata": {"version": 1, "scenario": settings},
    }
    administrator = product.integrator.administrator()
    made = administrator.post("/scenarios", {"blueprint": blueprint})
    scenario_id = made["scenario"]["id"]
    administrator.post(f"/scenarios/{scenario_id}/activate")
    reply = send("POST", made["hookUrl"], json_body={"secret": SECRET})
    assert (reply.status, reply.body) == (201, f"{SECRET} is taken".encode())
    assert [call.body for call in product.shop.calls_to(path)] == [SECRET.encode()]

    def ended() -> dict[str, Any] | None:
        [log] = administrator.get(f"/scenarios/{scenario_id}/logs")
        return log if log["status"] else None

    log = until(ended, "the run has ended", within=WITHIN)
    assert (log["status"], log["operations"]) == (1, 3)
    detail = administrator.get(f"/scenarios/{scenario_id}/logs/{log['id']}")
    assert SECRET not in json.dumps(detail)
