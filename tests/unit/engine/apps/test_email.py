"""The app email: what a message holds, whom it reaches, and that no data can add anything to it."""

import email
import email.policy
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from make_bridge.engine.apps.mail_addresses import read_mailboxes
from make_bridge.engine.apps.mail_message import MAX_MESSAGE
from make_bridge.engine.apps.module import ModuleError
from make_bridge.engine.ports import Credential, Mail, MailFailure, MailServer
from make_bridge.engine.runner.run import run
from support.blueprints import module, program, request
from support.scripted import make_world

ACCOUNT = Credential(
    kind="mail",
    user="login",
    secret="hunter2",
    settings={"host": "smtp.example", "port": "465", "security": "tls", "from": '"Shop" <shop@example.com>'},
)
SEND = "email:ActionSendEmail"


@dataclass
class Mailbox:
    """A mailer that keeps what it is given."""

    refused: tuple[str, ...] = ()
    failure: MailFailure | None = None
    taken: list[tuple[Mail, MailServer]] = field(default_factory=list)

    async def send(self, mail, server):
        if self.failure is not None:
            raise self.failure
        self.taken.append((mail, server))
        return self.refused


async def _send(
    mapper: dict[str, Any], mailbox: Mailbox | None = None, *, credential=ACCOUNT, bundle=None, **parameters
):
    mailbox = mailbox or Mailbox()
    world = make_world(credentials={7: credential})
    ports = msgspec.structs.replace(world.ports, mailer=mailbox)
    send = module(2, SEND, {"to": ["a@example.com"], **mapper}, version=7, parameters={"account": 7, **parameters})
    made = program(module(1, "gateway:CustomWebHook", {}, parameters={"hook": 1}), send)
    return await run(made, request(bundle or {}), ports), mailbox


async def _message(mapper, **more):
    result, mailbox = await _send(mapper, **more)
    assert result.error is None, result.error
    ((mail, _),) = mailbox.taken
    return email.message_from_bytes(mail.message, policy=email.policy.default), mail


async def test_a_message_goes_out_as_its_fields_say():
    message, mail = await _message(
        {
            "to": ["a@example.com", "B Ü <b@example.com>"],
            "cc": 'c@example.com, "D, E" <d@example.com>',
            "bcc": ["e@example.com"],
            "subject": "Größe",
            "html": "<p>Hallo Ü</p>",
            "replyTo": "r@example.com",
            "inReplyTo": "<1@x>",
            "references": ["<0@x>", "1@x"],
            "priority": "high",
            "headers": [{"key": "X-Shop", "value": "1"}],
        }
    )
    assert mail.recipients == (
        "a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com",
    )  # fmt: skip
    assert mail.sender == "shop@example.com"
    assert message["From"] == "Shop <shop@example.com>"
    assert message["To"] == "a@example.com, B Ü <b@example.com>"
    assert message["Cc"] == 'c@example.com, "D, E" <d@example.com>'
    assert message["Bcc"] is None
    assert message["Subject"] == "Größe"
    assert (message["In-Reply-To"], message["References"]) == ("<1@x>", "<0@x> <1@x>")
    assert (message["Reply-To"], message["X-Shop"], message["X-Priority"]) == ("r@example.com", "1", "1")
    assert message.get_content_type() == "text/html"
    assert message.get_content().strip() == "<p>Hallo Ü</p>"
    assert b"\n" not in mail.message.replace(b"\r\n", b"")
    assert max(map(len, mail.message.split(b"\r\n"))) < 1000
    assert mail.message.isascii()


async def test_the_server_and_the_log_in_come_from_the_connection():
    _, mailbox = await _send({"text": "x", "contentType": "text"})
    server = mailbox.taken[0][1]
    assert (server.host, server.port, server.security) == ("smtp.example", 465, "tls")
    assert (server.user, server.password) == ("login", "hunter2")
    assert "hunter2" not in repr(server)


async def test_the_same_step_makes_the_same_message():
    mapper = {"html": "<p>x</p>", "text": "x", "attachments": [{"fileName": "a.txt", "data": "content"}]}
    (first, one), (_, two) = [await _message(mapper) for _ in range(2)]
    assert one.message == two.message
    assert first["Message-ID"].endswith("@example.com>")
    result, _ = await _send(mapper)
    assert result.steps[1].outputs == [{"messageId": first["Message-ID"], "refused": []}]


async def test_text_html_images_and_files_find_their_places():
    message, _ = await _message(
        {
            "text": "plain",
            "html": '<img src="cid:logo">',
            "attachments": [
                {"fileName": "../../etc/Röchnung.pdf", "data": "{{1.file.data}}"},
                {"fileName": "logo.png", "data": "{{1.file}}", "cid": "logo"},
            ],
        },
        bundle={"file": {"name": "whole.bin", "data": b"\x00\xff"}},
    )
    assert message.get_content_type() == "multipart/mixed"
    assert message.get_body(("plain",)).get_content().strip() == "plain"
    files = {part.get_filename(): part for part in message.walk() if part.get_filename()}
    assert set(files) == {"Röchnung.pdf", "logo.png"}
    assert files["logo.png"]["Content-ID"] == "<logo>"
    assert files["logo.png"].get_content_disposition() == "inline"
    assert files["Röchnung.pdf"].get_content_type() == "application/pdf"
    assert {part.get_content() for part in files.values()} == {b"\x00\xff"}


INJECTED = "x\r\nBcc: victim@example.com\r\n\r\n<b>body</b>"


@pytest.mark.attack("E28")
@pytest.mark.parametrize("name", ["subject", "from_name", "to_name", "file", "header"])
async def test_a_line_break_in_data_adds_nothing(name):
    mapper: Any = {
        "subject": {"subject": "{{1.x}}"},
        "from_name": {"from": '"{{1.x}}" <f@example.com>'},
        "to_name": {"to": [{"address": "a@example.com", "name": "{{1.x}}"}]},
        "file": {"attachments": [{"fileName": "{{1.x}}", "data": "1"}]},
        "header": {"headers": [{"key": "X-A", "value": "{{1.x}}"}]},
    }[name]
    result, mailbox = await _send({"text": "t", **mapper}, bundle={"x": INJECTED})
    if result.error is not None:
        assert (result.error.type, mailbox.taken) == ("BundleValidationError", [])
        return
    message = email.message_from_bytes(mailbox.taken[0][0].message)
    assert "Bcc" not in message
    assert mailbox.taken[0][0].recipients == ("a@example.com",)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=80))
def test_no_text_at_all_adds_a_header(subject, name):
    import asyncio  # noqa: PLC0415 - a property cannot be a coroutine

    mapper = {"subject": "{{1.s}}", "to": [{"address": "a@example.com", "name": "{{1.n}}"}], "text": "t"}
    _, mailbox = asyncio.run(_send(mapper, bundle={"s": subject, "n": name}))
    message = email.message_from_bytes(mailbox.taken[0][0].message)
    assert set(message.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    }  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        "a", "a@", "@b.example", "a b@c.example", "a@b.example>", "a@b.example\r\nRCPT TO:<x@y>", "<a@b@c.example>",
        "a@[127.0.0.1]", "a..b@c.example", ".a@c.example", "a@-b.example", "a@b..example", "a" * 65 + "@b.example",
        "ä@b.example", "a@b.example SIZE=1", "a@b.example\x00",
    ],
)  # fmt: skip
async def test_what_is_no_address_is_refused_where_it_stands(address):
    result, mailbox = await _send({"to": [address], "text": "t"})
    assert (result.error.type, mailbox.taken) == ("BundleValidationError", [])


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("a@b.example", ["a@b.example"]),
        ("a@b.example; c@d.example", ["a@b.example", "c@d.example"]),
        ('"x, y" <a@b.example>, c@d.example', ["a@b.example", "c@d.example"]),
        ([{"address": "a@b.example", "name": "x"}, "c@d.example"], ["a@b.example", "c@d.example"]),
        (["a+tag@bücher.example"], ["a+tag@xn--bcher-kva.example"]),
    ],
)
def test_addresses_are_read_in_every_usual_form(value, addresses):
    assert [mailbox.address for mailbox in read_mailboxes(value, "to")] == addresses


def test_too_many_recipients_are_refused():
    with pytest.raises(ModuleError, match="at most 100"):
        read_mailboxes([f"a{number}@b.example" for number in range(101)], "to")


@pytest.mark.parametrize("name", ["Bcc", "from", "Content-Type", "Message-ID", "Received", "DKIM-Signature"])
async def test_headers_the_module_writes_cannot_be_written_again(name):
    result, _ = await _send({"text": "t", "headers": [{"key": name, "value": "x"}]})
    assert "written by the module itself" in result.error.message


@pytest.mark.parametrize(
    ("mapper", "parameters", "error", "said"),
    [
        ({"to": []}, {}, "BundleValidationError", "1 to 100 recipients"),
        ({"to": [""]}, {}, "BundleValidationError", "not a mail address"),
        ({"inReplyTo": "no id"}, {}, "BundleValidationError", "identifier"),
        ({"attachments": [{"cid": "a b", "data": "x"}]}, {}, "BundleValidationError", "Content-ID"),
        ({}, {"saveAfterSent": True}, "InvalidConfigurationError", "IMAP"),
        ({}, {"account": ""}, "InvalidConfigurationError", "no connection"),
        ({}, {"account": 8}, "InvalidAccessTokenError", "no connection 8"),
    ],
)
async def test_a_message_that_cannot_be_is_refused_with_a_sentence(mapper, parameters, error, said):
    result, mailbox = await _send({"text": "t", **mapper}, **parameters)
    assert result.error.type == error
    assert said in result.error.message
    assert mailbox.taken == []


async def test_a_connection_of_another_kind_and_one_without_sender_are_refused():
    for account in (Credential(kind="bearer", secret="x"), replace(ACCOUNT, user="", settings={"host": "h"})):
        result, _ = await _send({"text": "t"}, credential=account)
        assert result.error.type == "InvalidConfigurationError"


async def test_a_message_that_is_too_large_is_refused():
    result, _ = await _send(
        {"attachments": [{"data": "{{1.x}}", "fileName": "x"}]}, bundle={"x": b"x" * (MAX_MESSAGE + 1)}
    )
    assert result.error.type == "MaxFileSizeExceededError"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("connect", "ConnectionError"),
        ("timeout", "ModuleTimeoutError"),
        ("refused", "InvalidConfigurationError"),
        ("login", "InvalidAccessTokenError"),
        ("temporary", "ConnectionError"),
        ("rejected", "DataError"),
    ],
)
async def test_a_message_that_was_not_taken_is_an_error_of_its_kind(kind, error):
    result, _ = await _send({"text": "t"}, Mailbox(failure=MailFailure(kind, "said")))
    assert (result.error.type, result.error.message) == (error, "said")


async def test_a_password_that_the_server_quotes_is_not_shown():
    account = replace(ACCOUNT, secret="correct horse")
    failure = MailFailure("rejected", "smtp.example answered 554 dana, correct horse: no.")
    result, _ = await _send({"text": "t"}, Mailbox(failure=failure), credential=account)
    assert result.error.message == "smtp.example answered 554 dana, ***: no."


async def test_a_message_whose_server_is_paused_says_when_to_try_again():
    failure = MailFailure("connect", "Calls to smtp.example:465 are paused.", retry_after=9.2)
    result, _ = await _send({"text": "t"}, Mailbox(failure=failure))
    assert (result.error.type, result.error.detail) == ("ConnectionError", {"retryAfter": 10})


async def test_a_message_goes_out_under_the_number_of_its_connection():
    _, mailbox = await _send({"text": "t"})
    assert [server.credential for _, server in mailbox.taken] == ["7"]


async def test_recipients_that_were_refused_beside_others_are_told():
    result, _ = await _send({"to": ["a@b.example", "c@d.example"], "text": "t"}, Mailbox(refused=("c@d.example",)))
    assert result.status == "warning"
    assert result.steps[1].outputs[0]["refused"] == ["c@d.example"]
