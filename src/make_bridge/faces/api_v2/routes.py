"""All routes of the API, for the manifests of the services: one module per resource, listed here."""

from typing import Final

from starlette.routing import BaseRoute

from make_bridge.faces.api_v2.audit import AuditRoutes
from make_bridge.faces.api_v2.blueprints import BlueprintRoutes
from make_bridge.faces.api_v2.circuit_breakers import CircuitBreakerRoutes
from make_bridge.faces.api_v2.connections import ConnectionRoutes
from make_bridge.faces.api_v2.credential_requests import CredentialRequestRoutes
from make_bridge.faces.api_v2.credentials import CredentialRoutes
from make_bridge.faces.api_v2.data_stores import DataStoreRoutes
from make_bridge.faces.api_v2.data_structures import DataStructureRoutes
from make_bridge.faces.api_v2.dead_letters import DeadLetterRoutes
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.enumerations import EnumerationRoutes
from make_bridge.faces.api_v2.events import EventRoutes
from make_bridge.faces.api_v2.executions import ExecutionRoutes
from make_bridge.faces.api_v2.folders import FolderRoutes
from make_bridge.faces.api_v2.functions import FunctionRoutes
from make_bridge.faces.api_v2.hook_calls import HookCallRoutes
from make_bridge.faces.api_v2.hooks import HookRoutes
from make_bridge.faces.api_v2.incomplete_executions import IncompleteRoutes
from make_bridge.faces.api_v2.jobs import JobRoutes
from make_bridge.faces.api_v2.keychain import KeychainRoutes
from make_bridge.faces.api_v2.oauth import OAuthRoutes
from make_bridge.faces.api_v2.operations import Operation, route
from make_bridge.faces.api_v2.organizations import OrganizationRoutes
from make_bridge.faces.api_v2.parked_events import ParkedEventRoutes
from make_bridge.faces.api_v2.records import RecordRoutes
from make_bridge.faces.api_v2.replays import ReplayRoutes
from make_bridge.faces.api_v2.reports import ReportRoutes
from make_bridge.faces.api_v2.scenario_ordering import OrderingRoutes
from make_bridge.faces.api_v2.scenarios import ScenarioRoutes
from make_bridge.faces.api_v2.teams import TeamRoutes
from make_bridge.faces.api_v2.templates import TemplateRoutes
from make_bridge.faces.api_v2.usage import UsageRoutes
from make_bridge.faces.api_v2.users import UserRoutes
from make_bridge.faces.api_v2.variables import VariableRoutes
from make_bridge.faces.api_v2.webhook_endpoints import WebhookEndpointRoutes
from make_bridge.faces.edge.doors import Doors
from make_bridge.kernel.roles import Role

_ROLES: Final = {
    "Scenarios": Role.SCENARIOS,
    "Blueprints": Role.SCENARIOS,
    "Executions": Role.SCENARIOS,
    "Incomplete executions": Role.SCENARIOS,
    "Dead letters": Role.SCENARIOS,
    "Ordering": Role.SCENARIOS,
    "Webhooks": Role.SCENARIOS,
    "Templates": Role.TEMPLATES,
}
"""What belongs to another role than the bridge's."""


def api_routes(api: ApiDependencies, doors: Doors) -> list[BaseRoute]:
    """Return the API's routes, as far as the doors lead anywhere."""
    return [
        _route(doors, role, operation, tag)
        for tag, operations in api_operations(api).items()
        if doors.serves(role := _ROLES.get(tag, Role.BRIDGE))
        for operation in operations
    ]


def _route(doors: Doors, role: Role, operation: Operation, tag: str) -> BaseRoute:
    gate, make = doors.open(operation.access, role)
    return route(operation, gate, tag, make=make)


def api_operations(api: ApiDependencies) -> dict[str, list[Operation]]:
    """Return every row of every resource, by the resource's name."""
    return {
        "Users": UserRoutes(api=api).operations(),
        "Enumerations": EnumerationRoutes(api=api).operations(),
        "Organizations": OrganizationRoutes(api=api).operations(),
        "Teams": TeamRoutes(api=api).operations(),
        # Before the scenarios: "consumptions" would be taken for the id of one.
        "Usage": UsageRoutes(api=api).operations(),
        "Scenarios": ScenarioRoutes(api=api).operations(),
        "Folders": FolderRoutes(api=api).operations(),
        "Replays": ReplayRoutes(api=api).operations(),
        "Variables": VariableRoutes(api=api).operations(),
        "Blueprints": BlueprintRoutes(api=api).operations(),
        "Executions": ExecutionRoutes(api=api).operations(),
        "Connections": ConnectionRoutes(api=api).operations(),
        "Keys": KeychainRoutes(api=api).operations(),
        "Credential requests": CredentialRequestRoutes(api=api).operations(),
        "Data stores": DataStoreRoutes(api=api).operations(),
        "Records": RecordRoutes(api=api).operations(),
        "Data structures": DataStructureRoutes(api=api).operations(),
        "Functions": FunctionRoutes(api=api).operations(),
        "Templates": TemplateRoutes(api=api).operations(),
        "Incomplete executions": IncompleteRoutes(api=api).operations(),
        "Dead letters": DeadLetterRoutes(api=api).operations(),
        "Jobs": JobRoutes(api=api).operations(),
        "Webhooks": HookRoutes(api=api).operations(),
        "Calls of webhooks": HookCallRoutes(api=api).operations(),
        "Ordering": OrderingRoutes(api=api).operations(),
        "Reports": ReportRoutes(api=api).operations(),
        "Events": EventRoutes(api=api).operations(),
        "Parked events": ParkedEventRoutes(api=api).operations(),
        "Webhook endpoints": WebhookEndpointRoutes(api=api).operations(),
        "Keys and tokens": CredentialRoutes(api=api).operations(),
        "Audit": AuditRoutes(api=api).operations(),
        "OAuth": OAuthRoutes(api=api).operations(),
        "Circuit breakers": CircuitBreakerRoutes(api=api).operations(),
    }
