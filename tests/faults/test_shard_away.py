"""F-38: one shard of two is down. Its organizations are told to try again; nobody else notices.

Two PostgreSQL servers, a shard on each. The one is killed, and frozen, which is worse: whoever asks it waits. Meanwhile
the organization on the other one is sent webhooks that run at once and webhooks that wait for a claim, so that a loop
that stands before the dead shard shows. Then the server is started anew without it, and has to serve, and to open the
shard by itself when it answers again.
"""

import os
import secrets
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from faults.scene import QUICK, new_seed, tell
from support.integrator import Connected, Integrator, new_organization
from support.network import Reply
from support.postgres_process import PostgresProcess, own_postgres
from support.server import Installation, ServerProcess, installed_anew
from support.waiting import until

IS_LONG = "MAKE_BRIDGE_TEST_KILLS" in os.environ
CALLS = 200 if IS_LONG else 40
QUEUED = 60 if IS_LONG else 12
# What a claim, a run and its settling take on a busy machine; a loop that waits for the dead shard takes two more.
QUEUED_WITHIN = 1.0
ANSWERED_WITHIN = 1.5
# Until the server has given up to connect, who asks waits for a connection; once it has, nobody does.
GIVES_UP_WITHIN = 15.0
REFUSED_WITHIN = 1.0
BACK_WITHIN = 20.0
# One at a time: stored, and claimed.
WAITING: dict[str, Any] = QUICK | {
    "name": "Waits its turn",
    "metadata": {"version": 1, "scenario": {"sequential": True}},
}

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(240)]


@dataclass(slots=True, kw_only=True)
class Ground:
    """A server over two shards, and an organization on each."""

    installation: Installation
    far: PostgresProcess
    server: ServerProcess
    near_shard: str
    quick: Connected
    waiting: Connected
    elsewhere: Connected

    def outcomes(self) -> int:
        with psycopg.connect(self.near_shard) as connection:
            row = connection.execute("SELECT count(*) FROM shard.outcomes").fetchone()
        assert row is not None
        return int(row[0])

    def degraded(self) -> list[str]:
        reply = self.server.get("/ready")
        assert reply.status == 200, reply.body
        told: list[str] = reply.json().get("degraded", [])
        return told


@pytest.fixture
def postgres(server: Callable[[str], Path]) -> Iterator[tuple[PostgresProcess, PostgresProcess]]:
    with own_postgres(server("postgresql-15")) as near, own_postgres(server("postgresql-15")) as far:
        yield near, far


@pytest.fixture
def ground(postgres: tuple[PostgresProcess, PostgresProcess], tmp_path: Path) -> Iterator[Ground]:
    near, far = postgres
    with installed_anew("external-two", tmp_path / "w", near, EGRESS_ALLOW="127.0.0.1") as installation:
        url = far.create(f"far_{secrets.token_hex(4)}")
        installation.environment["SHARD_URLS"] += f" 1={url}"
        server = installation.server().start()
        homes: dict[int, Integrator] = {}
        while len(homes) < 2:  # the ring gives each about half
            made = new_organization(installation, server.url)
            homes[placement(installation, made)] = made
        yield Ground(
            installation=installation,
            far=far,
            server=server,
            near_shard=installation.shard_dsn,
            quick=connect(homes[0], QUICK),
            waiting=connect(homes[0], WAITING),
            elsewhere=connect(homes[1], QUICK),
        )


def placement(installation: Installation, integrator: Integrator) -> int:
    with psycopg.connect(installation.directory_dsn) as connection:
        row = connection.execute(
            "SELECT shard FROM directory.placements WHERE organization_id = %s", (integrator.organization_id,)
        ).fetchone()
    assert row is not None
    return int(row[0])


def connect(integrator: Integrator, blueprint: dict[str, Any]) -> Connected:
    options = {"autoActivate": True, "scenario": {"name": blueprint["name"], "enable": True}}
    return integrator.customer().connect(integrator.publish(blueprint), {}, **options)


def timed(connected: Connected, op: str) -> tuple[Reply, float]:
    began = time.monotonic()
    reply = connected.call_hook({"op": op}, patience=30.0)
    return reply, time.monotonic() - began


def test_one_shard_of_two_that_is_killed_is_felt_by_its_own_organizations_alone(
    ground: Ground, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    assert ground.elsewhere.call_hook({"op": "before"}).status == 200
    ground.far.kill()
    verdict = judge(ground)
    tell(f"seed {seed}; killed: {verdict}")
    record_property("faults", f"seed {seed}; killed: {verdict}")

    ground.server.end()
    ground.server.start()
    assert ground.quick.call_hook({"op": "after the start"}).status == 200
    assert is_refused(ground.elsewhere.call_hook({"op": "still away"}))
    assert any("Shard 1" in reason for reason in ground.degraded())
    ground.far.start()
    until(lambda: ground.elsewhere.call_hook({"op": "back"}).status == 200, "it is open again", within=BACK_WITHIN)
    until(lambda: ground.degraded() == [], "nothing is missing any more", within=BACK_WITHIN)


def test_one_shard_of_two_that_froze_is_felt_by_its_own_organizations_alone(
    ground: Ground, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    assert ground.far.process is not None
    os.killpg(ground.far.process.pid, signal.SIGSTOP)
    frozen = list(children(ground.far.process.pid))
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        verdict = judge(ground, is_silent=True)
    finally:
        for pid in [*frozen, ground.far.process.pid]:
            os.kill(pid, signal.SIGCONT)
    tell(f"seed {seed}; frozen: {verdict}")
    record_property("faults", f"seed {seed}; frozen: {verdict}")
    until(lambda: ground.elsewhere.call_hook({"op": "back"}).status == 200, "it answers again", within=BACK_WITHIN)


def judge(ground: Ground, *, is_silent: bool = False) -> str:
    """Load the other shard and measure; returns what was found, and fails on anything that was felt there."""
    until(lambda: any("Shard 1" in reason for reason in ground.degraded()), "the server knows it is away", within=15)
    if not is_silent:
        until(partial(is_refused_at_once, ground), "the server has given up to connect", within=GIVES_UP_WITHIN)
    refusals = [] if is_silent else [timed(ground.elsewhere, f"away {number}") for number in range(3)]
    answers = [timed(ground.quick, f"quick {number}") for number in range(CALLS)]
    waits = []
    for number in range(QUEUED):
        known, began = ground.outcomes(), time.monotonic()
        reply, _ = timed(ground.waiting, f"waiting {number}")
        answers.append((reply, 0.0))
        until(partial(has_more, ground, known), "a run that was queued ends", within=30, pause=0.02)
        waits.append(time.monotonic() - began)
    errors = sum(reply.status != 200 for reply, _ in answers)
    slowest, typical = max(seconds for _, seconds in answers), statistics.median(waits)
    unlike = [
        (reply.status, seconds) for reply, seconds in refusals if not is_refused(reply) or seconds > REFUSED_WITHIN
    ]
    verdict = (
        f"ERRORS {errors} of {len(answers)}; slowest answer {slowest:.2f} s; queued runs took {typical:.2f} s "
        f"(median), {max(waits):.2f} s (most); refused within {[round(seconds, 2) for _, seconds in refusals]} s, "
        f"otherwise {unlike}"
    )
    assert errors == 0, verdict
    assert slowest <= ANSWERED_WITHIN, verdict
    assert typical <= QUEUED_WITHIN, verdict
    assert unlike == [], verdict
    return verdict


def is_refused_at_once(ground: Ground) -> bool:
    reply, seconds = timed(ground.elsewhere, "not yet given up")
    return is_refused(reply) and seconds <= REFUSED_WITHIN


def has_more(ground: Ground, known: int) -> bool:
    return ground.outcomes() > known


def is_refused(reply: Reply) -> bool:
    return reply.status == 503 and int(reply.headers.get("retry-after", "0")) >= 1


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
