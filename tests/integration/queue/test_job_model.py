"""Jobs against a model, over random histories: nothing lost, nothing settled twice, no stale word believed.

The machine runs in a thread and drives the real statements. Time is virtual: it passes by moving every moment of the
queue into the past, so a lease ends, and a pause is over, when the model says so; no sum of its steps comes nearer than
three seconds to such a moment, which is what a history may take of real time. ``MAKE_BRIDGE_TEST_SEEDS`` says how
many histories are tried.
"""

import asyncio
import os
import uuid
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from make_bridge.kernel.errors import Conflict
from make_bridge.kernel.ids import ExecutionId
from make_bridge.platform.queue import leases
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.job_settling import Verdict, settle
from make_bridge.platform.queue.jobs import Done, JobType, JobTypes, NewJob, lane_of
from make_bridge.platform.queue.leases import DEFAULT, HIGH, LOW, ClaimRules
from support.endings import make_place

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")

CAP = 3
RULES = ClaimRules(team_cap=CAP)
PATIENCE = 60.0
LEASE = leases.LEASE.total_seconds()
TYPES = ("test.high", "test.default", "test.low")
_PASS = """
UPDATE shard.queue SET ready_at = ready_at - make_interval(secs => %(s)s),
    lease_until = lease_until - make_interval(secs => %(s)s)
"""
_TABLES = """
DELETE FROM shard.queue; DELETE FROM shard.jobs; DELETE FROM shard.job_batches; DELETE FROM shard.dead_letters;
DELETE FROM shard.outbox
"""
_EVERYTHING = """
SELECT (SELECT coalesce(json_agg(json_build_array(
            id, json_build_array(team_id, kind, class, fence, lease_until IS NOT NULL, attempts))), '[]')
        FROM shard.queue) AS queued,
       (SELECT coalesce(json_agg(json_build_array(
            id, json_build_array(finished_at IS NOT NULL, state, tries, cancel_requested))), '[]')
        FROM shard.jobs) AS jobs,
       (SELECT coalesce(json_agg(json_build_array(id, pending)), '[]') FROM shard.job_batches) AS batches,
       (SELECT coalesce(json_agg(json_build_array(id, kind)), '[]')
        FROM shard.dead_letters WHERE replayed_at IS NULL) AS letters,
       (SELECT coalesce(json_agg(subject), '[]') FROM shard.outbox WHERE type = 'batch.completed.v1') AS told
"""


@dataclass
class Row:
    """A job as it ought to be; ``ready`` and ``until`` are moments of the virtual clock."""

    kind: str
    lane: int
    ready: float
    key: str | None = None
    batch: str | None = None
    state: str = "waiting"
    tries: int = 0
    fence: int = 0
    attempts: int = 0
    until: float | None = None
    cancelled: bool = False
    counted: bool = False
    fences: list[int] = field(default_factory=list)
    """Every fence that was given out and is not the holder's any more."""

    @property
    def is_over(self):
        return self.state in {"completed", "failed", "cancelled"}

    def queued(self):
        return (self.lane, self.kind, TYPES.index(self.kind), self.fence, self.until is not None, self.attempts)


def machine(place, loop):  # noqa: C901 - a class over its surroundings
    shard, organization_id = place.shard, place.organization_id

    async def nothing(_job):
        return Done()

    classes = {"test.high": HIGH, "test.default": DEFAULT, "test.low": LOW}
    queue = JobQueue(
        types=JobTypes(JobType(name=name, run=nothing, queue_class=classes[name], tells=True) for name in TYPES)
    )

    def wait(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)

    async def execute(statement, parameters=()):
        async with shard.engine_write() as tx:
            await tx.execute(statement, parameters)

    async def acting(work):
        async with shard.write(organization_id) as tx:
            return await work(tx)

    async def everything():
        async with shard.engine_statement() as tx:
            row = await tx.one(_EVERYTHING)
        assert row is not None
        told = sorted(row["told"])
        return *({uuid.UUID(i).hex: v for i, v in row[n]} for n in ("queued", "jobs", "batches", "letters")), told

    def new(kind, team, delay=0.0, key=None):
        return NewJob(
            type=kind, organization_id=organization_id, team_id=None if team == 0 else team, delay_seconds=delay,
            unique_key=key,
        )  # fmt: skip

    kinds, teams = st.sampled_from(TYPES), st.integers(0, 2)
    states = st.sampled_from(["completed", "failed", "waiting"])

    class Jobs(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            self.now = 0.0
            self.jobs: dict[str, Row] = {}
            self.batches: dict[str, list[str]] = {}
            wait(execute(_TABLES))

        def some(self, data, wanted):
            names = [name for name, row in self.jobs.items() if wanted(row)]
            return data.draw(st.sampled_from(names)) if names else None

        def row_of(self, kind, team, delay, **more):
            return Row(kind=kind, lane=lane_of(organization_id, team or None), ready=self.now + delay, **more)

        def in_flight(self, lane):
            return sum(row.until is not None for row in self.jobs.values() if row.lane == lane)

        def may_begin(self, row):
            waits = not row.is_over and row.until is None and row.ready <= self.now
            return waits and (row.kind == "test.high" or self.in_flight(row.lane) < CAP)

        def let_go(self, row):
            row.fences.append(row.fence)
            row.until = None

        def end(self, row, state):
            if row.until is not None:
                self.let_go(row)
            row.state, row.counted = state, row.batch is not None

        @rule(kind=kinds, team=teams, delay=st.sampled_from([0.0, 0.0, 31.0]), key=st.sampled_from([None, "a", "b"]))
        def enqueue(self, kind, team, delay, key):
            job_id = wait(acting(lambda tx: queue.enqueue(tx, new(kind, team, delay, key))))
            same = [name for name, row in self.jobs.items() if key and (row.kind, row.key) == (kind, key)
                    and not row.is_over]  # fmt: skip
            if same:
                assert [job_id] == same
            else:
                assert job_id not in self.jobs
                self.jobs[job_id] = self.row_of(kind, team, delay, key=key)

        @rule(kind=kinds, team=teams, count=st.integers(1, 3))
        def enqueue_batch(self, kind, team, count):
            batch = wait(acting(lambda tx: queue.enqueue_batch(tx, [new(kind, team)] * count)))
            self.batches[batch.id] = list(batch.jobs)
            for job_id in batch.jobs:
                self.jobs[job_id] = self.row_of(kind, team, 0.0, batch=batch.id)

        @rule(most=st.integers(1, 5))
        def claim(self, most):
            before = {name for name, row in self.jobs.items() if self.may_begin(row)}
            claimed = wait(leases.claim(shard, "node", most, RULES))
            assert len({lease.id for lease in claimed}) == len(claimed) <= most
            for lease in claimed:
                row = self.jobs[lease.id]
                assert lease.id in before
                assert lease.fence > max([row.fence, *row.fences])
                row.fence, row.attempts, row.until = lease.fence, row.attempts + 1, self.now + LEASE
                assert (lease.attempts, lease.kind, lease.team_id) == (row.attempts, row.kind, row.lane)
            assert claimed or not any(self.may_begin(row) for row in self.jobs.values())
            for lane in {lease.team_id for lease in claimed if lease.kind != "test.high"}:
                high = sum(r.until is not None and r.kind == "test.high" for r in self.jobs.values() if r.lane == lane)
                assert self.in_flight(lane) <= CAP + high

        @rule(seconds=st.sampled_from([4.0, 20.0, 40.0]))
        def time_passes(self, seconds):
            wait(execute(_PASS, {"s": seconds}))
            self.now += seconds

        @rule(data=st.data())
        def beat(self, data):
            held = [(name, row.fence) for name, row in self.jobs.items() if row.until is not None]
            stale = [(name, fence) for name, row in self.jobs.items() for fence in row.fences]
            chosen = {name: fence for name, fence in held + stale if data.draw(st.booleans())}
            kept = wait(leases.beat(shard, [(ExecutionId(name), fence) for name, fence in chosen.items()]))
            for name, fence in chosen.items():
                row = self.jobs[name]
                is_held = row.until is not None and row.fence == fence
                assert (name in kept) == is_held
                if is_held:
                    row.until = self.now + LEASE

        @rule()
        def sweep(self):
            silent = {n: r for n, r in self.jobs.items() if r.until is not None and r.until < self.now}
            poison = {name for name, row in silent.items() if row.attempts >= leases.MOST_ATTEMPTS}
            assert wait(leases.sweep(shard)) == len(silent) - len(poison)
            taken = {lease.id: lease for lease in wait(leases.take_poison(shard, "sweeper"))}
            assert taken.keys() == poison
            for name, row in silent.items():
                self.let_go(row)
                row.fence += 1
                if name in poison:
                    assert taken[name].fence == row.fence
                    row.until = self.now + LEASE
                else:
                    row.ready = min(row.ready, self.now)

        @rule(
            data=st.data(),
            state=st.sampled_from(["completed", "failed", "waiting"]),
            delay=st.sampled_from([0.0, 31.0]),
        )
        def settle(self, data, state, delay):
            name = self.some(data, lambda row: row.until is not None)
            if name is None:
                return
            row = self.jobs[name]
            row.tries += state == "waiting"
            verdict = Verdict(id=name, fence=row.fence, state=state, tells=True, tries=row.tries, delay=delay)
            expected = "cancelled" if row.cancelled else state
            assert wait(settle(shard, [verdict])) == {name: expected}
            if expected == "waiting":
                self.let_go(row)
                row.fence, row.attempts, row.ready, row.state = row.fence + 1, 0, self.now + delay, "waiting"
            else:
                self.end(row, expected)

        @rule(data=st.data(), state=states)
        def settle_with_a_fence_that_has_passed_on(self, data, state):
            name = self.some(data, lambda row: row.fences)
            if name is not None:
                fence = data.draw(st.sampled_from(self.jobs[name].fences))
                assert wait(settle(shard, [Verdict(id=name, fence=fence, state=state, tells=True)])) == {}

        @rule(data=st.data(), pause=st.sampled_from([0.0, 31.0]))
        def hand_back(self, data, pause):
            name = self.some(data, lambda row: row.until is not None)
            if name is None:
                return
            row = self.jobs[name]
            assert wait(leases.hand_back(shard, [(name, row.fence)], timedelta(seconds=pause))) == 1
            self.let_go(row)
            row.fence, row.attempts, row.ready = row.fence + 1, max(row.attempts - 1, 0), self.now + pause

        @rule(data=st.data())
        def cancel(self, data):
            name = self.some(data, lambda row: not row.is_over)
            if name is None:
                return
            row = self.jobs[name]
            state = wait(acting(lambda tx: queue.cancel(tx, organization_id, name)))
            assert state == ("cancelled" if row.until is None else "running")
            row.cancelled = True
            if row.until is None:
                self.end(row, "cancelled")

        @rule(data=st.data())
        def begin_again(self, data):
            name = self.some(data, lambda row: row.state in {"failed", "cancelled"})
            if name is None:
                return
            row = self.jobs[name]
            taken = row.key and any((r.kind, r.key) == (row.kind, row.key) and not r.is_over
                                    for r in self.jobs.values())  # fmt: skip
            try:
                wait(acting(lambda tx: queue.retry(tx, organization_id, name)))
            except Conflict:
                assert taken
                return
            assert not taken
            row.state, row.tries, row.attempts, row.ready, row.cancelled = "waiting", 0, 0, self.now, False
            row.fence += 1

        @invariant()
        def agrees(self):
            queued, jobs, batches, letters, told = wait(everything())
            assert queued == {name: list(row.queued()) for name, row in self.jobs.items() if not row.is_over}
            assert jobs.keys() == self.jobs.keys()
            for name, row in self.jobs.items():
                is_over, state, tries, cancelled = jobs[name]
                assert (is_over, cancelled) == (row.is_over, row.cancelled)
                assert (state, tries) == (row.state, row.tries)
            assert letters.keys() == {name for name, row in self.jobs.items() if row.state == "failed"}
            pending = {
                batch: sum(not self.jobs[name].counted for name in names) for batch, names in self.batches.items()
            }
            assert batches == pending
            assert told == sorted(f"batch/{batch}" for batch, count in pending.items() if not count)

    return Jobs


@pytest.mark.timeout(36_000)
async def test_jobs_behave_like_their_model_over_random_histories(shards):
    place = await make_place(shards)
    jobs = machine(place, asyncio.get_running_loop())
    chosen = settings(
        max_examples=int(os.environ.get("MAKE_BRIDGE_TEST_SEEDS", "200")),
        stateful_step_count=25,
        deadline=None,
        derandomize="MAKE_BRIDGE_TEST_SEEDS" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, jobs, settings=chosen)
