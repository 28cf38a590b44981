"""Targets that fail again and again: when calls to them stop, how they begin again, and whom that concerns.

Real calls through the way out of scenarios; only the clock of the breakers is the test's. The oracle counts what the
target was asked: how many calls until the breaker opened, how many probes at once, and calls of whoever is not
concerned.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from faults.scene import tell
from make_bridge.domain.executions.outbound import HttpByTeam, Lanes
from make_bridge.engine.ports import HttpFailure, HttpRequest
from make_bridge.kernel.clock import ManualClock
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.egress.breaker import BreakerLimits, State
from make_bridge.platform.egress.circuits import Circuits, CircuitsConfig
from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.host_turns import HostTurns, TurnLimits
from support.target import Target, serving_target
from support.waiting import until

pytestmark = pytest.mark.timeout(120)
ONE, OTHER = TeamId(1024), TeamId(2048)
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RATE, WINDOW, PROBES, SLOW, PATIENT = 4.0, 10.0, 3, 0.1, 60.0
WITHIN = 10.0


class Way:
    """The way out of two teams to one target."""

    def __init__(self, client: EgressClient, target: Target) -> None:
        self.clock = ManualClock(START)
        self.circuits = Circuits(CircuitsConfig(limits=BreakerLimits(jitter=0.0), slow=PATIENT), self.clock)
        self.http = HttpByTeam(
            client, Lanes(circuits=self.circuits, turns=HostTurns(TurnLimits(per_host=1000, per_team=1000)))
        )
        self.target = target

    async def call(self, path: str = "/ok", *, team: TeamId = ONE, credential: str = "7") -> str:
        request = HttpRequest(method="GET", url=self.target.url + path, credential=credential, timeout=10.0)
        try:
            return str((await self.http.of(OrganizationId(1), team).send(request)).status)
        except HttpFailure as failure:
            return "paused" if failure.retry_after is not None else failure.kind

    def state(self, team: TeamId = ONE) -> str:
        return next((circuit.state.value for circuit in self.circuits.open_of(team)), State.CLOSED.value)

    async def open(self) -> None:
        for _ in range(20):
            await self.call("/bad")
        assert await self.call("/bad") == "paused"


@pytest.fixture
def target() -> Iterator[Target]:
    with serving_target() as target:
        target.statuses |= {"/bad": 500, "/401": 401, "/403": 403, "/422": 422}
        yield target


@pytest.fixture
async def way(target: Target) -> AsyncIterator[Way]:
    config = EgressConfig(policy=EgressPolicy.parse(["127.0.0.1"]), connections_per_host=256)
    async with EgressClient(config) as client:
        yield Way(client, target)


@pytest.mark.parametrize(("share", "pattern"), [("50 %", "ok bad"), ("80 %", "bad bad ok bad bad"), ("slow", "slow")])
async def test_calls_stop_within_the_window_whatever_share_of_half_and_more_fails(
    way: Way, share: str, pattern: str
) -> None:
    way.circuits.config = replace(way.circuits.config, slow=SLOW if share == "slow" else PATIENT)
    paths = pattern.split()
    calls = 0
    while way.state() == State.CLOSED and calls < 4 * RATE * WINDOW:
        path = paths[calls % len(paths)]
        way.target.linger = 2 * SLOW if path == "slow" else 0.0
        await way.call(f"/{path}")
        way.clock.advance(1 / RATE)
        calls += 1
    seconds = calls / RATE
    tell(f"F-47 {share} fail: {way.state()} after {calls} calls in {seconds:g} s of {WINDOW:g}")
    assert way.state() == State.OPEN
    assert calls >= 20
    assert seconds <= WINDOW
    assert await way.call() == "paused"
    assert len(way.target.calls) == calls


async def test_who_comes_back_tries_with_no_more_than_three_at_once(way: Way) -> None:
    await way.open()
    before = len(way.target.calls)
    way.clock.advance(11)
    hold = way.target.hold()
    calls = [asyncio.create_task(way.call()) for _ in range(200)]
    await asyncio.to_thread(until, lambda: way.target.in_flight >= PROBES, "the probes have arrived", within=WITHIN)
    done, waiting = await asyncio.wait(calls, timeout=0.5)
    probes = len(way.target.calls) - before
    hold.release()
    answers = [await call for call in waiting]
    tell(f"F-47 half open: {probes} probes of {PROBES} for 200 calls, {len(done)} were paused, then {way.state()}")
    assert probes == PROBES
    assert {call.result() for call in done} == {"paused"}
    assert answers == ["200"] * PROBES
    assert await way.call() == "200"


@pytest.mark.parametrize("late", ["200", "500"])
async def test_an_answer_to_a_call_of_before_changes_nothing(way: Way, late: str) -> None:
    way.target.statuses["/late"] = int(late)
    hold = way.target.hold()
    begun = [asyncio.create_task(way.call("/late")) for _ in range(30)]
    await asyncio.to_thread(until, lambda: way.target.in_flight == 30, "the early calls have arrived", within=WITHIN)
    hold.end()
    await way.open()
    if late == "500":
        way.clock.advance(11)
        for _ in range(PROBES):
            await way.call()
    before = way.state()
    hold.release()
    answers = set(await asyncio.gather(*begun))
    tell(f"F-47 30 late answers {answers}: {before}, then {way.state()}")
    assert answers == {late}
    assert before == way.state() == (State.OPEN if late == "200" else State.CLOSED)


async def test_a_dead_target_of_one_team_and_credential_is_nobody_else_s(way: Way) -> None:
    await way.open()
    callers = [(OTHER, "7"), (OTHER, "8"), (OTHER, ""), (ONE, "8"), (ONE, "")]
    ended = [await way.call(team=team, credential=credential) for team, credential in callers for _ in range(40)]
    dead = await way.call()
    tell(f"F-48 {len(callers)} others at the same host: {set(ended)} in {len(ended)} calls; the one: {dead}")
    assert set(ended) == {"200"}
    assert dead == "paused"
    assert way.state(OTHER) == State.CLOSED


@pytest.mark.parametrize("status", ["401", "403", "422"])
async def test_a_call_that_was_refused_says_nothing_against_its_target(way: Way, status: str) -> None:
    ended = {await way.call(f"/{status}") for _ in range(100)}
    tell(f"F-48 100 times {status}: {way.state()}, ended {ended}")
    assert ended == {status}
    assert way.state() == State.CLOSED
    assert len(way.target.calls) == 100
