"""Attacks on the running server, byte for byte where a client library would not send them: each is refused plainly.

What a refusal may not do is the same for all: take longer than a second, be a fault of ours (5xx), or show anything of
the inside. Forged tokens stand in `tests/attacks/test_tokens.py`.
"""

import contextlib
import re
import socket
import time
from typing import Any

import pytest

from support.integrator import API
from support.network import send

# Nothing here depends on where the database is.
pytestmark = [pytest.mark.timeout(300), pytest.mark.parametrize("product", ["embedded"], indirect=True)]
INSIDE = re.compile(rb"Traceback|File \"|psycopg|SELECT |site-packages|/src/|uvicorn", re.IGNORECASE)
PATIENCE = 2.0


def raw(product, request):
    """Send bytes on a connection of their own; return the status and all that came back."""
    with socket.create_connection(("127.0.0.1", int(product.url.rpartition(":")[2])), timeout=PATIENCE) as line:
        line.sendall(request)
        pieces = []
        # A refusal that leaves nothing unread keeps the connection: then the answer ends with the patience.
        with contextlib.suppress(TimeoutError):
            while piece := line.recv(65536):
                pieces.append(piece)
    answer = b"".join(pieces)
    return (int(answer.split(b" ", 2)[1]) if answer else 0), answer


def opened(product, token, **headers: Any):
    began = time.monotonic()
    reply = send("GET", f"{product.url}{API}/integrations/", headers={"Authorization": f"Bearer {token}", **headers})
    assert INSIDE.search(reply.body) is None, reply
    assert reply.status < 500, reply
    assert time.monotonic() - began < 5.0
    return reply


@pytest.mark.attack("A33")
def test_a_flow_s_secret_opens_no_api_and_a_token_opens_no_flow(product):
    customer = product.integrator.customer()
    wizard = customer.begin(product.orders)
    assert opened(product, wizard.secret).status == 401
    for secret in (product.integrator.token("dana"), "", "x", wizard.secret[:-1], wizard.secret + "x", "é" * 20):
        reply = send("GET", f"{product.url}/flow-api/{wizard.flow_id}", headers={"Flow-Secret": secret})
        assert reply.status == 401, reply
    for flow_id in (
        "x",
        wizard.flow_id[:-1],
        "0" * 40,
        "%00",
        "%ff",
        "x" * 500,
        customer.begin(product.orders).flow_id,
    ):
        reply = send("GET", f"{product.url}/flow-api/{flow_id}", headers={"Flow-Secret": wizard.secret})
        assert reply.status == 401, reply
    assert wizard.state()["phase"] in {"intro", "step"}


@pytest.mark.attack("C22")
@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "LOCK", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/portal/api/bridge/integrations", "/portal/static/js/portal-integrations.js", "/live"]
)
def test_a_method_nobody_takes_is_not_allowed(product, method, path):
    status, answer = raw(product, request_of(method, path))
    assert status in {400, 404, 405}, answer
    assert b"requestId" in answer
    assert INSIDE.search(answer) is None


def request_of(method, path):
    lines = (f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Length: 0", "Connection: close", "", "")
    return "\r\n".join(lines).encode()


@pytest.mark.attack("C22")
@pytest.mark.parametrize("override", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_header_overrides_no_method(product, override):
    scenario = product.connect(enable=False)
    assert scenario.portal.call("POST", f"/scenarios/{scenario.id}", headers={override: "DELETE"}).status == 405
    assert scenario.portal.get(f"/scenarios/{scenario.id}")["id"] == scenario.id


POST = b"POST /hook/x HTTP/1.1\r\nHost: localhost\r\n"
SMUGGLED = {
    "two hosts": b"GET /live HTTP/1.1\r\nHost: localhost\r\nHost: localhost:1\r\n\r\n",
    "a host with a path": b"GET /live HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with a user": b"GET /live HTTP/1.1\r\nHost: x@a\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length with a sign": POST + b"Content-Length: +1\r\n\r\na",
    "a length of blanks": POST + b"Content-Length: \r\n\r\n",
    "a name with a blank": POST + b"Content-Length : 1\r\n\r\na",
    "a folded line": b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n",
    "a bare carriage return": b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-A: b\rX-B: c\r\n\r\n",
    "an octet zero": b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-A: \0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks said twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a chunk of a wrong size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "no host": b"GET /live HTTP/1.1\r\n\r\n",
    "no host for a webhook": b"POST /hook/x HTTP/1.1\r\nContent-Length: 1\r\n\r\na",
    "version 3": b"GET /live HTTP/3.0\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
}


@pytest.mark.attack("C15")
@pytest.mark.parametrize("kind", SMUGGLED)
def test_what_two_readers_could_read_in_two_ways_is_refused(product, kind):
    status, answer = raw(product, SMUGGLED[kind])
    assert 400 <= status < 500, answer
    assert answer.count(b"requestId") == 1, answer
    assert INSIDE.search(answer) is None


NOWHERE = """
/metrics/ /debug /.git/config /.env /docs/x /redoc /healthz?verbose /portal /portal/static/ /hook/ /hook/a/b /flow/
//live /portal/static/../../pyproject.toml /portal/static/%2e%2e/%2e%2e/pyproject.toml /portal/static/..%2f..%2fx
/portal/static/js/portal-integrations.js.map /portal/static/%00 /portal/static/index.html
/portal/api/bridge/integrations.css /portal/api/bridge/integrations%2f
"""


@pytest.mark.attack("C23")
@pytest.mark.parametrize("path", [*NOWHERE.split(), "/portal/static/" + "a/" * 2000])
def test_nothing_is_shown_where_nothing_is(product, path):
    status, answer = raw(product, request_of("GET", path))
    assert status in {400, 401, 404, 405}, answer[:500]
    assert INSIDE.search(answer) is None


ORIGINS = ["null", "https://evil.example", "http://127.0.0.1:3000.evil.example", "HTTP://127.0.0.1:3000", "a b", "\xff"]


@pytest.mark.attack("C06")
@pytest.mark.parametrize("origin", ORIGINS)
def test_no_page_may_read_the_api(product, origin):
    token = product.integrator.token("dana")
    preflight = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    for reply in (
        opened(product, token, Origin=origin),
        send("OPTIONS", f"{product.url}{API}/integrations", headers=preflight),
    ):
        assert not [name for name in reply.headers if name.startswith("access-control-")], reply.headers
        assert reply.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


@pytest.mark.attack("C23")
@pytest.mark.parametrize("path", ["/metrics", "/health?verbose", "/slow-statements"])
@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "Via"])
def test_the_inside_is_not_told_to_whom_a_proxy_speaks_for(product, header, path):
    value = "for=203.0.113.7" if header == "Forwarded" else "203.0.113.7"
    reply = send("GET", f"{product.url}{path}", headers={header: value})
    assert reply.status == 404, reply
    assert send("GET", f"{product.url}{path}").status == 200


@pytest.mark.attack("C15")
def test_a_page_s_address_is_built_from_the_settings_and_not_from_the_host(product):
    token = product.integrator.token("dana")
    headers = {"Authorization": f"Bearer {token}", "Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    reply = send("POST", f"{product.url}{API}/integrations/init/{product.orders}", headers=headers)
    assert b"evil" not in reply.body
