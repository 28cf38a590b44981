"""Nothing that is not public is dialled: whatever the form of the address, whoever names it."""

import aiohttp
import pytest
from aiohttp import web

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import BLOCKED_PORTS, BlockedAddress, EgressGuard, EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest

FORMS = {
    "loopback": """
        127.0.0.1 127.0.0.2 127.255.255.254 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0x7F.0x0.0x0.0x1
        0177.0.0.1 017700000001 0177.0x0.1 127.000.000.001 127.0.0.1. ①②⑦.⓪.⓪.① 127。0。0。1
        \uff11\uff12\uff17.0.0.1 127\uff0e0\uff0e0\uff0e1 0 0.0.0.0 0x0 00 0.0.0.1 [::1] [0:0:0:0:0:0:0:1]
        [0000:0000:0000:0000:0000:0000:0000:0001] [::] [::127.0.0.1] [::7f00:1]
    """,
    "an address inside another": """
        [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:7F00:0001] [0:0:0:0:0:ffff:127.0.0.1] [::ffff:0:7f00:1]
        [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::ffff:10.0.0.1] [::ffff:0.0.0.0] [64:ff9b::127.0.0.1]
        [64:ff9b::a9fe:a9fe] [64:ff9b::192.168.1.1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:a9fe:a9fe::1]
        [2002:c0a8:101::] [2001:0:4136:e378:8000:63bf:80ff:fffe] [2001::f5ff:fffe] [fe80::5efe:127.0.0.1]
        [2606:4700::5efe:10.0.0.1] [2606:4700::200:5efe:7f00:1]
    """,
    "metadata": """
        169.254.169.254 2852039166 0xa9fea9fe 0xa9.0xfe.0xa9.0xfe 0251.0376.0251.0376 169.254.43518
        169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16 [fd00:ec2::254] [fd20:ce::254] [fd00:42::42]
    """,
    "private": """
        10.0.0.1 10.1 167772161 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.257 0300.0250.1.1
        100.64.0.1 100.127.255.254 169.254.0.1 [fc00::1] [fd12:3456:789a::1] [fe80::1] [febf::1] [fec0::1]
    """,
    "multicast, broadcast and reserved": """
        224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 4294967295 [ff02::1] [ff0e::1] [4000::1] [5f00::1]
        [100::1] [2001:10::1] [3ffe::1]
    """,
    "documentation and benchmarks": """
        192.0.2.1 198.51.100.7 203.0.113.9 198.18.0.1 198.19.255.254 192.88.99.1 [2001:db8::1] [3fff::1]
        [2001:2::1]
    """,
}


async def hello(_request) -> web.Response:
    return web.Response(text="hello")


async def refusal(client, url, **request) -> EgressFailure:
    with pytest.raises(EgressFailure) as caught:
        await client.send(EgressRequest(url=url, timeout=5, **request))
    return caught.value


@pytest.mark.attack("E21")
@pytest.mark.parametrize(("kind", "form"), [(kind, form) for kind, forms in FORMS.items() for form in forms.split()])
async def test_no_form_of_an_address_that_is_not_public_is_dialled(kind, form, serve, client_for, dialled):
    server = await serve(hello)
    client = await client_for()
    failure = await refusal(client, server.url(host=form))
    assert (failure.kind, failure.reason, failure.sent) == ("refused", "blocked_address", False)
    assert dialled == []
    assert server.requests == []


async def test_the_record_of_dialled_addresses_sees_a_call_that_is_allowed(serve, client_for, dialled):
    server = await serve(hello)
    client = await client_for("127.0.0.1/32")
    assert (await client.send(EgressRequest(url=server.url()))).body == b"hello"
    assert dialled == [("127.0.0.1", server.port)]


@pytest.mark.attack("E22")
@pytest.mark.parametrize("name", ["localhost", "LOCALHOST."])
async def test_the_machines_own_names_are_refused_by_their_addresses(name, serve, client_for, dialled):
    server = await serve(hello)
    failure = await refusal(await client_for(), server.url(host=name))
    assert (failure.kind, failure.reason) == ("refused", "blocked_address")
    assert dialled == []


@pytest.mark.attack("E23")
@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["2606:4700::1111", "10.0.0.1"], ["fe80::1%lo"],
     ["8.8.8.8", "::1"], ["::ffff:127.0.0.1"], ["not an address"]],
)  # fmt: skip
async def test_one_private_record_refuses_the_name(answer, names, serve, client_for, dialled):
    server = await serve(hello)
    client = await client_for(resolver=names(shop_example=[answer]))
    failure = await refusal(client, server.url(host="shop.example"))
    assert (failure.kind, failure.reason) == ("refused", "blocked_address")
    assert "shop.example" in failure.message
    assert not any(address in failure.message for address in answer)
    assert dialled == []


@pytest.mark.attack("E23")
async def test_a_name_that_changes_its_answer_is_judged_at_every_look_up(names, serve, client_for, dialled):
    async def once(_request) -> web.Response:
        return web.Response(headers={"Connection": "close"})

    # 127.0.0.2 plays the public address: it is open, 127.0.0.1 is not.
    public = await serve(once, host="127.0.0.2")
    private = await serve(once, host="127.0.0.1", port=public.port)
    resolver = names(rebind_example=[["127.0.0.2"], ["127.0.0.1"]])
    client = await client_for("127.0.0.2/32", resolver=resolver, dns_seconds=0)
    url = public.url(host="rebind.example")
    assert (await client.send(EgressRequest(url=url))).status == 200
    assert (await refusal(client, url)).reason == "blocked_address"
    assert resolver.asked == ["rebind.example", "rebind.example"]
    assert private.requests == []
    assert dialled == [("127.0.0.2", public.port)]


@pytest.mark.attack("E23")
async def test_the_vetted_answer_is_the_one_that_is_dialled(names, serve, client_for, dialled):
    server = await serve(hello, host="127.0.0.2")
    resolver = names(rebind_example=[["127.0.0.2"], ["127.0.0.1"]])
    client = await client_for("127.0.0.2/32", resolver=resolver)
    answers = [await client.send(EgressRequest(url=server.url(host="rebind.example"))) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 5
    assert {address for address, _ in dialled} == {"127.0.0.2"}
    assert server.requests[0].headers["Host"] == f"rebind.example:{server.port}"


@pytest.mark.attack("E23", "E35")
@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "trusted.example"])
async def test_the_socket_alone_stops_what_the_other_checks_would_have_missed(host, names, serve, dialled):
    server = await serve(hello)
    unguarded = names(trusted_example=[["127.0.0.1"]])
    guard = EgressGuard(EgressPolicy(), unguarded)
    connector = aiohttp.TCPConnector(resolver=unguarded, socket_factory=guard.open_socket)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(server.url(host=host))
    assert isinstance(caught.value.os_error, BlockedAddress)
    assert dialled == []


@pytest.mark.parametrize(
    ("entry", "host", "is_open"),
    [
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "2130706433", True),
        ("127.0.0.1", "[::ffff:127.0.0.1]", True),
        ("127.0.0.1:{port}", "127.0.0.1", True),
        ("127.0.0.1:1", "127.0.0.1", False),
        ("127.0.0.2/32", "127.0.0.1", False),
        ("crm.internal", "crm.internal", True),
        ("CRM.internal.:{port}", "crm.internal", True),
        ("crm.internal:1", "crm.internal", False),
        ("crm.internal", "127.0.0.1", False),
        ("crm.internal", "other.internal", False),
        ("10.0.0.0/8", "crm.internal", False),
    ],
)
async def test_a_setting_opens_what_it_names_and_no_more(entry, host, is_open, names, serve, client_for):
    server = await serve(hello)
    resolver = names(crm_internal=[["127.0.0.1"]], other_internal=[["127.0.0.1"]])
    client = await client_for(entry.format(port=server.port), resolver=resolver)
    if is_open:
        assert (await client.send(EgressRequest(url=server.url(host=host)))).status == 200
    else:
        assert (await refusal(client, server.url(host=host))).kind == "refused"
        assert server.requests == []


async def test_an_opened_name_does_not_open_its_address_to_other_names(names, serve, client_for, dialled):
    server = await serve(hello)
    resolver = names(crm_internal=[["127.0.0.1"]], evil_example=[["127.0.0.1"]])
    client = await client_for(f"crm.internal:{server.port}", resolver=resolver)
    assert (await client.send(EgressRequest(url=server.url(host="crm.internal")))).status == 200
    for host in ("evil.example", "127.0.0.1", "127.1"):
        assert (await refusal(client, server.url(host=host))).kind == "refused"
    assert len(server.requests) == 1


@pytest.mark.attack("E27")
@pytest.mark.parametrize(
    "port", [22, 23, 25, 53, 110, 143, 445, 2181, 2375, 3306, 5432, 6379, 9092, 10250, 11211, 27017]
)
async def test_ports_that_speak_no_http_are_refused(port, client_for, dialled):
    client = await client_for("127.0.0.1/32")
    failure = await refusal(client, f"http://127.0.0.1:{port}/")
    assert (failure.kind, failure.reason) == ("refused", "blocked_port")
    assert dialled == []


@pytest.mark.attack("E27")
async def test_a_blocked_port_opens_for_the_one_place_that_is_named_with_it(serve, client_for):
    server = await serve(hello)
    policy = EgressPolicy.parse([f"127.0.0.1:{server.port}"], blocked_ports=BLOCKED_PORTS | {server.port})
    async with EgressClient(EgressConfig(policy=policy)) as client:
        assert (await client.send(EgressRequest(url=server.url()))).status == 200
        assert (await refusal(client, server.url(host="127.0.0.2"))).reason == "blocked_port"


@pytest.mark.parametrize(
    "entry", ["", "10.0.0.0/33", "http://crm.internal", "user@host", "a b", "crm.internal:x", "*.internal"]
)
async def test_a_setting_that_cannot_be_read_is_refused_at_the_start(entry):
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        EgressPolicy.parse([entry])
