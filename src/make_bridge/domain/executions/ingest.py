"""Accepting webhooks: store first, answer after the commit, run in place while there is room.

Three ways in, chosen per call:

* **at once**: a program without calls out and without loops is carried out first and stored with its
  outcome in one commit; until that commit nobody was told anything, so nothing can be lost.
* **in place**: the run is stored already leased to this process and carried out after the commit.
* **queued**: no room here, or the run has to wait for others of its scenario or key (``ordering.py``): stored ready,
  any worker claims it.

Who has used what it may use this month is served by ``deferring.py`` instead: stored, and waiting for more.

What a confidential scenario is sent is stored sealed, and not at all where it is run at once.

The calls of hooks that name their events' ids go the same ways and are stored by ``once``: a repeat is answered with
the execution of the first.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from make_bridge.domain.executions import store
from make_bridge.domain.executions.confidential import without_payload
from make_bridge.domain.executions.deferring import Deferring
from make_bridge.domain.executions.event_ids import event_id_of
from make_bridge.domain.executions.event_store import Arrival
from make_bridge.domain.executions.incomplete import IncompleteLimits
from make_bridge.domain.executions.learner import Learner
from make_bridge.domain.executions.model import NewRun, Outcome
from make_bridge.domain.executions.once import AlreadyBegun, OnceWriter
from make_bridge.domain.executions.ordering import Place, ordering_key
from make_bridge.domain.executions.perform import seed_of
from make_bridge.domain.executions.run_spans import RUN, describe, ended
from make_bridge.domain.executions.targets import Target
from make_bridge.domain.executions.trigger import Bundle, CallHead, encode_head, trigger_bundle
from make_bridge.domain.executions.worker import Machinery, Worker
from make_bridge.domain.scenarios.inbound import DedupeRule
from make_bridge.domain.scenarios.learning import LearningLimits
from make_bridge.domain.usage.model import Standing
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.ports import WebhookResponse
from make_bridge.kernel.errors import OrganizationMoved
from make_bridge.kernel.ids import ExecutionId, new_execution_id
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.observability.tracing.spans import carried, step
from make_bridge.platform.queue.group_commit import GroupCommit
from make_bridge.platform.sharding.following import PerShard

ACCEPTED = WebhookResponse(status=200, headers=(("content-type", "text/plain; charset=utf-8"),), body=b"Accepted")
LEARNED = WebhookResponse(
    status=200, headers=ACCEPTED.headers, body=b"Learned from. Nothing was stored: no scenario has this webhook yet."
)
REPEATED = WebhookResponse(status=200, headers=(*ACCEPTED.headers, ("x-duplicate", "true")), body=b"Accepted")
FAILED = WebhookResponse(
    status=500, headers=(("content-type", "text/plain; charset=utf-8"),), body=b"Scenario failed to complete."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Numbers of the ingest; ``response_seconds`` is how long a caller is kept waiting for an answer."""

    node: str
    max_body_bytes: int = 5 * 1024 * 1024
    response_seconds: float = 180.0
    incomplete: IncompleteLimits = field(default_factory=IncompleteLimits)
    most_deferred: int = 10_000
    learning: LearningLimits = field(default_factory=LearningLimits)


class Ingest:
    """See the module."""

    def __init__(self, machinery: Machinery, worker: Worker, config: IngestConfig) -> None:
        """Take the parts; each shard gets its writers when it is first written to."""
        self._shards = machinery.shards
        self._programs = machinery.programs
        self._performer = machinery.performer
        self._waiting = machinery.waiting
        self._metrics = machinery.metrics
        self._payloads = machinery.payloads
        self._quotas = machinery.quotas
        self._deferring = Deferring(machinery.shards, machinery.quotas, machinery.metrics, most=config.most_deferred)
        self._learner = Learner(machinery.shards, config.learning)
        self._worker = worker
        self._config = config
        self._acceptances = PerShard(self._accept_writer)
        self._endings = PerShard(self._ended_writer)
        self._firsts = PerShard(self._first_writer)

    async def take(self, target: Target, head: CallHead, body: bytes) -> tuple[ExecutionId, WebhookResponse]:
        """Store a call and return its execution with the answer for the caller.

        Raises InvalidInput, Unavailable, and LimitExceeded when too many wait for a limit of usage.
        """
        bundle = trigger_bundle(head, body, target.settings, max_bytes=self._config.max_body_bytes)
        program = await self._programs.get(target.organization_id, target.scenario_id, target.blueprint_version)
        if target.settings.learning and not program.settings.confidential:
            await self._learner.draw(target, bundle)
        shard = await self._shards.of(target.organization_id)
        run = self._new_run(shard, target, head, body)
        if target.ordering is not None or program.settings.sequential:
            place = Place(execution_id=run.id, scenario_id=run.scenario_id, seed=run.seed)
            key = ordering_key(target.ordering, program.settings, place, bundle)
            run = msgspec.structs.replace(run, ordering_key=key)
        event = None if target.dedupe is None else _event(target, target.dedupe, run, head, bundle)
        try:
            if reached := self._quotas.reached(run.organization_id, run.team_id):
                return run.id, await self._deferred(shard, run, program, reached, event)
            if run.ordering_key is None and self._worker.may_run_in_place:
                if program.immediate:
                    return run.id, await self._at_once(shard, run, program, bundle, event)
                if self._worker.is_below_cap(run.team_id):
                    return run.id, await self._in_place(shard, run, program, bundle, event)
            return run.id, await self._queued(shard, run, program, event)
        except AlreadyBegun as known:
            self._metrics.executions.repeated.inc()
            return known.execution_id, REPEATED

    async def learn(self, target: Target, head: CallHead, body: bytes) -> WebhookResponse:
        """Learn from a call behind which nothing runs; raises InvalidInput, and what its caller is to be told."""
        bundle = trigger_bundle(head, body, target.settings, max_bytes=self._config.max_body_bytes)
        if target.refusal is None:
            await self._learner.draw(target, bundle)
            return LEARNED
        program = await self._programs.get(target.organization_id, target.scenario_id, target.blueprint_version)
        if not program.settings.confidential:
            await self._learner.draw(target, bundle)
        raise target.refusal

    async def close(self) -> None:
        """Write everything that waits."""
        await self._acceptances.close(GroupCommit.close)
        await self._endings.close(GroupCommit.close)
        await self._firsts.close(OnceWriter.close)
        await self._deferring.close()

    async def _at_once(
        self, shard: Shard, run: NewRun, program: Program, bundle: Bundle, event: Arrival | None
    ) -> WebhookResponse:
        with step(RUN) as span:
            describe(span, run)
            performance = await self._performer.perform(run, program, [bundle], fence=0)
            ended(span, performance.outcome)
        stored = without_payload(run) if program.settings.confidential else run
        try:
            if event is None:
                await self._endings[shard].submit((stored, performance.outcome))
            else:
                first = msgspec.structs.replace(event, run=stored, outcome=performance.outcome)
                await self._firsts[shard].submit(first)
        except OrganizationMoved:
            await self._shards.elsewhere(
                run.organization_id, partial(self._store_ended, stored, performance.outcome, event)
            )
        if not program.has_response:
            return ACCEPTED
        result = performance.result
        if result is not None and result.response is not None:
            return result.response
        return FAILED if result is None or result.status == "error" else ACCEPTED

    async def _in_place(
        self, shard: Shard, run: NewRun, program: Program, bundle: Bundle, event: Arrival | None
    ) -> WebhookResponse:
        leased = msgspec.structs.replace(run, owner=self._config.node)
        self._worker.reserve(shard, run)
        if program.has_response:
            self._waiting.listen(run.id)
        try:
            stored = await self._payloads.seal(leased) if program.settings.confidential else leased
            shard = await self._store(shard, stored, event)
        except BaseException:
            self._worker.release(run.id)
            self._waiting.forget(run.id)
            raise
        self._metrics.executions.accepted["in_place"].inc()
        self._worker.begin(shard, leased, program, [bundle], self._waiting.responder(run.id))
        return await self._answer(run, program)

    async def _queued(self, shard: Shard, run: NewRun, program: Program, event: Arrival | None) -> WebhookResponse:
        if program.has_response:
            self._waiting.listen(run.id)
        try:
            stored = await self._payloads.seal(run) if program.settings.confidential else run
            await self._store(shard, stored, event)
        except BaseException:
            self._waiting.forget(run.id)
            raise
        self._metrics.executions.accepted["queued"].inc()
        self._worker.wake()
        return await self._answer(run, program)

    async def _store(self, shard: Shard, run: NewRun, event: Arrival | None) -> Shard:
        """Store a run that is still to be carried out, and return where; raises AlreadyBegun for a repeated event."""

        async def write(shard: Shard) -> Shard:
            if event is None:
                await self._acceptances[shard].submit(run)
            else:
                await self._firsts[shard].submit(msgspec.structs.replace(event, run=run))
            return shard

        try:
            return await write(shard)
        except OrganizationMoved:
            return await self._shards.elsewhere(run.organization_id, write)

    async def _store_ended(self, run: NewRun, outcome: Outcome, event: Arrival | None, shard: Shard) -> None:
        """Store a run that was carried out already, where its organization has moved to."""
        if event is None:
            await self._endings[shard].submit((run, outcome))
        else:
            await self._firsts[shard].submit(msgspec.structs.replace(event, run=run, outcome=outcome))

    async def _deferred(
        self, shard: Shard, run: NewRun, program: Program, reached: tuple[Standing, ...], event: Arrival | None
    ) -> WebhookResponse:
        """Store a run that waits for a limit; its caller is not kept, whatever the scenario would answer."""
        self._deferring.require_room(reached)
        stored = await self._payloads.seal(run) if program.settings.confidential else run
        await self._deferring.take(shard, stored, reached, event)
        return ACCEPTED

    async def _answer(self, run: NewRun, program: Program) -> WebhookResponse:
        if not program.has_response:
            return ACCEPTED
        try:
            answer = await self._waiting.response(run.organization_id, run.id, self._config.response_seconds)
        except TimeoutError:
            return ACCEPTED
        finally:
            self._waiting.forget(run.id)
        return answer or await self._silent_end(run)

    async def _silent_end(self, run: NewRun) -> WebhookResponse:
        """Answer for a run that ended without a response: failed, or simply silent."""
        detail = await self._waiting.outcome(run.organization_id, run.id, 5.0)
        return FAILED if detail is not None and detail.error is not None else ACCEPTED

    def _new_run(self, shard: Shard, target: Target, head: CallHead, body: bytes) -> NewRun:
        execution_id = new_execution_id(shard=shard.number)
        return NewRun(
            id=execution_id,
            organization_id=target.organization_id,
            team_id=target.team_id,
            scenario_id=target.scenario_id,
            blueprint_version=target.blueprint_version,
            origin="webhook",
            seed=seed_of(execution_id),
            head=encode_head(head),
            body=body,
            trace_context=carried(),
        )

    def _accept_writer(self, shard: Shard) -> GroupCommit[NewRun, None]:
        async def flush(runs: Sequence[NewRun]) -> list[None]:
            await store.accept(shard, runs)
            return [None] * len(runs)

        return GroupCommit(flush, tenant=lambda run: run.organization_id)

    def _ended_writer(self, shard: Shard) -> GroupCommit[tuple[NewRun, Outcome], None]:
        async def flush(ended: Sequence[tuple[NewRun, Outcome]]) -> list[None]:
            await store.accept_settled(shard, ended, self._config.node, self._config.incomplete)
            self._count_settled([outcome for _, outcome in ended])
            return [None] * len(ended)

        return GroupCommit(flush, tenant=lambda one: one[0].organization_id)

    def _first_writer(self, shard: Shard) -> OnceWriter:
        return OnceWriter(shard, self._config.node, self._config.incomplete, self._count_settled)

    def _count_settled(self, outcomes: Sequence[Outcome]) -> None:
        self._metrics.executions.accepted["at_once"].inc(len(outcomes))
        statuses = Counter(outcome.status.name.lower() for outcome in outcomes)
        self._metrics.executions.count_settled(
            statuses, sum(outcome.operations for outcome in outcomes), [one.duration_ms / 1000 for one in outcomes]
        )


def _event(target: Target, rule: DedupeRule, run: NewRun, head: CallHead, bundle: Bundle) -> Arrival | None:
    event_id = event_id_of(rule, head, bundle)
    if event_id is None:
        return None
    return Arrival(run=run, hook_id=target.hook_id, event_id=event_id, window_seconds=rule.window_seconds)
