"""What a process remembers of addresses: found again, dropped with their scenario, bounded in number."""

import asyncio
from typing import Any

import pytest

from make_bridge.domain.executions import targets
from make_bridge.domain.executions.targets import Target, Targets
from make_bridge.domain.executions.trigger import HookSettings
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.ids import HookId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.shards import Shards

NO_POOL: Any = None
NO_SEALING: Any = None


class CountedTargets(Targets):
    """Looks up in nothing: an address ``a7`` leads to scenario 7; counts how often it had to look."""

    def __init__(self):
        clock = SystemClock()
        super().__init__(Shards(Directory(NO_POOL), {}, clock), clock, NO_SEALING)
        self.looked = []
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def _look_up(self, token):
        self.looked.append(token)
        self.began.set()
        await self.gate.wait()
        return Target(
            hook_id=HookId(1),
            organization_id=OrganizationId(1),
            team_id=TeamId(1),
            scenario_id=ScenarioId(int(token[1:])),
            blueprint_version=1,
            settings=HookSettings(),
            only_learns=token.startswith("l"),
        )


async def test_a_change_of_a_scenario_drops_all_of_its_addresses_and_no_other():
    known = CountedTargets()
    for token in ("a7", "b7", "a8"):
        await known.find(token)
    known.drop(ScenarioId(7))
    for token in ("a7", "b7", "a8", "a7"):
        await known.find(token)
    assert known.looked == ["a7", "b7", "a8", "a7", "b7"]


async def test_one_that_only_learns_is_looked_up_each_time_so_that_switching_on_is_felt_at_once():
    known = CountedTargets()
    for token in ("l7", "l7", "a7", "a7"):
        await known.find(token)
    assert known.looked == ["l7", "l7", "a7"]


async def test_what_was_looked_up_while_the_change_came_by_is_not_remembered():
    known = CountedTargets()
    known.gate.clear()
    finding = asyncio.create_task(known.find("a7"))
    await known.began.wait()
    known.drop(ScenarioId(7))
    known.gate.set()
    await finding
    await known.find("a7")
    assert known.looked == ["a7", "a7"]


async def test_the_oldest_address_makes_room_and_its_scenario_can_still_change(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(targets, "_ENTRIES", 2)
    known = CountedTargets()
    for token in ("a7", "a8", "a9"):
        await known.find(token)
    known.drop(ScenarioId(7))
    known.drop(ScenarioId(8))
    for token in ("a9", "a8", "a7"):
        await known.find(token)
    assert known.looked == ["a7", "a8", "a9", "a8", "a7"]
