"""Certificates and cookies of a call's own: they work for that call, and go to no other server."""

import ssl
from datetime import UTC, datetime

import pytest
from aiohttp import web

from make_bridge.engine.cookies import CookieJar
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, TlsTrust

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def hello(_request) -> web.Response:
    return web.Response(text="hello")


@pytest.fixture
async def client(client_for):
    return await client_for("127.0.0.1/32")


@pytest.fixture
def pems(authority):
    """The certificate and the private key, as the texts people paste."""
    text = authority[2].read_text()
    start = text.index("-----BEGIN CERTIFICATE-----")
    return text[start:], text[:start]


async def failure_of(client, **request) -> EgressFailure:
    with pytest.raises(EgressFailure) as caught:
        await client.send(EgressRequest(timeout=5, **request))
    return caught.value


async def test_an_authority_is_trusted_for_the_calls_that_name_it(authority, pems, serve, client):
    server = await serve(hello, tls=authority[0])
    url, trust = f"https://127.0.0.1:{server.port}/", TlsTrust(authorities=pems[0])
    assert (await failure_of(client, url=url)).kind == "tls"
    assert (await client.send(EgressRequest(url=url, trust=trust))).body == b"hello"
    assert (await failure_of(client, url=url)).kind == "tls"


async def test_a_trusted_certificate_still_has_to_bear_the_name(authority, pems, names, serve, client_for):
    server = await serve(hello, tls=authority[0])
    resolver = names(shop_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    client = await client_for("127.0.0.1/32", resolver=resolver)
    trust = TlsTrust(authorities=pems[0])
    assert (await client.send(EgressRequest(url=f"https://shop.example:{server.port}/", trust=trust))).status == 200
    assert (await failure_of(client, url=f"https://other.example:{server.port}/", trust=trust)).kind == "tls"


@pytest.fixture
async def demanding(authority, serve):
    """A server that answers those who show the certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority[2]))
    context.load_cert_chain(authority[2])
    context.verify_mode = ssl.CERT_REQUIRED
    return await serve(hello, tls=context)


async def test_a_client_certificate_is_shown_to_who_asks_for_it(demanding, pems, client):
    url = f"https://127.0.0.1:{demanding.port}/"
    certificate, key = pems
    shown = TlsTrust(authorities=certificate, certificate=certificate, key=key)
    assert (await client.send(EgressRequest(url=url, trust=shown))).body == b"hello"
    without = TlsTrust(authorities=certificate)
    assert (await failure_of(client, url=url, trust=without)).kind in {"tls", "protocol"}
    assert len(demanding.requests) == 1
    assert "PRIVATE KEY" not in repr(shown)


async def test_a_client_certificate_is_not_shown_after_a_redirect_elsewhere(demanding, authority, pems, serve, client):
    async def elsewhere(_request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"https://127.0.0.1:{demanding.port}/"})

    first = await serve(elsewhere, tls=authority[0])
    certificate, key = pems
    shown = TlsTrust(authorities=certificate, certificate=certificate, key=key)
    await failure_of(client, url=f"https://127.0.0.1:{first.port}/", trust=shown)
    assert (len(first.requests), demanding.requests) == (1, [])


@pytest.mark.parametrize(
    "broken",
    [
        {"authorities": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"},
        {"authorities": "ü"},
        {"certificate": "nonsense", "key": "nonsense"},
        {"certificate": "", "key": "k", "authorities": "x"},
        {"certificate": "x" * 300_000, "key": ""},
    ],
)
async def test_certificates_that_cannot_be_read_are_refused_before_a_call(broken, serve, client, dialled):
    failure = await failure_of(client, url="https://127.0.0.1:9/", trust=TlsTrust(**broken))
    assert (failure.kind, failure.sent, dialled) == ("refused", False, [])


async def test_a_key_that_belongs_to_another_certificate_or_has_a_passphrase_is_refused(pems, client):
    certificate, key = pems
    locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
    for wrong in (locked, "", key[:60]):
        trust = TlsTrust(certificate=certificate, key=wrong)
        assert (await failure_of(client, url="https://127.0.0.1:9/", trust=trust)).kind == "refused"


async def test_cookies_set_on_the_way_are_sent_on_and_kept(serve, client):
    async def log_in(request) -> web.Response:
        if request.path == "/in":
            return web.Response(
                status=302, headers=[("Location", "/home"), ("Set-Cookie", "sid=1; Path=/"), ("Set-Cookie", "b=2")]
            )
        return web.Response(text=request.headers.get("Cookie", "none"))

    server = await serve(log_in)
    cookies = CookieJar().at(NOW)
    answer = await client.send(EgressRequest(url=server.url("/in"), cookies=cookies))
    assert (answer.body, answer.final_url) == (b"sid=1; b=2", server.url("/home"))
    again = EgressRequest(url=server.url("/x"), cookies=cookies, headers=[("Cookie", "own=3")])
    assert (await client.send(again)).body == b"own=3; sid=1; b=2"
    assert (await client.send(EgressRequest(url=server.url("/x")))).body == b"none"


async def test_cookies_stay_with_the_host_that_set_them(names, serve, client_for):
    async def pass_on(request) -> web.Response:
        if request.path == "/first":
            location = f"http://other.example:{server.port}/second"
            return web.Response(status=302, headers={"Location": location, "Set-Cookie": "sid=1; Path=/"})
        return web.Response(text=request.headers.get("Cookie", "none"))

    server = await serve(pass_on)
    resolver = names(shop_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    client = await client_for("127.0.0.1/32", resolver=resolver)
    cookies = CookieJar().at(NOW)
    answer = await client.send(EgressRequest(url=server.url("/first", host="shop.example"), cookies=cookies))
    assert answer.body == b"none"
    assert cookies.header(server.url("/", host="shop.example")) == "sid=1"
