"""Names that turn: rebound between two look-ups, with two addresses of which one is inside, unknown, slow, aliases.

The oracle is the interpreter's own record of every address dialled. Nothing but what was looked up and judged is
dialled, whatever the next look-up would say. `MAKE_BRIDGE_TEST_LOOKUPS` sets the number of tries; the promise is stated
for 10000. (F-45)
"""

import asyncio
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from faults.scene import new_seed, tell
from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest
from support.dialling import Dialled, found
from support.hostile import Connection, Hostile, misbehaving

pytestmark = pytest.mark.timeout(600)
TRIES = int(os.environ.get("MAKE_BRIDGE_TEST_LOOKUPS", "500"))
TOGETHER = 20
OPEN, INSIDE = "127.0.0.1", "127.0.0.2"
# What a look-up may find, and how the call ends then.
ANSWERS: tuple[tuple[tuple[str, ...], str], ...] = (
    ((OPEN,), "200"),
    ((INSIDE,), "refused"),
    ((OPEN, INSIDE), "refused"),
    ((INSIDE, OPEN), "refused"),
    ((OPEN, "::ffff:127.0.0.2"), "refused"),
    (("169.254.169.254",), "refused"),
    (("::ffff:a9fe:a9fe",), "refused"),
    (("fe80::1%lo",), "refused"),
    ((), "connect"),
)


class Turning(AbstractResolver):
    """Finds something else each time; the name says which try it is, so that the test knows what was found."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - look-ups that can be repeated, not a secret
        self.drawn = [chance.choice(ANSWERS) for _ in range(TRIES)]

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses, _ = self.drawn[int(host.partition(".")[0].removeprefix("n"))]
        if not addresses:
            raise OSError(None, "unknown name")
        return found(host, port, list(addresses))

    async def close(self) -> None:
        self.drawn.clear()


class Rebinding(AbstractResolver):
    """Finds the open address the first time, the one inside ever after, as a name with no life-time does."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked[host] += 1
        return found(host, port, [OPEN if self.asked[host] == 1 else INSIDE])

    async def close(self) -> None:
        self.asked.clear()


class Alias(AbstractResolver):
    """Finds what an alias leads to under the alias' own name, slowly where the name says so."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host.startswith("slow"):
            await asyncio.Event().wait()
        return found("database.internal", port, [INSIDE if host.startswith("inside") else OPEN])

    async def close(self) -> None:
        """Nothing is held."""


async def answer(connection: Connection) -> None:
    await connection.request()
    await connection.answer(b"{}", "200 OK", "Connection: close")


@pytest.fixture(scope="module")
def audit() -> Dialled:
    return Dialled()


@pytest.fixture
def servers() -> Iterator[tuple[Hostile, Hostile]]:
    """One on the open address, one inside, on the same port."""
    with misbehaving(answer, host=OPEN) as sound, misbehaving(answer, host=INSIDE, port=sound.port) as inside:
        yield sound, inside


def client_with(resolver: AbstractResolver) -> EgressClient:
    """A client that looks every name up anew."""
    policy = EgressPolicy.parse([OPEN])
    return EgressClient(EgressConfig(policy=policy, dns_seconds=0), resolver=resolver)


async def outcome(client: EgressClient, url: str, patience: float = 10.0) -> str:
    try:
        async with asyncio.timeout(2 * patience):
            return str((await client.send(EgressRequest(url=url, timeout=patience))).status)
    except EgressFailure as failure:
        return failure.kind
    except TimeoutError:
        return "no end"


async def test_whatever_look_ups_find_nothing_inside_is_dialled(
    audit: Dialled, servers: tuple[Hostile, Hostile]
) -> None:
    sound, inside = servers
    seed = new_seed()
    turning = Turning(seed)
    wanted = [ended for _, ended in turning.drawn]
    ended: list[str] = []
    async with client_with(turning) as client:
        with audit.heard() as addresses:
            for first in range(0, TRIES, TOGETHER):
                tries = range(first, min(first + TOGETHER, TRIES))
                calls = (outcome(client, sound.url(host=f"n{number}.example")) for number in tries)
                ended += await asyncio.gather(*calls)
    dialled = Counter(address for address, _ in addresses)
    tell(
        f"F-45 seed {seed}: tries {TRIES}, ended {dict(Counter(ended))}, dialled {dict(dialled)}, "
        f"connects inside {inside.accepted}"
    )
    assert dialled.keys() <= {OPEN}
    assert inside.accepted == 0
    assert ended == wanted
    assert sound.accepted == wanted.count("200") > 0


async def test_a_name_is_dialled_as_it_was_looked_up_and_judged_anew_the_next_time(
    audit: Dialled, servers: tuple[Hostile, Hostile]
) -> None:
    sound, inside = servers
    resolver = Rebinding()
    async with client_with(resolver) as client:
        with audit.heard() as addresses:
            ended = [await outcome(client, sound.url(host="turns.example")) for _ in range(3)]
        asked = resolver.asked["turns.example"]
    tell(f"F-45 rebinding: ended {ended}, look-ups {asked}, dialled {addresses}, connects inside {inside.accepted}")
    assert ended == ["200", "refused", "refused"]
    assert asked == 3
    assert addresses == [(OPEN, sound.port)]
    assert inside.accepted == 0


async def test_an_alias_is_judged_by_the_address_it_leads_to(servers: tuple[Hostile, Hostile]) -> None:
    sound, inside = servers
    async with client_with(Alias()) as client:
        ended = [await outcome(client, sound.url(host=f"{name}.example")) for name in ("inside", "shop")]
    tell(f"F-45 alias: ended {ended}, connects inside {inside.accepted}")
    assert ended == ["refused", "200"]
    assert inside.accepted == 0


async def test_a_look_up_without_an_end_meets_the_call_s_deadline_and_keeps_nobody_waiting(
    servers: tuple[Hostile, Hostile],
) -> None:
    sound, _ = servers
    async with client_with(Alias()) as client:
        began = time.monotonic()
        slow = [asyncio.create_task(outcome(client, sound.url(host=f"slow{n}.example"), 1.0)) for n in range(TOGETHER)]
        other = await outcome(client, sound.url(host="shop.example"))
        passed = time.monotonic() - began
        ended = Counter(await asyncio.gather(*slow))
        took = time.monotonic() - began
    tell(f"F-45 slow look-ups: ended {dict(ended)} after {took:.2f} s of 1, another call {other} after {passed:.2f} s")
    assert ended == {"timeout": TOGETHER}
    assert took <= 2.0
    assert (other, passed < 0.9) == ("200", True)
