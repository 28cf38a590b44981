"""Mail through a real server on the loopback: the guard before it, encryption, log-in, and every way to be refused."""

import asyncio
import ssl

import pytest

from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.mail import MailRefusal, MailSender, MailServerAddress, OutgoingMail
from support.mail_server import MailServer

MAIL = OutgoingMail(
    sender="a@example.com",
    recipients=("b@example.com", "c@example.com"),
    message=b"Subject: s\r\n\r\n.dot\r\nbody\r\n",
    timeout=5,
)


@pytest.fixture
def mail_server(stack):
    async def start(**options):
        return await stack.enter_async_context(MailServer(**options).serving())

    return start


def sender_for(server, *, allow=None, resolver=None, tls=None) -> MailSender:
    entries = (f"127.0.0.1:{server.port}",) if allow is None else allow
    return MailSender(EgressPolicy.parse(entries), resolver=resolver, tls=tls, name="bridge.example")


async def send(server, sender, *, mail=MAIL, **address):
    host = address.pop("host", "127.0.0.1")
    port = address.pop("port", server.port)
    security = address.pop("security", "none")
    return await sender.send(mail, MailServerAddress(host=host, port=port, security=security, **address))


async def refusal(server, sender, **more) -> MailRefusal:
    with pytest.raises(MailRefusal) as caught:
        await send(server, sender, **more)
    return caught.value


async def test_a_message_arrives_as_it_was_given(mail_server):
    server = await mail_server()
    assert await send(server, sender_for(server)) == ()
    (taken,) = server.taken
    assert (taken.sender, taken.recipients) == ("a@example.com", ["b@example.com", "c@example.com"])
    assert taken.message == MAIL.message
    assert server.heard[0] == "EHLO bridge.example"
    assert server.heard[-1] == "QUIT"


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_the_log_in_travels_encrypted(security, authority, mail_server):
    server_tls, client_tls, _ = authority
    server = await mail_server(tls=server_tls, implicit_tls=security == "tls", users={"u": "p"})
    sender = sender_for(server, tls=client_tls)
    await send(server, sender, security=security, user="u", password="p")
    (taken,) = server.taken
    assert (taken.encrypted, taken.user) == (True, "u")
    before = server.heard[: server.heard.index("STARTTLS")] if security == "starttls" else []
    assert not any(line.startswith("AUTH") for line in before)


async def test_without_encryption_no_password_is_even_offered(mail_server):
    server = await mail_server(users={"u": "p"})
    said = await refusal(server, sender_for(server), user="u", password="p")
    assert (said.kind, server.connections) == ("refused", 0)


@pytest.mark.parametrize("user", ["u", ""])
async def test_a_server_that_offers_no_encryption_gets_nothing(user, mail_server):
    server = await mail_server(users={"u": "p"})
    said = await refusal(server, sender_for(server), security="starttls", user=user, password="p")
    assert (said.kind, server.taken) == ("rejected", [])
    assert not any(line.startswith(("AUTH", "MAIL")) for line in server.heard)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_nobody_vouches_for_is_refused(security, authority, mail_server):
    server = await mail_server(tls=authority[0], implicit_tls=security == "tls", users={"u": "p"})
    said = await refusal(server, sender_for(server, tls=ssl.create_default_context()), security=security, user="u")
    assert (said.kind, server.taken) == ("connect", [])
    assert "certificate" in said.message or "connection" in said.message


async def test_the_certificate_is_checked_against_the_name(authority, names, mail_server):
    server_tls, client_tls, _ = authority
    server = await mail_server(tls=server_tls, implicit_tls=True)
    resolver = names(shop_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    allow = [f"{host}:{server.port}" for host in ("shop.example", "other.example")]
    sender = sender_for(server, allow=allow, resolver=resolver, tls=client_tls)
    await send(server, sender, host="shop.example", security="tls")
    assert (await refusal(server, sender, host="other.example", security="tls")).kind == "connect"
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "::1",
        "::ffff:127.0.0.1",
        "localhost",
        "10.0.0.1",
        "169.254.169.254",
    ],
)
@pytest.mark.parametrize("port", [25, 465, 587, 2525])
async def test_private_addresses_are_refused_in_every_form(host, port, names, dialled):
    sender = MailSender(EgressPolicy(), resolver=names(localhost=[["127.0.0.1"]]))
    with pytest.raises(MailRefusal) as caught:
        await sender.send(MAIL, MailServerAddress(host=host, port=port, security="none"))
    assert (caught.value.kind, dialled) == ("refused", [])


@pytest.mark.parametrize("answer", [["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"]])
async def test_a_name_with_one_private_record_is_refused(answer, names, dialled):
    sender = MailSender(EgressPolicy(), resolver=names(mail_example=[answer]))
    with pytest.raises(MailRefusal) as caught:
        await sender.send(MAIL, MailServerAddress(host="mail.example", port=587))
    assert (caught.value.kind, dialled) == ("refused", [])


@pytest.mark.attack("E27")
@pytest.mark.parametrize("port", [22, 80, 443, 5432, 6379, 0, 70000])
async def test_only_the_ports_of_mail_are_dialled(port, dialled):
    with pytest.raises(MailRefusal) as caught:
        await MailSender(EgressPolicy()).send(MAIL, MailServerAddress(host="93.184.216.34", port=port))
    assert (caught.value.kind, dialled) == ("refused", [])


@pytest.mark.parametrize(
    "host", ["", "a b", "user@mail.example", "mail.example/x", "mail.example:25", "mail.example\r\n"]
)
async def test_a_host_that_can_be_read_in_two_ways_is_refused(host, dialled):
    with pytest.raises(MailRefusal) as caught:
        await MailSender(EgressPolicy()).send(MAIL, MailServerAddress(host=host, port=587))
    assert (caught.value.kind, dialled) == ("refused", [])


@pytest.mark.parametrize(
    ("command", "answer", "kind"),
    [
        ("CONNECT", "421 busy", "temporary"),
        ("CONNECT", "554 no", "rejected"),
        ("MAIL", "451 later", "temporary"),
        ("MAIL", "552 too large", "rejected"),
        ("DATA", "550 no", "rejected"),
        ("TAKEN", "554 spam", "rejected"),
        ("TAKEN", "452 full", "temporary"),
    ],
)
async def test_what_the_server_says_decides_whether_it_may_go_better_later(command, answer, kind, mail_server):
    server = await mail_server(answers={command: answer})
    said = await refusal(server, sender_for(server))
    assert said.kind == kind
    assert answer[:3] in said.message


async def test_a_wrong_password_is_said_without_it(authority, mail_server):
    server_tls, client_tls, _ = authority
    server = await mail_server(tls=server_tls, users={"u": "p"})
    said = await refusal(server, sender_for(server, tls=client_tls), security="starttls", user="u", password="hunter2")
    assert said.kind == "login"
    assert "hunter2" not in said.message


async def test_recipients_that_are_refused_are_named_unless_all_are(mail_server):
    server = await mail_server(refused={"c@example.com"})
    assert await send(server, sender_for(server)) == ("c@example.com",)
    server.refused = {"b@example.com", "c@example.com"}
    said = await refusal(server, sender_for(server))
    assert (said.kind, "\x1b" in said.message) == ("rejected", False)
    assert len(server.taken) == 1


@pytest.mark.parametrize("command", ["EHLO", "MAIL", "DATA"])
async def test_a_server_that_falls_silent_meets_the_deadline(command, mail_server):
    server = await mail_server(silent_after=command)
    mail = OutgoingMail(sender="a@example.com", recipients=("b@example.com",), message=b"x", timeout=0.2)
    began = asyncio.get_running_loop().time()
    assert (await refusal(server, sender_for(server), mail=mail)).kind == "timeout"
    assert asyncio.get_running_loop().time() - began < 3


async def test_a_server_that_is_not_there_and_one_that_hangs_up(mail_server, names):
    server = await mail_server(answers={"MAIL": "250 ok\r\n" * 100_000})
    assert (await refusal(server, sender_for(server))).kind in {"connect", "rejected", "temporary"}
    gone = MailServer(port=1)
    assert (await refusal(gone, sender_for(gone))).kind == "connect"
    nowhere = sender_for(gone, resolver=names())
    assert (await refusal(gone, nowhere, host="mail.example", port=587)).kind == "connect"


async def test_a_large_message_arrives_whole(mail_server):
    server = await mail_server()
    body = b"Subject: s\r\n\r\n" + b"x" * 70 + b"\r\n" + b".\r\n" * 200_000
    mail = OutgoingMail(sender="a@example.com", recipients=("b@example.com",), message=body, timeout=10)
    await send(server, sender_for(server), mail=mail)
    assert server.taken[0].message == body
