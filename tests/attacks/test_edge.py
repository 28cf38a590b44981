"""Attacks on the edge (part C): limits, frames, ranges and pages of the inside, through nginx on two servers.

nginx names the caller's address in `X-Forwarded-For` and is the one proxy that is believed. What can be asked of one
server as well stands in `tests/acceptance` and `tests/contract`, marked with its row.
"""

import re
from collections import Counter
from itertools import count

import pytest

from attacks.scene import LIMITS, LISTED
from support.integrator import API
from support.network import send
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15", "nginx"), pytest.mark.timeout(300)]
SUM = {
    "name": "Attacked",
    "flow": [
        {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": None}, "mapper": {}},
        {"id": 2, "module": "util:ComposeTransformer", "version": 1, "mapper": {"value": "{{1.a}}"}},
    ],
    "metadata": {"version": 1},
}
NAMES_OF_ADDRESSES = ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP",
                      "X-Cluster-Client-IP", "Fastly-Client-IP", "Forwarded")  # fmt: skip
FLOODER, NEIGHBOUR = "127.0.0.6", "127.0.0.7"


def spoofed(number):
    address = f"6.6.{number // 250}.{number % 250}"
    value = {"Forwarded": f"for={address}", "X-Forwarded-For": f"{address}, 127.0.0.1, {address}"}
    return {name: value.get(name, address) for name in NAMES_OF_ADDRESSES}


def test_c01_headers_of_a_caller_name_no_address(scene, limited):
    """Who has used up what strangers may do stays refused, whatever its headers say; others are not."""
    numbers = count()
    with scene.leaving():
        for _ in range(2 * int(LIMITS["RATE_GENERAL"]) + 4):
            scene.attack("GET", LISTED, headers=spoofed(next(numbers)), url=limited.url, source=FLOODER)
        statuses = Counter(
            scene.attack("GET", LISTED, headers=spoofed(next(numbers)), url=limited.url, source=FLOODER).status
            for _ in range(40)
        )
        assert statuses == {429: 40}
        assert scene.attack("GET", LISTED, url=limited.url, source=NEIGHBOUR).status == 401


def passed(scene, url, token_of, tries):
    replies = [scene.opened(token_of(), url=url) for _ in range(tries)]
    assert {reply.status for reply in replies} <= {200, 429}
    return sum(reply.status == 200 for reply in replies)


def test_c04_two_servers_let_no_more_through_than_the_limit(scene, limited):
    """Two servers that have nothing but their database let no more through than the limit, and no less."""
    limited.know_each_other()
    most = int(LIMITS["RATE_API"])
    assert most * 0.9 <= passed(scene, limited.url, lambda: scene.acme.token("dana"), 2 * most + 6) <= most * 1.05


@pytest.mark.requires_server("redis-server")
def test_c04_c05_two_servers_that_count_in_redis_hold_the_limit_also_when_it_goes_away(scene, limited_by_redis):
    """Servers that count in Redis hold the limit however callers are spread; without it, too, and shut nobody out."""
    most, (one, two) = int(LIMITS["RATE_API"]), limited_by_redis.nodes

    def dana():
        return scene.acme.token("dana")

    def rival():
        return scene.rival.token("dana")

    together = passed(scene, one.url, dana, 30) + passed(scene, two.url, dana, 30) + passed(scene, one.url, dana, 30)
    assert most <= together <= most * 1.05
    servers = {node.name: int(node.metric("rate_limit_servers", of="api")) for node in (one, two)}
    limited_by_redis.redis.pause()
    alone = [passed(scene, node.url, rival, most) for node in (one, two)]
    assert alone == [most // servers[node.name] for node in (one, two)]
    # One request of each server has waited for Redis: for the token, or for the limit.
    assert [node.metric("redis_calls_total", result="slow") for node in (one, two)] == [1, 1]
    until(lambda: one.get("/ready").json().get("degraded"), "the server says what it lacks", within=20)


def test_c09_the_wizard_is_framed_by_pages_of_its_own_organization_alone(scene):
    for who, own, other in (
        (scene.acme, "http://127.0.0.1:3000", "https://rival.example"),
        (scene.rival, "https://rival.example", "http://127.0.0.1:3000"),
    ):
        flow = who.customer().begin(who.publish(SUM))
        page = scene.attack("GET", f"/flow/{flow.flow_id}")
        ancestors = re.search(r"frame-ancestors ([^;]*)", page.headers["content-security-policy"])
        assert ancestors is not None
        assert (own in ancestors[1].split(), other in ancestors[1].split()) == (True, False)
        assert "*" not in ancestors[1]
        assert "x-frame-options" not in page.headers


@pytest.mark.parametrize("flow_id", ["x", "0" * 40, "%00", "%ff%fe", "..%2f..", "a" * 500, "<script>alert(1)</script>"])
def test_c09_the_page_of_no_flow_is_framed_by_nobody(scene, flow_id):
    page = scene.attack("GET", f"/flow/{flow_id}")
    # Some addresses nginx itself takes for none.
    policy = page.headers.get("content-security-policy", "frame-ancestors 'none'" if page.status == 400 else "")
    assert "frame-ancestors 'none'" in policy or "frame-ancestors 'self';" in f"{policy};"
    assert b"<script>alert(1)" not in page.body


STRANGE_HOSTS = {
    "another name": ("/x", "Host: evil.example"),
    "another name for a webhook": ("/hook/x", "Host: evil.example"),
    "another name for the counters": ("/metrics", "Host: evil.example"),
    "an address that names another": ("http://evil.example/x", "Host: evil.example"),
    "an address that names us, a host that does not": ("http://127.0.0.1/x", "Host: evil.example"),
    "a path": ("/x", "Host: a/b"),
    "a path that ends in ours": ("/x", "Host: evil.example/127.0.0.1"),
    "a user": ("/x", "Host: 127.0.0.1@evil.example"),
    "a query": ("/x", "Host: evil.example?127.0.0.1"),
    "two": ("/x", "Host: 127.0.0.1\r\nHost: evil.example"),
    "two the other way round": ("/x", "Host: evil.example\r\nHost: 127.0.0.1"),
    "none": ("/x", "X-Forwarded-Host: 127.0.0.1"),
    "one that is continued": ("/x", "Host: 127.0.0.1\r\n evil.example"),
    "one that only begins like ours": ("/x", "Host: 127.0.0.1.evil.example"),
    "one with a name for a port": ("/x", "Host: 127.0.0.1:evil"),
    "ours in a header that is not believed": ("/x", "Host: evil.example\r\nX-Forwarded-Host: 127.0.0.1"),
}


@pytest.mark.parametrize("kind", STRANGE_HOSTS)
def test_c15_who_names_another_host_is_told_nothing_of_what_is_here(scene, kind):
    address, headers = STRANGE_HOSTS[kind]
    with scene.leaving():
        status, answer = scene.raw(f"GET {address} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n".encode())
    assert status in {400, 421}, answer
    assert b"evil" not in answer


@pytest.mark.parametrize(
    "method", ["TRACE", "TRACK", "CONNECT", "PROPFIND", "MKCOL", "LOCK", "DEBUG", "get", "\x00GET"]
)
@pytest.mark.parametrize("path", [LISTED, "/hook/x", "/live", "*", "127.0.0.1:5432"])
def test_c22_a_method_that_nobody_serves_does_nothing(scene, method, path):
    lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Secret: shown", "Connection: close", "", "")
    with scene.leaving():
        status, answer = scene.raw("\r\n".join(lines).encode())
    assert status in {400, 404, 405}, answer
    assert b"shown" not in answer


RANGES = {
    "a thousand": "bytes=" + ",".join(f"{n}-{n}" for n in range(1000)),
    "a thousand that overlap": "bytes=" + ",".join("0-" for _ in range(1000)),
    "backwards": "bytes=9-1",
    "from the end": "bytes=-" + "9" * 100,
    "numbers without an end": "bytes=" + "9" * 4000 + "-",
    "blanks without an end": "bytes=" + " " * 4000 + "0-1",
    "commas": "bytes=" + "," * 4000,
    "another unit": "lines=0-1",
    "no number": "bytes=a-b",
}


@pytest.mark.parametrize("kind", RANGES)
def test_c16_no_wish_for_parts_of_a_file_costs_more_than_the_file(scene, kind):
    path = "/portal/static/js/portal-integrations.js"
    whole = scene.attack("GET", path)
    reply = scene.attack("GET", path, headers={"Range": RANGES[kind]})
    assert reply.status in {200, 206, 416}
    assert len(reply.body) <= len(whole.body) + 500


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/%6detrics", "//metrics", "/portal/../metrics", "/METRICS"])
@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-For": "127.0.0.1"}, {"Authorization": "Bearer "}])
def test_c23_the_counters_are_not_told_through_a_proxy(scene, path, headers):
    reply = scene.attack("GET", path, headers=headers)
    assert reply.status in {400, 404}, reply
    assert b"_total" not in reply.body


def test_c23_the_counters_are_told_to_this_machine_by_its_own_name_alone(scene):
    """A proxy that says nothing of whom it speaks for passes on the name that the world has called."""
    url = scene.nodes[0].url
    assert scene.attack("GET", "/metrics", url=url, headers={"Host": "10.244.0.7:8080"}).status == 404
    own = url.removeprefix("http://")
    for host in (own, "localhost", "[::1]:80"):
        assert send("GET", f"{url}/metrics", headers={"Host": host}).status == 200


INSIDE_PAGES = """
/debug /debug/vars /debug/pprof /.git/HEAD /.git/config /.env /.well-known/security /docs/x /redoc /swagger
/server-status /openapi.json.map /portal/static/js/portal-integrations.js.map /portal/static/wizard/index.html.map
/actuator/env /health?verbose /api/v2/debug /internal /internal/answers /console/../.git/config /phpinfo.php
/api/bridge/../../metrics
"""


@pytest.mark.parametrize("path", INSIDE_PAGES.split())
def test_c23_no_page_tells_of_the_inside(scene, path):
    reply = scene.attack("GET", path)
    assert reply.status in {400, 401, 404}, reply


@pytest.mark.parametrize("path", [API + "/integrations.css", API + "/integrations/x.js", API + "/integrations;.png",
                                  API + "/integrations%2f.css", LISTED])  # fmt: skip
def test_b16_no_answer_to_a_credential_may_be_kept_by_a_cache(scene, path):
    reply = scene.attack("GET", path, headers={"Authorization": f"Bearer {scene.acme.token('dana')}"})
    assert reply.headers["cache-control"] == "no-store"
    assert (reply.status == 200) == (path == LISTED)
