"""Log lines of a served product in every place they go to: which requests have one, what it tells and what it hides.

Elasticsearch is the strict stand-in of `support/bulk_service`.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from attacks.canaries import forms_of
from support.bulk_service import BulkService, serving_bulk
from support.integrator import Connected, Integrator, new_organization
from support.network import send
from support.server import ServerProcess, installed
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
PASSWORD = "elastic-password-6e1f"
BASIC = "Basic ZWxhc3RpYzplbGFzdGljLXBhc3N3b3JkLTZlMWY="
WITHIN = 30.0
SUM: dict[str, Any] = {
    "name": "Adds",
    "flow": [
        {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": None}, "mapper": {}},
        {"id": 2, "module": "util:ComposeTransformer", "version": 1, "mapper": {"value": "{{1.a}}"}},
    ],
    "metadata": {"version": 1},
}
CANARIES = {
    name: f"canary-{name}-7d1c0f5e9ab3" for name in ("body", "header", "query", "key", "token", "cookie", "agent")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server that logs all requests to three places, and a customer with a webhook."""

    server: ServerProcess
    service: BulkService
    file: Path
    integrator: Integrator
    connected: Connected

    def lines(self) -> dict[str, list[dict[str, Any]]]:
        """What each place has by now; of standard output the lines that are the log's."""
        output = [line for line in self.server.log.read_text().splitlines() if line.startswith("{")]
        return {
            "output": [json.loads(line) for line in output],
            "file": [json.loads(line) for line in self.file.read_text().splitlines()],
            "elasticsearch": list(self.service.documents.values()),
        }

    def find(self, request_id: str) -> dict[str, list[dict[str, Any]]]:
        """The lines about one request, once they are everywhere."""

        def everywhere() -> dict[str, list[dict[str, Any]]] | None:
            found = {
                name: [line for line in lines if line.get("request_id") == request_id and line["event"] == "request"]
                for name, lines in self.lines().items()
            }
            return found if all(found.values()) else None

        return until(everywhere, f"the request {request_id} is told everywhere", within=WITHIN)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("logs")
    (folder / "auth").write_text(f"elastic:{PASSWORD}\n")
    with ExitStack() as exits:
        service = exits.enter_context(serving_bulk(authorization=BASIC))
        settings = {
            "LOG_LEVEL": "debug", "LOG_REQUESTS": "all", "LOG_FILE": str(folder / "bridge.log"),
            "ELASTICSEARCH_URL": service.url, "ELASTICSEARCH_AUTH_FILE": str(folder / "auth"), "NODE_ID": "one",
        }  # fmt: skip
        installation = exits.enter_context(installed("embedded", folder / "w", None, **settings))
        server = installation.server().start()
        integrator = new_organization(installation, server.url, "Acme CRM")
        options = {"autoActivate": True, "scenario": {"name": "Adds", "enable": True}}
        connected = integrator.customer().connect(integrator.publish(SUM), {}, **options)
        yield Place(
            server=server, service=service, file=folder / "bridge.log", integrator=integrator, connected=connected
        )


def test_a_webhook_has_one_line_in_every_place_that_tells_its_route_and_tenant(place: Place) -> None:
    reply = place.connected.call_hook({"a": 1})
    assert reply.status == 200
    for name, [line] in place.find(reply.headers["x-request-id"]).items():
        assert (line["route"], line["status"], line["method"], line["node"]) == ("/hook/{token}", 200, "POST", "one"), (
            name
        )
        assert line["organization_id"] == place.integrator.organization_id
        assert line["address"] == "127.0.0.1"
        assert line["received_bytes"] == len(b'{"a": 1}')
        assert ("@timestamp" in line) == (name == "elasticsearch")


def test_a_call_of_the_api_and_a_refusal_have_theirs(place: Place) -> None:
    listed = place.integrator.customer().call("GET", "/integrations")
    refused = send("GET", f"{place.server.url}/portal/api/bridge/integrations")
    unknown = send("GET", f"{place.server.url}/hook/{'x' * 40}")
    for reply, route, level in (
        (listed, "/portal/api/bridge/integrations", "info"),
        (refused, "/portal/api/bridge/integrations", "info"),
        (unknown, "/hook/{token}", "info"),
    ):
        for [line] in place.find(reply.headers["x-request-id"]).values():
            assert (line["route"], line["status"], line["level"]) == (route, reply.status, level)


def test_no_secret_of_a_request_or_of_this_server_is_in_any_place(place: Place) -> None:
    canaries = dict(CANARIES)
    headers = {
        "X-Own": canaries["header"], "Authorization": f"Bearer {canaries['token']}", "X-Make-ApiKey": canaries["key"],
        "Cookie": f"session={canaries['cookie']}", "User-Agent": f"Agent password={canaries['agent']}",
    }  # fmt: skip
    body = {"a": canaries["body"], "password": canaries["body"]}
    hook = place.connected.hook_url
    last = send("POST", f"{hook}?code={canaries['query']}", headers=headers, json_body=body)
    send("PUT", f"{hook}?code={canaries['query']}", headers=headers, json_body=body)
    for path in (
        "/portal/api/bridge/integrations",
        "/api/v2/scenarios",
        "/console/api/session",
        "/oauth/callback",
        "/x",
    ):
        address = f"{place.server.url}{path}?token={canaries['query']}"
        last = send("GET", address, headers=headers)
    place.find(last.headers["x-request-id"])
    canaries |= {
        "hook token": hook.rpartition("/")[2], "Elasticsearch": PASSWORD, "portal secret": place.integrator.secret,
        "API token": place.integrator.api_token,
    }  # fmt: skip
    places = {
        "output": place.server.log.read_bytes(),
        "file": place.file.read_bytes(),
        "elasticsearch": b"\n".join(place.service.raw),
        "metrics": place.server.get("/metrics").body,
        "health": place.server.get("/health").body,
    }
    assert all(b'"request"' in content for name, content in places.items() if name in place.lines())
    found = [
        (canary, form, name)
        for canary, value in canaries.items()
        for form, text in forms_of(value.encode())
        for name, content in places.items()
        if text in content
    ]
    assert found == []


def test_what_strangers_send_is_one_line_each_and_json(place: Place) -> None:
    hook = place.connected.hook_url
    for agent in ("a\x1b[2Jb", '"}{"event":"forged"}', "x" * 20_000, "\xff\x9b2J"):
        reply = send("POST", hook, headers={"User-Agent": agent}, json_body={"a": 1})
        for [line] in place.find(reply.headers["x-request-id"]).values():
            told = line["headers"].get("user-agent", "")
            assert len(told) <= 1000
            assert not [sign for sign in told if ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0]
    assert place.service.complaints == []
    assert not [line for lines in place.lines().values() for line in lines if line["event"] == "forged"]


def test_what_became_of_lines_is_counted(place: Place) -> None:
    for sink in ("output", "file", "elasticsearch"):
        assert place.server.metric("log_lines_written_total", sink=sink) > 0
        assert place.server.metric("log_lines_dropped_total", sink=sink) == 0
        assert place.server.metric("log_sink_up", sink=sink) == 1
    logs = place.server.get("/health").json()["logs"]
    assert {name: found["state"] for name, found in logs.items()} == dict.fromkeys(place.lines(), "up")


def test_without_asking_for_more_a_request_that_went_well_has_no_line(tmp_path: Path) -> None:
    with installed("embedded", tmp_path / "w", None) as installation:
        server = installation.server().start()
        assert send("POST", f"{server.url}/hook/{'x' * 40}", json_body={}).status == 404
        assert server.get("/live").status == 200
        server.end()
        assert '"event":"request"' not in server.log.read_text()
