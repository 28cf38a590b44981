"""Calls out against real servers: redirects, deadlines, limits, compression, TLS, what is kept and what is not."""

import asyncio
import gzip
import socket

import pytest
from aiohttp import web

from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest


async def hello(_request) -> web.Response:
    return web.Response(text="hello")


def redirect_to(location, status=302):
    async def answer(_request) -> web.Response:
        return web.Response(status=status, headers={"Location": location})

    return answer


@pytest.fixture
async def client(client_for):
    return await client_for("127.0.0.1/32")


async def refusal(client, url, **request) -> EgressFailure:
    with pytest.raises(EgressFailure) as caught:
        await client.send(EgressRequest(url=url, **{"timeout": 5, **request}))
    return caught.value


async def test_a_request_arrives_as_it_was_given(serve, client):
    server = await serve(hello)
    headers = [
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Cookie", 'a=1; b="2"'),
        ("Content-Type", "a/b"),
        ("X-Text", "grüße"),
    ]
    response = await client.send(
        EgressRequest(url=server.url("/a%2Fb?x=1&x=%7e"), method="put", headers=headers, body=b"body")
    )
    (seen,) = server.requests
    assert (seen.method, seen.raw_path, await seen.read()) == ("PUT", "/a%2Fb?x=1&x=%7e", b"body")
    assert seen.headers.getall("X-Twice") == ["1", "2"]
    assert (seen.headers["Cookie"], seen.headers["Content-Type"]) == ('a=1; b="2"', "a/b")
    assert seen.headers["X-Text"] == "grüße"
    assert seen.headers["Host"] == f"127.0.0.1:{server.port}"
    assert (response.status, response.body, response.final_url) == (200, b"hello", server.url("/a%2Fb?x=1&x=%7e"))
    assert ("Content-Type", "text/plain; charset=utf-8") in response.headers
    assert 0 < response.elapsed < 5


async def test_nothing_is_added_but_what_the_connection_needs(serve, client):
    server = await serve(hello)
    await client.send(EgressRequest(url=server.url(), method="POST", body=b"{}"))
    assert set(server.requests[0].headers) == {"Host", "Accept", "Accept-Encoding", "User-Agent", "Content-Length"}


async def test_a_large_body_is_sent_whole(serve, client):
    server = await serve(hello)
    await client.send(EgressRequest(url=server.url(), method="POST", body=b"x" * 900_000))
    assert len(await server.requests[0].read()) == 900_000


@pytest.mark.attack("E28")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nX-Evil: 1"), ("X-A", "1\nX"), ("X-A", "1\rX"), ("X-A", "\0"), ("X-A\r\nX-Evil", "1"),
        ("X A", "1"), ("X:A", "1"), ("", "1"), ("X-Ä", "1"), ("X-A", "\ud800"), ("Host", "other.example"), ("host", ""),
    ],
)  # fmt: skip
async def test_a_header_that_breaks_its_line_or_names_another_host_is_refused(name, value, serve, client):
    server = await serve(hello)
    assert (await refusal(client, server.url(), headers=[(name, value)])).kind == "refused"
    assert server.requests == []


@pytest.mark.attack("E28", "F15")
@pytest.mark.parametrize("method", ["CONNECT", "trace", "GET /evil HTTP/1.1\r\nX:", "", "G T", "GET\n"])
async def test_a_method_that_breaks_its_line_or_opens_a_tunnel_is_refused(method, serve, client):
    server = await serve(hello)
    assert (await refusal(client, server.url(), method=method)).kind == "refused"
    assert server.requests == []


async def test_headers_about_the_connection_are_ours(serve, client):
    server = await serve(hello)
    headers = [
        ("Content-Length", "3"), ("Transfer-Encoding", "chunked"), ("Connection", "upgrade"), ("Upgrade", "websocket"),
        ("TE", "trailers"), ("Proxy-Authorization", "x"), ("Expect", "100-continue"), ("X-Kept", "1"),
    ]  # fmt: skip
    await client.send(EgressRequest(url=server.url(), method="POST", headers=headers, body=b"body"))
    seen = server.requests[0]
    assert await seen.read() == b"body"
    assert seen.headers["Content-Length"] == "4"
    assert seen.headers["X-Kept"] == "1"
    assert not {"Transfer-Encoding", "Upgrade", "TE", "Proxy-Authorization", "Expect"} & set(seen.headers)


async def test_a_redirect_is_followed_and_its_end_is_told(serve, client):
    last = await serve(hello)
    first = await serve(redirect_to(last.url("/end?x=1")))
    response = await client.send(EgressRequest(url=first.url(), method="POST", body=b"body"))
    assert (response.body, response.final_url) == (b"hello", last.url("/end?x=1"))
    assert (last.requests[0].method, await last.requests[0].read()) == ("GET", b"")


async def test_a_redirect_that_keeps_the_method_sends_the_body_again_without_credentials(serve, client):
    last = await serve(hello)
    first = await serve(redirect_to(last.url(), 307))
    headers = [("Authorization", "Bearer secret"), ("X-Api-Key", "secret"), ("Cookie", "c=1"), ("Content-Type", "a/b")]
    await client.send(EgressRequest(url=first.url(), method="POST", headers=headers, body=b"body"))
    seen = last.requests[0]
    assert (seen.method, await seen.read(), seen.headers["Content-Type"]) == ("POST", b"body", "a/b")
    assert not {"Authorization", "X-Api-Key", "Cookie"} & set(seen.headers)
    assert first.requests[0].headers["X-Api-Key"] == "secret"


async def test_a_relative_redirect_keeps_credentials(serve, client):
    async def answer(request) -> web.Response:
        if request.path == "/a/start":
            return web.Response(status=303, headers={"Location": "../end"})
        return web.Response(text=request.headers["Authorization"])

    server = await serve(answer)
    response = await client.send(EgressRequest(url=server.url("/a/start"), headers=[("Authorization", "Bearer s")]))
    assert (response.body, response.final_url) == (b"Bearer s", server.url("/end"))


async def test_a_redirect_is_the_answer_when_it_is_not_to_be_followed_or_points_nowhere(serve, client):
    server = await serve(redirect_to("http://other.example/"))
    response = await client.send(EgressRequest(url=server.url(), follow_redirects=False))
    assert (response.status, dict(response.headers)["Location"]) == (302, "http://other.example/")
    nowhere = await serve(redirect_to(""))
    assert (await client.send(EgressRequest(url=nowhere.url()))).status == 302


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/", "//127.0.0.2:{port}/", "http://2130706434:{port}/",
        "http://[::1]:{port}/", "http://[::ffff:127.0.0.2]:{port}/", "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:a9fe:a9fe]/", "http://10.0.0.1/", "http://127.0.0.1:22/", "http://user@127.0.0.1:{port}/",
        "file:///etc/passwd", "gopher://127.0.0.1:{port}/_GET", "javascript:alert(1)",
    ],
)  # fmt: skip
async def test_a_redirect_to_what_is_not_open_is_refused_at_its_hop(location, serve, client, dialled):
    server = await serve(hello)
    private = await serve(hello, host="127.0.0.2", port=server.port)
    first = await serve(redirect_to(location.format(port=server.port)))
    failure = await refusal(client, first.url(), method="POST")
    assert (failure.kind, failure.sent) == ("refused", True)
    assert server.requests == private.requests == []
    assert dialled == [("127.0.0.1", first.port)]


@pytest.mark.attack("E23")
async def test_a_redirect_through_a_name_that_turned_private_is_refused(names, serve, client_for):
    private = await serve(hello, host="127.0.0.2")
    first = await serve(redirect_to(private.url(host="rebind.example")))
    client = await client_for("127.0.0.1/32", resolver=names(rebind_example=[["127.0.0.2"]]))
    assert (await refusal(client, first.url())).reason == "blocked_address"
    assert private.requests == []


async def test_a_loop_of_redirects_ends_after_five(serve, client):
    server = await serve(redirect_to("/again"))
    failure = await refusal(client, server.url())
    assert failure.kind == "redirect"
    assert len(server.requests) == 6


async def test_a_redirect_to_no_url_is_a_failure_of_the_redirect(serve, client):
    server = await serve(redirect_to("http://[::1"))
    assert (await refusal(client, server.url())).kind == "redirect"


async def test_one_deadline_covers_all_hops(serve, client):
    async def slow(_request) -> web.Response:
        # Each hop is well within the deadline, all that are allowed together are not.
        await asyncio.sleep(0.2)
        return web.Response(status=302, headers={"Location": "/again"})

    server = await serve(slow)
    assert (await refusal(client, server.url(), timeout=0.7)).kind == "timeout"
    assert len(server.requests) < 6


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
)  # fmt: skip
async def test_a_target_that_stops_in_the_middle_meets_the_deadline(beginning, serve_raw, client):
    async def talk(reader, writer):
        writer.write(beginning)
        await writer.drain()
        await reader.read()

    server = await serve_raw(talk)
    failure = await refusal(client, server.url(), timeout=0.2)
    assert (failure.kind, failure.sent) == ("timeout", True)


async def test_a_target_that_drips_for_ever_meets_the_deadline(serve_raw, client):
    async def talk(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    server = await serve_raw(talk)
    assert (await refusal(client, server.url(), timeout=0.2)).kind == "timeout"


async def test_a_failed_connection_is_told_from_a_broken_one(serve_raw, client):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        failure = await refusal(client, f"http://127.0.0.1:{closed.getsockname()[1]}/")
    assert (failure.kind, failure.sent) == ("connect", False)

    async def hang_up(_reader, _writer):
        pass

    server = await serve_raw(hang_up)
    failure = await refusal(client, server.url(), method="POST", body=b"x")
    assert (failure.kind, failure.sent) == ("protocol", True)


async def test_an_unknown_name_is_a_failed_connection(names, client_for):
    client = await client_for(resolver=names())
    failure = await refusal(client, "http://nowhere.example/")
    assert (failure.kind, failure.sent) == ("connect", False)
    assert "nowhere.example" in failure.message


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"-ERR unknown command\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_an_answer_that_is_not_valid_http_is_a_failure_of_the_protocol(answer, serve_raw, client):
    async def talk(_reader, writer):
        writer.write(answer)
        await writer.drain()

    server = await serve_raw(talk)
    assert (await refusal(client, server.url())).kind == "protocol"


async def test_a_body_at_the_limit_is_taken_and_a_larger_one_is_not(serve, client):
    async def many(request) -> web.Response:
        return web.Response(body=b"x" * int(request.query["n"]))

    server = await serve(many)
    assert len((await client.send(EgressRequest(url=server.url("/?n=1000"), max_response_bytes=1000))).body) == 1000
    failure = await refusal(client, server.url("/?n=1001"), max_response_bytes=1000)
    assert (failure.kind, failure.sent) == ("too_large", True)
    head = EgressRequest(url=server.url("/?n=5000"), method="HEAD", max_response_bytes=1000)
    assert (await client.send(head)).body == b""


async def test_a_body_without_an_end_is_stopped_at_the_limit(serve, client):
    written = 0

    async def endless(request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)
            written += 65_536

    server = await serve(endless)
    assert (await refusal(client, server.url(), max_response_bytes=1_000_000)).kind == "too_large"
    assert written < 20_000_000


async def test_a_bomb_is_stopped_at_the_limit_after_unpacking(serve, client):
    bomb = gzip.compress(b"\0" * 100_000_000)

    async def packed(_request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    server = await serve(packed)
    assert (await refusal(client, server.url(), max_response_bytes=5_000_000)).kind == "too_large"


async def test_a_bomb_in_the_body_of_a_redirect_is_not_even_read(serve, client):
    bomb = gzip.compress(b"\0" * 100_000_000)

    async def packed(request) -> web.Response:
        if request.path == "/end":
            return web.Response(text="hello")
        return web.Response(status=302, body=bomb, headers={"Content-Encoding": "gzip", "Location": "/end"})

    server = await serve(packed)
    assert (await client.send(EgressRequest(url=server.url(), max_response_bytes=100))).body == b"hello"


async def test_a_packed_answer_is_handed_on_unpacked_and_says_so(serve, client):
    async def packed(_request) -> web.Response:
        return web.Response(body=gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})

    server = await serve(packed)
    response = await client.send(EgressRequest(url=server.url()))
    assert response.body == b"hello"
    assert not {"content-encoding", "content-length"} & {name.lower() for name, _ in response.headers}


async def test_an_encoding_that_is_not_ours_is_handed_on_as_it_came(serve, client):
    async def packed(_request) -> web.Response:
        return web.Response(body=b"\x01\x02", headers={"Content-Encoding": "br"})

    server = await serve(packed)
    response = await client.send(EgressRequest(url=server.url(), headers=[("Accept-Encoding", "br")]))
    assert (response.body, dict(response.headers)["Content-Encoding"]) == (b"\x01\x02", "br")


async def test_no_cookie_is_kept(names, serve, client_for):
    async def bake(_request) -> web.Response:
        response = web.Response()
        response.set_cookie("session", "secret")
        return response

    server = await serve(bake)
    client = await client_for("127.0.0.1/32", resolver=names(shop_example=[["127.0.0.1"]]))
    for _ in range(2):
        await client.send(EgressRequest(url=server.url(host="shop.example")))
    assert "Cookie" not in server.requests[1].headers


async def test_nothing_is_read_from_the_environment(serve, client_for, monkeypatch, tmp_path):
    proxy = await serve(redirect_to("http://never.example/"))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url())
    monkeypatch.setenv("NETRC", str(netrc))
    server = await serve(hello)
    client = await client_for("127.0.0.1/32")
    assert (await client.send(EgressRequest(url=server.url()))).body == b"hello"
    assert proxy.requests == []
    assert "Authorization" not in server.requests[0].headers


async def test_connections_to_one_host_are_bounded_and_used_again(serve, client_for, dialled):
    now, most = 0, 0

    async def count(_request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.Response()

    server = await serve(count)
    client = await client_for("127.0.0.1/32", connections_per_host=3)
    await asyncio.gather(*(client.send(EgressRequest(url=server.url())) for _ in range(15)))
    assert most == 3
    assert len(dialled) == 3


async def test_waiting_for_a_free_connection_counts_and_sends_nothing(serve, client_for):
    arrived, release = asyncio.Event(), asyncio.Event()

    async def hold(_request) -> web.Response:
        arrived.set()
        await release.wait()
        return web.Response()

    server = await serve(hold)
    client = await client_for("127.0.0.1/32", connections_per_host=1)
    first = asyncio.ensure_future(client.send(EgressRequest(url=server.url(), timeout=5)))
    await arrived.wait()
    failure = await refusal(client, server.url(), timeout=0.1)
    assert (failure.kind, failure.sent) == ("timeout", False)
    release.set()
    assert (await first).status == 200


async def test_a_client_that_was_not_entered_sends_nothing():
    assert (await refusal(EgressClient(EgressConfig(policy=EgressPolicy())), "http://example.com/")).kind == "refused"


async def test_tls_is_verified_against_the_name_of_the_url(authority, names, serve, client_for):
    server_tls, client_tls, _ = authority
    server = await serve(hello, tls=server_tls)
    resolver = names(shop_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    client = await client_for("127.0.0.1/32", resolver=resolver, tls=client_tls)
    for host in ("127.0.0.1", "shop.example"):
        assert (await client.send(EgressRequest(url=f"https://{host}:{server.port}/"))).body == b"hello"
    failure = await refusal(client, f"https://other.example:{server.port}/")
    assert (failure.kind, failure.sent) == ("tls", False)


async def test_tls_is_verified_unless_the_caller_says_otherwise(authority, serve, client):
    server = await serve(hello, tls=authority[0])
    url = f"https://127.0.0.1:{server.port}/"
    assert (await refusal(client, url)).kind == "tls"
    assert (await client.send(EgressRequest(url=url, verify_tls=False))).body == b"hello"
    assert (await refusal(client, url)).kind == "tls"


async def test_tls_to_a_port_without_it_is_a_failure_of_tls(serve, client):
    server = await serve(hello)
    assert (await refusal(client, f"https://127.0.0.1:{server.port}/")).kind == "tls"
