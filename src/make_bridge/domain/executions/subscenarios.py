"""Scenarios that call scenarios: the engine's port on executions.

A child is an execution like any other: stored, queued, run by whichever worker claims it, seen in the log. Its id
follows from its parent's and from the key of the calling step, so that a parent that is run again after a crash meets
the child it had started. Children stand in the queue's first class, because somebody waits; and who waits lends its
slot, so that waiting never keeps the awaited one from running.
"""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.executions import store
from make_bridge.domain.executions.confidential import Payloads
from make_bridge.domain.executions.lending import LentSlots
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.ordering import Place, ordering_key
from make_bridge.domain.executions.perform import seed_of
from make_bridge.domain.executions.programs import Programs
from make_bridge.domain.executions.trigger import CallHead, decode_head, encode_head
from make_bridge.domain.executions.waiting import Waiting
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.messages import Scenario
from make_bridge.engine.packing import pack
from make_bridge.engine.schedule.shapes import Kind
from make_bridge.engine.subscenarios import (
    MAX_DEPTH,
    ChildAnswer,
    ChildCall,
    ChildPending,
    ChildRefused,
    ChildStatus,
    Subscenarios,
)
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ExecutionId, ScenarioId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.tracing.spans import carried
from make_bridge.platform.queue.leases import HIGH

ORIGIN: Final = "subscenario"
_OWN_PART: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCalls:
    """What all runs of a process share; ``seconds`` is how long a parent waits."""

    shards: Shards
    programs: Programs
    waiting: Waiting
    lent: LentSlots
    payloads: Payloads
    seconds: float = 40 * 60.0

    def of(self, stored: NewRun) -> Subscenarios:
        """Return the port of one run."""
        return RunsChildren(calls=self, parent=stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsChildren:
    """``Subscenarios`` for one run."""

    calls: ChildCalls
    parent: NewRun

    async def call(self, call: ChildCall) -> ChildAnswer:
        """Start the child or find it; wait for its end when asked to."""
        child_id = child_execution_id(self.parent.id, call.key)
        waiting = self.calls.waiting
        if not call.wait:
            await self._start(child_id, call)
            self.calls.lent.added()
            return ChildAnswer(execution_id=child_id, status="started")
        waiting.listen(child_id)
        try:
            await self._start(child_id, call)
            with self.calls.lent.lend():
                return await self._end_of(child_id)
        finally:
            waiting.forget(child_id)

    async def _start(self, child_id: ExecutionId, call: ChildCall) -> None:
        organization_id = self.parent.organization_id
        shard = await self.calls.shards.of(organization_id)
        async with shard.read(organization_id) as tx:
            if await store.is_accepted(tx, organization_id, child_id):
                return
        run = await self._new_run(shard, child_id, call)
        async with shard.write(organization_id) as tx:
            await store.enqueue_once(tx, run, HIGH)

    async def _new_run(self, shard: Shard, child_id: ExecutionId, call: ChildCall) -> NewRun:
        parent = self.parent
        callers = [*decode_head(parent.head).callers, parent.scenario_id]
        if len(callers) >= MAX_DEPTH:
            raise ChildRefused(f"Scenarios call each other too deeply: at most {MAX_DEPTH} may stand in one chain.")
        scenario_id = ScenarioId(call.scenario_id)
        async with shard.read(parent.organization_id) as tx:
            try:
                scenario = await scenario_store.get(tx, parent.organization_id, scenario_id, parent.team_id)
            except NotFound:
                raise ChildRefused(f"There is no scenario {scenario_id} in this team.") from None
        _require_callable(scenario)
        program = await self.calls.programs.get(parent.organization_id, scenario_id, scenario.blueprint_version)
        if program.settings.sequential and call.wait and scenario_id in callers:
            raise ChildRefused(
                f"Scenario {scenario_id} runs one at a time and waits for this very run: it cannot call itself."
            )
        place = Place(execution_id=child_id, scenario_id=scenario_id, seed=seed_of(child_id))
        key = ordering_key(scenario.ordering_key, program.settings, place, call.inputs)
        if key and call.wait and self._may_hold(scenario_id, key, callers):
            raise ChildRefused(
                f"Scenario {scenario_id} runs one at a time for each key and waits for this very run: it cannot call"
                " itself."
            )
        run = NewRun(
            id=child_id,
            organization_id=parent.organization_id,
            team_id=parent.team_id,
            scenario_id=scenario_id,
            blueprint_version=scenario.blueprint_version,
            origin=ORIGIN,
            seed=seed_of(child_id),
            head=encode_head(CallHead(method="CALL", callers=callers, packed=True)),
            body=pack(dict(call.inputs)),
            ordering_key=key,
            trace_context=carried(),
        )
        return await self.calls.payloads.seal(run) if program.settings.confidential else run

    def _may_hold(self, scenario_id: ScenarioId, key: str, callers: list[int]) -> bool:
        """Say whether a caller may hold the key's turn: of the nearest it is known, of those behind only the id."""
        is_parent = scenario_id == self.parent.scenario_id and key == self.parent.ordering_key
        return is_parent or scenario_id in callers[:-1]

    async def _end_of(self, child_id: ExecutionId) -> ChildAnswer:
        calls = self.calls
        detail = await calls.waiting.outcome(self.parent.organization_id, child_id, calls.seconds)
        if detail is None:
            raise ChildPending(f"The called scenario did not end in {calls.seconds:g} seconds (execution {child_id}).")
        if detail.error is not None:
            return ChildAnswer(execution_id=child_id, status="error", error=detail.error.message)
        status: ChildStatus = "warning" if detail.warnings else "success"
        outputs: dict[str, Value] = detail.outputs or {}
        return ChildAnswer(execution_id=child_id, status=status, outputs=outputs)


def child_execution_id(parent_id: ExecutionId, key: str) -> ExecutionId:
    """Return the id of the child that a step starts: where and when of the parent, and the step's own key."""
    return ExecutionId(parent_id[:_OWN_PART] + key[:_OWN_PART])


def _require_callable(scenario: Scenario) -> None:
    """Raise unless other scenarios may call this one."""
    name = f"Scenario {scenario.id} ({scenario.name})"
    if not scenario.is_active or scenario.is_paused:
        raise ChildRefused(f"{name} is switched off: switch it on, then it can be called.")
    if scenario.scheduling.get("type") != Kind.ON_DEMAND:
        raise ChildRefused(f"{name} has a schedule of its own: only scenarios on demand can be called.")
