"""Carrying one execution out: from a stored run and a program to an outcome.

Called by the ingest (runs in place) and by the worker (claimed runs). Nothing here touches the
queue; the outcome is a value that the settlement writer commits.
"""

from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from make_bridge.domain.executions import runlog
from make_bridge.domain.executions.model import NewRun, Outcome, Status
from make_bridge.domain.executions.trigger import Bundle
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.ports import Components, HttpClient, NullJournal, Ports, Responder, Sleeper
from make_bridge.engine.runner.request import RunLimits, RunRequest
from make_bridge.engine.runner.result import RunResult
from make_bridge.engine.runner.run import run
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import BridgeError
from make_bridge.kernel.ids import ExecutionId, OrganizationId, TeamId, created_at

_PAUSE_EVERY = 50
_STATUS = {"success": Status.SUCCESS, "warning": Status.WARNING, "error": Status.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """An outcome with the result it was made from (None when the run could not begin)."""

    outcome: Outcome
    result: RunResult | None


class ComponentsOf(Protocol):
    """Gives each run the way to its own team's connections and keys."""

    def of(self, organization_id: OrganizationId, team_id: TeamId) -> Components:
        """Return the port for one team."""
        ...


class Performer:
    """Runs programs with this process's ports."""

    def __init__(self, *, http: HttpClient, sleeper: Sleeper, components: ComponentsOf, clock: Clock) -> None:
        """Take the adapters that every run shares."""
        self._http = http
        self._sleeper = sleeper
        self._journal = NullJournal()
        self._components = components
        self._clock = clock
        self._limits = RunLimits(pause_every=_PAUSE_EVERY)
        self._timezone = ZoneInfo("UTC")

    async def perform(
        self,
        stored: NewRun,
        program: Program,
        bundles: list[Bundle],
        *,
        fence: int,
        responder: Responder | None = None,
    ) -> Performance:
        """Run to the end; a failing scenario is an outcome, not an exception."""
        request = RunRequest(
            execution_id=stored.id,
            organization_id=stored.organization_id,
            team_id=stored.team_id,
            scenario_id=stored.scenario_id,
            scenario_name=program.name,
            trigger_bundles=bundles,
            inputs=bundles[0] if bundles and program.inputs else {},
            started_at=created_at(stored.id),
            seed=stored.seed,
            received_bytes=len(stored.body),
            timezone=self._timezone,
            limits=self._limits,
        )
        ports = Ports(
            http=self._http,
            sleeper=self._sleeper,
            clock=self._clock,
            journal=self._journal,
            responder=responder,
            components=self._components.of(stored.organization_id, stored.team_id),
        )
        began = self._clock.monotonic()
        result = await run(program, request, ports)
        duration = int((self._clock.monotonic() - began) * 1000)
        return Performance(outcome=_outcome(stored, fence, result, duration), result=result)


def _outcome(stored: NewRun, fence: int, result: RunResult, duration_ms: int) -> Outcome:
    return Outcome(
        id=stored.id,
        fence=fence,
        organization_id=stored.organization_id,
        team_id=stored.team_id,
        scenario_id=stored.scenario_id,
        status=_STATUS[result.status],
        duration_ms=duration_ms,
        operations=result.operations,
        transfer=result.transfer,
        detail=runlog.encode_detail(result),
        steps=runlog.encode_steps(result.steps),
        incomplete=tuple(runlog.encode_incomplete(item) for item in result.incomplete),
    )


def failed_outcome(stored: NewRun, fence: int, error: BridgeError) -> Outcome:
    """Return the outcome of a run that could not begin: its blueprint does not compile, its body does not parse."""
    return Outcome(
        id=stored.id,
        fence=fence,
        organization_id=stored.organization_id,
        team_id=stored.team_id,
        scenario_id=stored.scenario_id,
        status=Status.ERROR,
        duration_ms=0,
        operations=0,
        transfer=0,
        detail=runlog.encode_failure(error),
        steps=b"[]",
    )


def seed_of(execution_id: ExecutionId) -> int:
    """Return the run's source of chance: 63 bits of its id, so that it needs no storage to be found again."""
    return int(execution_id[16:], 16) >> 1
