"""The composition root: the whole program, put together from settings, read top to bottom.

Settings → root key → database → domain → faces. Every part is entered on one exit stack, so that
whatever was opened is closed in the opposite order, also when the start fails half-way. The command
line uses the first half (``open_domain``) to act on a database, also beside a server that runs.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from starlette.types import ASGIApp

from make_bridge.domain.activity import handlers as activity_handlers
from make_bridge.domain.activity import views as activity_views
from make_bridge.domain.audit import views as audit_views
from make_bridge.domain.connections import handlers as connection_handlers
from make_bridge.domain.connections import views as connection_views
from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.connections.opening import ComponentOpener
from make_bridge.domain.connections.resealing_store import SealedConnections
from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.credential_requests.resealing_store import SealedPrefills
from make_bridge.domain.customers import handlers as customer_handlers
from make_bridge.domain.customers import views as customer_views
from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.domain.data_stores import handlers as data_store_handlers
from make_bridge.domain.data_stores import views as data_store_views
from make_bridge.domain.data_structures import handlers as data_structure_handlers
from make_bridge.domain.data_structures import views as data_structure_views
from make_bridge.domain.deliveries import views as delivery_views
from make_bridge.domain.deliveries.handlers import DeliveryHandlers
from make_bridge.domain.deliveries.resealing_store import SealedEndpoints
from make_bridge.domain.deliveries.sending import Delivering
from make_bridge.domain.deliveries.telling import TellingEndpoints
from make_bridge.domain.executions import views as execution_views
from make_bridge.domain.executions.callbacks import Callbacks, CallingBack
from make_bridge.domain.executions.confidential import Payloads
from make_bridge.domain.executions.credential_uses import CredentialUses
from make_bridge.domain.executions.dead_letter_handlers import DeadLetterHandlers
from make_bridge.domain.executions.dead_letter_replays import ReplayingDeadLetters
from make_bridge.domain.executions.handlers import ExecutionHandlers
from make_bridge.domain.executions.incomplete_handlers import IncompleteHandlers
from make_bridge.domain.executions.incomplete_views import IncompleteViews
from make_bridge.domain.executions.journal import StoredJournals
from make_bridge.domain.executions.outbound import HttpByTeam
from make_bridge.domain.executions.parking import Documents
from make_bridge.domain.folders import handlers as folder_handlers
from make_bridge.domain.folders import views as folder_views
from make_bridge.domain.functions import handlers as function_handlers
from make_bridge.domain.functions import views as function_views
from make_bridge.domain.gaps import handlers as gap_handlers
from make_bridge.domain.gaps.views import GapViews
from make_bridge.domain.integrations import handlers as flow_handlers
from make_bridge.domain.integrations import views as flow_views
from make_bridge.domain.integrations.handlers import FlowHandlers
from make_bridge.domain.integrations.reading import FlowReader
from make_bridge.domain.jobs import views as job_views
from make_bridge.domain.jobs.handlers import JobHandlers
from make_bridge.domain.oauth import views as oauth_views
from make_bridge.domain.oauth.resealing_store import SealedGrants
from make_bridge.domain.organizations.audit_key import AuditKey
from make_bridge.domain.organizations.credential_handlers import CredentialHandlers
from make_bridge.domain.organizations.data_key_rotation import RotatingDataKeys
from make_bridge.domain.organizations.editing import OrganizationEditing
from make_bridge.domain.organizations.facts import require_same_root_key
from make_bridge.domain.organizations.keys import (
    ApiTokens,
    DataKeys,
    ListedOrigins,
    OrganizationReader,
    PortalKeys,
    TokenLedger,
)
from make_bridge.domain.organizations.service import OrganizationService
from make_bridge.domain.organizations.zones import Zones
from make_bridge.domain.reports import views as report_views
from make_bridge.domain.reports.generating import GeneratingReports
from make_bridge.domain.reports.handlers import ReportHandlers
from make_bridge.domain.scenarios import handlers as scenario_handlers
from make_bridge.domain.scenarios import views as scenario_views
from make_bridge.domain.scenarios.handlers import ScenarioHandlers
from make_bridge.domain.scenarios.hook_handlers import HookHandlers
from make_bridge.domain.scenarios.resealing_store import SealedHooks
from make_bridge.domain.storage import handlers as storage_handlers
from make_bridge.domain.storage.views import StorageViews
from make_bridge.domain.teams import views as team_views
from make_bridge.domain.teams.handlers import TeamHandlers
from make_bridge.domain.templates import handlers as template_handlers
from make_bridge.domain.templates import views as template_views
from make_bridge.domain.templates.handlers import TemplateHandlers
from make_bridge.domain.templates.store import TemplateStore
from make_bridge.domain.usage import handlers as usage_handlers
from make_bridge.domain.usage.views import UsageViews
from make_bridge.domain.users.handlers import SessionHandlers
from make_bridge.domain.users.members import MemberHandlers
from make_bridge.domain.users.service import UserService
from make_bridge.domain.users.sessions import Sessions
from make_bridge.domain.users.views import SessionViews
from make_bridge.domain.variables import handlers as variable_handlers
from make_bridge.domain.variables.views import VariableViews
from make_bridge.faces.edge.application import build_application
from make_bridge.faces.edge.pipeline import Observers
from make_bridge.faces.hooks.endpoint import PREFIX
from make_bridge.faces.ops.health import Probes
from make_bridge.faces.ops.routes import Operations, ops_routes
from make_bridge.faces.ops.token_file import read_token
from make_bridge.faces.portal.routes import PORTAL_ALIASES
from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.bus.commands import CommandBus, Listener
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.coordination.leadership import leases
from make_bridge.platform.egress.client import EgressClient
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.sinks.outlet import Outlet
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import JobTypes
from make_bridge.platform.security.passwords import Passwords
from make_bridge.platform.sharding.opening import ShardOpening
from make_bridge.services.bridge import bridge_routes, token_gates
from make_bridge.services.demonstration import DemoFacts
from make_bridge.services.events import EVENTS
from make_bridge.services.relay import relaying
from make_bridge.settings import LoadedSettings
from make_bridge.wiring.caches import Catalogue, watch_near_caches
from make_bridge.wiring.coordination import candidacies, open_session
from make_bridge.wiring.credential_requests import wire_credential_requests
from make_bridge.wiring.databases import (
    Report,
    await_databases,
    open_shards,
    plan_of,
    role_secret_of,
    root_keys,
    watch_clock,
    watch_databases,
)
from make_bridge.wiring.domain import Domain
from make_bridge.wiring.executions import cares_of, lanes_of, start_loops, wire_executions
from make_bridge.wiring.faces import (
    api_of,
    console_routes_of,
    demo_routes_of,
    ensure_demo,
    hooks_of,
    limiters_of,
    portal_of,
    share_limits,
    world_routes_of,
)
from make_bridge.wiring.health import watch_health
from make_bridge.wiring.javascript import wire_javascript
from make_bridge.wiring.oauth import OAuthGround, wire_oauth
from make_bridge.wiring.readings import readings_of
from make_bridge.wiring.services import (
    Farewell,
    ServicesGround,
    open_membership,
    receiving_doors,
    shard_watch_of,
    wire_forwarding,
)
from make_bridge.wiring.sharing import far_cache_of, open_redis, relay_of
from make_bridge.wiring.tracing import open_tracing


async def open_domain(stack: AsyncExitStack, loaded: LoadedSettings, report: Report, *, join: bool = False) -> Domain:
    """Open the database and wire the domain over it; ``join`` uses the embedded one of a server that runs."""
    settings, clock = loaded.settings, SystemClock()
    roots = await asyncio.to_thread(root_keys, settings)
    plan = await plan_of(stack, settings, join=join)
    if not join:
        await await_databases(plan, settings, report)
    role_secret = await role_secret_of(plan, roots)
    shards = await open_shards(stack, plan, settings, role_secret, clock, report)
    await require_same_root_key(shards.directory, roots)
    opening = ShardOpening(plan=plan, limits=settings.pools(), role_secret=role_secret, roots=roots, clock=clock)
    watch = await stack.enter_async_context(shard_watch_of(shards, opening, loaded))
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
    asking = wire_credential_requests(data_keys, organizations, components, oauth.handlers, settings)
    reader = FlowReader(
        organizations=organizations, sealing=data_keys, templates=TemplateStore(), connections=ComponentStore()
    )
    flows = FlowHandlers(scenarios=scenarios, components=components, oauth=oauth.handlers, reader=reader)
    listeners: list[Listener] = []
    limits = replace(settings.deliveries(), known_types=frozenset(event.wire_name for event in EVENTS))
    callbacks = Callbacks(jobs=jobs, policy=policy, plain_http=limits.plain_http)
    deliveries = DeliveryHandlers(sealing=data_keys, jobs=jobs, clock=clock, policy=policy, limits=limits)
    credentials = CredentialHandlers(roots=roots, clock=clock, limits=settings.credentials())
    members = MemberHandlers(limits=settings.member_limits())
    resealing = RotatingDataKeys(
        shards=shards, sealing=data_keys, roots=roots, jobs=jobs,
        rows=(SealedConnections(), SealedGrants(), SealedHooks(), SealedEndpoints(), SealedPrefills()),
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
            *storage_handlers.commands(),
            *template_handlers.commands(TemplateHandlers(shortest_interval=shortest)),
            *connection_handlers.commands(components),
            *oauth.handlers.commands(),
            *asking.commands,
            *data_structure_handlers.commands(),
            *function_handlers.commands(settings.function_limits()),
            *data_store_handlers.commands(settings.data_store_limits()),
            *folder_handlers.commands(settings.folder_limits()),
            *variable_handlers.commands(settings.variable_limits()),
            *scenario_handlers.commands(scenarios),
            *hooks.commands(),
            *gap_handlers.commands(),
            *ExecutionHandlers(payloads=Payloads(sealing=data_keys), callbacks=callbacks).commands(),
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
    jobs.types.add(CallingBack(shards=shards, out=egress, policy=policy, clock=clock, limits=limits).type())
    catalogue = Catalogue(clock)
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
            *StorageViews(config=settings.storage()).queries(),
            *template_views.queries(catalogue.answers),
            *connection_views.queries(),
            *connection_handlers.queries(components),
            *oauth_views.queries(),
            *asking.queries,
            *data_structure_views.queries(),
            *function_views.queries(),
            *data_store_views.queries(settings.data_store_limits()),
            *folder_views.queries(),
            *VariableViews(zones=zones).queries(),
            *scenario_views.queries(data_keys),
            *hooks.queries(),
            *GapViews(rules=settings.gaps()).queries(),
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
        catalogue=catalogue,
        jobs=jobs,
        egress=egress,
        metrics=metrics,
        telling=TellingEndpoints(jobs=jobs, limits=limits, metrics=metrics),
        javascript=wire_javascript(stack, settings),
        candidacy_of=leases(loaded.node_id),
        shard_watch=watch,
        shard_opening=opening,
        key_secret=role_secret,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A program ready to be served, what its operator wants to see printed, and what it does before it ends."""

    app: ASGIApp
    demo: DemoFacts | None
    farewell: Farewell


async def open_server(
    stack: AsyncExitStack, loaded: LoadedSettings, report: Report, logs: Outlet | None = None
) -> Serving:
    """Put the faces over the domain and start the worker; closing the stack drains it.

    ``logs`` are where this process logs, where somebody is to be told how its sinks stand.
    """
    settings = loaded.settings
    domain = await open_domain(stack, loaded, report)
    metrics = domain.metrics
    session = await open_session(stack, loaded, metrics)
    domain = replace(
        domain, candidacy_of=candidacies(session, loaded.node_id), tracing=open_tracing(stack, loaded, metrics)
    )
    slow = await watch_databases(stack, domain, settings)
    egress = await stack.enter_async_context(domain.egress)
    stack.push_async_callback(domain.tokens.close)
    lanes = lanes_of(domain, settings)
    journals = StoredJournals(domain.shards, domain.data_keys, settings.journal())
    stack.push_async_callback(journals.close)
    uses = CredentialUses(domain.shards, metrics)
    stack.push_async_callback(uses.close)
    redis = await open_redis(stack, domain, settings)
    far = far_cache_of(stack, domain, redis, settings)
    executions = wire_executions(domain, HttpByTeam(egress, lanes), loaded, journals, uses, far)
    sessions = Sessions(domain.shards.directory, domain.clock, settings.session_limits(), settings.sign_in())
    origins = ListedOrigins(domain.shards.directory, domain.clock)
    watch_near_caches(
        metrics,
        {
            "data_keys": domain.data_keys,
            "portal_keys": domain.portal_keys,
            "api_tokens": domain.api_tokens,
            "organizations": domain.organizations,
            "customers": domain.customers,
            "origins": origins,
            "sessions": sessions,
            "hooks": executions.targets,
            "programs": executions.programs,
            "public_templates": domain.catalogue.answers,
        },
    )
    relay = relay_of(domain, executions, metrics, loaded)
    await stack.enter_async_context(relaying(relay))
    await start_loops(stack, domain, executions, cares_of(domain, sessions, settings), relay, loaded)
    await domain.shard_watch.start(metrics.loops)
    domain.listeners.extend([executions.hear, relay.hear, domain.catalogue.hear])
    clock = await watch_clock(stack, domain, settings)
    await stack.enter_async_context(
        readings_of(
            domain.shards, sessions.count_live, metrics,
            every=settings.metrics_look_seconds, patience=settings.metrics_wait_seconds,
        )
    )  # fmt: skip
    operations = Operations(
        health=await watch_health(
            stack,
            Probes(
                shards=domain.shards,
                clock=clock,
                directory_seconds=settings.health_answer_seconds,
                redis=redis,
                session=session,
            ),
            domain,
            loaded,
            logs,
        ),
        counters=metrics,
        token=None if settings.metrics_token_file is None else read_token(settings.metrics_token_file),
        slow=lambda: [entry.shown() for entry in slow.all()],
    )
    services = ServicesGround(
        directory=domain.shards.directory, roots=domain.roots, clock=domain.clock, metrics=metrics, loaded=loaded,
        session=session,
    )  # fmt: skip
    limiters = limiters_of(stack, domain, redis, settings)
    held = () if settings.is_called_by_gateways else tuple(limiters.held)
    membership = await open_membership(stack, services, held)
    if membership is not None:
        membership.hear(partial(share_limits, limiters, metrics))
        await stack.enter_async_context(membership)
    farewell = Farewell(membership=membership, going=operations.health.leave, seconds=settings.farewell_seconds)
    turnstile = limiters.turnstile(origins, domain.organizations)
    portal = portal_of(domain, executions.waiting, turnstile, redis, clock, settings)
    api = api_of(domain, portal, lanes.circuits, settings)
    observers = Observers(requests=metrics.requests, tracing=domain.tracing)
    if settings.is_called_by_gateways:
        inner = bridge_routes(portal, api, receiving_doors(services), is_described=False)
        app = build_application([*inner, *ops_routes(operations)], settings.edge(), observers=observers)
        return Serving(app=app, demo=None, farewell=farewell)
    routes = [
        *world_routes_of(domain, operations, limiters, settings),
        *bridge_routes(portal, api, await wire_forwarding(stack, services, membership, token_gates(portal))),
        *console_routes_of(stack, domain, sessions, turnstile, api, settings),
    ]
    demo = await ensure_demo(domain, settings) if settings.mode == "demo" else None
    if demo is not None:
        routes += demo_routes_of(domain, settings, demo)
    direct = {PREFIX: hooks_of(domain, executions, limiters, settings)}
    app = build_application(
        routes,
        settings.edge(),
        aliases=PORTAL_ALIASES,
        direct=direct,
        cross_origin=turnstile.cross_origin,
        observers=observers,
    )
    return Serving(app=app, demo=demo, farewell=farewell)
