"""Circuit breakers before a real target: what opens them, whom that concerns, and how they close again."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.domain.executions.outbound import HttpByTeam, Lanes
from make_bridge.engine.ports import HttpFailure, HttpRequest
from make_bridge.kernel.clock import ManualClock
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.egress.breaker import BreakerLimits, State
from make_bridge.platform.egress.circuits import Circuits, CircuitsConfig
from make_bridge.platform.egress.host_turns import HostTurns, TurnLimits
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, EgressResponse
from support.network import free_port
from support.target import serving_target
from support.waiting import until

ORGANIZATION, ACME, OTHER = OrganizationId(1), TeamId(1024), TeamId(2048)
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SLOW = 0.05


@pytest.fixture
def target():
    with serving_target() as target:
        target.statuses |= {"/bad": 500}
        target.statuses |= {f"/{status}": status for status in (400, 401, 403, 404, 408, 422, 429, 500, 502, 503, 504)}
        yield target


class Scene:
    """Two teams that call one target; time stands still unless moved."""

    def __init__(self, client, url, **config):
        self.clock = ManualClock(START)
        self.events: list[str] = []
        limits = BreakerLimits(jitter=0.0)
        self.circuits = Circuits(
            CircuitsConfig(**{"limits": limits, "slow": 30.0, **config}),
            self.clock,
            opened=lambda: self.events.append("opened"),
            refused=lambda: self.events.append("refused"),
        )
        self.calls: Counter[str] = Counter()
        turns = HostTurns(TurnLimits(per_host=1000, per_team=1000))
        lanes = Lanes(circuits=self.circuits, turns=turns, count=lambda _kind, result: self.calls.update([result]))
        self.http = HttpByTeam(client, lanes)
        self.url = url

    async def get(self, path="/ok", *, team=ACME, credential="", patience=10.0, url=None):
        request = HttpRequest(method="GET", url=(url or self.url) + path, credential=credential, timeout=patience)
        return (await self.http.of(ORGANIZATION, team).send(request)).status

    async def fail(self, times=20, path="/bad", **call):
        for _ in range(times):
            await self.get(path, **call)

    async def outcome(self, path="/ok", **call):
        try:
            return await self.get(path, **call)
        except HttpFailure as failure:
            return "paused" if failure.retry_after is not None else failure.kind

    def is_paused(self, team=ACME):
        return [circuit.state for circuit in self.circuits.open_of(team)] == [State.OPEN]


@pytest.fixture
async def client(client_for):
    return await client_for("127.0.0.1/32", connections_per_host=256)


@pytest.fixture
def scene(client, target):
    return Scene(client, target.url)


@pytest.mark.parametrize("pattern", [("/ok", "/bad"), ("/bad", "/bad", "/ok", "/bad", "/bad")])
async def test_half_and_four_fifths_of_errors_open(scene, target, pattern):
    for number in range(20):
        assert not scene.is_paused()
        await scene.get(pattern[number % len(pattern)])
    assert scene.is_paused()
    with pytest.raises(HttpFailure) as caught:
        await scene.get()
    assert len(target.calls) == 20
    failure = caught.value
    assert (failure.kind, failure.retry_after) == ("connect", 10.0)
    host = target.url.removeprefix("http://")
    failed = sum(call.path == "/bad" for call in target.calls)
    assert failure.message == (
        f"Calls to {host} are paused, because {failed} of 20 calls within 10 s failed or were slow "
        "(the last: status 500). Try again in 10 s."
    )
    assert scene.events == ["opened", "refused"]


async def test_fewer_errors_than_half_do_not(scene):
    for number in range(100):
        await scene.get("/bad" if number % 5 < 2 else "/ok")
    assert not scene.is_paused()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_every_failure_of_a_server_counts(scene, status):
    await scene.fail(path=f"/{status}")
    assert scene.is_paused()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 422, 429])
async def test_a_refused_call_never_counts(scene, target, status):
    await scene.fail(100, f"/{status}")
    assert not scene.is_paused()
    assert len(target.calls) == 100


async def test_no_connection_counts(client):
    scene = Scene(client, f"http://127.0.0.1:{free_port()}")
    outcomes = [await scene.outcome() for _ in range(21)]
    assert outcomes == [*["connect"] * 20, "paused"]


async def test_no_answer_in_time_counts(scene, target):
    hold = target.hold()
    outcomes = await asyncio.gather(*(scene.outcome(patience=0.2) for _ in range(20)))
    hold.release()
    assert outcomes == ["timeout"] * 20
    assert scene.is_paused()


async def test_what_our_own_guard_refuses_does_not_count(scene):
    outcomes = [await scene.outcome(url="http://10.1.1.1") for _ in range(40)]
    assert set(outcomes) == {"refused"}
    assert not scene.is_paused()


async def test_what_never_left_our_own_queue_does_not_count(client_for, target):
    client = await client_for("127.0.0.1/32", connections_per_host=1)
    scene = Scene(client, target.url)
    hold = target.hold()
    first = asyncio.create_task(scene.outcome(patience=10.0))
    await asyncio.to_thread(until, lambda: target.in_flight == 1, "the only connection is taken", within=5.0)
    outcomes = await asyncio.gather(*(scene.outcome(patience=0.1) for _ in range(30)))
    assert outcomes == ["timeout"] * 30
    assert not scene.is_paused()
    hold.release()
    assert await first == 200


async def test_what_waited_in_our_queue_and_then_for_the_target_counts(client_for, target):
    client = await client_for("127.0.0.1/32", connections_per_host=1)
    scene = Scene(client, target.url, limits=BreakerLimits(calls=2, jitter=0.0))
    hold = target.hold()
    outcomes = await asyncio.gather(*(scene.outcome(patience=patience) for patience in (0.2, 0.6)))
    assert outcomes == ["timeout"] * 2
    assert scene.is_paused()
    hold.release()


async def test_cancelled_calls_are_not_slow_afterwards(client, target):
    scene = Scene(client, target.url, slow=SLOW)

    async def hang(request: EgressRequest) -> EgressResponse:
        assert request.on_sent is not None
        request.on_sent()
        raise asyncio.CancelledError

    request = EgressRequest(url=target.url)
    calls = [scene.circuits.call(request, hang, team_id=ACME, credential="") for _ in range(20)]
    assert len(await asyncio.gather(*calls, return_exceptions=True)) == 20
    target.hold()
    assert await scene.outcome(patience=4 * SLOW, team=OTHER) == "timeout"
    assert not scene.is_paused()


async def test_slow_answers_open_while_they_are_still_awaited(client, target):
    scene = Scene(client, target.url, slow=SLOW)
    hold = target.hold()
    calls = [asyncio.create_task(scene.get()) for _ in range(20)]
    await asyncio.to_thread(until, lambda: scene.events, "the breaker is open", within=5.0)
    assert scene.is_paused()
    assert await scene.outcome() == "paused"
    hold.release()
    assert await asyncio.gather(*calls) == [200] * 20
    assert scene.is_paused()
    assert "(the last: slow)" in scene.circuits.open_of(ACME)[0].reason


async def test_slow_successes_open(client, target):
    scene = Scene(client, target.url, slow=SLOW)
    target.linger = 4 * SLOW
    assert await asyncio.gather(*(scene.get() for _ in range(20))) == [200] * 20
    assert scene.is_paused()


async def test_who_asked_for_more_patience_is_given_it(client, target):
    scene = Scene(client, target.url, slow=SLOW)
    target.linger = 4 * SLOW
    assert await asyncio.gather(*(scene.get(patience=400.0) for _ in range(20))) == [200] * 20
    assert not scene.is_paused()


async def test_a_process_that_was_stopped_itself_blames_no_target(client, target):
    scene = Scene(client, target.url, slow=SLOW, overslept=SLOW)
    answered = asyncio.Event()

    async def hang(request: EgressRequest) -> EgressResponse:
        assert request.on_sent is not None
        request.on_sent()
        try:
            async with asyncio.timeout(request.timeout):
                await answered.wait()
        except TimeoutError:
            raise EgressFailure("timeout", "No answer.", sent=True) from None
        return EgressResponse(status=200, headers=[], body=b"", final_url=request.url, elapsed=1.0)

    def call(patience):
        request = EgressRequest(url=target.url, timeout=patience)
        return asyncio.create_task(scene.circuits.call(request, hang, team_id=ACME, credential=""))

    calls = [call(patience) for patience in [2 * SLOW, 10.0] * 20]
    await asyncio.sleep(0)
    stop_the_loop(5 * SLOW)
    with pytest.raises(EgressFailure):
        await calls[0]
    answered.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(outcome, EgressFailure) for outcome in outcomes] == [True, False] * 20
    assert not scene.is_paused()


def stop_the_loop(seconds):
    """Let nothing else run, as a stopped process does."""
    awake = time.monotonic() + seconds
    while time.monotonic() < awake:
        pass


async def test_another_team_and_another_credential_at_the_same_host_are_unaffected(scene, target):
    await scene.fail(credential="7")
    assert await scene.outcome(credential="7") == "paused"
    assert await scene.outcome(credential="8") == 200
    assert await scene.outcome() == 200
    assert await scene.outcome(team=OTHER, credential="7") == 200
    assert scene.circuits.open_of(OTHER) == []
    [told] = scene.circuits.open_of(ACME)
    assert (told.host, told.credential) == (target.url.removeprefix("http://"), "7")


async def test_what_is_open_says_since_when_until_when_and_why(scene):
    scene.clock.advance(5)
    await scene.fail()
    scene.clock.advance(4)
    [told] = scene.circuits.open_of(ACME)
    assert (told.since, told.until) == (START + timedelta(seconds=5), START + timedelta(seconds=15))
    assert told.state is State.OPEN
    assert told.reason == "20 of 20 calls within 10 s failed or were slow (the last: status 500)"
    assert scene.circuits.by_state() == {State.CLOSED: 0, State.OPEN: 1, State.HALF_OPEN: 0}
    scene.clock.advance(6)
    assert scene.circuits.by_state() == {State.CLOSED: 0, State.OPEN: 0, State.HALF_OPEN: 1}
    await scene.get("/bad")
    assert scene.circuits.open_of(ACME)[0].reason == "a trial call failed as well (status 500)"


async def test_of_two_hundred_callers_at_half_open_three_reach_the_target(scene, target):
    await scene.fail()
    scene.clock.advance(10)
    hold, before = target.hold(), len(target.calls)
    callers = [asyncio.create_task(scene.outcome()) for _ in range(200)]
    await asyncio.to_thread(
        until, lambda: sum(map(asyncio.Task.done, callers)) == 197, "the others are refused", within=10.0
    )
    await asyncio.to_thread(until, lambda: target.in_flight == 3, "three calls are there", within=10.0)
    hold.release()
    outcomes = await asyncio.gather(*callers)
    assert (outcomes.count(200), outcomes.count("paused")) == (3, 197)
    assert len(target.calls) == before + 3
    assert await asyncio.gather(*(scene.outcome() for _ in range(50))) == [200] * 50


async def test_a_target_that_is_well_again_is_called_again(scene):
    await scene.fail()
    scene.clock.advance(9.9)
    assert await scene.outcome() == "paused"
    scene.clock.advance(0.2)
    assert [await scene.outcome() for _ in range(10)] == [200] * 10
    assert scene.circuits.open_of(ACME) == []


async def test_a_target_that_is_not_is_left_alone_for_longer(scene):
    await scene.fail()
    scene.clock.advance(10)
    assert await scene.outcome("/bad") == 500
    scene.clock.advance(19.9)
    assert await scene.outcome() == "paused"
    scene.clock.advance(0.2)
    assert await scene.outcome() == 200


async def test_answers_to_calls_begun_before_the_opening_come_too_late(scene, target):
    hold = target.hold()
    late = [asyncio.create_task(scene.get()) for _ in range(30)]
    await asyncio.to_thread(until, lambda: target.in_flight == 30, "the calls are there", within=5.0)
    hold.end()
    await scene.fail()
    assert scene.is_paused()
    hold.release()
    assert await asyncio.gather(*late) == [200] * 30
    assert scene.is_paused()


async def test_cancelled_probes_free_their_slots(scene, target):
    await scene.fail()
    scene.clock.advance(10)
    hold = target.hold()
    probes = [asyncio.create_task(scene.get()) for _ in range(3)]
    await asyncio.to_thread(until, lambda: target.in_flight == 3, "the probes are there", within=5.0)
    assert await scene.outcome() == "paused"
    for probe in probes:
        probe.cancel()
    await asyncio.gather(*probes, return_exceptions=True)
    hold.end()
    assert [await scene.outcome() for _ in range(5)] == [200] * 5
    assert scene.circuits.open_of(ACME) == []


async def test_the_number_of_breakers_is_bounded_and_a_team_pushes_out_its_own(client, target):
    scene = Scene(client, target.url, most=20, most_of_team=5)
    await scene.fail(team=OTHER)
    await scene.fail(credential="in use")
    for number in range(100):
        await scene.get(credential=str(number))
        assert await scene.outcome(credential="in use") == "paused"
    assert len(scene.circuits) == 6
    assert scene.is_paused(OTHER)
    for number in range(100):
        await scene.get(team=TeamId(number + 5000))
    assert len(scene.circuits) == 20
    assert not scene.is_paused(OTHER)


async def test_breakers_that_nobody_uses_go(scene):
    for number in range(30):
        await scene.get(team=TeamId(number + 5000))
    scene.clock.advance(3600)
    for number in range(10):
        await scene.get(credential=str(number))
    assert len(scene.circuits) == 10
