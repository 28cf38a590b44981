"""The queue against a model, over random histories: nothing lost, nothing held twice, order kept, turns fair.

The machine runs in a thread and drives the real statements; time passes by moving leases and arrivals into the past.
``MAKE_BRIDGE_TEST_SEEDS`` says how many histories are tried.
"""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from make_bridge.domain.executions import store
from make_bridge.domain.executions.model import NewRun, Outcome, Status
from make_bridge.kernel.ids import ScenarioId, TeamId, new_execution_id
from make_bridge.platform.queue import leases
from make_bridge.platform.queue.leases import HIGH, LOW, ClaimRules
from support.organizations import make_organization

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")

CAP = 3
RULES = ClaimRules(team_cap=CAP, ageing=timedelta(hours=1))
PATIENCE = 60.0
_ROWS = "SELECT id, fence, lease_until IS NOT NULL AS held, attempts, holds_slot FROM shard.queue"
_EXPIRE = "UPDATE shard.queue SET lease_until = now() - interval '1s' WHERE id = %s"


@dataclass
class Row:
    run: NewRun
    arrival: int
    fence: int = 0
    attempts: int = 0
    held: bool = False
    silent: bool = False


def machine(shard, organization_id, loop):  # noqa: C901 - a class over its surroundings
    def wait(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)

    async def execute(statement, parameters=()):
        async with shard.engine_write() as tx:
            await tx.execute(statement, parameters)

    async def rows():
        async with shard.engine_write() as tx:
            return await tx.all(_ROWS)

    def outcome(run, fence):
        return Outcome(
            id=run.id, fence=fence, organization_id=run.organization_id, team_id=run.team_id,
            scenario_id=run.scenario_id, status=Status.SUCCESS, duration_ms=1, operations=1, transfer=1,
            detail=b"{}", steps=b"[]",
        )  # fmt: skip

    class Queue(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            self.rows: dict[str, Row] = {}
            self.arrivals = 0
            self.stale: list[tuple[NewRun, int]] = []
            wait(execute("DELETE FROM shard.queue"))

        def in_flight(self, team):
            return sum(row.held for row in self.rows.values() if row.run.team_id == team)

        def lane(self, run):
            return [r for r in self.rows.values() if r.run.ordering_key == "" and r.run.scenario_id == run.scenario_id]

        def first(self, lane):
            """Order of arrival: what was accepted together stands by its id."""
            return min((r.arrival, r.run.id) for r in lane)[1]

        def may_begin(self, row):
            run = row.run
            if row.held or (run.queue_class != HIGH and self.in_flight(run.team_id) >= CAP):
                return False
            if run.ordering_key is None:
                return True
            lane = self.lane(run)
            return not any(r.held for r in lane) and self.first(lane) == run.id

        def end(self, row):
            del self.rows[row.run.id]
            self.stale.append((row.run, row.fence))

        @rule(team=st.integers(1, 4), queue_class=st.integers(HIGH, LOW), lane=st.sampled_from([None, None, 1, 2]),
              count=st.integers(1, 4))  # fmt: skip
        def accept(self, team, queue_class, lane, count):
            runs = [
                NewRun(
                    id=new_execution_id(), organization_id=organization_id, team_id=TeamId(team),
                    scenario_id=ScenarioId(team * 10 + (lane or 0)), blueprint_version=1, origin="webhook", seed=1,
                    head=b"{}", body=b"", ordering_key=None if lane is None else "", queue_class=queue_class,
                )
                for _ in range(count)
            ]  # fmt: skip
            wait(store.accept(shard, runs))
            self.arrivals += 1
            self.rows |= {run.id: Row(run, self.arrivals) for run in runs}

        @rule(most=st.integers(1, 6))
        def claim(self, most):
            before = {row.run.id for row in self.rows.values() if self.may_begin(row)}
            lanes = {row.run.id: self.first(self.lane(row.run)) for row in self.rows.values()
                     if row.run.ordering_key == ""}  # fmt: skip
            claimed = wait(leases.claim(shard, "node", most, RULES))
            assert len(claimed) <= most
            assert len({lease.id for lease in claimed}) == len(claimed)
            for lease in claimed:
                row = self.rows[lease.id]
                assert lease.id in before
                assert lanes.get(lease.id, lease.id) == lease.id
                assert lease.fence > row.fence
                row.fence, row.held, row.attempts = lease.fence, True, row.attempts + 1
                assert lease.attempts == row.attempts
            left = [row.run for row in self.rows.values() if self.may_begin(row)]
            assert claimed or not left
            self._was_fair(Counter((lease.team_id, self.rows[lease.id].run.queue_class) for lease in claimed),
                           Counter((lease.team_id, self.rows[lease.id].run.queue_class) for lease in claimed
                                   if self.rows[lease.id].run.ordering_key is None), left)  # fmt: skip
            for team in range(1, 5):
                waiting_class = [r for r in claimed if r.team_id == team and self.rows[r.id].run.queue_class != HIGH]
                assert not waiting_class or self.in_flight(team) <= CAP + sum(
                    row.held and row.run.queue_class == HIGH for row in self.rows.values() if row.run.team_id == team
                )

        def _was_fair(self, of_all, of_unordered, left):
            for run in left:
                for (team, queue_class), count in of_unordered.items():
                    if team != run.team_id and queue_class == run.queue_class:
                        assert count <= of_all[run.team_id, queue_class] + 1
                    assert queue_class <= run.queue_class

        @precondition(lambda self: any(row.held for row in self.rows.values()))
        @rule(data=st.data())
        def settle(self, data):
            row = data.draw(st.sampled_from([row for row in self.rows.values() if row.held]))
            assert wait(store.settle(shard, [outcome(row.run, row.fence)], "node")) == {row.run.id}
            self.end(row)

        @precondition(lambda self: self.stale)
        @rule(data=st.data())
        def settle_with_a_fence_that_has_passed_on(self, data):
            run, fence = data.draw(st.sampled_from(self.stale))
            assert wait(store.settle(shard, [outcome(run, fence)], "node")) == set()

        @precondition(lambda self: any(row.held and not row.silent for row in self.rows.values()))
        @rule(data=st.data())
        def fall_silent(self, data):
            row = data.draw(st.sampled_from([row for row in self.rows.values() if row.held]))
            wait(execute(_EXPIRE, (row.run.id,)))
            row.silent = True

        @precondition(lambda self: any(row.silent for row in self.rows.values()))
        @rule()
        def sweep(self):
            silent = [row for row in self.rows.values() if row.silent]
            freed = [row for row in silent if row.attempts < leases.MOST_ATTEMPTS]
            assert wait(leases.sweep(shard)) == len(freed)
            poison = {lease.id: lease.fence for lease in wait(leases.take_poison(shard, "sweeper"))}
            assert poison.keys() == {row.run.id for row in silent} - {row.run.id for row in freed}
            for row in silent:
                self.stale.append((row.run, row.fence))
                row.silent = False
                row.fence, row.held = poison.get(row.run.id, row.fence + 1), row.run.id in poison

        @precondition(lambda self: any(row.held for row in self.rows.values()))
        @rule(data=st.data())
        def hand_back(self, data):
            row = data.draw(st.sampled_from([row for row in self.rows.values() if row.held]))
            assert wait(leases.hand_back(shard, [(row.run.id, row.fence)])) == 1
            self.stale.append((row.run, row.fence))
            row.held, row.silent, row.fence, row.attempts = False, False, row.fence + 1, row.attempts - 1

        @invariant()
        def agrees(self):
            found = {row["id"].hex: (row["fence"], row["held"], row["attempts"]) for row in wait(rows())}
            assert found == {i: (row.fence, row.held, row.attempts) for i, row in self.rows.items()}

    return Queue


async def test_the_queue_behaves_like_its_model_over_random_histories(shards):
    organization = await make_organization(shards)
    shard = await shards.of(organization.organization_id)
    queue = machine(shard, organization.organization_id, asyncio.get_running_loop())
    chosen = settings(
        max_examples=int(os.environ.get("MAKE_BRIDGE_TEST_SEEDS", "200")),
        stateful_step_count=25,
        deadline=None,
        derandomize="MAKE_BRIDGE_TEST_SEEDS" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, queue, settings=chosen)
