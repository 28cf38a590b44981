"""Two servers on one PostgreSQL: one of them sleeps past its leases, or dies, with runs in flight.

The sleeper is the dangerous one: its runs were given to the other, its calls were answered while it slept, outcomes it
had already sent lay in the network, and it wakes up sure that it still holds them all. What it then settles must be
refused by the fence, and counted. The dead one only has to be replaced in time.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from faults.oracle import LedgerProcess, Line, Verdict, await_ends, count_ends, drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.slow_line import SlowLine, slow_line
from support.target import Target, serving_target
from support.waiting import until

RUNS = 30
ANSWER = b"the answer that is on its way"
ORPHANS_RUN_WITHIN = 20.0
MOST_NIGHTS = 3
IS_LONG = "MAKE_BRIDGE_TEST_KILLS" in os.environ

pytestmark = [
    pytest.mark.requires_server("postgresql-15"),
    pytest.mark.timeout(180),
]


@dataclass(slots=True)
class Pair:
    """Two servers, and the scenarios that either can run; the line is the first one's way to the database."""

    installation: Installation
    line: SlowLine
    first: ServerProcess
    second: ServerProcess
    scene: Scene
    target: Target

    def begin_runs(self, name: str, folder: Path, seed: int, count: int = RUNS) -> LedgerProcess:
        """Send webhooks that start slow runs to the first server, and wait for all their answers."""
        numbers = {"weights": {"slow": 1}, "seed": seed, "most": count, "rate": 300.0}
        plan = self.scene.plan(name, self.target, url=self.first.url, **numbers)
        with keeping_ledger(folder, plan) as ledger:
            until(lambda: ledger.acked() == count, f"all {count} webhooks are acknowledged", within=30)
        return ledger

    def rerun(self) -> set[str]:
        """The operations that were at the target more than once."""
        arrivals = Counter(call.headers["x-op"] for call in list(self.target.calls))
        return {op for op, count in arrivals.items() if count > 1}

    def judge(self, *ledgers: LedgerProcess) -> Verdict:
        drain(self.installation.shard_dsn, self.scene.scenario_ids)
        return judge(ledgers, self.installation.shard_dsn, self.scene.scenario_ids, self.target.calls)


@pytest.fixture
def pair(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Pair]:
    with (
        serving_target(TARGET_PORTS) as target,
        own_postgres(server("postgresql-15")) as postgres,
        slow_line(postgres.port) as line,
        installed("external-one", tmp_path / "w", postgres, EGRESS_ALLOW="127.0.0.1") as installation,
    ):
        over_the_line = installation.environment["DATABASE_URL"].replace(f":{postgres.port}/", f":{line.port}/")
        first = installation.server("first", NODE_ID="first", DATABASE_URL=over_the_line).start()
        second = installation.server("second", NODE_ID="second").start()
        yield Pair(installation, line, first, second, build_scene(installation, second.url), target)


def test_what_a_sleeper_settles_after_its_leases_passed_on_is_refused(
    pair: Pair, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    # Whether its writes or its heartbeat come first when it wakes is chance: a night without a write shows nothing.
    nights: list[Night] = []
    for number in range(MOST_NIGHTS):
        nights.append(sleep_through(pair, tmp_path, seed + 10 * number, f"-{number}"))
        if nights[-1].refused:
            break
    awake = pair.begin_runs("awake", tmp_path, seed + 9)
    verdict = pair.judge(*(ledger for night in nights for ledger in night.ledgers), awake)
    refused, lost = nights[-1].refused, pair.first.metric("leases_lost_total")
    taken_over = max(night.taken_over for night in nights)
    numbers = f"seed {seed}; taken over after {taken_over:.1f} s; writes refused {refused:g}, leases lost {lost:g}"
    tell(f"{numbers}\n{verdict}")
    record_property("faults", f"{numbers}; {verdict}")
    sleepers = [line for night in nights for line in night.sleepers]
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert refused >= 1, "the sleeper tried to write nothing: the test does not bite"
    assert pair.rerun() == {line.op for line in sleepers}
    assert taken_over <= ORPHANS_RUN_WITHIN
    assert pair.second.metric("leases_swept_total") >= len(sleepers)


@dataclass(frozen=True, kw_only=True)
class Night:
    """One sleep: whose runs passed on, what became of them, and what of the sleeper's was refused."""

    ledgers: tuple[LedgerProcess, ...]
    sleepers: list[Line]
    taken_over: float
    refused: float


def sleep_through(pair: Pair, folder: Path, seed: int, mark: str) -> Night:
    """Put the first server to sleep until its runs are at work on the second, and wake it."""
    before = _spoken_for(pair.first)
    # Half of its runs have done their work and only wait for the database; the others still wait for their answer.
    to_settle = pair.target.hold()
    settling = pair.begin_runs(f"settling{mark}", folder, seed)
    to_answer = pair.target.hold()
    calling = pair.begin_runs(f"calling{mark}", folder, seed + 1)
    sleepers = [*settling.lines(), *calling.lines()]
    until(lambda: pair.target.in_flight == len(sleepers), "all runs are in flight on the first server", within=20)
    pair.target.answer = {"text": ANSWER.decode()}
    pair.line.freeze_at(ANSWER)
    to_settle.release()
    until(lambda: pair.line.holds(ANSWER), "what the first call has done is on its way to the database", within=20)
    pair.first.pause()
    fell_asleep = time.monotonic()
    reruns = pair.target.hold()
    to_answer.release()
    meanwhile = pair.scene.plan(f"meanwhile{mark}", pair.target, weights={"quick": 1}, seed=seed, rate=20.0)
    with keeping_ledger(folder, meanwhile) as busy:
        # It wakes while the other is at work on the same runs: their rows are there, under a newer fence.
        until(lambda: pair.target.in_flight == len(sleepers), "the second server runs them all", within=40)
        taken_over = max(call.at for call in pair.target.calls) - fell_asleep
        pair.first.resume()
        pair.line.thaw()
        until(
            lambda: (
                _spoken_for(pair.first) - before >= len(sleepers) or count_ends(pair.installation.shard_dsn, sleepers)
            ),
            "the sleeper knows that its runs are gone",
            within=30,
        )
        assert count_ends(pair.installation.shard_dsn, sleepers) == 0, "the sleeper has ended what was not its own"
        assert _recorded(pair, sleepers) == 0, "the sleeper has written into the journal of runs that others hold"
        refused = _refused(pair.first)
        reruns.release()
        await_ends(pair.installation.shard_dsn, sleepers, within=30)
    return Night(ledgers=(settling, calling, busy), sleepers=sleepers, taken_over=taken_over, refused=refused)


@pytest.mark.skipif(not IS_LONG, reason="the long form of the fault tests: MAKE_BRIDGE_TEST_KILLS=20")
def test_the_runs_of_a_dead_server_run_elsewhere_in_time(
    pair: Pair, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """F-01."""
    seed = new_seed()
    held = pair.target.hold()
    orphans = pair.begin_runs("orphan", tmp_path, seed, 2 * RUNS)
    until(lambda: pair.target.in_flight == 2 * RUNS, f"{2 * RUNS} runs are in flight on the first server", within=20)
    pair.first.kill()
    died = time.monotonic()
    held.release()
    verdict = pair.judge(orphans)
    taken_over = max(call.at for call in pair.target.calls) - died
    tell(f"seed {seed}; taken over after {taken_over:.1f} s\n{verdict}")
    record_property("faults", f"seed {seed}; taken over after {taken_over:.1f} s; {verdict}")
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert taken_over <= ORPHANS_RUN_WITHIN
    assert verdict.nodes == {"second": 2 * RUNS}


def _spoken_for(server: ServerProcess) -> float:
    return _refused(server) + server.metric("leases_lost_total")


def _recorded(pair: Pair, sleepers: Sequence[Line]) -> int:
    """How many results stand in the journals of these runs: their calls by the second server are not answered yet."""
    ids = [line.execution_id for line in sleepers]
    statement = "SELECT count(*) FROM shard.journal WHERE result IS NOT NULL AND id = ANY(%s::uuid[])"
    with psycopg.connect(pair.installation.shard_dsn) as connection:
        [count] = connection.execute(statement, [ids]).fetchone() or (0,)
    return int(count)


def _refused(server: ServerProcess) -> float:
    """What it tried to write of its runs and was not let: outcomes, and results of calls."""
    return server.metric("settles_refused_total") + server.metric("journal_refused_total")
