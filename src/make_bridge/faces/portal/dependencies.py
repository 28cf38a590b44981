"""What the portal is given by ``boot``: the buses, the way in, and where to look what is not asked over a bus."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from make_bridge.faces.edge.authentication import Authenticator
from make_bridge.faces.edge.config import BodyLimits
from make_bridge.faces.edge.teams import Organizations, Teams
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.faces.edge.witness import Witness
from make_bridge.kernel.context import Context
from make_bridge.kernel.ids import ExecutionId, OrganizationId
from make_bridge.kernel.messages import Command, Query

R = TypeVar("R")


class Commands(Protocol):
    """The command bus, as a face sees it."""

    async def execute(self, context: Context, command: Command[R]) -> R:
        """Carry out a command; raises BridgeError."""
        ...


class Queries(Protocol):
    """The query bus, as a face sees it."""

    async def ask(self, context: Context, query: Query[R]) -> R:
        """Answer a query; raises BridgeError."""
        ...


class OutcomeWaiter(Protocol):
    """Where a responsive run waits; ``Waiting`` of the executions is one."""

    async def outcome(self, organization_id: OrganizationId, execution_id: ExecutionId, seconds: float) -> object:
        """Return when the outcome is committed, or with None when the time is over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalConfig:
    """``public_url`` is scheme, host and port without a slash at the end."""

    public_url: str
    responsive_run_seconds: float
    json_depth: int
    bodies: BodyLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalDependencies:
    """Everything the portal's routes use."""

    commands: Commands
    queries: Queries
    authenticator: Authenticator
    organizations: Organizations
    teams: Teams
    waiter: OutcomeWaiter
    config: PortalConfig
    turnstile: Turnstile | None = None
    witness: Witness | None = None
