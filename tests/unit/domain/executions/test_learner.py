"""Learning stands in nobody's way: one call of a hook at a time, and a database that is away is not missed."""

import asyncio
from typing import Any

from make_bridge.domain.executions.learner import Learner
from make_bridge.domain.executions.targets import Target
from make_bridge.domain.executions.trigger import HookSettings
from make_bridge.domain.scenarios.learning import LearningLimits
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import HookId, OrganizationId, ScenarioId, TeamId


class Away:
    """Shards that are asked, let their caller wait, and are not there."""

    def __init__(self) -> None:
        self.asked: list[OrganizationId] = []
        self.began, self.gate = asyncio.Event(), asyncio.Event()

    async def of(self, organization_id: OrganizationId) -> Any:
        self.asked.append(organization_id)
        self.began.set()
        await self.gate.wait()
        raise Unavailable


def target(number: int) -> Target:
    return Target(
        hook_id=HookId(number),
        organization_id=OrganizationId(number),
        team_id=TeamId(1),
        scenario_id=ScenarioId(1),
        blueprint_version=1,
        settings=HookSettings(learning=True),
    )


async def test_calls_that_come_while_one_is_drawn_are_let_by():
    shards: Any = Away()
    learner = Learner(shards, LearningLimits())
    first = asyncio.create_task(learner.draw(target(1), {"a": 1}))
    await shards.began.wait()
    async with asyncio.timeout(5):
        await asyncio.gather(*(learner.draw(target(1), {"b": number}) for number in range(100)))
    other = asyncio.create_task(learner.draw(target(2), {"a": 1}))
    shards.gate.set()
    await asyncio.gather(first, other)
    assert shards.asked == [1, 2]
    await learner.draw(target(1), {"c": 1})
    assert shards.asked == [1, 2, 1]
