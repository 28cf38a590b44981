"""From a run's result to what its outcome leaves behind: parked bundles, a retried record, trouble.

Called by the performer after every run; for one that simply succeeded it does nothing. What a confidential
scenario parks is sealed before it leaves this process, bound to its organization, scenario and record.
"""

from dataclasses import dataclass

import msgspec

from make_bridge.domain.executions.incomplete import (
    Parked,
    Resumed,
    asked_wait,
    encode_document,
    new_record_id,
    plan_of,
)
from make_bridge.domain.executions.model import NewRun, Outcome
from make_bridge.domain.executions.ordering import WHOLE_SCENARIO
from make_bridge.domain.executions.runlog import NOT_KEPT
from make_bridge.domain.executions.troubles import Trouble, trouble_of
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.runner.result import Ending, IncompleteRun, RunError, RunResult
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId, ScenarioId
from make_bridge.platform.security.sealing import Sealing

Purpose = tuple[str, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Seals and opens what confidential scenarios park."""

    sealing: Sealing

    async def seal(
        self, organization_id: OrganizationId, scenario_id: ScenarioId, record_id: str, document: bytes
    ) -> bytes:
        """Return it sealed."""
        purpose = _purpose(scenario_id, record_id)
        return (await self.sealing.seal(organization_id, purpose, document)).encode()

    async def open(
        self, organization_id: OrganizationId, scenario_id: ScenarioId, record_id: str, sealed: bytes
    ) -> bytes:
        """Return what was sealed."""
        return await self.sealing.open(organization_id, _purpose(scenario_id, record_id), sealed.decode())


def _purpose(scenario_id: ScenarioId, record_id: str) -> Purpose:
    return ("incomplete_execution", scenario_id, record_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a run leaves behind beside its outcome."""

    parked: tuple[Parked, ...]
    resumed: Resumed | None
    trouble: Trouble | None
    confidential: bool

    def beside(self, outcome: Outcome) -> Outcome:
        """Return the outcome with it."""
        return msgspec.structs.replace(
            outcome,
            parked=self.parked,
            resumed=self.resumed,
            trouble=self.trouble,
            confidential=self.confidential,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    """See the module."""

    documents: Documents

    async def left_by(
        self, stored: NewRun, program: Program, result: RunResult, resumed: Resumed | None
    ) -> "Left | None":
        """Return what a run leaves behind, None for nothing; what cannot be parked turns the result into an error."""
        if resumed is None and not result.incomplete and result.status == "success":
            return None
        parked: tuple[Parked, ...] = ()
        try:
            parked = await self._park(stored, program, result, resumed)
        except InvalidInput as error:
            _refuse(result, error)
        trouble, settings = None, program.settings
        if result.status == "error":
            trouble = trouble_of(result.error, result.ending, origin=stored.origin, max_errors=settings.max_errors)
            if settings.confidential:
                trouble = msgspec.structs.replace(trouble, message=NOT_KEPT)
        return Left(parked=parked, resumed=resumed, trouble=trouble, confidential=settings.confidential)

    async def _park(
        self, stored: NewRun, program: Program, result: RunResult, resumed: Resumed | None
    ) -> tuple[Parked, ...]:
        parked = []
        for number, incomplete in enumerate(result.incomplete):
            record_id = resumed.record_id if resumed is not None and number == 0 else new_record_id()
            parked.append(await self._parked(stored, program, incomplete, record_id))
        return tuple(parked)

    async def _parked(self, stored: NewRun, program: Program, incomplete: IncompleteRun, record_id: str) -> Parked:
        settings = program.settings
        plain = encode_document(incomplete)
        document = plain
        if settings.confidential:
            document = await self.documents.seal(stored.organization_id, stored.scenario_id, record_id, plain)
        return Parked(
            id=record_id,
            module_id=incomplete.module_id,
            error_type=incomplete.error.type,
            message=NOT_KEPT if settings.confidential else incomplete.error.message,
            plan=plan_of(incomplete),
            blueprint_version=stored.blueprint_version,
            document=document,
            size=len(plain),
            is_sealed=settings.confidential,
            sequential=settings.sequential,
            ordering_key=WHOLE_SCENARIO if settings.sequential else stored.ordering_key,
            may_drop=settings.dataloss,
            asked_wait=asked_wait(incomplete),
        )


def _refuse(result: RunResult, error: InvalidInput) -> None:
    """End a run with an error whose bundle cannot be kept."""
    first = result.incomplete[0]
    message = f"This bundle could not be kept as an incomplete execution: {error.message}"
    operation = first.error.operation
    result.error = RunError("UnexpectedError", message, first.module_id, first.module, operation)
    result.status, result.ending, result.outputs = "error", Ending.FAILED, None
