"""What the API is given by ``boot``: the buses, the way in, and the teams."""

from dataclasses import dataclass, field

from make_bridge.domain.functions.checking import CodeChecks, NoChecks
from make_bridge.faces.edge.authentication import Authenticator
from make_bridge.faces.edge.config import BodyLimits
from make_bridge.faces.edge.teams import Organizations, Teams
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.faces.edge.witness import Witness
from make_bridge.faces.portal.dependencies import Commands, OutcomeWaiter, Queries
from make_bridge.platform.egress.circuits import Circuits


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDependencies:
    """Everything the API's routes use."""

    commands: Commands
    queries: Queries
    authenticator: Authenticator
    organizations: Organizations
    teams: Teams
    circuits: Circuits
    json_depth: int
    public_url: str = ""
    bodies: BodyLimits
    download_seconds: float = 900.0
    """In which an answer that is sent piece by piece has to be taken."""
    waiter: OutcomeWaiter | None = None
    """Where a responsive run waits; without one it does not."""
    responsive_run_seconds: float = 40.0
    code_checks: CodeChecks = field(default_factory=NoChecks)
    turnstile: Turnstile | None = None
    witness: Witness | None = None
