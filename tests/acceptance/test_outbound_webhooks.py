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
from support.server import Installation, installed
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
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with ExitStack() as exits:
        folder = tmp_path_factory.mktemp("webhooks") / "installation"
        settings = {"EGRESS_ALLOW": "127.0.0.1", "WEBHOOK_PLAIN_HTTP": "true"}
        yield exits.enter_context(installed("embedded", folder, None, **settings))


@pytest.fixture(scope="module")
def integrator(installation: Installation) -> Integrator:
    server = installation.server()
    server.start()
    return new_organization(installation, server.url)


def ask(integrator: Integrator, method: str, path: str, body: object = None) -> Any:
    headers = {"Authorization": f"Token {integrator.api_token}"}
    reply = send(method, f"{integrator.url}/api/v2{path}", headers=headers, json_body=body)
    assert reply.status == 200, f"{method} {path}: {reply}"
    return reply.json()


@pytest.mark.attack("D06")
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


def test_the_command_line_makes_and_tries_endpoints_beside_the_server(
    installation: Installation, integrator: Integrator, ears: Target
) -> None:
    whose = ("--organization", str(integrator.organization_id))
    url = f"{ears.url}/command"
    made = json.loads(installation.command("webhooks", "create", url, "--event", "scenario.*", *whose, "--json").stdout)
    number = str(made["id"])
    said = installation.command("webhooks", "ping", number, *whose).stdout
    [call] = until(lambda: ears.calls_to("/command"), "the test event arrives", within=WITHIN)
    assert verify(made["secret"], call.headers, call.body, time.time()) in said
    assert number in installation.command("webhooks", "list", *whose).stdout
    installation.command("webhooks", "pause", number, *whose)
    installation.command("webhooks", "ping", number, *whose)
    held = installation.command("webhooks", "messages", number, "--state", "held", *whose, "--json").stdout
    assert len(json.loads(held)) == 1
    installation.command("webhooks", "resume", number, *whose)
    until(lambda: len(ears.calls_to("/command")) > 1, "what was kept arrives", within=WITHIN)
    told = installation.command("webhooks", "replay", number, "--since", "2026-01-01", *whose).stdout
    assert "0 messages" in told
    refused = installation.command("webhooks", "create", "https://127.0.0.2/", *whose, check=False)
    assert refused.returncode != 0
    assert "not open" in refused.stderr
