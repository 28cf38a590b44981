"""Targets that ask to be left alone, and what comes back to one that was away: when attempts in vain are repeated.

The oracle reads the moments from the database (what was decided) and from the target (what was done). An attempt is due
at the later of its own interval, a fifth more or less, and what the target asked for, up to a fifth more; never later
than a day. `MAKE_BRIDGE_TEST_HERD` sets the size of the herd; the promise is stated for 5000.
"""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import psycopg
import pytest

from acceptance.test_incomplete_executions import Scene, make_scene, post
from faults.scene import tell
from support.integrator import Integrator, new_organization
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

pytestmark = pytest.mark.timeout(600)
WITHIN = 60.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
SPREAD = 0.2
HERD = int(os.environ.get("MAKE_BRIDGE_TEST_HERD", "300"))
PER_SCENARIO = 1000
# A minute, a fifth more or less, is a window of 24 s; it is played at twice its speed.
WINDOW, SPEED, BINS = 24.0, 2.0, 8
_WAITS = """
SELECT extract(epoch FROM next_attempt_at - created_at)::float8 AS wait FROM shard.incomplete_executions
WHERE scenario_id = ANY(%s) AND NOT resolved
"""
_PLAY = """
UPDATE shard.queue q SET ready_at = now() + (r.next_attempt_at - r.created_at - interval '48 seconds') / 2
FROM shard.incomplete_executions r WHERE r.id = q.id AND r.scenario_id = ANY(%s)
"""
_UNRESOLVED = "SELECT count(*) FROM shard.incomplete_executions WHERE scenario_id = ANY(%s) AND NOT resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A server, an integrator, and the target of its scenarios."""

    installation: Installation
    server: ServerProcess
    integrator: Integrator
    target: Target

    def scene(self, *flow: dict[str, Any]) -> Scene:
        return make_scene(self.integrator, self.target, *flow, dlq=True)

    def waits(self, *scenes: Scene) -> list[float]:
        """The seconds from each record's making to its first attempt."""
        return [row[0] for row in self._rows(_WAITS, scenes)]

    def has_more(self, scene: Scene, records: int) -> bool:
        return len(self.waits(scene)) > records

    def play(self, scenes: list[Scene]) -> None:
        """Let the waits begin now, at twice their speed, without the part they have in common."""
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            connection.execute(_PLAY, ([scene.id for scene in scenes],))

    def unresolved(self, *scenes: Scene) -> int:
        return int(self._rows(_UNRESOLVED, scenes)[0][0])

    def _rows(self, statement: Any, scenes: tuple[Scene, ...]) -> list[Any]:
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            return connection.execute(statement, ([scene.id for scene in scenes],)).fetchall()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("retries") / "w"
    with serving_target() as target, installed("embedded", folder, None, EGRESS_ALLOW="127.0.0.1") as installation:
        server = installation.server().start()
        integrator = new_organization(installation, server.url)
        yield Stage(installation=installation, server=server, integrator=integrator, target=target)


def in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


# What the target says, and the earliest and latest moment of the next attempt.
NOTHING_ASKED = (MINUTE * (1 - SPREAD), MINUTE * (1 + SPREAD))
ASKED: dict[str, tuple[str, tuple[float, float]]] = {
    "a second": ("1", NOTHING_ASKED),
    "an hour": ("3600", (HOUR, HOUR * (1 + SPREAD))),
    "a date": ("", (HOUR - 10, HOUR * (1 + SPREAD))),
    "a past date": ("Sun, 01 Nov 2020 12:00:00 GMT", NOTHING_ASKED),
    "garbage": ("soon; very", NOTHING_ASKED),
    "less than nothing": ("-1", NOTHING_ASKED),
    "a century": ("3153600000", (DAY * (1 - SPREAD), DAY)),
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_target_that_says_when_to_come_again_is_left_alone_so_long(stage: Stage, asked: str) -> None:
    text, (earliest, latest) = ASKED[asked]
    scene = stage.scene()
    scene.refuse(429)
    stage.target.headers[scene.url("second")] = {"Retry-After": text or in_an_hour()}
    scene.call({"order": "a-17"})
    record = scene.parked()
    [wait] = stage.waits(scene)
    tell(f"F-46 {asked}: asked {text or 'in an hour'}, waits {wait:.1f} s of {earliest:.0f} to {latest:.0f}")
    assert record["reason"].startswith("RateLimitError: ")
    assert earliest <= wait <= latest
    assert scene.count("second") == 1


def test_a_break_handler_s_own_interval_is_put_off_to_what_the_target_asked_for(stage: Stage) -> None:
    """F-46."""
    scene = stage.scene()
    calls = post(2, f"{stage.target.url}{scene.path}/only", "{{1.order}}")
    mapper = {"retry": True, "count": 3, "interval": 15}
    calls["onerror"] = [{"id": 9, "module": "builtin:Break", "version": 1, "parameters": {}, "mapper": mapper}]
    broken = make_scene(
        stage.integrator, stage.target, post(5, f"{stage.target.url}{scene.path}/before", "x"), calls, dlq=True
    )
    for asked, earliest, latest in (("", 900 * 0.8, 900 * 1.2), ("7200", 7200, 7200 * 1.2)):
        path = scene.url("only")
        stage.target.statuses[path] = 429
        stage.target.headers[path] = {"Retry-After": asked} if asked else {}
        before = len(stage.waits(broken))
        broken.call({"order": "a-17"})
        until(partial(stage.has_more, broken, before), "a record is stored", within=WITHIN)
        wait = max(stage.waits(broken))
        tell(f"F-46 Break after 15 minutes, asked {asked or 'nothing'}: waits {wait:.1f} s")
        assert earliest <= wait <= latest


def test_a_herd_that_failed_at_one_moment_does_not_come_back_at_one_moment(stage: Stage) -> None:
    scenes = [stage.scene() for _ in range(-(-HERD // PER_SCENARIO))]
    for scene in scenes:
        scene.refuse(503)
    with ThreadPoolExecutor(8) as senders:
        list(senders.map(lambda number: scenes[number % len(scenes)].call({"order": str(number)}), range(HERD)))
    until(lambda: len(stage.waits(*scenes)) == HERD, "all have failed", within=WITHIN + HERD / 20)
    repair(stage, scenes)
    stage.target.calls.clear()
    stage.play(scenes)
    until(lambda: stage.unresolved(*scenes) == 0, "the herd is through", within=WITHIN + 2 * WINDOW)
    arrivals = sorted(call.at for scene in scenes for call in stage.target.calls_to(scene.url("second")))
    took, minimal = arrivals[-1] - arrivals[0], WINDOW / SPEED
    width = minimal / BINS
    peak = max(Counter(int((at - arrivals[0]) / width) for at in arrivals).values())
    keys = Counter(call.headers["idempotency-key"] for call in stage.target.calls if "second" in call.path)
    doubled = sum(count - 1 for count in keys.values())
    tell(
        f"F-49 herd {HERD}: arrived {len(arrivals)}, peak {peak / width:.1f}/s, mean {HERD / minimal:.1f}/s, "
        f"took {took:.1f} s of {minimal:.1f}, DUP_EFFECT {doubled}"
    )
    assert len(arrivals) == HERD
    assert doubled == 0
    assert peak <= 2 * HERD / BINS
    assert took <= 2 * minimal


def repair(stage: Stage, scenes: list[Scene]) -> None:
    """Let the target return, and its breaker learn of it by calls of its own."""
    for scene in scenes:
        scene.repair()
    probe = make_scene(stage.integrator, stage.target, post(2, f"{stage.target.url}/probe", "x"))

    def is_closed() -> bool:
        probe.call({})
        return not probe.ask("GET", f"/circuit-breakers?teamId={stage.integrator.team_id}")["circuitBreakers"]

    until(is_closed, "the breaker is closed", within=WITHIN, pause=0.5)
