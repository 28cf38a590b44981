"""Mail as a mailhook reads it: every usual shape, and none that costs more than its length."""

import contextlib
import time
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from make_bridge.domain.executions import mail_body
from make_bridge.domain.executions.mail_body import MAX_DEPTH, MAX_PARTS
from make_bridge.kernel.errors import InvalidInput


def mail_bundle(body) -> Any:
    return mail_body.mail_bundle(body)


PLAIN = b"""From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r
To: "A, B" <a@example.com>,\r
 c@example.com\r
Subject: =?iso-8859-1?b?R3L832U=?=\r
Date: Sun, 22 Nov 2026 11:00:00 +0100\r
Message-ID: <1@example.com>\r
References: <0@x>\r
 <00@x>\r
Received: one\r
Received: two\r
\r
Hello\r
"""


def test_a_plain_message_is_read():
    mail = mail_bundle(PLAIN)
    assert mail["from"] == {"address": "j@example.com", "name": "Jürgen"}
    assert mail["to"] == [{"address": "a@example.com", "name": "A, B"}, {"address": "c@example.com", "name": ""}]
    assert (mail["subject"], mail["text"], mail["html"]) == ("Grüße", "Hello\r\n", None)
    assert mail["date"].isoformat() == "2026-11-22T10:00:00+00:00"
    assert (mail["messageId"], mail["references"]) == ("<1@example.com>", ["<0@x>", "<00@x>"])
    assert mail["headers"]["received"] == ["one", "two"]
    assert mail["attachments"] == []


def test_line_ends_of_unix_are_read_too():
    assert mail_bundle(PLAIN.replace(b"\r\n", b"\n"))["subject"] == "Grüße"


def made(*, cte="base64"):
    message: Any = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "s"
    message.set_content("Text ü", cte=cte)
    message.add_alternative("<p>HTML ü</p>", subtype="html")
    message.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<logo>")
    message.add_attachment(b"\x00" * 1000, "application", "pdf", filename="Röchnung.pdf")
    message.add_attachment("a,b\r\n", subtype="csv", filename="../x/list.csv")
    return message


@pytest.mark.parametrize("cte", ["base64", "quoted-printable", "8bit"])
def test_texts_images_and_files_are_found(cte):
    mail = mail_bundle(made(cte=cte).as_bytes())
    assert (mail["text"].strip(), mail["html"].strip()) == ("Text ü", "<p>HTML ü</p>")
    image, pdf, table = mail["attachments"]
    assert image == {"fileName": "file", "contentType": "image/png", "data": b"\x89PNG", "size": 4, "cid": "logo"}
    assert (pdf["fileName"], pdf["data"], pdf["size"]) == ("Röchnung.pdf", b"\x00" * 1000, 1000)
    assert (table["fileName"], table["contentType"], table["data"]) == ("list.csv", "text/csv", b"a,b\r\n")


def test_a_message_inside_a_message_is_a_file():
    outer = EmailMessage(policy=SMTP)
    outer["From"] = "a@example.com"
    outer.set_content("see inside")
    outer.add_attachment(made())
    (inner,) = mail_bundle(outer.as_bytes())["attachments"]
    assert (inner["contentType"], inner["fileName"]) == ("message/rfc822", "message.eml")
    assert mail_bundle(inner["data"])["subject"] == "s"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Subject", "=?utf-8?b?!!!?=", None),
        ("Subject", "=?unknown-charset?q?abc?=", "abc"),
        ("Subject", "raw ü", "raw ü"),
        ("Subject", "x" * 100_000, "x" * 4096),
        ("From", "((((((((((" * 1000, None),
        ("From", '"open <a@b', None),
        ("Date", "yesterday", None),
        ("Date", "Sun, 99 Nov 99999 11:00:00 +9999", None),
        ("Content-Type", "text/plain; charset=zlib", None),
        ("Content-Type", 'text/plain; a="' + ";" * 100_000, None),
        ("Content-Transfer-Encoding", "base64", None),
    ],
)
def test_what_is_odd_is_read_as_far_as_it_goes(name, value, shown):
    mail = mail_bundle(f"X: 1\r\n{name}: {value}\r\n\r\nbody".encode())
    if shown is not None:
        assert mail["subject"] == shown


@pytest.mark.parametrize("data", ["", "A", "AA", "AAA", "AAAA", "A A\r\nA!A", "====", "AAAA====AAAA"])
def test_broken_base64_is_no_error(data):
    head = "From: a@b\r\nContent-Type: x/y\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert isinstance(mail_bundle((head + data).encode())["attachments"][0]["data"], bytes)


def nested(depth):
    body = b"deep"
    for number in range(depth):
        body = b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n%b\r\n--b%d--\r\n' % (
            number, number, body if number else b"\r\n" + body, number,
        )  # fmt: skip
    return b"From: a@b\r\n" + body


def test_depth_and_number_of_parts_are_bounded():
    assert mail_bundle(nested(MAX_DEPTH))["text"] == "deep"
    many = (
        b"From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\n\r\nx\r\n" * (MAX_PARTS + 1)
        + b"--b--"
    )
    for hostile, said in (
        (nested(MAX_DEPTH + 1), "deep"),
        (nested(5000), "deep"),
        (many, "parts"),
        (b"From: a@b\r\nContent-Type: multipart/mixed\r\n\r\nx", "where they begin"),
        (b"no headers at all", "no headers"),
        (b"", "no headers"),
        (b"a: " + b"x" * 300_000, "headers"),
    ):
        with pytest.raises(InvalidInput, match=said):
            mail_bundle(hostile)


MEGABYTES = 5 * 1024 * 1024


@pytest.mark.parametrize(
    "body",
    [
        b"From: a@b\r\n\r\n" + b"\n" * MEGABYTES,
        b"From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b" * (MEGABYTES // 3),
        b"From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + b"a:\n" * (MEGABYTES // 3),
        (b"a: b\n" * (MEGABYTES // 5))[:250_000] + b"\n\n",
        b"From: " + b"(" * 200_000 + b"\r\nTo: " + b"a:" * 20_000 + b"\r\n\r\n",
        b"To: " + b"a@b," * 50_000 + b"\r\n\r\n",
        b"Subject: " + b"=?utf-8?q?" * 20_000 + b"\r\n\r\n",
        b"Content-Type: a/b; " + b'x="\\";' * 30_000 + b"\r\n\r\n",
        b"From: a@b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * MEGABYTES,
        b"From: a@b\r\nContent-Type: x/y\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"!A" * (MEGABYTES // 2),
    ],
    ids=range(10),
)
def test_a_hostile_mail_costs_no_more_than_its_length(body):
    began = time.process_time()
    with contextlib.suppress(InvalidInput):
        mail_bundle(body)
    assert time.process_time() - began < 1.0
