"""Both APIs described with nothing behind them: ``make-bridge reference openapi`` writes it without a database.

The routes are the served ones, from the same tables. Whatever they would ask raises: a description asks nothing.
"""

from datetime import datetime
from typing import Any, NoReturn

from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.edge.authentication import Authenticator
from make_bridge.faces.edge.config import BodyLimits
from make_bridge.faces.portal.dependencies import PortalConfig, PortalDependencies
from make_bridge.faces.portal.routes import describe
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import ExecutionId, OrganizationId, TeamId
from make_bridge.kernel.messages import Command, Query
from make_bridge.platform.egress.circuits import Circuits, CircuitsConfig
from make_bridge.platform.security.portal_tokens import ExpectedClaims
from make_bridge.services.bridge import bridge_routes


def described_bridge() -> dict[str, Any]:
    """Return the OpenAPI document of every route of the bridge; addresses in it are relative."""
    nobody, bodies = _Nobody(), BodyLimits(hook=0, api=0, blueprint=0)
    portal = PortalDependencies(
        commands=nobody,
        queries=nobody,
        authenticator=Authenticator(
            portal_keys=_NoKeys(),
            api_tokens=_NoTokens(),
            ledger=nobody,
            customers=nobody,
            clock=SystemClock(),
            max_token_bytes=0,
            expected=ExpectedClaims(),
        ),
        organizations=nobody,
        teams=nobody,
        waiter=nobody,
        config=PortalConfig(public_url="", responsive_run_seconds=0.0, json_depth=0, bodies=bodies),
    )
    api = ApiDependencies(
        commands=nobody,
        queries=nobody,
        authenticator=portal.authenticator,
        organizations=nobody,
        teams=nobody,
        circuits=Circuits(CircuitsConfig(), SystemClock()),
        json_depth=0,
        bodies=bodies,
    )
    return describe(bridge_routes(portal, api), "/")


def _refuse() -> NoReturn:
    raise ConfigurationError("These routes are there to be described: nobody stands behind them.")


class _Nobody:
    """Whoever a route could ask."""

    async def execute(self, context: Context, command: Command[Any]) -> NoReturn:  # noqa: ARG002
        _refuse()

    async def ask(self, context: Context, query: Query[Any]) -> NoReturn:  # noqa: ARG002
        _refuse()

    async def get(self, organization_id: OrganizationId) -> NoReturn:  # noqa: ARG002
        _refuse()

    async def has_team(self, organization_id: OrganizationId, team_id: TeamId) -> NoReturn:  # noqa: ARG002
        _refuse()

    async def outcome(self, organization_id: OrganizationId, execution_id: ExecutionId, seconds: float) -> NoReturn:  # noqa: ARG002
        _refuse()

    async def consume(self, kid: str, jti: str, organization_id: OrganizationId, expires_at: datetime) -> NoReturn:  # noqa: ARG002
        _refuse()

    async def resolve(self, organization_id: OrganizationId, sub: str, *, request_id: str = "") -> NoReturn:  # noqa: ARG002
        _refuse()


class _NoKeys:
    """No portal keys."""

    async def find(self, kid: str) -> NoReturn:  # noqa: ARG002
        _refuse()


class _NoTokens:
    """No API tokens."""

    async def find(self, token: str) -> NoReturn:  # noqa: ARG002
        _refuse()
