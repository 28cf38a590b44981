"""F-71: old bodies go under load while servers are killed, and nothing goes that is not over.

The organization may take one mebibyte, and the care of runs never rests, so it is at work in every moment of the load;
runs that are in flight have bodies that it would free. After the kills each acknowledged webhook has its one end.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest

from faults.oracle import drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

pytestmark = pytest.mark.timeout(240)
KILLS = 3
IN_FLIGHT = 30
BOUND = 2**20
EAGER = {
    "EGRESS_ALLOW": "127.0.0.1",
    "EXECUTION_RETENTION_BYTES": str(BOUND),
    "STORAGE_LOOK_SECONDS": "0.1",
    "STORAGE_SETTLE_SECONDS": "0",
    "STORAGE_BUSY_PERCENT": "100",
    "STORAGE_BATCH": "20",
}
_BODIES = """
SELECT count(p.id), count(*) FILTER (WHERE p.id IS NULL), count(*) FILTER (WHERE p.id IS NULL AND o.id IS NULL)
FROM shard.executions e
LEFT JOIN shard.payloads p ON p.retention = e.retention AND p.id = e.id
LEFT JOIN shard.outcomes o ON o.retention = e.retention AND o.id = e.id
"""


@contextmanager
def stage(folder: Path) -> Iterator[tuple[Installation, ServerProcess, Scene, Target]]:
    with (
        serving_target(TARGET_PORTS) as target,
        installed("embedded", folder, None, **EAGER) as installation,
    ):
        server = installation.server().start()
        scene = build_scene(installation, server.url)
        target.linger = 1.5
        yield installation, server, scene, target


def bodies(installation: Installation) -> tuple[int, int, int]:
    """How many runs have their body, have none, and have neither body nor end."""
    with psycopg.connect(installation.shard_dsn, autocommit=True) as connection:
        found = connection.execute(_BODIES).fetchone()
    assert found is not None
    return found[0], found[1], found[2]


def gone_of(installation: Installation) -> int:
    return bodies(installation)[1]


def await_more(count: Callable[[], int], more: int, what: str) -> None:
    mark = count() + more
    until(lambda: count() >= mark, what, within=60, pause=0.01)


def test_nothing_goes_that_is_not_over_whoever_is_killed(tmp_path: Path) -> None:
    seed = new_seed()
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    with stage(tmp_path / "w") as (installation, server, scene, target):
        plan = scene.plan("load", target, seed=seed, rate=120.0, weights={"slow": 1, "quick": 1}, in_flight=64)
        with keeping_ledger(tmp_path, plan) as ledger:
            for _ in range(KILLS):
                until(lambda: target.in_flight >= IN_FLIGHT, f"{IN_FLIGHT} runs are in flight", within=60)
                await_more(partial(gone_of, installation), 1, "bodies go")
                await_more(ledger.acked, chance.randrange(10, 60), "some more are acknowledged")
                assert bodies(installation)[2] == 0, "a run lost its body before its end"
                server.kill()
                server.start()
        target.linger = 0.0
        drain(installation.shard_dsn, scene.scenario_ids)
        verdict = judge([ledger], installation.shard_dsn, scene.scenario_ids, target.calls)
        kept, gone, _ = bodies(installation)
        tell(f"seed {seed}; bodies kept {kept}, gone {gone}\n{verdict}")
        assert verdict.is_clean, f"the promises are broken: {verdict}"
        assert gone > verdict.acked // 10, "too little went to say anything"
