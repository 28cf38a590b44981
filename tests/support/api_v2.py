"""The API of operators' tools over real databases: routes, gate, buses and stores, without a server around them."""

import json
from dataclasses import dataclass
from typing import Any

from make_bridge.domain.activity import handlers as activity_handlers
from make_bridge.domain.activity import views as activity_views
from make_bridge.domain.audit import views as audit_views
from make_bridge.domain.connections import handlers as connection_handlers
from make_bridge.domain.connections import views as connection_views
from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.credential_requests import handlers as request_handlers
from make_bridge.domain.credential_requests import views as request_views
from make_bridge.domain.credential_requests.handing_over import HandingOver
from make_bridge.domain.credential_requests.handlers import CredentialRequestHandlers
from make_bridge.domain.credential_requests.model import RequestLimits
from make_bridge.domain.credential_requests.views import CredentialRequestViews
from make_bridge.domain.customers import handlers as customer_handlers
from make_bridge.domain.customers import views as customer_views
from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.domain.customers.messages import CreateCustomer, DeleteCustomer, ListCustomers
from make_bridge.domain.data_stores import handlers as data_store_handlers
from make_bridge.domain.data_stores import views as data_store_views
from make_bridge.domain.data_stores.model import DataStoreLimits
from make_bridge.domain.data_structures import handlers as data_structure_handlers
from make_bridge.domain.data_structures import views as data_structure_views
from make_bridge.domain.deliveries import views as delivery_views
from make_bridge.domain.deliveries.handlers import DeliveryHandlers
from make_bridge.domain.deliveries.model import RELEASE, SEND, DeliveryLimits
from make_bridge.domain.executions import views as execution_views
from make_bridge.domain.executions.callbacks import CALL_BACK, Callbacks
from make_bridge.domain.executions.confidential import Payloads
from make_bridge.domain.executions.dead_letter_handlers import DeadLetterHandlers
from make_bridge.domain.executions.dead_letter_replays import ReplayingDeadLetters
from make_bridge.domain.executions.handlers import ExecutionHandlers
from make_bridge.domain.executions.incomplete_handlers import IncompleteHandlers
from make_bridge.domain.executions.incomplete_views import IncompleteViews
from make_bridge.domain.executions.parking import Documents
from make_bridge.domain.folders import handlers as folder_handlers
from make_bridge.domain.folders import views as folder_views
from make_bridge.domain.folders.model import FolderLimits
from make_bridge.domain.functions import handlers as function_handlers
from make_bridge.domain.functions import views as function_views
from make_bridge.domain.functions.checking import SandboxChecks
from make_bridge.domain.functions.model import FunctionLimits
from make_bridge.domain.jobs import views as job_views
from make_bridge.domain.jobs.handlers import JobHandlers
from make_bridge.domain.oauth import views as oauth_views
from make_bridge.domain.organizations.credential_handlers import CredentialHandlers
from make_bridge.domain.organizations.editing import OrganizationEditing
from make_bridge.domain.organizations.keys import ApiTokens, PortalKeys, TokenLedger
from make_bridge.domain.organizations.messages import OrganizationCreated
from make_bridge.domain.organizations.model import ApiToken, CredentialLimits
from make_bridge.domain.organizations.zones import Zones
from make_bridge.domain.reports import views as report_views
from make_bridge.domain.reports.generating import GeneratingReports
from make_bridge.domain.reports.handlers import ReportHandlers
from make_bridge.domain.scenarios import handlers as scenario_handlers
from make_bridge.domain.scenarios import views as scenario_views
from make_bridge.domain.scenarios.handlers import ScenarioHandlers
from make_bridge.domain.scenarios.hook_handlers import HookHandlers
from make_bridge.domain.teams import views as team_views
from make_bridge.domain.teams.handlers import TeamHandlers
from make_bridge.domain.templates import handlers as template_handlers
from make_bridge.domain.templates import views as template_views
from make_bridge.domain.usage import handlers as usage_handlers
from make_bridge.domain.usage.views import UsageViews
from make_bridge.domain.users.handlers import SessionHandlers
from make_bridge.domain.users.members import MemberHandlers
from make_bridge.domain.users.model import MemberLimits
from make_bridge.domain.users.views import SessionViews
from make_bridge.domain.variables import handlers as variable_handlers
from make_bridge.domain.variables.model import VariableLimits
from make_bridge.domain.variables.views import VariableViews
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.routes import api_routes
from make_bridge.faces.edge.authentication import Authenticator
from make_bridge.faces.edge.doors import OpenDoors
from make_bridge.faces.edge.limiters import Limiters
from make_bridge.faces.edge.witness import Witness
from make_bridge.faces.wizard.gate import CREDENTIAL_REQUESTS, FlowGate, FlowLimits
from make_bridge.faces.wizard.hand_over_calls import HandOverCalls, hand_over_calls
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.audit.refusals import Refusals
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.egress.circuits import Circuits, CircuitsConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import JobResult, JobType, JobTypes, RunningJob
from make_bridge.platform.sandbox.aside import Aside
from make_bridge.platform.sandbox.config import SandboxConfig
from make_bridge.platform.sandbox.sandbox import Sandbox
from make_bridge.platform.security.portal_tokens import ExpectedClaims
from make_bridge.services.bridge import token_gates
from support.asgi import Answer, Client
from support.edge import LIMITS, client_of
from support.oauth import NO_RATES, uncalled_handlers
from support.organizations import ROOTS, administrator, data_keys_of, make_organization, organizations_of

MEGABYTE = 1024 * 1024
MOST_MEMBERS = 6
MOST_FOLDERS = 8
MOST_DEPTH = 4
VARIABLES = VariableLimits(variables=5, text_bytes=100, changes=8)
_CUT_DOWN = "UPDATE directory.api_tokens SET permissions = %s WHERE organization_id = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrator:
    """One organization and who speaks for it."""

    facts: OrganizationCreated
    api: "Api"

    async def send(
        self, method: str, target: str, body: Any = None, *, token: str | None = None, if_match: str | None = None
    ) -> Answer:
        """Send a request with the organization's API token, as Make's clients do."""
        headers = [("Authorization", f"Token {token or self.facts.api_token}")]
        raw = b""
        if if_match is not None:
            headers.append(("If-Match", if_match))
        if body is not None:
            headers.append(("Content-Type", "application/json"))
            raw = json.dumps(body).encode()
        return await self.api.client.send(method, f"/api/v2{target}", headers=headers, body=raw)

    async def ask(self, method: str, target: str, body: Any = None) -> Any:
        """Send a request that must succeed, and return the answer's JSON."""
        answer = await self.send(method, target, body)
        assert answer.status == 200, (answer.status, answer.body)
        assert answer.header("content-type") == "application/json"
        return answer.json()

    async def allow_only(self, *permissions: str) -> None:
        """Cut down what the organization's token may do, before its first use."""
        async with self.api.shards.directory.write() as tx:
            await tx.execute(_CUT_DOWN, (list(permissions), self.facts.organization_id))

    async def another_team(self, name: str) -> TeamId:
        """Make a customer with a team of its own."""
        context = administrator(OrganizationId(self.facts.organization_id))
        made = await self.api.commands.execute(context, CreateCustomer(name=name, external_id=name))
        return made.team_id

    async def delete_customer(self, name: str) -> None:
        """Remove a customer with its team."""
        context = administrator(OrganizationId(self.facts.organization_id))
        [found] = await self.api.queries.ask(context, ListCustomers(external_id=name, after=0, limit=1))
        await self.api.commands.execute(context, DeleteCustomer(customer_id=found.id))


async def _nobody_works(job: RunningJob) -> JobResult:
    raise AssertionError(job.type)


class Api:
    """The API, ready to be asked."""

    def __init__(self, shards: Shards, limits: DataStoreLimits | None = None, *, request_days: int = 7) -> None:
        clock = SystemClock()
        limits = limits or DataStoreLimits(record_bytes=2000, store_bytes=10 * MEGABYTE, records=50, stores=20)
        data_keys, customers = data_keys_of(shards), CustomerDirectory(shards, clock)
        organizations = organizations_of(shards)
        self.shards = shards
        self.limits = limits
        function_limits = FunctionLimits(per_team=5, characters=500, changes=3)
        self.sandbox, self.aside = Sandbox(SandboxConfig()), Aside(2)
        self.circuits = Circuits(CircuitsConfig(), clock)
        self.jobs = JobQueue(types=JobTypes())
        letters = DeadLetterHandlers(jobs=self.jobs)
        deliveries = DeliveryHandlers(
            sealing=data_keys, jobs=self.jobs, clock=clock, policy=EgressPolicy(),
            limits=DeliveryLimits(endpoints=3, known_types=frozenset({"execution.failed.v1", "scenario.paused.v1"})),
        )  # fmt: skip
        for name in (SEND, RELEASE, CALL_BACK):
            self.jobs.types.add(JobType(name=name, run=_nobody_works))
        credentials = CredentialHandlers(roots=ROOTS, clock=clock, limits=CredentialLimits(api_tokens=5))
        members = MemberHandlers(limits=MemberLimits(most=MOST_MEMBERS))
        tokens = ApiTokens(shards.directory, clock)
        components = ComponentHandlers(sealing=data_keys, tokens=tokens, own_origin="https://bridge.example")
        oauth = uncalled_handlers(shards, self.jobs, applications=3)
        asking = CredentialRequestHandlers(
            sealing=data_keys, components=components, limits=RequestLimits(requests=4, credentials=5, days=request_days)
        )
        self.commands = CommandBus(
            [
                *connection_handlers.commands(components),
                *credentials.commands(),
                *SessionHandlers().commands(),
                *members.commands(),
                *customer_handlers.commands(customers, organizations),
                *TeamHandlers(organizations=organizations).commands(),
                *template_handlers.commands(),
                *OrganizationEditing(organizations=organizations).commands(),
                *activity_handlers.commands(),
                *data_structure_handlers.commands(),
                *function_handlers.commands(function_limits),
                *data_store_handlers.commands(limits),
                *folder_handlers.commands(FolderLimits(folders=MOST_FOLDERS, depth=MOST_DEPTH)),
                *variable_handlers.commands(VARIABLES),
                *scenario_handlers.commands(
                    ScenarioHandlers(sealing=data_keys, zones=Zones(organizations=organizations))
                ),
                *HookHandlers(sealing=data_keys).commands(),
                *ExecutionHandlers(
                    payloads=Payloads(sealing=data_keys), callbacks=Callbacks(jobs=self.jobs, policy=EgressPolicy())
                ).commands(),
                *usage_handlers.commands(customers),
                *IncompleteHandlers(documents=Documents(sealing=data_keys)).commands(),
                *letters.commands(),
                *JobHandlers(jobs=self.jobs).commands(),
                *ReportHandlers(jobs=self.jobs, clock=clock).commands(),
                *deliveries.commands(),
                *oauth.commands(),
                *request_handlers.commands(asking),
                *HandingOver(requests=asking, oauth=oauth).commands(),
            ],
            shards,
            data_keys,
        )
        self.jobs.types.add(ReplayingDeadLetters(commands=self.commands).type())
        self.jobs.types.add(GeneratingReports(shards=shards).type())
        self.queries = QueryBus(
            [
                *credentials.queries(),
                *SessionViews().queries(),
                *members.queries(),
                *customer_views.queries(),
                *team_views.queries(),
                *template_views.queries(),
                *connection_views.queries(),
                *connection_handlers.queries(components),
                *execution_views.queries(),
                *activity_views.queries(),
                *audit_views.queries(),
                *data_structure_views.queries(),
                *function_views.queries(),
                *data_store_views.queries(limits),
                *folder_views.queries(),
                *VariableViews(zones=Zones(organizations=organizations)).queries(),
                *scenario_views.queries(data_keys),
                *HookHandlers(sealing=data_keys).queries(),
                *UsageViews(near_percent=80.0).queries(),
                *IncompleteViews(documents=Documents(sealing=data_keys)).queries(),
                *letters.queries(),
                *job_views.queries(),
                *report_views.queries(),
                *delivery_views.queries(),
                *oauth_views.queries(),
                *request_views.queries(CredentialRequestViews(organizations=organizations, sealing=data_keys)),
            ],
            shards,
        )
        self.dependencies = ApiDependencies(
            commands=self.commands,
            queries=self.queries,
            authenticator=Authenticator(
                portal_keys=PortalKeys(shards.directory, data_keys, clock),
                api_tokens=self,
                ledger=TokenLedger(shards.directory),
                customers=customers,
                clock=clock,
                max_token_bytes=LIMITS.token_bytes,
                expected=ExpectedClaims(),
            ),
            organizations=organizations,
            teams=customers,
            circuits=self.circuits,
            json_depth=LIMITS.json_depth,
            public_url="https://bridge.example",
            bodies=LIMITS.bodies,
            code_checks=SandboxChecks(sandbox=self.sandbox, aside=self.aside, limits=function_limits),
            witness=Witness(refusals=Refusals(shards)),
        )
        self.routes = api_routes(self.dependencies, OpenDoors(token_gates(self.dependencies)))
        self.client: Client = client_of(self.routes)
        calls = HandOverCalls(
            commands=self.commands,
            queries=self.queries,
            public_url="https://bridge.example",
            max_depth=LIMITS.json_depth,
        )
        limiters = Limiters.of(NO_RATES, clock, Metrics())
        limits_of_links = FlowLimits(attempts=limiters.attempts, calls=limiters.flow)
        gate = FlowGate(shards, limits_of_links, max_body=LIMITS.bodies.api, kind=CREDENTIAL_REQUESTS)
        self.hand_over: Client = client_of(hand_over_calls(calls, gate))
        self.forget_tokens()

    def close(self) -> None:
        """End what runs beside the databases."""
        self.aside.close()
        self.sandbox.close()

    def forget_tokens(self) -> None:
        """Be a node that has seen no API token yet."""
        self._tokens = ApiTokens(self.shards.directory, SystemClock())

    async def find(self, token: str) -> ApiToken | None:
        return await self._tokens.find(token)

    async def integrator(self, name: str = "Acme CRM") -> Integrator:
        """Make an organization."""
        return Integrator(facts=await make_organization(self.shards, name), api=self)
