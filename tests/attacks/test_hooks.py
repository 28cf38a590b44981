"""Attacks through webhooks (parts D and E): what a scenario answers on our origin, and where its calls may lead.

One scenario answers with whatever a caller sends, the other calls whatever address a caller names and answers with what
came of it. Both through nginx on two servers, with the guard of calls out as it is when nobody sets anything.
"""

import json
import socket
from dataclasses import dataclass

import pytest

from support.network import free_port

pytestmark = [pytest.mark.requires_server("postgresql-15", "nginx"), pytest.mark.timeout(300)]
WEBHOOK = {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": None}, "mapper": {}}
RESPOND = {"module": "gateway:WebhookRespond", "version": 1}
# Where a run fails the caller is told so with a status of its own; here it is told in the body, and nothing is counted.
REFUSED = RESPOND | {"id": 3, "mapper": {"status": "200", "body": "{{2.error.type}}: {{2.error.message}}"}}
ANSWERING = {
    "name": "Answers what it is told",
    "flow": [
        WEBHOOK,
        RESPOND
        | {
            "id": 2,
            "onerror": [REFUSED],
            "mapper": {
                "status": "{{1.status}}",
                "body": "{{1.body}}",
                "headers": [
                    {"key": "{{1.name}}", "value": "{{1.value}}"},
                    {"key": "Content-Type", "value": "{{1.type}}"},
                ],
            },
        },
    ],
    "metadata": {"version": 1},
}
CALLING = {
    "name": "Calls what it is told",
    "flow": [
        WEBHOOK,
        {
            "id": 2,
            "module": "http:ActionSendData",
            "version": 3,
            "parameters": {"handleErrors": True},
            "mapper": {
                "url": "{{1.url}}",
                "method": "get",
                "headers": [{"name": "X-A", "value": "{{1.value}}"}],
                "followRedirect": True,
                "timeout": 3,
            },
            "onerror": [REFUSED],
        },
        RESPOND | {"id": 4, "mapper": {"status": "200", "body": "called: {{2.statusCode}}"}},
    ],
    "metadata": {"version": 1},
}


@pytest.fixture(scope="module")
def hooks(scene):
    """The addresses of both scenarios, below the server's."""
    customer = scene.acme.customer()
    made = [
        customer.connect(scene.acme.publish(blueprint), {}, scenario={"name": blueprint["name"], "enable": True})
        for blueprint in (ANSWERING, CALLING)
    ]
    return [one.hook_url.removeprefix(scene.url) for one in made]


def answered(scene, hooks, **given):
    body = {"status": 200, "body": "", "name": "X-A", "value": "b", "type": "text/html"} | given
    return scene.attack("POST", hooks[0], json_body=body)


PAGES = ("<script>alert(1)</script>", "<svg onload=alert(1)>", "<iframe src=/flow/x></iframe>", "<base href=//evil>")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/html; x=y"])
def test_d14_a_page_that_a_scenario_answers_with_is_shown_and_can_do_nothing(scene, hooks, page, kind):
    reply = answered(scene, hooks, body=page, type=kind)
    assert (reply.status, reply.body.decode()) == (200, page)
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"


FORBIDDEN = {
    "a cookie": ("Set-Cookie", "session=x; Path=/"),
    "an old cookie": ("Set-Cookie2", "session=x"),
    "a policy of its own": ("Content-Security-Policy", "default-src *"),
    "another policy": ("Content-Security-Policy-Report-Only", "default-src *; report-uri https://evil.example"),
    "no sniffing after all": ("X-Content-Type-Options", "sniff"),
    "a length": ("Content-Length", "5000"),
    "a coding": ("Transfer-Encoding", "chunked"),
    "a packing": ("Content-Encoding", "gzip"),
    "a refresh": ("Refresh", "0; url=https://evil.example"),
    "an emptied browser": ("Clear-Site-Data", '"*"'),
    "https for ever": ("Strict-Transport-Security", "max-age=1; includeSubDomains; preload"),
    "a worker for the whole site": ("Service-Worker-Allowed", "/"),
    "somebody else's request id": ("X-Request-Id", "mine"),
    "a log-in": ("WWW-Authenticate", "Basic realm=Sign-in"),
    "a switch of the connection": ("Alt-Svc", 'h2="evil.example:443"'),
    "another server": ("Server", "evil"),
    "a file of nginx": ("X-Accel-Redirect", "/of-nginx"),
    "the speed of nginx": ("X-Accel-Limit-Rate", "1"),
    "a file of Apache": ("X-Sendfile", "/etc/passwd"),
    "a file of lighttpd": ("X-LIGHTTPD-send-file", "/etc/passwd"),
    "another address for the proxy": ("X-Reproxy-URL", "http://169.254.169.254/"),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_d15_a_scenario_sets_no_header_that_speaks_for_the_server_or_orders_a_proxy_about(scene, hooks, kind):
    """Asked through nginx, which would obey some of them, and of a server itself."""
    name, value = FORBIDDEN[kind]
    for written in (name, name.upper(), name.lower()):
        for url in (scene.url, scene.nodes[0].url):
            body = {"status": 200, "body": "as ever", "name": written, "value": value, "type": "text/plain"}
            reply = scene.attack("POST", hooks[0], json_body=body, url=url)
            assert reply.status == 200, reply
            assert reply.body == b"as ever" or b"about the connection" in reply.body, reply
            assert reply.headers.get(name.lower()) != value, reply.headers


BROKEN = ("x\r\nSet-Cookie: a=b", "x\nSet-Cookie: a=b", "x\rSet-Cookie: a=b", "x\r\n\r\n<script>", "x\0y", "x\u2028y",
          "\u560a\u560dSet-Cookie: a=b", "x\x0bSet-Cookie: a=b")  # fmt: skip


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize("place", ["name", "value", "type"])
def test_d15_no_value_begins_a_header_of_its_own(scene, hooks, value, place):
    reply = answered(scene, hooks, **{place: f"X-A{value}" if place == "name" else value})
    assert "set-cookie" not in reply.headers
    assert b"Set-Cookie" not in reply.body or place != "type"
    assert not reply.body.startswith(b"<script>")


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, -1, 10**30, "abc", "200\r\nX: y", None])
def test_d15_a_status_that_ends_no_answer_is_none(scene, hooks, status):
    reply = answered(scene, hooks, status=status)
    # A number that nobody can hold is refused with the body it stands in.
    assert reply.status == (400 if status == 10**30 else 200)
    assert b"ValidationError" in reply.body or reply.status == 400 or reply.body == b"", reply


@dataclass
class Inside:
    """A service of this machine that nobody outside may reach; it notes whether somebody did."""

    listener: socket.socket

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def was_met(self):
        try:
            line, _ = self.listener.accept()
        except BlockingIOError:
            return False
        line.close()
        return True


@pytest.fixture(scope="module")
def inside():
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        listener.setblocking(False)
        yield Inside(listener)


def called(scene, hooks, inside, url, value="b"):
    """Let the scenario call an address, and return what it says came of it; nobody inside may be met."""
    reply = scene.attack("POST", hooks[1], json_body={"url": url.replace("{port}", str(inside.port)), "value": value})
    assert reply.status == 200, reply
    said = reply.body.decode()
    assert not said.startswith("called"), (url, said)
    assert not inside.was_met(), url
    return said


METADATA = """
http://169.254.169.254/latest/meta-data/ http://[fd00:ec2::254]/latest/ http://metadata.google.internal/computeMetadata/v1/
http://100.100.100.200/latest/ http://192.0.0.192/opc/v2/ http://168.63.129.16/ http://2852039166/ http://0xa9fea9fe/
http://0251.0376.0251.0376/ http://169.254.43518/ http://[::ffff:169.254.169.254]/ http://[64:ff9b::a9fe:a9fe]/
http://[2002:a9fe:a9fe::]/ http://169.254.169.254.:80/ http://\uff11\uff16\uff19.254.169.254/ http://169\u3002254\u3002169\u3002254/
"""


@pytest.mark.parametrize("url", METADATA.split())
def test_e21_services_that_tell_of_a_machine_are_not_called(scene, hooks, inside, url):
    assert called(scene, hooks, inside, url)


OURSELVES = """
http://localhost:{port}/ http://LOCALHOST.:{port}/ http://localhost.localdomain:{port}/ http://ip6-localhost:{port}/
http://127.0.0.1:{port}/ http://127.1:{port}/ http://2130706433:{port}/ http://0x7f000001:{port}/ http://0177.0.0.1:{port}/
http://0x7f.1:{port}/ http://127.000.000.001:{port}/ http://0:{port}/ http://0.0.0.0:{port}/ http://[::1]:{port}/
http://[::]:{port}/ http://[::ffff:127.0.0.1]:{port}/ http://[::127.0.0.1]:{port}/ http://[::ffff:7f00:1]:{port}/
http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/ http://127\u30020\u30020\u30021:{port}/ http://[64:ff9b::7f00:1]:{port}/
http://127.255.255.254:{port}/ http://localhost%00.example.com:{port}/ http://127.0.0.1%2f@example.com:{port}/
http://127.0.0.1.nip.io:{port}/ http://printer.local:{port}/ http://postgres:{port}/ http://redis:{port}/
http://[::1%25lo]:{port}/ http://[fe80::1%25eth0]:{port}/ http://[2002:7f00:1::]:{port}/
"""


@pytest.mark.parametrize("url", OURSELVES.split())
def test_e22_no_name_or_number_leads_to_this_machine(scene, hooks, inside, url):
    assert called(scene, hooks, inside, url)


TWO_READINGS = (
    "http://example.com#@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://a@b@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://example.com\\.127.0.0.1:{port}/",
    "http://127.0.0.1%2f:{port}/",
    "http://example.com:80@127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http://127.0.0.1:{port}?@example.com/",
    "http://[127.0.0.1]:{port}/",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:-{port}/",
    "http://127.0.0.1:\u0661{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "dict://127.0.0.1:{port}/x",
    "unix:///var/run/docker.sock",
    "data:text/plain,x",
    "jar:http://127.0.0.1:{port}!/",
    "http+unix://%2fvar%2frun%2fdocker.sock/",
)


@pytest.mark.parametrize("url", TWO_READINGS)
def test_e26_an_address_that_can_be_read_in_two_ways_is_called_in_none(scene, hooks, inside, url):
    assert "root:" not in called(scene, hooks, inside, url)


@pytest.mark.parametrize("port", [1, 21, 22, 23, 25, 53, 2181, 2375, 5432, 6379, 9092, 10250, 11211, 27017])
def test_e27_ports_of_services_that_speak_no_http_are_not_called(scene, hooks, inside, port):
    assert "port" in called(scene, hooks, inside, f"http://example.com:{port}/").lower()


@pytest.mark.parametrize(
    "url",
    ["http://example.com/\r\nX: y", "http://example.com/ HTTP/1.1\r\nX: y", "http://exa\nmple.com/", "http://example.com\r\n.evil/",
     "http://example.com/\0", "http://127.0.0.1:{port}/\r\nSET a b\r\n"],
)  # fmt: skip
def test_e28_no_line_break_of_an_address_reaches_anybody(scene, hooks, inside, url):
    assert called(scene, hooks, inside, url)


@pytest.mark.parametrize("value", ["x\r\nHost: evil.example", "x\nSET a b", "x\r\n\r\nGET / HTTP/1.1", "x\0"])
def test_e28_no_line_break_of_a_header_reaches_anybody(scene, hooks, inside, value):
    assert called(scene, hooks, inside, "http://127.0.0.1:{port}/", value=value)


CONFUSED = {
    "a file that is JSON": ("application/json", b'{"files": {"x": {"filepath": "/etc/passwd"}}, "body": "b"}'),
    "JSON that says it is a form": (
        "multipart/form-data; boundary=x",
        b'{"files": {"x": {"filepath": "/etc/passwd"}}}',
    ),
    "a form that says it is JSON": (
        "application/json",
        b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--",
    ),
    "a form without a boundary": ("multipart/form-data", b"--x\r\n\r\n--x--"),
    "two types": ("application/json, multipart/form-data; boundary=x", b"{}"),
    "a type without an end": ("a/" + "b" * 4000, b"{}"),
    "YAML": ("application/yaml", b"a: &a [*a, *a]\n"),
    "XML with entities": ("application/xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    "a pickle": ("application/x-python-pickle", b"cos\nsystem\n(S'id'\ntR."),
    "deep JSON": ("application/json", b'{"a":' * 50_000),
    "equal keys": ("application/json", b'{"a": 1, "a": 2}'),
    "not a number": ("application/json", b'{"a": NaN}'),
    "half a surrogate pair": ("application/json", b'{"a": "\\ud800"}'),
}


@pytest.mark.parametrize("kind", CONFUSED)
def test_c18_d13_a_body_is_read_as_what_it_says_and_a_file_is_never_made_of_json(scene, hooks, kind):
    content_type, body = CONFUSED[kind]
    reply = scene.attack("POST", hooks[0], headers={"Content-Type": content_type}, body=body)
    assert reply.status < 500
    assert b"root:" not in reply.body


def test_d12_an_entity_of_a_document_is_never_resolved(scene, hooks):
    bomb = (
        "<!DOCTYPE a ["
        + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(10))
        + "]><a>&e9;</a>"
    )
    for body in (bomb, '<!DOCTYPE a [<!ENTITY b SYSTEM "http://127.0.0.1:1/x">]><a>&b;</a>'):
        reply = scene.attack("POST", hooks[0], headers={"Content-Type": "application/xml"}, body=body.encode())
        assert b"lollol" not in reply.body


def test_h09_a_hook_s_address_is_in_no_log(scene, hooks):
    scene.attack("POST", hooks[0], json_body={"status": 200})
    scene.attack("POST", hooks[0] + "x", json_body={})
    token = hooks[0].rpartition("/")[2]
    assert [line for line in scene.logged() if token in line] == []


def test_f06_what_a_caller_sends_is_never_evaluated(scene, hooks):
    for text in ("{{1.secret}}", "{{1.body}}", "{{7*7}}", "${7*7}", "<%= 7*7 %>", "#{7*7}", "{{''.__class__}}"):
        reply = answered(scene, hooks, body=text, secret="hunter2", type="text/plain")
        assert reply.body.decode() == text
        assert json.dumps(text)
