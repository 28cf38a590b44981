"""Targets that send their callers elsewhere: to addresses inside, to other schemes, in circles, to strangers.

The oracle is the interpreter's own record of every address dialled, besides listeners on the loopback that must hear
nothing. Whatever a redirect says, nothing but the target itself is dialled, and a stranger learns nothing of the
sender. (F-44)
"""

from collections.abc import Iterator

import pytest

from faults.scene import tell
from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest
from support.dialling import Dialled, Names
from support.hostile import Connection, Hostile, misbehaving

pytestmark = pytest.mark.timeout(120)
OPEN, INSIDE = "127.0.0.1", "127.0.0.2"
MOST_HOPS = 5
# Placed are {port}, where listeners on the loopback wait, and {open}, the target's own address.
BLOCKED = (
    "http://127.0.0.2:{port}/",
    "//127.0.0.2:{port}/",
    "http://2130706434:{port}/",
    "http://0x7f.0.0.2:{port}/",
    "http://0177.0.0.2:{port}/",
    "http://127.2:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.2]:{port}/",
    "http://[::ffff:7f00:2]:{port}/",
    "http://[64:ff9b::7f00:2]:{port}/",
    "http://[2002:7f00:2::]:{port}/",
    "http://0.0.0.0:{port}/",
    "http://inside.example:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://10.0.0.1/",
    "http://127.0.0.1:22/",
    "http://127.0.0.1:6379/",
    "http://user:secret@127.0.0.2:{port}/",
    "http://{open}@127.0.0.2:{port}/",
    "http://127.0.0.2:{port}#@{open}/",
    "http://127.0.0.2:{port}\\@{open}/",
    "file:///etc/passwd",
    "FILE:/etc/passwd",
    "gopher://127.0.0.2:{port}/_GET",
    "ftp://127.0.0.2/",
    "data:text/plain,x",
    "unix:///var/run/docker.sock",
    "http://",
    "http://[::1",
)
SECRETS = [
    ("Authorization", "Bearer canary"),
    ("Cookie", "session=canary"),
    ("X-Api-Key", "canary"),
    ("Proxy-Authorization", "canary"),
    ("X-Auth-Token", "canary"),
]


@pytest.fixture(scope="module")
def audit() -> Dialled:
    return Dialled()


def policy() -> EgressPolicy:
    return EgressPolicy.parse([OPEN])


async def answer(connection: Connection) -> None:
    while True:
        await connection.request()
        await connection.answer()


@pytest.fixture
def inside() -> Iterator[list[Hostile]]:
    """Listeners on the loopback that nobody may reach, all on one port."""
    with misbehaving(answer, host=INSIDE) as first, misbehaving(answer, host="::1", port=first.port) as second:
        yield [first, second]


@pytest.mark.parametrize("status", [302, 307])
async def test_no_redirect_leads_inside(status: int, audit: Dialled, inside: list[Hostile]) -> None:
    port = inside[0].port
    location = ""

    async def point_inside(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.answer(b"", f"{status} Found", f"Location: {location}")

    ended: list[str] = []
    with misbehaving(point_inside) as target:
        for pattern in BLOCKED:
            location = pattern.format(port=port, open=f"{OPEN}:{target.port}")
            names = Names(inside_example=[[INSIDE]])
            async with EgressClient(EgressConfig(policy=policy()), resolver=names) as client:
                with audit.heard() as addresses:
                    ended.append(await outcome(client, EgressRequest(url=target.url(), method="POST", timeout=5)))
            assert set(addresses) == {(OPEN, target.port)}, location
    connects = sum(listener.accepted for listener in inside)
    tell(f"F-44 {status}: {len(BLOCKED)} redirects, connects inside {connects}, ended {set(ended)}")
    assert connects == 0
    assert set(ended) <= {"refused", "redirect"}


async def outcome(client: EgressClient, request: EgressRequest) -> str:
    try:
        return str((await client.send(request)).status)
    except EgressFailure as failure:
        return failure.kind


@pytest.mark.parametrize("way", ["a loop", "200 hops"])
async def test_redirects_in_a_row_are_bounded(way: str) -> None:
    async def go_on(connection: Connection) -> None:
        while True:
            request = await connection.request()
            hop = int(request.path.rpartition("/")[2] or 0)
            if hop >= 200:
                await connection.answer()
                return
            following = 0 if way == "a loop" else hop + 1
            await connection.answer(b"", "302 Found", f"Location: /{following}")

    with misbehaving(go_on) as target:
        async with EgressClient(EgressConfig(policy=policy())) as client:
            ended = await outcome(client, EgressRequest(url=target.url("/0"), timeout=10))
    tell(f"F-44 {way}: {len(target.requests) - 1} hops of {MOST_HOPS}, ended {ended}")
    assert ended == "redirect"
    assert len(target.requests) == MOST_HOPS + 1


@pytest.mark.parametrize("way", ["another port", "another name", "there and back"])
@pytest.mark.parametrize("status", [301, 303, 307, 308])
async def test_a_stranger_learns_nothing_of_the_sender(status: int, way: str) -> None:
    location = ""

    async def point_there(connection: Connection) -> None:
        while True:
            request = await connection.request()
            if request.path == "/back":
                await connection.answer()
            else:
                await connection.answer(b"", f"{status} Moved", f"Location: {location}", "Set-Cookie: own=canary")

    with misbehaving(point_there) as first:

        async def hear(connection: Connection) -> None:
            while True:
                await connection.request()
                if way == "there and back":
                    await connection.answer(b"", "307 Back", f"Location: {first.url('/back')}")
                else:
                    await connection.answer()

        with misbehaving(hear) as stranger:
            location = stranger.url(host="stranger.example" if way == "another name" else None)
            names = Names(stranger_example=[[OPEN]])
            async with EgressClient(EgressConfig(policy=policy()), resolver=names) as client:
                request = EgressRequest(url=first.url(), method="POST", headers=SECRETS, body=b"{}", timeout=10)
                ended = await outcome(client, request)
    told = [*stranger.requests, *(seen for seen in first.requests if seen.path == "/back")]
    leaks = [name for seen in told for name, value in seen.headers.items() if "canary" in value]
    tell(f"F-44 {status} to {way}: ended {ended}, strangers' requests {len(told)}, leaks {leaks}")
    assert ended == "200"
    assert first.requests[0].headers["authorization"] == "Bearer canary"
    assert len(told) == (2 if way == "there and back" else 1)
    assert leaks == []
