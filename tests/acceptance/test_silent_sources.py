"""A webhook that falls silent is heard of at the organization's own endpoint: once, and once when it is back.

From outside, on a real server that looks every half second; other numbers are small for the same reason.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.integrator import Connected, Integrator, new_organization
from support.network import send
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

pytestmark = pytest.mark.timeout(240)
WITHIN = 40.0
FLOOR = 3
QUICK: dict[str, Any] = {
    "name": "Calls nobody",
    "flow": [
        {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": None}, "mapper": {}},
        {"id": 2, "module": "util:ComposeTransformer", "version": 1, "mapper": {"value": "{{1.op}}"}},
    ],
    "metadata": {"version": 1},
}
SETTINGS = {
    "EGRESS_ALLOW": "127.0.0.1",
    "WEBHOOK_PLAIN_HTTP": "true",
    "GAP_LOOK_SECONDS": "0.5",
    "GAP_FLOOR_SECONDS": str(FLOOR),
    "GAP_CALLS": "3",
    "GAP_LEARNING_SECONDS": "1",
}


@pytest.fixture(scope="module")
def ears() -> Iterator[Target]:
    with serving_target() as target:
        yield target


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed("embedded", tmp_path_factory.mktemp("gaps") / "installation", None, **SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def server(installation: Installation) -> ServerProcess:
    return installation.server().start()


@pytest.fixture(scope="module")
def integrator(installation: Installation, server: ServerProcess) -> Integrator:
    return new_organization(installation, server.url)


def heard(ears: Target) -> list[dict[str, Any]]:
    """The events that the endpoint was told, each message once, in the order they happened."""
    told = {call.headers["webhook-id"]: json.loads(call.body) for call in ears.calls_to("/gaps")}
    return sorted(told.values(), key=lambda event: event["time"])


def of(ears: Target, connected: Connected) -> list[str]:
    return [event["type"] for event in heard(ears) if event["data"]["scenario_id"] == connected.id]


def call(connected: Connected) -> None:
    assert send("POST", connected.hook_url, json_body={"op": "a"}).status == 200


def called_regularly(installation: Installation, integrator: Integrator, connected: Connected) -> dict[str, Any]:
    """Call until the webhook's rhythm is known; return how it stands."""

    def known() -> dict[str, Any] | None:
        call(connected)
        gaps = installation.ask("gaps", "--organization", str(integrator.organization_id), "--all")
        return next((g for g in gaps if g["scenario_id"] == connected.id and g["state"] == "heard"), None)

    return until(known, "the webhook's rhythm is known", within=WITHIN)


def test_silence_and_return_are_each_told_once(
    installation: Installation, integrator: Integrator, ears: Target
) -> None:
    version_id = integrator.publish(QUICK)
    stops = integrator.customer("dana@example.com").connect(
        version_id, {}, autoActivate=True, scenario={"name": "Stops", "enable": True}
    )
    headers = {"Authorization": f"Token {integrator.api_token}"}
    wanted = {"url": f"{ears.url}/gaps", "events": ["hook.silent", "hook.resumed"]}
    made = send("POST", f"{integrator.url}/api/v2/webhook-endpoints", headers=headers, json_body=wanted)
    assert made.status == 200, made
    gap = called_regularly(installation, integrator, stops)
    assert of(ears, stops) == []
    until(lambda: of(ears, stops), "the silence is told", within=WITHIN)
    [silent] = heard(ears)
    data = silent["data"]
    assert (data["hook_id"], data["team_id"], data["is_learned"]) == (gap["hook_id"], gap["team_id"], True)
    assert data["silent_seconds"] >= FLOOR
    [missed] = installation.ask("gaps")
    assert (missed["state"], missed["hook_id"]) == ("silent", gap["hook_id"])
    assert installation.metric("silent_sources", kind="hook") == 1
    looks = time.monotonic() + 3
    until(lambda: time.monotonic() > looks, "several looks have passed", within=WITHIN)
    assert of(ears, stops) == ["hook.silent.v1"]
    call(stops)
    until(lambda: len(of(ears, stops)) > 1, "the return is told", within=WITHIN)
    assert of(ears, stops) == ["hook.silent.v1", "hook.resumed.v1"]
    assert installation.ask("gaps") == []


def test_the_time_in_which_the_server_was_down_is_no_silence(
    installation: Installation, integrator: Integrator, server: ServerProcess, ears: Target, tmp_path: Path
) -> None:
    version_id = integrator.publish(QUICK)
    goes_on = integrator.customer("erik@example.com").connect(
        version_id, {}, autoActivate=True, scenario={"name": "Goes on", "enable": True}
    )
    called_regularly(installation, integrator, goes_on)
    server.kill_everything()
    # Longer than the silence would have to be, and than two looks may lie apart.
    down = time.monotonic() + 8
    until(lambda: time.monotonic() > down, "the server has been away for long enough", within=WITHIN)
    server.start()
    call(goes_on)
    looks = time.monotonic() + 2
    until(lambda: time.monotonic() > looks, "several looks have passed", within=WITHIN)
    assert of(ears, goes_on) == []


def test_an_operator_sets_what_is_expected_and_what_is_kept(installation: Installation, integrator: Integrator) -> None:
    organization = str(integrator.organization_id)
    [gap, *_] = installation.ask("gaps", "--organization", organization, "--all")
    hook = str(gap["hook_id"])
    said = installation.ask("hooks", "expect", hook, "--organization", organization, "--every-minutes", "30")
    assert said == {"hookId": gap["hook_id"], "mode": "expected", "seconds": 1800}
    refused = installation.command("hooks", "expect", hook, "--organization", organization, check=False)
    assert (refused.returncode, "Give one of" in refused.stderr) == (1, True)
    kept = installation.ask("org", "retention", organization, "--days", "14", "--bytes", str(2**21))
    assert (kept["days"], kept["bytesLimit"]) == (14, 2**21)
    kept = installation.ask("org", "retention", organization, "--default")
    assert (kept["days"], kept["daysOwn"], kept["bytesLimitOwn"]) == (60, None, None)
    [shard] = installation.ask("storage")
    assert shard["bytes"] == sum(table["bytes"] for table in shard["tables"]) > 0
    assert {"executions", "payloads", "queue"} <= {table["name"] for table in shard["tables"]}
    shown = installation.command("storage").stdout
    assert "executions" in shown
