"""Wiring of executions: what takes calls in, what carries runs out, and the loops that go on beside requests."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial

from make_bridge.domain.data_stores.team_records import StoresByTeam
from make_bridge.domain.deliveries.telling import forget_messages
from make_bridge.domain.executions.confidential import Answers, Payloads
from make_bridge.domain.executions.credential_uses import CredentialUses
from make_bridge.domain.executions.credentials import OpenedByTeam
from make_bridge.domain.executions.dead_letter_handlers import forget_letters
from make_bridge.domain.executions.incomplete_handlers import forget_resolved
from make_bridge.domain.executions.incomplete_messages import (
    IncompleteExecutionAnswered,
    IncompleteExecutionsDeleted,
    IncompleteExecutionsRetried,
    ScenarioPaused,
)
from make_bridge.domain.executions.ingest import Ingest, IngestConfig
from make_bridge.domain.executions.journal import Journals
from make_bridge.domain.executions.memory import StoredMemory
from make_bridge.domain.executions.messages import ExecutionRequested
from make_bridge.domain.executions.once import forget_events
from make_bridge.domain.executions.outbound import HttpByTeam, Lanes, LoopSleeper, MailByTeam
from make_bridge.domain.executions.parking import Documents, Parking
from make_bridge.domain.executions.perform import Performer
from make_bridge.domain.executions.programs import Programs
from make_bridge.domain.executions.resuming import Resuming
from make_bridge.domain.executions.scheduler import Scheduler, SchedulerConfig
from make_bridge.domain.executions.subscenarios import ChildCalls
from make_bridge.domain.executions.surroundings import Surroundings
from make_bridge.domain.executions.targets import Targets
from make_bridge.domain.executions.upkeep import Care
from make_bridge.domain.executions.variables import StoredVariables
from make_bridge.domain.executions.waiting import Waiting
from make_bridge.domain.executions.warming import warm_up
from make_bridge.domain.executions.worker import Machinery, Worker, WorkerConfig
from make_bridge.domain.oauth.consent import forget_attempts
from make_bridge.domain.organizations.rotation_messages import OrganizationShredded
from make_bridge.domain.organizations.zones import Zones
from make_bridge.domain.reports.generating import forget_reports
from make_bridge.domain.scenarios.hook_messages import HookEdited
from make_bridge.domain.scenarios.messages import (
    BlueprintSaved,
    ScenarioActivated,
    ScenarioDeactivated,
    ScenarioDeleted,
    ScenarioEdited,
)
from make_bridge.domain.usage.messages import UsageLimitsChanged
from make_bridge.domain.usage.quotas import Quotas
from make_bridge.domain.usage.watch import QuotaWatch
from make_bridge.domain.users.sessions import Sessions
from make_bridge.kernel.context import Context
from make_bridge.kernel.ids import OrganizationId, ScenarioId
from make_bridge.kernel.messages import Event
from make_bridge.kernel.roles import Role
from make_bridge.platform.bus.relay import Relay
from make_bridge.platform.cache.far import FarCache
from make_bridge.platform.coordination.locks import Lock
from make_bridge.platform.egress.circuits import Circuits
from make_bridge.platform.egress.host_turns import HostTurns
from make_bridge.platform.egress.mail import MailSender
from make_bridge.platform.observability.metrics.loops import LoopTurns
from make_bridge.platform.queue.job_queue import forget_jobs
from make_bridge.services.audit import sealing
from make_bridge.services.oauth import renewing
from make_bridge.services.storage import watching
from make_bridge.services.worker import Loops, accepting, running
from make_bridge.settings import LoadedSettings, Settings
from make_bridge.wiring.audit import sealer_of
from make_bridge.wiring.caches import program_sources
from make_bridge.wiring.domain import Domain
from make_bridge.wiring.oauth import idle_renewal_of
from make_bridge.wiring.services import balance_of
from make_bridge.wiring.storage import gap_watch_of, storage_care_of

# What lets something in the queue begin: a run, a retry, or a turn that nothing stands before any more.
_WAKING = (
    ExecutionRequested,
    IncompleteExecutionAnswered,
    IncompleteExecutionsRetried,
    IncompleteExecutionsDeleted,
)
# After these, what is remembered of a scenario's addresses is wrong, whichever process has done it or which rule.
_MOVING = (
    ScenarioActivated,
    ScenarioDeactivated,
    ScenarioPaused,
    ScenarioDeleted,
    ScenarioEdited,
    BlueprintSaved,
    HookEdited,
)
_SCHEDULING = (ScenarioActivated, ScenarioEdited)
HEARD_FROM_AFAR = (*_MOVING, UsageLimitsChanged, OrganizationShredded)


def lanes_of(domain: Domain, settings: Settings) -> Lanes:
    """Return what calls pass on their way out: the breakers and the turns at each host, and who counts them."""
    numbers = domain.metrics.egress
    circuits = Circuits(
        settings.circuits(), domain.clock, opened=numbers.breakers_opened.inc, refused=numbers.calls_refused.inc
    )
    lanes = Lanes(circuits=circuits, turns=HostTurns(settings.turns()), count=numbers.count_call)
    numbers.watch(circuits.by_state, lanes.turns.by_state)
    return lanes


def cares_of(domain: Domain, sessions: Sessions, settings: Settings) -> dict[str, Care]:
    """Return what is done now and then, by the word under which it is told."""
    return {
        "store_commits_forgotten": records_of(domain, settings).forget_commits,
        "incomplete_executions_forgotten": partial(forget_resolved, domain.shards),
        "dead_letters_forgotten": partial(forget_letters, domain.shards),
        "jobs_forgotten": partial(forget_jobs, domain.shards, settings.job_retention_days),
        "webhook_events_forgotten": partial(forget_events, domain.shards),
        "reports_forgotten": partial(forget_reports, domain.shards, settings.report_retention_days),
        "oauth_attempts_forgotten": partial(forget_attempts, domain.shards),
        "sessions_forgotten": sessions.forget_ended,
        "webhook_messages_forgotten": partial(forget_messages, domain.shards, settings.webhook_retention_days),
    }


async def start_loops(
    stack: AsyncExitStack,
    domain: Domain,
    executions: "Executions",
    cares: Mapping[str, Care],
    relay: Relay,
    loaded: LoadedSettings,
) -> None:
    """Start what the worker's role does beside requests; without it what comes is stored, and others are told."""
    await warm_up(domain.shards, executions.programs, loaded.settings.warming())
    if Role.WORKER not in loaded.settings.roles:
        executions.worker.pass_on(relay.hint)
        await stack.enter_async_context(accepting(executions.loops(), domain.shards))
        return
    leads = domain.candidacy_of
    await stack.enter_async_context(sealing(sealer_of(domain.shards, domain.audit_key, domain.metrics, loaded, leads)))
    idle = idle_renewal_of(domain.shards, domain.tokens, domain.metrics, loaded, leads)
    await stack.enter_async_context(renewing(idle))
    await stack.enter_async_context(running_of(executions, domain, cares))
    await stack.enter_async_context(watching(storage_care_of(domain, loaded), gap_watch_of(domain, loaded)))
    balance = balance_of(domain.shards, domain.metrics, loaded)
    await balance.start()
    stack.push_async_callback(balance.stop)


def running_of(executions: "Executions", domain: Domain, more: Mapping[str, Care]) -> AbstractAsyncContextManager[None]:
    cares = {"used_tokens_forgotten": domain.ledger.purge, **more}
    lowest = min(domain.shards.all(), key=lambda shard: shard.number)
    return running(executions.loops(), domain.shards, cares, Lock(domain.candidacy_of, lowest, "upkeep"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Executions:
    """The parts of accepting and running."""

    targets: Targets
    programs: Programs
    waiting: Waiting
    worker: Worker
    ingest: Ingest
    scheduler: Scheduler
    watch: QuotaWatch
    forget_keys: Callable[[OrganizationId], None]
    turns: LoopTurns

    def loops(self) -> Loops:
        """Return what runs beside requests."""
        return Loops(
            worker=self.worker, ingest=self.ingest, scheduler=self.scheduler, watch=self.watch, turns=self.turns
        )

    def hear(self, _context: Context, events: Sequence[Event]) -> None:
        """Drop near entries of what changed here, and wake the worker for what was asked for."""
        for event in events:
            if isinstance(event, _WAKING):
                self.worker.wake()
        self.hear_from_afar(events)

    def hear_from_afar(self, events: Sequence[Event]) -> None:
        """Do what every process has to when something changed anywhere, this process included."""
        for event in events:
            if isinstance(event, _MOVING) and event.scenario_id is not None:
                self.targets.drop(ScenarioId(event.scenario_id))
        if any(isinstance(event, _SCHEDULING) for event in events):
            self.scheduler.wake()
        if any(isinstance(event, UsageLimitsChanged) for event in events):
            self.watch.wake()
        for event in events:
            if isinstance(event, OrganizationShredded):
                self.forget_keys(OrganizationId(event.organization_id))


def wire_executions(
    domain: Domain,
    http: HttpByTeam,
    loaded: LoadedSettings,
    journals: Journals,
    uses: CredentialUses,
    far: FarCache | None,
) -> Executions:
    settings, shards, metrics = loaded.settings, domain.shards, domain.metrics
    payloads, answers = Payloads(sealing=domain.data_keys), Answers(sealing=domain.data_keys)
    programs = Programs(shards, sources=None if far is None else program_sources(far))
    waiting, lent = Waiting(shards, answers), http.lanes.lent
    children = ChildCalls(shards=shards, programs=programs, waiting=waiting, lent=lent, payloads=payloads)
    zones = Zones(organizations=domain.organizations)
    records = records_of(domain, settings)
    performer = Performer(
        http=http,
        mailer=MailByTeam(sender=MailSender(settings.egress().policy, name=settings.mail_name), lanes=http.lanes),
        sleeper=LoopSleeper(),
        components=OpenedByTeam(opener=domain.opener, tokens=domain.tokens, uses=uses),
        clock=domain.clock,
        parking=Parking(documents=Documents(sealing=domain.data_keys)),
        around=Surroundings(
            zones=zones,
            memory=StoredMemory(shards),
            variables=StoredVariables(shards),
            subscenarios=children.of,
            stores=lambda stored: records.of(stored.organization_id, stored.team_id),
            journals=journals,
            functions=domain.javascript.functions(shards, lent, metrics),
            limits=settings.run_limits(),
        ),
    )
    worker_config = WorkerConfig(
        node=loaded.node_id,
        # Without the role there is room for none: what comes is stored for others.
        most_running=settings.execution_concurrency if Role.WORKER in settings.roles else 0,
        drain_patience=settings.drain_seconds,
        max_body_bytes=settings.hook_body_bytes,
        incomplete=settings.incomplete(),
        claims=settings.claims(),
        most_attempts=settings.execution_attempts,
        jobs=settings.jobs(),
        tracing=domain.tracing,
    )
    ingest_config = IngestConfig(
        node=loaded.node_id,
        max_body_bytes=settings.hook_body_bytes,
        response_seconds=settings.webhook_response_seconds,
        incomplete=settings.incomplete(),
        most_deferred=settings.usage_deferred,
        learning=settings.learning(),
    )
    quotas = Quotas()
    machinery = Machinery(
        shards=shards,
        programs=programs,
        performer=performer,
        waiting=waiting,
        metrics=metrics,
        resuming=Resuming(programs=programs, documents=Documents(sealing=domain.data_keys)),
        payloads=payloads,
        answers=answers,
        lent=lent,
        jobs=domain.jobs.types,
        quotas=quotas,
    )
    worker = Worker(machinery, worker_config)
    metrics.executions.running.set_function(lambda: worker.running)
    metrics.executions.beyond_lease.set_function(lambda: worker.beyond_lease)
    ingest = Ingest(machinery, worker, ingest_config)
    scheduler_config = SchedulerConfig(
        node=loaded.node_id,
        catch_up=settings.schedule_catch_up,
        candidacy_of=domain.candidacy_of,
        tracing=domain.tracing,
    )
    return Executions(
        targets=Targets(shards, domain.clock, domain.data_keys),
        programs=programs,
        waiting=waiting,
        worker=worker,
        ingest=ingest,
        scheduler=Scheduler(shards, zones, metrics, scheduler_config, worker.wake, quotas),
        watch=QuotaWatch(shards, quotas, metrics, settings.quotas(), worker.wake),
        forget_keys=domain.data_keys.forget,
        turns=metrics.loops,
    )


def records_of(domain: Domain, settings: Settings) -> StoresByTeam:
    return StoresByTeam(shards=domain.shards, limits=settings.data_store_limits())
