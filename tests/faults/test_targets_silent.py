"""Targets that accept a call and never come to an end: it ends at its deadline, and what it held is free again.

The oracle measures how long a call really took, whether the target's side of it was closed, and whether the one
connection the client may have is there for the next call. In the product: how many runs of one team wait at once, and
whether another team's run passes them. (F-41)
"""

import asyncio
import time
from collections.abc import Iterator

import pytest

from acceptance.test_incomplete_executions import Scene, make_scene, post
from faults.scene import tell
from make_bridge.engine.apps import http_request
from make_bridge.engine.ports import HttpRequest
from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import DEFAULT_TIMEOUT, EgressFailure, EgressRequest
from support.hostile import Connection, Hostile, Talk, misbehaving
from support.integrator import new_organization
from support.server import Installation, installed
from support.target import serving_target
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
DEADLINE, TOLERANCE, HANGS = 1.0, 1.0, 10.0
WITHIN = 60.0
# Far above what one call of this length may hold, far below the process.
CAP, WAITING = 4, 12


async def never(connection: Connection) -> None:
    await connection.request()
    await connection.gone()


async def drip_head(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await connection.send(b"X: y\r\n")
        await asyncio.sleep(DEADLINE / 4)


async def drip_body(connection: Connection) -> None:
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        await connection.send(b"x")
        await asyncio.sleep(DEADLINE / 4)


async def redirect_slowly(connection: Connection) -> None:
    while True:
        await connection.request()
        await asyncio.sleep(DEADLINE * 0.4)
        await connection.answer(b"", "302 Found", "Location: /again")


async def never_shake_hands(connection: Connection) -> None:
    await connection.gone()


async def drip_handshake(connection: Connection) -> None:
    # The beginning of a ServerHello whose rest never comes.
    for byte in b"\x16\x03\x03\x40\x00\x02":
        await connection.send(bytes([byte]))
        await asyncio.sleep(DEADLINE / 4)
    await connection.gone()


SILENCES: dict[str, tuple[str, Talk]] = {
    "never answers": ("http", never),
    "one line of the head at a time": ("http", drip_head),
    "one byte of the body at a time": ("http", drip_body),
    "redirects, each slow": ("http", redirect_slowly),
    "no handshake": ("https", never_shake_hands),
    "half a handshake": ("https", drip_handshake),
}


async def took(client: EgressClient, url: str) -> tuple[str, float]:
    """Return how a call failed and after how long; one without an end is ended here."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(HANGS):
            await client.send(EgressRequest(url=url, timeout=DEADLINE))
    except EgressFailure as failure:
        return failure.kind, time.monotonic() - began
    except TimeoutError:
        return "no end", time.monotonic() - began
    return "answered", time.monotonic() - began


@pytest.mark.parametrize("silence", SILENCES)
async def test_a_call_ends_at_its_deadline_however_its_target_keeps_it_waiting(silence: str) -> None:
    scheme, talk = SILENCES[silence]

    async def answer(connection: Connection) -> None:
        await connection.request()
        await connection.answer()

    # One connection for all: a call that kept its slot would leave none for the next.
    config = EgressConfig(policy=EgressPolicy.parse(["127.0.0.1"]), connections=1, connections_per_host=1)
    with misbehaving(talk) as target, misbehaving(answer) as sound:
        async with EgressClient(config) as client:
            kind, seconds = await took(client, target.url().replace("http", scheme, 1))
            after, seconds_after = await took(client, sound.url())
            await asyncio.to_thread(until, lambda: is_left(target), "the target was hung up on", within=HANGS)
    tell(
        f"F-41 {silence}: {kind} after {seconds:.2f} s of {DEADLINE:g}; the next call {after} in {seconds_after:.2f} s"
    )
    assert kind == "timeout"
    assert DEADLINE - 0.05 <= seconds <= DEADLINE + TOLERANCE
    assert (after, seconds_after < DEADLINE) == ("answered", True)


def is_left(target: Hostile) -> bool:
    return target.accepted > 0 and target.open == 0


def test_the_deadline_of_a_call_that_names_none_is_forty_seconds_and_nobody_waits_longer_than_five_minutes() -> None:
    assert EgressRequest(url="http://shop.example/").timeout == DEFAULT_TIMEOUT == 40.0
    assert HttpRequest(method="GET", url="http://shop.example/").timeout == http_request.DEFAULT_TIMEOUT == 40
    assert http_request.MAX_TIMEOUT == 300


@pytest.fixture
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("silent") / "w"
    settings = {"EGRESS_ALLOW": "127.0.0.1", "EXECUTION_CONCURRENCY": "8", "TEAM_CONCURRENCY": str(CAP)}
    with installed("embedded", folder, None, **settings) as installation:
        yield installation


def test_runs_that_wait_in_vain_hold_no_more_than_their_team_s_slots_and_give_them_back(
    installation: Installation,
) -> None:
    server = installation.server().start()
    with serving_target() as target, misbehaving(never) as silence:
        waits, others = (new_organization(installation, server.url, name) for name in ("Waits", "Others"))
        call = post(2, silence.url("/silent"), "x")
        call["mapper"]["timeout"] = 2
        silent = make_scene(waits, target, call)
        sound = make_scene(others, target, post(2, f"{target.url}/sound", "x"))
        for _ in range(WAITING):
            silent.call({})
        until(lambda: silence.open >= CAP, "the team's slots are taken", within=WITHIN)
        most = silence.open
        began = time.monotonic()
        sound.call({})
        until(lambda: target.calls_to("/sound"), "the other team's run passes", within=WITHIN)
        passed = time.monotonic() - began
        until(lambda: len(silent.logs()) == WAITING, "all have ended", within=WITHIN)
        until(lambda: silence.open == 0, "all connections are given back", within=WITHIN)
        # A run whose call has ended may still be on its way to its outcome.
        until(lambda: "None" not in errors_of(silent), "all outcomes are stored", within=WITHIN)
        errors = errors_of(silent)
        tell(
            f"F-41 product: {most} at once of {CAP}, another team's run after {passed:.2f} s, "
            f"calls {len(silence.requests)} of {WAITING}, ended {errors}"
        )
        assert most <= CAP
        assert passed < 2.0
        assert errors == {"ModuleTimeoutError"}
        assert len(silence.requests) == WAITING


def errors_of(scene: Scene) -> set[str]:
    return {error_of(scene, row["id"]) for row in scene.logs()}


def error_of(scene: Scene, execution_id: str) -> str:
    """The kind of error a run ended with."""
    log = scene.integrator.administrator().get(f"/scenarios/{scene.id}/logs/{execution_id}")
    return str((log["error"] or {}).get("name"))
