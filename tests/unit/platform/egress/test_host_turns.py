"""Turns at a host: room, order of arrival, teams that are full, who gives up, and that nothing is remembered."""

import asyncio

import pytest

from make_bridge.platform.egress.host_turns import HostTurns, TurnLimits
from make_bridge.platform.egress.messages import EgressFailure

SHOP, BANK = (1, "shop.example:443"), (1, "bank.example:443")
A, B = 11, 12


class Bench:
    """Waiters by name, in the order in which they were let in."""

    def __init__(self, **limits):
        self.turns = HostTurns(TurnLimits(**limits))
        self.entered = []
        self.tasks = {}

    async def wait(self, name, host=SHOP, team=A, seconds=10.0):
        async def enter():
            await self.turns.wait(host, team, seconds)
            self.entered.append(name)

        self.tasks[name] = asyncio.create_task(enter())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def leave(self, host=SHOP, team=A):
        self.turns.leave(host, team)
        for _ in range(3):
            await asyncio.sleep(0)


async def test_a_host_has_so_many_turns_and_the_rest_enter_in_order_of_arrival():
    bench = Bench(per_host=2)
    assert [bench.turns.try_take(SHOP, A) for _ in range(3)] == [True, True, False]
    assert bench.turns.try_take(BANK, A)
    assert bench.turns.try_take((2, SHOP[1]), B), "another organization has turns of its own"
    for name in ("first", "second", "third"):
        await bench.wait(name)
    assert bench.turns.by_state() == {"in_flight": 4, "waiting": 3, "refused": 0}
    await bench.leave()
    assert bench.entered == ["first"]
    await bench.leave()
    await bench.leave()
    assert bench.entered == ["first", "second", "third"]


async def test_nobody_overtakes_who_waits_already():
    bench = Bench(per_host=1)
    assert bench.turns.try_take(SHOP, A)
    await bench.wait("first")
    await bench.leave()
    assert not bench.turns.try_take(SHOP, B)
    assert bench.entered == ["first"]


async def test_a_team_that_is_full_waits_and_lets_others_pass():
    bench = Bench(per_host=2, per_team=1)
    assert bench.turns.try_take(BANK, A)
    await bench.wait("full")
    await bench.wait("other", team=B)
    assert bench.entered == ["other"]
    await bench.leave(BANK, A)
    assert bench.entered == ["other", "full"]


async def test_who_waits_too_long_is_told_and_takes_no_turn():
    bench = Bench(per_host=1)
    assert bench.turns.try_take(SHOP, A)
    with pytest.raises(EgressFailure, match=r"Too many calls to shop\.example:443 are in flight") as refusal:
        await bench.turns.wait(SHOP, A, 0.0)
    assert (refusal.value.kind, refusal.value.sent, refusal.value.queued) == ("connect", False, True)
    assert bench.turns.by_state() == {"in_flight": 1, "waiting": 0, "refused": 1}
    await bench.leave()
    assert len(bench.turns) == 0


async def test_a_line_has_an_end():
    bench = Bench(per_host=1, waiting_per_host=1)
    assert bench.turns.try_take(SHOP, A)
    await bench.wait("first")
    with pytest.raises(EgressFailure, match="Too many calls"):
        await bench.turns.wait(SHOP, A, 10.0)
    bench.tasks["first"].cancel()
    await asyncio.gather(bench.tasks["first"], return_exceptions=True)


async def test_a_turn_that_was_given_to_one_who_is_cancelled_goes_on_to_the_next():
    bench = Bench(per_host=1)
    assert bench.turns.try_take(SHOP, A)
    await bench.wait("first")
    await bench.wait("second")
    bench.turns.leave(SHOP, A)
    bench.tasks["first"].cancel()
    await asyncio.gather(bench.tasks["first"], return_exceptions=True)
    await bench.tasks["second"]
    assert bench.entered == ["second"]
    await bench.leave()
    assert len(bench.turns) == 0


async def test_nothing_is_kept_of_hosts_that_nobody_calls():
    bench = Bench(per_host=1)
    for number in range(1000):
        host = (1, f"host-{number}.example:443")
        assert bench.turns.try_take(host, A)
        bench.turns.leave(host, A)
    assert len(bench.turns) == 0
