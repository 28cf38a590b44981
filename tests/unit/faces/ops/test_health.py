"""A server is ready again only when somebody can be served: a directory that is back says nothing of the shards."""

from datetime import UTC, datetime

import pytest

from make_bridge.faces.ops.health import DIRECTORY, SHARDS, Health
from make_bridge.kernel.clock import ManualClock
from make_bridge.platform.observability.looks import LookConfig, Looks, Seen
from make_bridge.platform.observability.metrics.loops import LoopTurns

AWAY = "It does not answer."


class Databases:
    """What the looks find: a reason for each that is away."""

    def __init__(self):
        self.directory = ""
        self.shards = {1: "", 2: ""}

    async def feel_directory(self):
        return {DIRECTORY: Seen(reason=self.directory)}

    async def feel_shards(self):
        return {f"shard {number}": Seen(reason=reason) for number, reason in self.shards.items()}


@pytest.fixture
def databases():
    return Databases()


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def health(databases, clock):
    looks = Looks(
        {DIRECTORY: databases.feel_directory, SHARDS: databases.feel_shards},
        LookConfig(seconds=0.25, rise=2, fall=2),
        clock,
    )
    return Health(node="a", version="1", looks=looks, loops=LoopTurns(), sinks=tuple)


@pytest.fixture
def look(health, clock):
    """Look so many times, with a moment between each two; return whether the server is ready."""

    async def looked(times=1):
        for _ in range(times):
            clock.advance(0.1)
            await health.looks.look()
        return not health.reasons()

    return looked


async def test_it_is_ready_after_the_first_look(look):
    assert await look()


async def test_shards_that_were_not_seen_since_the_directory_is_back_make_nobody_ready(health, look, databases):
    await look()
    databases.directory = AWAY
    assert not await look(2)
    assert health.reasons() == [AWAY], "the shards answered all the time"
    databases.directory = ""
    await look()
    # They went later, so a single bad look has convinced nobody when the directory is back.
    databases.shards = {1: AWAY, 2: AWAY}
    assert not await look(), "it says that it is ready, and refuses everybody"
    databases.shards[2] = ""
    assert await look()


async def test_one_bad_look_at_the_shards_is_not_believed_while_the_directory_stays(health, look, databases):
    await look()
    databases.shards = {1: AWAY, 2: AWAY}
    assert await look()
    assert not await look()
    assert health.reasons() == ["No shard answers."]
