"""kill -9, again and again, under load: what was acknowledged has exactly one end, whatever was killed.

Three victims: the server alone (its embedded PostgreSQL then does what it does when its parent dies), PostgreSQL alone
(the server lives on and has to bring it back), and all processes in one moment. Each kill waits until at least fifty
runs are at their target, and then for a number of further acknowledgements that the seed decides, so it falls at
another point of the work each time.

The short form kills three times, and PostgreSQL twice; MAKE_BRIDGE_TEST_KILLS=20 is the long one. A run is repeated
with MAKE_BRIDGE_TEST_SEED.
"""

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from faults.oracle import LedgerProcess, Verdict, drain, judge, keeping_ledger, unread
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.embedded import postmaster_pid
from support.server import Installation, ServerProcess, installed
from support.target import Call, Target, serving_target
from support.waiting import until

KILLS = int(os.environ.get("MAKE_BRIDGE_TEST_KILLS", "3"))
IN_FLIGHT = 50
# A run whose worker is gone starts elsewhere within this time, and a killed server may be away meanwhile.
ORPHANS_RUN_WITHIN = 20.0
READY_AGAIN_WITHIN = 15.0
_LONGER_THAN_ONE_RUN = 1.2
_SAMPLE = 60

pytestmark = pytest.mark.timeout(120 + 40 * KILLS)


@dataclass(slots=True)
class Stage:
    """A server under load, with what the test learned of it."""

    server: ServerProcess
    scene: Scene
    target: Target
    installation: Installation
    chance: random.Random
    kills: list[tuple[str, float]] = field(default_factory=list)
    outages: list[float] = field(default_factory=list)

    def kill_under_load(self, victim: str, ledger: LedgerProcess) -> None:
        """Wait until enough is in flight, kill, bring it back."""
        until(lambda: self.target.in_flight >= IN_FLIGHT, f"{IN_FLIGHT} runs are in flight", within=60)
        mark = ledger.acked() + self.chance.randrange(1, 40)
        until(lambda: ledger.acked() >= mark, "some more webhooks are acknowledged", within=60, pause=0.005)
        postmaster = postmaster_pid(self.installation.data_dir)
        began = time.monotonic()
        self.kills.append((victim, began))
        match victim:
            case "server":
                self.server.kill()
                self.server.start()
            case "everything":
                self.server.kill_everything()
                self.server.start()
            case _:
                self.server.kill_postgres()
                until(lambda: self._has_new_postmaster(postmaster), "PostgreSQL is started again", within=30)
                self.server.wait_ready()
        self.outages.append(time.monotonic() - began)

    def _has_new_postmaster(self, old: int) -> bool:
        try:
            return postmaster_pid(self.installation.data_dir) != old
        except (OSError, ValueError, IndexError):
            return False

    def slowest_orphan(self) -> float:
        """How long after its kill the last interrupted run was at the target again."""
        arrivals: dict[str, list[Call]] = defaultdict(list)
        for call in list(self.target.calls):
            arrivals[call.headers["x-op"]].append(call)
        waits = [0.0]
        for calls in arrivals.values():
            for first, again in pairwise(calls):
                killed = next((at for _, at in self.kills if at > first.at), None)
                waits += [] if killed is None else [again.at - killed]
        return max(waits)


@contextmanager
def stage(folder: Path, seed: int) -> Iterator[Stage]:
    with (
        serving_target(TARGET_PORTS) as target,
        installed("embedded", folder, None, EGRESS_ALLOW="127.0.0.1") as installation,
    ):
        server = installation.server().start()
        scene = build_scene(installation, server.url)
        target.linger = _LONGER_THAN_ONE_RUN
        yield Stage(server, scene, target, installation, random.Random(seed))  # noqa: S311 - to be repeated


def killing(folder: Path, victims: Sequence[str], seed: int) -> tuple[Stage, Verdict]:
    """Kill each victim in turn under load, let everything come to rest, and judge."""
    with stage(folder, seed) as scene:
        plan = scene.scene.plan("load", scene.target, seed=seed)
        with keeping_ledger(folder, plan) as ledger:
            for victim in victims:
                scene.kill_under_load(victim, ledger)
        scene.target.linger = 0.0
        drain(scene.installation.shard_dsn, scene.scene.scenario_ids)
        verdict = judge([ledger], scene.installation.shard_dsn, scene.scene.scenario_ids, scene.target.calls)
        acked = [line for line in ledger.lines() if line.status == "200"]
        sample = scene.chance.sample(acked, min(_SAMPLE, len(acked)))
        wrong = unread(scene.scene.slow, [line for line in sample if line.kind == "slow"])
        wrong += unread(scene.scene.quick, [line for line in sample if line.kind == "quick"])
        assert wrong == [], "the log that a customer reads tells another story"
    tell(
        f"seed {seed}; kills {len(victims)} ({', '.join(victims)}); ready again after at most"
        f" {max(scene.outages):.1f} s; orphans at the target again after at most {scene.slowest_orphan():.1f} s"
        f"\n{verdict}"
    )
    return scene, verdict


def assert_kept(scene: Stage, verdict: Verdict) -> None:
    """Hold the promises against the numbers."""
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert verdict.acked >= IN_FLIGHT * len(scene.kills), f"too little load to say anything: {verdict}"
    assert max(scene.outages) <= READY_AGAIN_WITHIN
    assert scene.slowest_orphan() <= ORPHANS_RUN_WITHIN + max(scene.outages)
    assert verdict.duplicate_effects <= len(scene.kills) * 200, "more was repeated than can have been in flight"


def assert_repeats_say_so(scene: Stage) -> None:
    """A call that is made again carries the key of the first, so that its target can tell."""
    keys: dict[str, set[str]] = defaultdict(set)
    for call in scene.target.calls:
        keys[call.headers["x-op"]].add(call.headers["idempotency-key"])
    assert {op: found for op, found in keys.items() if len(found) > 1} == {}


def test_no_acknowledged_webhook_is_lost_when_the_server_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    victims = [("server", "everything")[number % 2] for number in range(KILLS)]
    scene, verdict = killing(tmp_path / "w", victims, seed)
    record_property("faults", f"seed {seed}: {verdict}")
    assert verdict.duplicate_effects >= 1, "no run was interrupted: the test does not bite"
    assert_kept(scene, verdict)
    assert_repeats_say_so(scene)


def test_no_acknowledged_webhook_is_lost_when_its_database_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    scene, verdict = killing(tmp_path / "w", ["postgres"] * (2 if KILLS <= 3 else KILLS), seed)
    record_property("faults", f"seed {seed}: {verdict}")
    assert_kept(scene, verdict)
    assert_repeats_say_so(scene)
