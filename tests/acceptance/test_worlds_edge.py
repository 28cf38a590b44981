"""Where scenarios touch the world, through the served product: mail out, mail in, uploads, cookies, feeds.

What is proven here is that the parts are put together; how each behaves in every case stands in the tests of the parts.
"""

import email
import email.policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from support.mail_server import MailServer, serving_mail
from support.network import send
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 15.0


@pytest.fixture
def product(product_in):
    return product_in("embedded")


def connect(product, *flow, answers=None, **scenario):
    """Publish a blueprint, connect it for a new customer, and switch it on."""
    version = product.integrator.publish({"name": "At the edge", "flow": list(flow), "metadata": {"version": 1}})
    customer = product.integrator.customer()
    return customer.connect(version, answers or {}, scenario={"name": "edge", "enable": True, **scenario})


def module(number, name, mapper=None, version=1, **parameters):
    return {"id": number, "module": name, "version": version, "parameters": parameters, "mapper": mapper or {}}


HOOK = module(1, "gateway:CustomWebHook", hook=1)


def ended(scenario, execution_id):
    def read():
        log = scenario.log(execution_id)
        return log if log["status"] else None

    return until(read, f"execution {execution_id} has ended", within=WITHIN)


def multipart(**parts):
    """A form with texts and files; a file is a pair of its name and its bytes."""
    pieces = []
    for name, value in parts.items():
        file = isinstance(value, tuple)
        head = f'Content-Disposition: form-data; name="{name}"' + (f'; filename="{value[0]}"' if file else "")
        pieces.append(f"--edge\r\n{head}\r\n\r\n".encode() + (value[1] if file else value.encode()) + b"\r\n")
    return b"".join(pieces) + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


def test_an_upload_leaves_as_the_attachment_of_a_mail(product):
    with serving_mail(MailServer(ports=(2525, 587, 465, 25))) as mail_server:
        mail = {
            "to": "{{1.to}}",
            "subject": "Order {{1.order}}",
            "contentType": "text",
            "text": "See the file.",
            "attachments": [{"fileName": "{{1.scan.name}}", "data": "{{1.scan.data}}"}],
        }
        account = {
            "host": "127.0.0.1",
            "port": str(mail_server.port),
            "security": "none",
            "from": "Shop <shop@example.com>",
        }
        scenario = connect(
            product,
            HOOK,
            module(2, "email:ActionSendEmail", mail, 7, account=1),
            answers={"Connection": account},
        )
        content = bytes(range(256)) * 4096
        body, headers = multipart(to="c@example.com", order="a-17", scan=("scan.bin", content))
        reply = send("POST", scenario.hook_url, body=body, headers=headers)
        log = ended(scenario, reply.headers["x-execution-id"])
        assert log["status"] == 1, log["error"]
        (taken,) = mail_server.taken
        message = email.message_from_bytes(taken.message, policy=email.policy.default)
        assert (taken.recipients, message["Subject"]) == (["c@example.com"], "Order a-17")
        (file,) = message.iter_attachments()
        assert (file.get_filename(), file.get_content()) == ("scan.bin", content)
        assert log["steps"][1]["outputs"][0]["messageId"] == message["Message-ID"]


def test_a_mail_server_that_is_not_open_is_refused(product):
    account = {"host": "127.0.0.2", "port": "2525", "security": "none", "from": "shop@example.com"}
    mail = {"to": ["c@example.com"], "contentType": "text", "text": "x"}
    scenario = connect(
        product, HOOK, module(2, "email:ActionSendEmail", mail, 7, account=1), answers={"Connection": account}
    )
    log = ended(scenario, scenario.call_hook({}).headers["x-execution-id"])
    assert log["status"] == 3
    assert "not open" in str(log["error"])


MAIL = """From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>
To: orders@example.com
Subject: Hello
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Please send two.
--b
Content-Type: text/csv; name=list.csv
Content-Disposition: attachment; filename=list.csv
Content-Transfer-Encoding: base64

YSxiCg==
--b--
"""


def test_a_mail_that_a_mail_server_hands_over_starts_a_scenario(product):
    scenario = connect(
        product,
        module(1, "gateway:CustomMailHook", hook=1),
        module(
            2,
            "util:ComposeTransformer",
            {"value": "{{1.from.name}}: {{trim(1.text)}} {{toString(1.attachments[1].data)}}"},
        ),
    )
    headers = {"Content-Type": "message/rfc822"}
    reply = send("POST", scenario.hook_url, body=MAIL.encode(), headers=headers)
    log = ended(scenario, reply.headers["x-execution-id"])
    assert log["steps"][1]["outputs"] == [{"value": "Jürgen: Please send two. a,b\n"}]
    assert send("POST", scenario.hook_url, body=b"no mail", headers=headers).status == 400


def test_modules_of_one_run_share_what_servers_set(product):
    class Shop(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Set-Cookie", "sid=4711; Path=/")
            self.end_headers()
            self.wfile.write(self.headers.get("Cookie", "none").encode())

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as shop:
        Thread(target=shop.serve_forever, daemon=True).start()
        call = {"url": f"http://127.0.0.1:{shop.server_port}/", "method": "get", "shareCookies": True}
        scenario = connect(
            product,
            HOOK,
            module(2, "http:MakeRequest", call, 4, authenticationType="noAuth"),
            module(3, "http:ActionSendData", call, 3),
            module(4, "gateway:WebhookRespond", {"status": 200, "body": "{{2.data}} {{3.data}}"}),
        )
        first, second = scenario.call_hook({}), scenario.call_hook({})
        shop.shutdown()
    assert (first.body, second.body) == (b"none sid=4711", b"none sid=4711")


def test_an_answer_sets_no_cookie_on_the_products_own_address(product):
    rows = [{"key": "Set-Cookie", "value": "session=stolen"}, {"key": "X-Shop", "value": "Größe"}]
    scenario = connect(
        product, HOOK, module(2, "gateway:WebhookRespond", {"status": 200, "body": "x", "headers": rows})
    )
    reply = scenario.call_hook({})
    assert (reply.status, "set-cookie" in reply.headers) == (200, False)
    assert reply.headers["x-shop"].encode("latin-1").decode() == "Größe"


def feed(*numbers):
    items = "".join(f"<item><title>{number}</title><guid>{number}</guid></item>" for number in numbers)
    return f"<rss><channel>{items}</channel></rss>".encode()


def test_a_watched_feed_gives_each_article_once_from_run_to_run(product):
    class News(BaseHTTPRequestHandler):
        body = feed(1)

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml")
            self.end_headers()
            self.wfile.write(News.body)

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), News) as news:
        Thread(target=news.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{news.server_port}/feed.xml"
        scenario = connect(product, module(1, "rss:TriggerNewArticle", None, 4, url=url, maxResults=10))

        def titles():
            started = scenario.portal.post(f"/scenarios/{scenario.id}/run", {})
            log = ended(scenario, started["executionId"])
            assert log["status"] == 1, log["error"]
            return [article["title"] for article in log["steps"][0]["outputs"]]

        assert titles() == ["1"]
        assert titles() == []
        News.body = feed(3, 2, 1)
        assert titles() == ["2", "3"]
        news.shutdown()
