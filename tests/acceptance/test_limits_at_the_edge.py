"""The edge as it is served when nobody sets anything: limits, hosts, other origins' pages, bodies of the wizard."""

import json
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from make_bridge.settings import DEFAULTS
from support.integrator import Integrator, new_organization
from support.network import Reply, send
from support.server import Installation, ServerProcess, installed

ORIGIN = "http://127.0.0.1:3000"
SUM = Path(__file__).with_name("sum.json")
LISTED = "/portal/api/bridge/integrations"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Serve with the limits as they are by default."""
    defaults = tomllib.loads(DEFAULTS.read_text())
    limits = {name.upper(): str(defaults[name]) for name in defaults if name.startswith("rate_")}
    with installed("embedded", tmp_path_factory.mktemp("edge") / "w", None, **limits) as served:
        yield served


@pytest.fixture(scope="module")
def server(installation: Installation) -> ServerProcess:
    return installation.server().start()


@pytest.fixture(scope="module")
def integrator(installation: Installation, server: ServerProcess) -> Integrator:
    return new_organization(installation, server.url)


def listed(integrator: Integrator, **headers: str) -> Reply:
    given = {"Authorization": f"Bearer {integrator.token('dana')}", **headers}
    return send("GET", integrator.url + LISTED, headers=given)


def test_an_answer_of_the_api_says_how_its_limit_stands(integrator: Integrator) -> None:
    first, second = listed(integrator), listed(integrator)
    assert first.headers["ratelimit-policy"] == '"api";q=1000;w=3600'
    left = [int(reply.headers["ratelimit"].split("r=")[1].split(";")[0]) for reply in (first, second)]
    assert left[0] - left[1] in {0, 1}
    assert "retry-after" not in first.headers


def test_a05_a_flood_of_unknown_keys_is_told_to_wait_and_a_known_key_is_not(integrator: Integrator) -> None:
    assert listed(integrator).status == 200
    replies = [
        send("GET", integrator.url + LISTED, headers={"Authorization": f"Token {uuid.uuid4()}"}) for _ in range(130)
    ]
    statuses = [reply.status for reply in replies]
    assert statuses[:100] == [401] * 100
    assert statuses[-1] == 429
    told = replies[-1].json()
    assert (told["code"], 1 <= int(replies[-1].headers["retry-after"]) <= 9) == ("rate_limited", True)
    assert listed(integrator).status == 200


def test_c01_headers_that_name_an_address_are_believed_of_nobody(integrator: Integrator) -> None:
    names = ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP")
    spoofed = [dict.fromkeys(names, f"6.6.6.{number}") for number in range(110)]
    replies = [send("GET", integrator.url + LISTED, headers=headers) for headers in spoofed]
    assert replies[-1].status == 429


@pytest.mark.parametrize("path", [LISTED, "/hook/nothing", "/", "/metrics", "/flow/x"])
def test_c15_a_name_that_is_not_this_server_s_is_refused(server: ServerProcess, path: str) -> None:
    for method in ("GET", "POST"):
        reply = send(method, server.url + path, headers={"Host": "rebound.evil.example"})
        assert (reply.status, reply.json()["code"]) == (421, "misdirected_host")
        assert "evil" not in reply.body.decode()


def test_probes_call_by_any_name_and_neighbours_by_number(server: ServerProcess) -> None:
    for path in ("/live", "/ready"):
        assert send("GET", server.url + path, headers={"Host": "pod-7.cluster.internal"}).status == 200
    assert send("GET", f"{server.url}/nothing", headers={"Host": "10.244.0.7:8080"}).status == 404


def test_c06_pages_of_the_organization_may_read_and_others_are_never_named(integrator: Integrator) -> None:
    asking = {"Access-Control-Request-Method": "GET"}
    answered = send("OPTIONS", integrator.url + LISTED, headers={"Origin": ORIGIN, **asking})
    assert (answered.status, answered.headers["access-control-allow-origin"]) == (204, ORIGIN)
    assert listed(integrator, Origin=ORIGIN).headers["access-control-allow-origin"] == ORIGIN
    for stranger in ("null", "https://evil.example", f"{ORIGIN}0", "http://localhost:3000"):
        refused = send("OPTIONS", integrator.url + LISTED, headers={"Origin": stranger, **asking})
        reply = listed(integrator, Origin=stranger)
        assert (refused.status, reply.status) in {(403, 200), (429, 200)}
        for found in (refused, reply):
            assert not any(name.startswith("access-control-allow") for name in found.headers)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/jsonp", ""],
)
def test_c18_the_wizard_takes_bodies_that_say_they_are_json(integrator: Integrator, content_type: str) -> None:
    wizard = integrator.customer().begin(integrator.publish(json.loads(SUM.read_text())))
    wizard.start()
    body = b'{"values": {}, "files": {"x": {"filepath": "/etc/passwd"}}}'
    headers = {"Flow-Secret": wizard.secret} | ({"Content-Type": content_type} if content_type else {})
    url = f"{wizard.url}/flow-api/{wizard.flow_id}/steps/1"
    refused = send("POST", url, headers=headers, body=body)
    assert (refused.status, refused.json()["code"]) == (415, "unsupported_media_type")
    taken = send("POST", url, headers=headers | {"Content-Type": "application/json; charset=utf-8"}, body=body)
    assert taken.status != 415
    assert b"/etc/passwd" not in taken.body


def test_b08_a_walk_and_a_wrong_secret_have_limits_of_their_own(tmp_path: Path) -> None:
    settings = {"RATE_FLOW": "4", "RATE_FLOW_SECONDS": "3600", "RATE_FAILURES": "5"}
    with installed("embedded", tmp_path / "w", None, **settings) as served:
        integrator = new_organization(served, served.server().start().url)
        version_id = integrator.publish(json.loads(SUM.read_text()))
        walked, other = integrator.customer().begin(version_id), integrator.customer().begin(version_id)
        assert [walked.call("GET").status for _ in range(5)] == [200] * 4 + [429]
        refused = walked.call("GET")
        assert (refused.headers["ratelimit-policy"], refused.headers["retry-after"]) == ('"flow";q=4;w=3600', "900")
        wrong = [other.call("GET", **{"Flow-Secret": other.secret[:-1]}).status for _ in range(7)]
        assert wrong == [401] * 5 + [429] * 2
        assert other.call("GET").status == 200
