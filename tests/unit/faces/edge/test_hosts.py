"""Which hosts a request may name, alone and through the edge on both ways a request can take."""

import pytest
from starlette.responses import PlainTextResponse

from make_bridge.faces.edge.access import PublicRoute
from make_bridge.faces.edge.application import build_application
from make_bridge.faces.edge.config import EdgeConfig
from make_bridge.faces.edge.hosts import HostRule
from make_bridge.faces.edge.pipeline import DirectFace
from make_bridge.faces.edge.plain_http import PlainRequest
from support.asgi import Client
from support.edge import LIMITS

KNOWN = HostRule.of(("bridge.example.com", "Other.Example.com", "2001:db8::7"), takes_public_numbers=False)
LOCAL = HostRule.of(("127.0.0.1",), takes_public_numbers=True)


@pytest.mark.parametrize(
    "host",
    ["bridge.example.com", "BRIDGE.example.com:8443", "other.example.com", "[2001:db8::7]:80", "localhost:8080",
     "127.0.0.1:1", "[::1]", "10.244.0.7:8080", "192.168.1.5", "172.17.0.2:8080", "[fe80::1]", "[::ffff:10.0.0.1]"],
)  # fmt: skip
def test_names_of_this_server_and_private_numbers_are_taken(host):
    assert KNOWN.allows(host.encode())


@pytest.mark.parametrize(
    "host",
    ["evil.example", "bridge.example.com.evil.io", "evil-bridge.example.com", "bridge.example.com.",
     "localhost.evil.io", "127.0.0.1.nip.io", "6.6.6.6", "[2606:4700::1]", "[::ffff:6.6.6.6]", "2130706433",
     "0x7f000001", "127.1"],
)  # fmt: skip
def test_c15_other_names_and_public_numbers_are_not(host):
    assert not KNOWN.allows(host.encode())


def test_c15_without_a_public_address_numbers_are_taken_and_names_are_not():
    assert LOCAL.allows(b"6.6.6.6:8080")
    assert not LOCAL.allows(b"rebound.evil.example")


async def plain(_request):
    return 200, [], b"done"


async def done(_request):
    return PlainTextResponse("done")


FACE = DirectFace(application=PlainTextResponse("done"), plain=plain, template="/hook/{token}")


@pytest.fixture
def edge():
    routes = [PublicRoute(path, done, because="a test") for path in ("/api/a", "/live", "/ready")]
    return build_application(routes, EdgeConfig(limits=LIMITS, is_https=False, hosts=KNOWN), direct={"/hook/": FACE})


@pytest.mark.parametrize("target", ["/api/a", "/hook/t", "/nowhere", "/live/", "/live/x"])
async def test_c15_a_request_for_another_host_is_refused_with_a_sentence(edge, target):
    answer = await Client(edge).get(target, headers=[("Host", "evil.example")])
    assert (answer.status, answer.json()["code"]) == (421, "misdirected_host")
    assert "allowed_hosts" in answer.json()["detail"]
    assert "evil" not in answer.body.decode()


async def test_c15_the_short_way_refuses_it_too(edge):
    async def ask(host):
        request = PlainRequest("/hook/t", b"", [(b"host", host)], b"{}")
        return await edge.answer_plain(request, FACE, [])

    assert (await ask(b"evil.example")).startswith(b"HTTP/1.1 421 ")
    assert (await ask(b"bridge.example.com")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("target", ["/live", "/ready"])
async def test_probes_may_call_by_any_name(edge, target):
    assert (await Client(edge).get(target, headers=[("Host", "pod-7.cluster.internal")])).status == 200
