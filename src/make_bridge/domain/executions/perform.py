"""Carrying one execution out: from a stored run and a program to an outcome.

Called by the ingest (runs in place) and by the worker (claimed runs). Nothing here touches the
queue; the outcome is a value that the settlement writer commits.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from make_bridge.domain.executions import runlog
from make_bridge.domain.executions.incomplete import Resumed
from make_bridge.domain.executions.journal import Answered
from make_bridge.domain.executions.memory import Memory, kept_by
from make_bridge.domain.executions.model import NewRun, Outcome, Status
from make_bridge.domain.executions.parking import Parking
from make_bridge.domain.executions.run_spans import MODULES
from make_bridge.domain.executions.surroundings import Surroundings, tick_of, warn_of_overlap
from make_bridge.domain.executions.trigger import Bundle, TickNote
from make_bridge.domain.executions.troubles import trouble_of_start
from make_bridge.domain.executions.variables import NOTHING, Both, VariablesOfRun
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.blueprint.variables import NamedVariables
from make_bridge.engine.ports import (
    Components,
    HttpClient,
    Journal,
    Mailer,
    NullJournal,
    Ports,
    Record,
    Responder,
    Sleeper,
)
from make_bridge.engine.runner.request import ResumePoint, RunRequest
from make_bridge.engine.runner.result import RunResult
from make_bridge.engine.runner.run import run
from make_bridge.engine.values import Value
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import BridgeError
from make_bridge.kernel.ids import ExecutionId, OrganizationId, TeamId, created_at
from make_bridge.platform.observability.tracing.spans import carried

_PAUSE_EVERY = 50
_STATUS = {"success": Status.SUCCESS, "warning": Status.WARNING, "error": Status.ERROR}


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome with the result it was made from (None when the run could not begin)."""

    outcome: Outcome
    result: RunResult | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a run that tries an incomplete execution again goes on with."""

    resumed: Resumed
    point: ResumePoint
    done: Bundle | None = None
    """What the module gave, where a person has said that its call was done."""


class ComponentsOf(Protocol):
    """Gives each run the way to its own team's connections and keys."""

    def of(self, organization_id: OrganizationId, team_id: TeamId, execution_id: ExecutionId) -> Components:
        """Return the port for one attempt of an execution of a team."""
        ...


class HttpOf(Protocol):
    """Gives each run the way out, past its own team's circuit breakers and in its turn."""

    def of(self, organization_id: OrganizationId, team_id: TeamId) -> HttpClient:
        """Return the port for one team."""
        ...


class MailOf(Protocol):
    """Gives each run the way of its mail, past its own team's circuit breakers."""

    def of(self, organization_id: OrganizationId, team_id: TeamId) -> Mailer:
        """Return the port for one team."""
        ...


class Performer:
    """Runs programs with this process's ports."""

    def __init__(  # noqa: PLR0913  one parameter for each port
        self, *, http: HttpOf, mailer: MailOf, sleeper: Sleeper, components: ComponentsOf, clock: Clock,
        parking: Parking, around: Surroundings | None = None,
    ) -> None:  # fmt: skip
        """Take the adapters that every run shares."""
        self._http = http
        self._mailer = mailer
        self._sleeper = sleeper
        self._forgetful = NullJournal()
        # A program that calls nothing, and answers nobody before it is stored, asks nothing of the world: one for all.
        self._quiet = Ports(sleeper=sleeper, clock=clock, watch=MODULES)
        self._components = components
        self._clock = clock
        self._parking = parking
        self._around = around or Surroundings()
        self._limits = dataclasses.replace(self._around.limits, pause_every=_PAUSE_EVERY)

    async def perform(
        self,
        stored: NewRun,
        program: Program,
        bundles: list[Bundle],
        *,
        fence: int,
        responder: Responder | None = None,
        attempt: Attempt | None = None,
    ) -> Performance:
        """Run to the end, with ``attempt`` from where it stopped; a failing scenario is an outcome, no exception."""
        memory = Memory()
        if program.keeps_memory:
            memory = await self._around.memory.read(stored.organization_id, stored.scenario_id)
        ports = self._quiet
        if program.needs_ports or responder is not None:
            ports = await self._ports(stored, program, fence, responder, attempt)
        variables = NOTHING
        if program.variables is not None:
            variables, ports = await self._variables(stored, program, program.variables, fence, ports)
        request = RunRequest(
            execution_id=stored.id,
            organization_id=stored.organization_id,
            team_id=stored.team_id,
            scenario_id=stored.scenario_id,
            scenario_name=program.name,
            trigger_bundles=bundles,
            inputs=_inputs(program, bundles, attempt),
            started_at=created_at(stored.id),
            seed=stored.seed,
            received_bytes=len(stored.body),
            counters=memory.counters,
            memory=memory.values,
            timezone=await self._around.zones.of(stored.organization_id),
            organization_variables=variables[0],
            team_variables=variables[1],
            limits=self._limits,
            resume=None if attempt is None else attempt.point,
        )
        began = self._clock.monotonic()
        result = await run(program, request, ports)
        duration = int((self._clock.monotonic() - began) * 1000)
        tick = tick_of(stored)
        warn_of_overlap(result, tick)
        left = await self._parking.left_by(stored, program, result, None if attempt is None else attempt.resumed)
        outcome = _outcome(stored, fence, result, duration, tick)
        if program.settings.confidential:
            outcome = _counts_only(outcome, result, tick)
        if left is not None:
            outcome = left.beside(outcome)
        if program.keeps_memory:
            outcome = msgspec.structs.replace(outcome, kept=kept_by(result, memory))
        return Performance(outcome=outcome, result=result)

    async def _ports(
        self, stored: NewRun, program: Program, fence: int, responder: Responder | None, attempt: Attempt | None
    ) -> Ports:
        # What has no effects, or is not stored yet, needs no journal.
        is_light = program.pure or not fence
        stores = self._around.stores(stored)
        journal = self._forgetful if is_light else await self._journal(stored, program, fence, attempt)
        return Ports(
            http=self._http.of(stored.organization_id, stored.team_id),
            mailer=self._mailer.of(stored.organization_id, stored.team_id),
            sleeper=self._sleeper,
            clock=self._clock,
            journal=journal,
            responder=responder,
            components=self._components.of(stored.organization_id, stored.team_id, stored.id),
            subscenarios=self._around.subscenarios(stored),
            stores=stores,
            structures=stores,
            functions=await self._around.functions.of(stored, program, journal) if program.functions else None,
            watch=MODULES,
        )

    async def _variables(
        self, stored: NewRun, program: Program, named: NamedVariables, fence: int, ports: Ports
    ) -> tuple[Both, Ports]:
        """Read what the program names; a stored run keeps it in its journal, also one that has no effects."""
        journal = ports.journal
        if fence and program.pure:
            journal = await self._around.journals.of(stored, program.settings, fence)
        source = VariablesOfRun(self._around.variables, stored, named, journal)
        if program.settings.fresh_variables:
            # The engine asks before each cycle, also the first.
            return NOTHING, msgspec.structs.replace(ports, variables=source)
        return await source.current(), ports

    async def _journal(self, stored: NewRun, program: Program, fence: int, attempt: Attempt | None) -> Journal:
        """Return what makes the run's effects durable."""
        journal = await self._around.journals.of(stored, program.settings, fence)
        if attempt is None or attempt.done is None:
            return journal
        module_id, key = attempt.point.module_id, attempt.point.step_key or ""
        answer = Record(key=key, module_id=module_id, operation=1, outputs=(attempt.done,))
        return Answered(journal, answer)


def _outcome(stored: NewRun, fence: int, result: RunResult, duration_ms: int, tick: TickNote | None = None) -> Outcome:
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
        detail=runlog.encode_detail(result, tick),
        steps=runlog.encode_steps(result.steps),
        trace_context=carried(),
    )


def _counts_only(outcome: Outcome, result: RunResult, tick: TickNote | None) -> Outcome:
    return msgspec.structs.replace(
        outcome,
        detail=runlog.encode_counts(result, tick),
        steps=runlog.encode_step_counts(result.steps),
        confidential=True,
    )


def _inputs(program: Program, bundles: list[Bundle], attempt: Attempt | None) -> Mapping[str, Value]:
    """Return the scenario's inputs: the trigger's bundle, also where a run goes on far behind it."""
    if not program.inputs or program.entry is None:
        return {}
    if attempt is None:
        return bundles[0] if bundles else {}
    stored = dict(attempt.point.bundles).get(program.entry.id)
    return stored if isinstance(stored, dict) else {}


def failed_outcome(
    stored: NewRun, fence: int, error: BridgeError, resumed: Resumed | None = None, *, confidential: bool = False
) -> Outcome:
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
        detail=runlog.encode_failure(error, confidential=confidential),
        steps=b"[]",
        resumed=resumed,
        trouble=trouble_of_start(error, origin=stored.origin),
        trace_context=carried() or stored.trace_context,
        confidential=confidential,
    )


def seed_of(execution_id: ExecutionId) -> int:
    """Return the run's source of chance: 63 bits of its id, so that it needs no storage to be found again."""
    return int(execution_id[16:], 16) >> 1
