"""The composition root: the whole program, put together from settings, read top to bottom.

Settings → root key → database → domain → faces. Every part is entered on one exit stack, so that
whatever was opened is closed in the opposite order, also when the start fails half-way. The command
line uses the first half (``open_domain``) to act on a database, also beside a server that runs.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from make_bridge.domain.activity import handlers as activity_handlers
from make_bridge.domain.activity import views as activity_views
from make_bridge.domain.activity.counting import Counting
from make_bridge.domain.audit import views as audit_views
from make_bridge.domain.connections import handlers as connection_handlers
from make_bridge.domain.connections import views as connection_views
from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.connections.opening import ComponentOpener
from make_bridge.domain.connections.resealing_store import SealedConnections
from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.customers import handlers as customer_handlers
from make_bridge.domain.customers import views as customer_views
from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.domain.data_stores import handlers as data_store_handlers
from make_bridge.domain.data_stores import views as data_store_views
from make_bridge.domain.data_stores.team_records import StoresByTeam
from make_bridge.domain.data_structures import handlers as data_structure_handlers
from make_bridge.domain.data_structures import views as data_structure_views
from make_bridge.domain.deliveries import views as delivery_views
from make_bridge.domain.deliveries.handlers import DeliveryHandlers
from make_bridge.domain.deliveries.resealing_store import SealedEndpoints
from make_bridge.domain.deliveries.sending import Delivering
from make_bridge.domain.deliveries.telling import TellingEndpoints, forget_messages
from make_bridge.domain.executions import views as execution_views
from make_bridge.domain.executions.confidential import Answers, Payloads
from make_bridge.domain.executions.credential_uses import CredentialUses
from make_bridge.domain.executions.credentials import OpenedByTeam
from make_bridge.domain.executions.dead_letter_handlers import DeadLetterHandlers, forget_letters
from make_bridge.domain.executions.dead_letter_replays import ReplayingDeadLetters
from make_bridge.domain.executions.handlers import ExecutionHandlers
from make_bridge.domain.executions.incomplete_handlers import IncompleteHandlers, forget_resolved
from make_bridge.domain.executions.incomplete_messages import (
    IncompleteExecutionAnswered,
    IncompleteExecutionsDeleted,
    IncompleteExecutionsRetried,
    ScenarioPaused,
)
from make_bridge.domain.executions.incomplete_views import IncompleteViews
from make_bridge.domain.executions.ingest import Ingest, IngestConfig
from make_bridge.domain.executions.journal import Journals, StoredJournals
from make_bridge.domain.executions.memory import StoredMemory
from make_bridge.domain.executions.messages import ExecutionRequested
from make_bridge.domain.executions.once import forget_events
from make_bridge.domain.executions.outbound import HttpByTeam, Lanes, LoopSleeper, MailByTeam
from make_bridge.domain.executions.parking import Documents, Parking
from make_bridge.domain.executions.perform import Performer
from make_bridge.domain.executions.programs import Programs
from make_bridge.domain.executions.resuming import Resuming
from make_bridge.domain.executions.scheduler import Scheduler, SchedulerConfig
from make_bridge.domain.executions.senders import Senders
from make_bridge.domain.executions.subscenarios import ChildCalls
from make_bridge.domain.executions.surroundings import Surroundings
from make_bridge.domain.executions.targets import Targets
from make_bridge.domain.executions.upkeep import Care
from make_bridge.domain.executions.waiting import Waiting
from make_bridge.domain.executions.worker import Machinery, Worker, WorkerConfig
from make_bridge.domain.integrations import handlers as flow_handlers
from make_bridge.domain.integrations import views as flow_views
from make_bridge.domain.integrations.handlers import FlowHandlers
from make_bridge.domain.integrations.reading import FlowReader
from make_bridge.domain.jobs import views as job_views
from make_bridge.domain.jobs.handlers import JobHandlers
from make_bridge.domain.oauth import views as oauth_views
from make_bridge.domain.oauth.consent import Consents, forget_attempts
from make_bridge.domain.oauth.keeping import TokenKeeper
from make_bridge.domain.oauth.resealing_store import SealedGrants
from make_bridge.domain.organizations.audit_key import AuditKey
from make_bridge.domain.organizations.credential_handlers import CredentialHandlers
from make_bridge.domain.organizations.data_key_rotation import RotatingDataKeys
from make_bridge.domain.organizations.editing import OrganizationEditing
from make_bridge.domain.organizations.facts import SealedFacts, require_same_root_key
from make_bridge.domain.organizations.keys import (
    ApiTokens,
    DataKeys,
    ListedOrigins,
    OrganizationReader,
    PortalKeys,
    TokenLedger,
)
from make_bridge.domain.organizations.rotation_messages import OrganizationShredded
from make_bridge.domain.organizations.service import OrganizationService
from make_bridge.domain.organizations.token_front import FrontedLedger
from make_bridge.domain.organizations.zones import Zones
from make_bridge.domain.reports import views as report_views
from make_bridge.domain.reports.generating import GeneratingReports, forget_reports
from make_bridge.domain.reports.handlers import ReportHandlers
from make_bridge.domain.scenarios import handlers as scenario_handlers
from make_bridge.domain.scenarios import views as scenario_views
from make_bridge.domain.scenarios.handlers import ScenarioHandlers
from make_bridge.domain.scenarios.hook_handlers import HookHandlers
from make_bridge.domain.scenarios.hook_messages import HookEdited
from make_bridge.domain.scenarios.messages import (
    BlueprintSaved,
    ScenarioActivated,
    ScenarioDeactivated,
    ScenarioDeleted,
    ScenarioEdited,
)
from make_bridge.domain.scenarios.resealing_store import SealedHooks
from make_bridge.domain.teams import views as team_views
from make_bridge.domain.teams.handlers import TeamHandlers
from make_bridge.domain.templates import handlers as template_handlers
from make_bridge.domain.templates import views as template_views
from make_bridge.domain.templates.handlers import TemplateHandlers
from make_bridge.domain.templates.store import TemplateStore
from make_bridge.domain.usage import handlers as usage_handlers
from make_bridge.domain.usage.messages import UsageLimitsChanged
from make_bridge.domain.usage.quotas import Quotas
from make_bridge.domain.usage.views import UsageViews
from make_bridge.domain.usage.watch import QuotaWatch
from make_bridge.domain.users.handlers import SessionHandlers
from make_bridge.domain.users.members import MemberHandlers
from make_bridge.domain.users.service import UserService
from make_bridge.domain.users.sessions import Sessions
from make_bridge.domain.users.views import SessionViews
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.demo.routes import Demo, DemoConfig, demo_routes
from make_bridge.faces.edge.application import build_application
from make_bridge.faces.edge.authentication import Authenticator
from make_bridge.faces.edge.limiters import Limiters
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.faces.hooks.endpoint import PREFIX, HookEndpoint, hook_face
from make_bridge.faces.oauth.routes import OAuthFace
from make_bridge.faces.ops.routes import Operations
from make_bridge.faces.portal.dependencies import PortalConfig, PortalDependencies
from make_bridge.faces.portal.routes import PORTAL_ALIASES
from make_bridge.faces.wizard.calls import WizardCalls
from make_bridge.faces.wizard.gate import FlowGate, FlowLimits
from make_bridge.faces.wizard.page import WizardPage
from make_bridge.kernel.clock import Clock, SystemClock
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import OrganizationId, ScenarioId
from make_bridge.kernel.messages import Event
from make_bridge.platform.bus.commands import CommandBus, Listener
from make_bridge.platform.bus.events import LiveSubscription
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.bus.relay import Relay, RelayConfig
from make_bridge.platform.coordination.membership import Membership
from make_bridge.platform.database.awaiting import await_server
from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedPostgres, facts_of_running
from make_bridge.platform.database.opening import (
    DatabaseAddress,
    DatabasePlan,
    kept_role_secret,
    open_databases,
    prepare,
)
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.egress.circuits import Circuits
from make_bridge.platform.egress.client import EgressClient
from make_bridge.platform.egress.host_turns import HostTurns
from make_bridge.platform.egress.mail import MailSender
from make_bridge.platform.limits.redis_counts import RedisCounts
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.job_queue import JobQueue, forget_jobs
from make_bridge.platform.queue.jobs import JobTypes
from make_bridge.platform.redis.client import RedisClient
from make_bridge.platform.security.passwords import Passwords
from make_bridge.platform.security.root_key import ROLE_PURPOSE, RootKey, RootKeys, role_secret_place
from make_bridge.platform.security.sealing import SealBroken, Sealed
from make_bridge.services.audit import sealing
from make_bridge.services.bridge import bridge_routes
from make_bridge.services.demonstration import NAME, USER, DemoFacts, Demonstration
from make_bridge.services.events import EVENTS
from make_bridge.services.gateway import gateway_routes
from make_bridge.services.oauth import renewing
from make_bridge.services.relay import relaying
from make_bridge.services.worker import Loops, running
from make_bridge.settings import LoadedSettings, Settings
from make_bridge.wiring.audit import sealer_of, witness_of
from make_bridge.wiring.console import ConsoleGround, wire_console
from make_bridge.wiring.oauth import OAuthGround, idle_renewal_of, wire_oauth

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Everything below the faces, open and wired."""

    shards: Shards
    clock: Clock
    data_keys: DataKeys
    organizations: OrganizationReader
    roots: RootKeys
    audit_key: AuditKey
    service: OrganizationService
    users: UserService
    portal_keys: PortalKeys
    api_tokens: ApiTokens
    ledger: TokenLedger
    customers: CustomerDirectory
    opener: ComponentOpener
    tokens: TokenKeeper
    consents: Consents
    listeners: list[Listener]
    commands: CommandBus
    queries: QueryBus
    jobs: JobQueue
    egress: EgressClient
    metrics: Metrics
    telling: TellingEndpoints
    key_secret: bytes
    """What names things in Redis: the same in all processes, and over rotations of the root key."""


async def open_domain(stack: AsyncExitStack, loaded: LoadedSettings, report: Report, *, join: bool = False) -> Domain:
    """Open the database and wire the domain over it; ``join`` uses the embedded one of a server that runs."""
    settings, clock = loaded.settings, SystemClock()
    roots = await asyncio.to_thread(_root_keys, settings)
    plan = await _plan(stack, settings, join=join)
    if not join:
        await _await_databases(plan, settings, report)
    role_secret = await _role_secret(plan, roots)
    shards = await _open_shards(stack, plan, settings, role_secret, clock, report)
    await require_same_root_key(shards.directory, roots)
    data_keys = DataKeys(shards.directory, roots, clock)
    organizations = OrganizationReader(shards.directory, clock)
    customers = CustomerDirectory(shards, clock)
    zones = Zones(organizations=organizations)
    shortest = settings.schedule_shortest_seconds
    scenarios = ScenarioHandlers(sealing=data_keys, zones=zones, shortest_interval=shortest)
    hooks = HookHandlers(sealing=data_keys, limits=settings.inbound())
    jobs = JobQueue(types=JobTypes(), limits=settings.jobs())
    metrics, egress, policy = Metrics(), EgressClient(settings.egress()), settings.egress().policy
    oauth = wire_oauth(
        OAuthGround(
            shards=shards, data_keys=data_keys, organizations=organizations, jobs=jobs, egress=egress, metrics=metrics,
            settings=settings,
        )
    )  # fmt: skip
    api_tokens = ApiTokens(shards.directory, clock)
    components = ComponentHandlers(
        sealing=data_keys, farewell=oauth.farewell, tokens=api_tokens, own_origin=settings.origin
    )
    reader = FlowReader(
        organizations=organizations, sealing=data_keys, templates=TemplateStore(), connections=ComponentStore()
    )
    flows = FlowHandlers(scenarios=scenarios, components=components, oauth=oauth.handlers, reader=reader)
    listeners: list[Listener] = []
    limits = replace(settings.deliveries(), known_types=frozenset(event.wire_name for event in EVENTS))
    deliveries = DeliveryHandlers(sealing=data_keys, jobs=jobs, clock=clock, policy=policy, limits=limits)
    credentials = CredentialHandlers(roots=roots, clock=clock, limits=settings.credentials())
    members = MemberHandlers(limits=settings.member_limits())
    resealing = RotatingDataKeys(
        shards=shards, sealing=data_keys, roots=roots, jobs=jobs,
        rows=(SealedConnections(), SealedGrants(), SealedHooks(), SealedEndpoints()),
    )  # fmt: skip
    jobs.types.add(resealing.type())
    commands = CommandBus(
        [
            *credentials.commands(),
            *SessionHandlers().commands(),
            *members.commands(),
            *resealing.commands(),
            *customer_handlers.commands(customers, organizations),
            *TeamHandlers(organizations=organizations).commands(),
            *OrganizationEditing(organizations=organizations).commands(),
            *activity_handlers.commands(),
            *usage_handlers.commands(customers),
            *template_handlers.commands(TemplateHandlers(shortest_interval=shortest)),
            *connection_handlers.commands(components),
            *oauth.handlers.commands(),
            *data_structure_handlers.commands(),
            *data_store_handlers.commands(settings.data_store_limits()),
            *scenario_handlers.commands(scenarios),
            *hooks.commands(),
            *ExecutionHandlers(payloads=Payloads(sealing=data_keys)).commands(),
            *IncompleteHandlers(documents=Documents(sealing=data_keys)).commands(),
            *DeadLetterHandlers(jobs=jobs).commands(),
            *JobHandlers(jobs=jobs).commands(),
            *ReportHandlers(jobs=jobs, clock=clock, limits=settings.report_limits()).commands(),
            *deliveries.commands(),
            *flow_handlers.commands(flows),
        ],
        shards,
        data_keys,
        listeners,
    )
    jobs.types.add(ReplayingDeadLetters(commands=commands).type())
    jobs.types.add(GeneratingReports(shards=shards, limits=settings.report_limits()).type())
    delivering = Delivering(
        shards=shards, sealing=data_keys, out=egress, policy=policy, clock=clock, metrics=metrics, jobs=jobs,
        limits=limits,
    )  # fmt: skip
    for kind in delivering.types():
        jobs.types.add(kind)
    queries = QueryBus(
        [
            *credentials.queries(),
            *SessionViews(limits=settings.session_limits()).queries(),
            *members.queries(),
            *customer_views.queries(),
            *team_views.queries(),
            *activity_views.queries(),
            *audit_views.queries(),
            *UsageViews(near_percent=settings.usage_near_percent).queries(),
            *template_views.queries(),
            *connection_views.queries(),
            *connection_handlers.queries(components),
            *oauth_views.queries(),
            *data_structure_views.queries(),
            *data_store_views.queries(settings.data_store_limits()),
            *scenario_views.queries(data_keys),
            *hooks.queries(),
            *execution_views.queries(),
            *IncompleteViews(documents=Documents(sealing=data_keys)).queries(),
            *DeadLetterHandlers(jobs=jobs).queries(),
            *job_views.queries(),
            *report_views.queries(),
            *delivery_views.queries(),
            *flow_views.queries(reader),
        ],
        shards,
    )
    return Domain(
        shards=shards,
        clock=clock,
        data_keys=data_keys,
        organizations=organizations,
        roots=roots,
        audit_key=AuditKey(directory=shards.directory, roots=roots),
        service=OrganizationService(shards.directory, shards, roots, clock),
        users=UserService(directory=shards.directory, passwords=Passwords(settings.passwords())),
        portal_keys=PortalKeys(shards.directory, data_keys, clock),
        api_tokens=api_tokens,
        ledger=TokenLedger(shards.directory),
        customers=customers,
        opener=ComponentOpener(shards=shards, sealing=data_keys),
        tokens=oauth.tokens,
        consents=oauth.consents,
        listeners=listeners,
        commands=commands,
        queries=queries,
        jobs=jobs,
        egress=egress,
        metrics=metrics,
        telling=TellingEndpoints(jobs=jobs, limits=limits, metrics=metrics),
        key_secret=role_secret,
    )


def _root_keys(settings: Settings) -> RootKeys:
    """Read the root key and, during a rotation, the next; only the embedded default may make one of its own."""
    path = settings.root_key_path
    if settings.root_key_file is None and not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        RootKey.create(path)
    roots = RootKeys.load(path)
    roots.current.self_test()
    return roots


async def _role_secret(plan: DatabasePlan, roots: RootKeys) -> bytes:
    """Return what the serving role's password is made of: of the root key, unless a rotation has kept it apart."""
    kept = await kept_role_secret(plan)
    if kept is None:
        return roots.current.derive(ROLE_PURPOSE)
    try:
        return await roots.unwrap(role_secret_place(), Sealed(kept))
    except SealBroken:
        raise ConfigurationError(
            "The root key of this database was rotated, and this process has another one: give it the key in force."
        ) from None


async def _open_shards(
    stack: AsyncExitStack, plan: DatabasePlan, settings: Settings, role_secret: bytes, clock: Clock, report: Report
) -> Shards:
    lines, serving = await prepare(plan, role_secret)
    for line in lines:
        report(line)
    return await open_databases(stack, plan, serving, settings.pools(), clock)


async def _plan(stack: AsyncExitStack, settings: Settings, *, join: bool) -> DatabasePlan:
    if settings.database_url is not None:
        return _external_plan(settings, settings.database_url.get_secret_value())
    config = EmbeddedConfig(data_dir=settings.data_dir)
    facts = await asyncio.to_thread(facts_of_running, config) if join else None
    if facts is None:
        facts = await stack.enter_async_context(EmbeddedPostgres(config))
    return DatabasePlan(directory=DatabaseAddress(url=facts.admin_dsn), shards={})


async def _await_databases(plan: DatabasePlan, settings: Settings, report: Report) -> None:
    """Let the parts of an installation be started in any order; the embedded database is up by now."""
    for address, _, _ in plan.trees():
        await await_server(address.url, settings.database_start_seconds, report)


def _external_plan(settings: Settings, url: str) -> DatabasePlan:
    owner = settings.migration_url.get_secret_value() if settings.migration_url is not None else None
    shards = {number: DatabaseAddress(url=secret.get_secret_value()) for number, secret in settings.shard_urls.items()}
    return DatabasePlan(directory=DatabaseAddress(url=url, owner_url=owner), shards=shards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A program ready to be served, and what its operator wants to see printed."""

    app: ASGIApp
    demo: DemoFacts | None


async def open_server(stack: AsyncExitStack, loaded: LoadedSettings, report: Report) -> Serving:
    """Put the faces over the domain and start the worker; closing the stack drains it."""
    settings = loaded.settings
    domain = await open_domain(stack, loaded, report)
    metrics = domain.metrics
    domain.shards.listen_for_refusals(metrics.count_refusal)
    egress = await stack.enter_async_context(domain.egress)
    stack.push_async_callback(domain.tokens.close)
    circuits = Circuits(
        settings.circuits(), domain.clock, opened=metrics.breakers_opened.inc, refused=metrics.calls_refused.inc
    )
    metrics.watch_breakers(circuits.by_state)
    lanes = Lanes(circuits=circuits, turns=HostTurns(settings.turns()))
    metrics.watch_turns(lanes.turns.by_state)
    journals = StoredJournals(domain.shards, domain.data_keys, settings.journal())
    stack.push_async_callback(journals.close)
    uses = CredentialUses(domain.shards, metrics)
    stack.push_async_callback(uses.close)
    executions = _executions(domain, HttpByTeam(egress, lanes), loaded, journals, uses)
    sessions = Sessions(domain.shards.directory, domain.clock, settings.session_limits(), settings.sign_in())
    cares: dict[str, Care] = {
        "store_commits_forgotten": _records(domain, settings).forget_commits,
        "incomplete_executions_forgotten": partial(forget_resolved, domain.shards),
        "dead_letters_forgotten": partial(forget_letters, domain.shards),
        "jobs_forgotten": partial(forget_jobs, domain.shards, settings.job_retention_days),
        "webhook_events_forgotten": partial(forget_events, domain.shards),
        "reports_forgotten": partial(forget_reports, domain.shards, settings.report_retention_days),
        "oauth_attempts_forgotten": partial(forget_attempts, domain.shards),
        "sessions_forgotten": sessions.forget_ended,
        "webhook_messages_forgotten": partial(forget_messages, domain.shards, settings.webhook_retention_days),
    }
    relay = _relay(domain, executions, metrics, loaded)
    await stack.enter_async_context(relaying(relay))
    await stack.enter_async_context(sealing(sealer_of(domain.shards, domain.audit_key, metrics, loaded)))
    await stack.enter_async_context(renewing(idle_renewal_of(domain.shards, domain.tokens, metrics, loaded)))
    await stack.enter_async_context(_running(executions, domain, cares))
    domain.listeners.extend([executions.hear, relay.hear])
    redis = await _open_redis(stack, domain, settings)
    limiters = await _limiters(stack, domain, redis, loaded)
    turnstile = limiters.turnstile(ListedOrigins(domain.shards.directory, domain.clock), domain.organizations)
    routes = [
        *gateway_routes(
            operations=Operations(domain.shards, metrics, token=None, live_sessions=sessions.count_live, redis=redis),
            calls=WizardCalls(
                commands=domain.commands,
                queries=domain.queries,
                public_url=settings.origin,
                max_depth=settings.json_depth,
            ),
            gate=FlowGate(
                domain.shards,
                FlowLimits(attempts=limiters.attempts, calls=limiters.flow),
                max_body=settings.api_body_bytes,
            ),
            page=WizardPage(settings.pages, domain.organizations),
            folder=settings.pages,
            oauth=OAuthFace(
                consents=domain.consents,
                attempts=limiters.attempts,
                is_https=settings.origin.startswith("https://"),
                cookie_seconds=settings.oauth_attempt_seconds,
                json_depth=settings.json_depth,
            ),
        ),
        *bridge_routes(
            portal := _portal(domain, executions.waiting, turnstile, redis, settings),
            api := _api(domain, portal, circuits, settings),
        ),
        *_console_routes(stack, domain, sessions, turnstile, api, settings),
    ]
    demo = await ensure_demo(domain, settings) if settings.mode == "demo" else None
    if demo is not None:
        routes += _demo_routes(domain, settings, demo)
    senders = Senders(domain.clock, lambda reason: metrics.signatures_refused[reason].inc())
    hooks = HookEndpoint(
        executions.targets, executions.ingest, senders, limiters.hook, max_body_bytes=settings.hook_body_bytes
    )
    direct = {PREFIX: hook_face(hooks)}
    app = build_application(
        routes, settings.edge(), aliases=PORTAL_ALIASES, direct=direct, cross_origin=turnstile.cross_origin
    )
    return Serving(app=app, demo=demo)


async def _open_redis(stack: AsyncExitStack, domain: Domain, settings: Settings) -> RedisClient | None:
    config = settings.redis()
    if config is None:
        return None
    counters = domain.metrics.redis
    return await stack.enter_async_context(RedisClient(config, key_secret=domain.key_secret, counters=counters))


async def _limiters(
    stack: AsyncExitStack, domain: Domain, redis: RedisClient | None, loaded: LoadedSettings
) -> Limiters:
    """Make the rate limits, and keep them told how many servers hold them and whether Redis counts for all."""
    settings, metrics, counts = loaded.settings, domain.metrics, None
    if redis is not None:
        counts = RedisCounts(redis)
        stack.push_async_callback(counts.close)
    limiters = Limiters.of(settings.rate_limits(), domain.clock, metrics, counts)
    if redis is not None:
        redis.watch(lambda: limiters.count_apart(apart=not redis.is_up))
        limiters.count_apart(apart=not redis.is_up)

    def counted(servers: Mapping[str, int]) -> None:
        limiters.share_among(servers)
        for name, number in servers.items():
            metrics.rates.servers.labels(name).set(number)

    if limiters.held:
        name, seconds = f"{loaded.node_id} {secrets.token_hex(4)}", settings.rate_servers_seconds
        membership = Membership(domain.shards.directory, name, limiters.held, counted, seconds=seconds)
        await stack.enter_async_context(membership)
    return limiters


def _running(executions: "_Executions", domain: Domain, more: Mapping[str, Care]) -> AbstractAsyncContextManager[None]:
    cares = {"used_tokens_forgotten": domain.ledger.purge, **more}
    loops = Loops(
        worker=executions.worker, ingest=executions.ingest, scheduler=executions.scheduler, watch=executions.watch
    )
    return running(loops, domain.shards, cares)


def _relay(domain: Domain, executions: "_Executions", metrics: Metrics, loaded: LoadedSettings) -> Relay:
    live = LiveSubscription(kinds=_HEARD_FROM_AFAR, hear=executions.hear_from_afar)
    return Relay(domain.shards, metrics, RelayConfig(node=loaded.node_id), [live], [Counting(), domain.telling])


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
_HEARD_FROM_AFAR = (*_MOVING, UsageLimitsChanged, OrganizationShredded)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Executions:
    """The parts of accepting and running."""

    targets: Targets
    waiting: Waiting
    worker: Worker
    ingest: Ingest
    scheduler: Scheduler
    watch: QuotaWatch
    forget_keys: Callable[[OrganizationId], None]

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


def _executions(
    domain: Domain, http: HttpByTeam, loaded: LoadedSettings, journals: Journals, uses: CredentialUses
) -> _Executions:
    settings, shards, metrics = loaded.settings, domain.shards, domain.metrics
    payloads, answers = Payloads(sealing=domain.data_keys), Answers(sealing=domain.data_keys)
    programs, waiting, lent = Programs(shards), Waiting(shards, answers), http.lanes.lent
    children = ChildCalls(shards=shards, programs=programs, waiting=waiting, lent=lent, payloads=payloads)
    zones = Zones(organizations=domain.organizations)
    records = _records(domain, settings)
    performer = Performer(
        http=http,
        mailer=MailByTeam(
            sender=MailSender(settings.egress().policy, name=settings.mail_name), circuits=http.lanes.circuits
        ),
        sleeper=LoopSleeper(),
        components=OpenedByTeam(opener=domain.opener, tokens=domain.tokens, uses=uses),
        clock=domain.clock,
        parking=Parking(documents=Documents(sealing=domain.data_keys)),
        around=Surroundings(
            zones=zones,
            memory=StoredMemory(shards),
            subscenarios=children.of,
            stores=lambda stored: records.of(stored.organization_id, stored.team_id),
            journals=journals,
            limits=settings.run_limits(),
        ),
    )
    worker_config = WorkerConfig(
        node=loaded.node_id,
        most_running=settings.execution_concurrency,
        drain_patience=settings.drain_seconds,
        max_body_bytes=settings.hook_body_bytes,
        incomplete=settings.incomplete(),
        claims=settings.claims(),
        most_attempts=settings.execution_attempts,
        jobs=settings.jobs(),
    )
    ingest_config = IngestConfig(
        node=loaded.node_id,
        max_body_bytes=settings.hook_body_bytes,
        response_seconds=settings.webhook_response_seconds,
        incomplete=settings.incomplete(),
        most_deferred=settings.usage_deferred,
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
    ingest = Ingest(machinery, worker, ingest_config)
    scheduler_config = SchedulerConfig(node=loaded.node_id, catch_up=settings.schedule_catch_up)
    return _Executions(
        targets=Targets(shards, domain.clock, domain.data_keys),
        waiting=waiting,
        worker=worker,
        ingest=ingest,
        scheduler=Scheduler(shards, zones, metrics, scheduler_config, worker.wake, quotas),
        watch=QuotaWatch(shards, quotas, metrics, settings.quotas(), worker.wake),
        forget_keys=domain.data_keys.forget,
    )


def _records(domain: Domain, settings: Settings) -> StoresByTeam:
    return StoresByTeam(shards=domain.shards, limits=settings.data_store_limits())


def _portal(
    domain: Domain, waiting: Waiting, turnstile: Turnstile, redis: RedisClient | None, settings: Settings
) -> PortalDependencies:
    return PortalDependencies(
        commands=domain.commands,
        queries=domain.queries,
        authenticator=Authenticator(
            portal_keys=domain.portal_keys,
            api_tokens=domain.api_tokens,
            ledger=domain.ledger if redis is None else FrontedLedger(domain.ledger, redis, domain.metrics.redis),
            customers=domain.customers,
            clock=domain.clock,
            max_token_bytes=settings.token_bytes,
            expected=settings.tokens(),
        ),
        organizations=domain.organizations,
        teams=domain.customers,
        waiter=waiting,
        turnstile=turnstile,
        witness=witness_of(domain.shards, domain.clock, settings),
        config=PortalConfig(
            public_url=settings.origin,
            responsive_run_seconds=settings.responsive_run_seconds,
            json_depth=settings.json_depth,
            bodies=settings.edge().limits.bodies,
        ),
    )


def _api(domain: Domain, portal: PortalDependencies, circuits: Circuits, settings: Settings) -> ApiDependencies:
    return ApiDependencies(
        commands=domain.commands,
        queries=domain.queries,
        authenticator=portal.authenticator,
        organizations=domain.organizations,
        teams=domain.customers,
        circuits=circuits,
        turnstile=portal.turnstile,
        witness=portal.witness,
        json_depth=settings.json_depth,
        public_url=settings.origin,
        bodies=settings.edge().limits.bodies,
        download_seconds=settings.report_download_seconds,
        waiter=portal.waiter,
        responsive_run_seconds=portal.config.responsive_run_seconds,
    )


def _console_routes(
    stack: AsyncExitStack,
    domain: Domain,
    sessions: Sessions,
    turnstile: Turnstile,
    api: ApiDependencies,
    settings: Settings,
) -> list[BaseRoute]:
    ground = ConsoleGround(
        directory=domain.shards.directory,
        clock=domain.clock,
        passwords=domain.users.passwords,
        commands=domain.commands,
        organizations=domain.organizations,
        customers=domain.customers,
        metrics=domain.metrics,
        sessions=sessions,
        turnstile=turnstile,
        api=api,
        settings=settings,
    )
    return wire_console(stack, ground)


async def ensure_demo(domain: Domain, settings: Settings) -> DemoFacts:
    """Return the demo organization's facts, making it on the first call."""
    demonstration = Demonstration(
        organizations=domain.service,
        commands=domain.commands,
        facts=SealedFacts(directory=domain.shards.directory, data_keys=domain.data_keys),
        origins=(settings.origin,),
    )
    return await demonstration.ensure()


def _demo_routes(domain: Domain, settings: Settings, demo: DemoFacts) -> list[BaseRoute]:
    tls = settings.tls_files()
    config = DemoConfig(
        organization_id=OrganizationId(demo.organization_id),
        key_id=demo.key_id,
        secret=demo.secret,
        user_name=USER["name"],
        user_email=USER["email"],
        organization_name=NAME,
        server_url=settings.local_url,
        public_url=settings.origin,
        certificate=None if tls is None else tls.fingerprint(),
    )
    return demo_routes(Demo(config, domain.queries, domain.customers, domain.clock, settings.pages), settings.pages)
