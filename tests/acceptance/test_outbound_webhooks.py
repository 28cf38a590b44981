"""An organization's own endpoint hears, signed, that a scenario has failed; from outside, over HTTP alone."""

import json
import time
from typing import Any

import pytest

from support.integrator import Integrator
from support.network import send
from support.server import Installation
from support.target import Target
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


@pytest.mark.attack("D06")
def test_an_endpoint_hears_that_a_scenario_has_failed(
    installation: Installation, integrator: Integrator, ears: Target
) -> None:
    wanted = {"url": f"{ears.url}/events", "events": ["execution.failed"]}
    endpoint = integrator.ask("POST", "/webhook-endpoints", wanted)["webhookEndpoint"]
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
        return integrator.ask("GET", f"{one}/messages/{shown}")["message"]["log"]

    [attempt] = until(log, "the attempt is logged", within=WITHIN)
    assert (attempt["status"], attempt["number"]) == (200, 1)
    # A replay is the same message, signed anew.
    integrator.ask("POST", f"{one}/messages/{shown}/replay")
    until(lambda: len(ears.calls_to("/events")) > 1, "the message is sent again", within=WITHIN)
    again = ears.calls_to("/events")[1]
    assert verify(endpoint["secret"], again.headers, again.body, time.time()) == shown
    logs = list(installation.folder.rglob("*.log"))
    assert logs
    assert not any(endpoint["secret"] in path.read_text(errors="replace") for path in logs)


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
