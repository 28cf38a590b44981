"""Wiring of the faces: what portal, API, console and demo are given, and the rate limits before them."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from starlette.routing import BaseRoute

from make_bridge.domain.executions.senders import Senders
from make_bridge.domain.executions.waiting import Waiting
from make_bridge.domain.organizations.facts import SealedFacts
from make_bridge.domain.organizations.token_front import FrontedLedger
from make_bridge.domain.users.sessions import Sessions
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.demo.routes import Demo, DemoConfig, demo_routes
from make_bridge.faces.edge.authentication import Authenticator
from make_bridge.faces.edge.limiters import Limiters
from make_bridge.faces.edge.pipeline import DirectFace
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.faces.hooks.endpoint import HookEndpoint, hook_face
from make_bridge.faces.oauth.routes import OAuthFace
from make_bridge.faces.ops.routes import Operations
from make_bridge.faces.portal.dependencies import PortalConfig, PortalDependencies
from make_bridge.faces.wizard.calls import WizardCalls
from make_bridge.faces.wizard.gate import FlowGate, FlowLimits
from make_bridge.faces.wizard.page import WizardPage
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.coordination.membership import Member, holders
from make_bridge.platform.database.clock_skew import ClockWatch
from make_bridge.platform.egress.circuits import Circuits
from make_bridge.platform.limits.redis_counts import RedisCounts
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.redis.client import RedisClient
from make_bridge.services.demonstration import NAME, USER, DemoFacts, Demonstration
from make_bridge.services.gateway import gateway_routes
from make_bridge.settings import Settings
from make_bridge.wiring.audit import witness_of
from make_bridge.wiring.console import ConsoleGround, wire_console
from make_bridge.wiring.credential_requests import hand_over_face
from make_bridge.wiring.domain import Domain
from make_bridge.wiring.executions import Executions


def limiters_of(stack: AsyncExitStack, domain: Domain, redis: RedisClient | None, settings: Settings) -> Limiters:
    """Make the rate limits, and keep them told whether Redis counts for all."""
    counts = None
    if redis is not None:
        counts = RedisCounts(redis)
        stack.push_async_callback(counts.close)
    limiters = Limiters.of(settings.rate_limits(), domain.clock, domain.metrics, counts)
    if redis is not None:
        redis.watch(lambda: limiters.count_apart(apart=not redis.is_up))
        limiters.count_apart(apart=not redis.is_up)
    return limiters


def share_limits(limiters: Limiters, metrics: Metrics, members: Sequence[Member]) -> None:
    """Divide the limits among the servers that hold them."""
    servers = holders(members, limiters.held)
    limiters.share_among(servers)
    for name, number in servers.items():
        metrics.rates.servers.labels(name).set(number)


def portal_of(
    domain: Domain,
    waiting: Waiting,
    turnstile: Turnstile,
    redis: RedisClient | None,
    clock: ClockWatch,
    settings: Settings,
) -> PortalDependencies:
    """Return what the portal's routes stand on."""
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
            clock_is_off=clock.is_off,
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


def api_of(domain: Domain, portal: PortalDependencies, circuits: Circuits, settings: Settings) -> ApiDependencies:
    """Return what the Make API's routes stand on."""
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
        code_checks=domain.javascript.checks(),
        download_seconds=settings.report_download_seconds,
        waiter=portal.waiter,
        responsive_run_seconds=portal.config.responsive_run_seconds,
    )


def console_routes_of(
    stack: AsyncExitStack,
    domain: Domain,
    sessions: Sessions,
    turnstile: Turnstile,
    api: ApiDependencies,
    settings: Settings,
) -> list[BaseRoute]:
    """Return the console's routes; what it checks passwords with ends with ``stack``."""
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


def demo_routes_of(domain: Domain, settings: Settings, demo: DemoFacts) -> list[BaseRoute]:
    """Return the demo page's routes."""
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


def world_routes_of(domain: Domain, operations: Operations, limiters: Limiters, settings: Settings) -> list[BaseRoute]:
    """Return the routes that a gateway serves itself: probes, pages, flows and consents."""
    return gateway_routes(
        operations=operations,
        flows=(
            WizardCalls(
                commands=domain.commands,
                queries=domain.queries,
                public_url=settings.origin,
                max_depth=settings.json_depth,
            ),
            FlowGate(
                domain.shards,
                FlowLimits(attempts=limiters.attempts, calls=limiters.flow),
                max_body=settings.api_body_bytes,
            ),
        ),
        hand_over=hand_over_face(domain.shards, domain.commands, domain.queries, limiters, settings),
        page=WizardPage(settings.pages, domain.organizations),
        folder=settings.pages,
        oauth=OAuthFace(
            consents=domain.consents,
            attempts=limiters.attempts,
            is_https=settings.origin.startswith("https://"),
            cookie_seconds=settings.oauth_attempt_seconds,
            json_depth=settings.json_depth,
        ),
    )


def hooks_of(domain: Domain, executions: Executions, limiters: Limiters, settings: Settings) -> DirectFace:
    """Return the way in of webhooks, which the edge calls without a router in between."""
    senders = Senders(domain.clock, lambda reason: domain.metrics.executions.signatures_refused[reason].inc())
    hooks = HookEndpoint(
        executions.targets, executions.ingest, senders, limiters.hook, max_body_bytes=settings.hook_body_bytes
    )
    return hook_face(hooks)
