"""An organization's own endpoint hears, signed, that a scenario has failed; from outside, over HTTP alone."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.integrator import Integrator, new_organization
from support.network import send
from support.server import installed
from support.target import Target, serving_target
from support.waiting import until
from support.webhooks import verify

pytestmark = pytest.mark.timeout(200)
WITHIN = 30.0
FAILS: dict[str, Any] = {
    "name": "Fails always",
    "flow": [
        {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 1}, "mapper": {}},
        {"id": 2, "module": "builtin:ThrowError", "version": 1, "parameters": {}, "mapper": {"message": "Enough."}},
    ],
    "metadata": {"version": 1, "scenario": {}},
}


@pytest.fixture(scope="module")
def ears() -> Iterator[Target]:
    with serving_target() as target:
        yield target


@pytest.fixture(scope="module")
def integrator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Integrator]:
    with ExitStack() as exits:
        folder = tmp_path_factory.mktemp("webhooks") / "installation"
        settings = {"EGRESS_ALLOW": "127.0.0.1", "WEBHOOK_PLAIN_HTTP": "true"}
        installation = exits.enter_context(installed("embedded", folder, None, **settings))
        server = installation.server()
        exits.callback(server.end)
        server.start()
        yield new_organization(installation, server.url)


def ask(integrator: Integrator, method: str, path: str, body: object = None) -> Any:
    headers = {"Authorization": f"Token {integrator.api_token}"}
    reply = send(method, f"{integrator.url}/api/v2{path}", headers=headers, json_body=body)
    assert reply.status == 200, f"{method} {path}: {reply}"
    return reply.json()


def test_an_endpoint_hears_that_a_scenario_has_failed(integrator: Integrator, ears: Target, tmp_path: Path) -> None:
    wanted = {"url": f"{ears.url}/events", "events": ["execution.failed"]}
    endpoint = ask(integrator, "POST", "/webhook-endpoints", wanted)["webhookEndpoint"]
    version_id = integrator.publish(FAILS)
    connected = integrator.customer("dana@example.com").connect(
        version_id, {}, autoActivate=True, scenario={"name": "Fails", "enable": True}
    )
    assert send("POST", connected.hook_url, json_body={"order": "a-17"}).status == 200
    calls = until(lambda: ears.calls_to("/events"), "the endpoint is called", within=WITHIN)
    call = calls[0]
    shown = verify(endpoint["secret"], call.headers, call.body, time.time())
    event = json.loads(call.body)
    assert (event["type"], event["data"]["scenario_id"]) == ("execution.failed.v1", connected.id)
    assert event["data"]["message"] == "Enough."
    one = f"/webhook-endpoints/{endpoint['id']}"

    def log() -> Any:
        return ask(integrator, "GET", f"{one}/messages/{shown}")["message"]["log"]

    [attempt] = until(log, "the attempt is logged", within=WITHIN)
    assert (attempt["status"], attempt["number"]) == (200, 1)
    # A replay is the same message, signed anew.
    ask(integrator, "POST", f"{one}/messages/{shown}/replay")
    until(lambda: len(ears.calls_to("/events")) > 1, "the message is sent again", within=WITHIN)
    again = ears.calls_to("/events")[1]
    assert verify(endpoint["secret"], again.headers, again.body, time.time()) == shown
    said = tmp_path.parent.parent.glob("webhooks*/**/*.log")
    assert not any(endpoint["secret"] in path.read_text(errors="replace") for path in said)
