"""What is stored of the runs of confidential scenarios: payloads sealed, answers sealed, everything else as counts.

A payload (head and body of the call, the inputs of a run) is sealed by whoever accepts the run and opened by the worker
that carries it out; the transaction that settles the run erases it. One that is run at once is stored without any. The
outcome keeps status, counts and the kind of an error. Its full detail is kept beside it, sealed, only for a caller that
may wait for it elsewhere: in another process, or in a parent that is run a second time.

A box opens only for its organization, scenario and execution. Ticks of a schedule carry no data and stay as they are.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from make_bridge.domain.executions import runlog
from make_bridge.domain.executions.model import NewRun, Outcome
from make_bridge.domain.executions.runlog import StoredDetail
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.ports import Responder
from make_bridge.engine.runner.result import RunResult
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId
from make_bridge.platform.security.sealing import Sealing

# A head in clear is a JSON object; a sealed one begins with the version of its box.
_SEALED: Final = b"v1."
_LENGTH_BYTES: Final = 4
_PAYLOAD: Final = "execution_payload"
_ANSWER: Final = "execution_answer"
_INSTANT: Final = "webhook"
_SCHEDULED: Final = "schedule"


def is_sealed(run: NewRun) -> bool:
    """Say whether a stored run has to be opened before it is carried out."""
    return is_sealed_head(run.head)


def is_sealed_head(head: bytes) -> bool:
    """Say whether what is stored as a run's head is a box."""
    return head.startswith(_SEALED)


def without_payload(run: NewRun) -> NewRun:
    """Return a run that was carried out before it was stored: nobody will ask for its payload."""
    return msgspec.structs.replace(run, head=b"", body=b"")


def needs_answer(run: NewRun, program: Program, responder: Responder | None) -> bool:
    """Say whether somebody may read the answer from the row: a caller that does not wait in this process."""
    if run.origin == _INSTANT:
        return program.has_response and responder is None
    return run.origin != _SCHEDULED


@dataclass(frozen=True, slots=True, kw_only=True)
class Payloads:
    """Seals what a run is accepted with, and opens it for the worker."""

    sealing: Sealing

    async def seal(self, run: NewRun) -> NewRun:
        """Return the run as it is stored; raises Unavailable."""
        whole = len(run.head).to_bytes(_LENGTH_BYTES, "big") + run.head + run.body
        box = await self.sealing.seal(run.organization_id, (_PAYLOAD, run.scenario_id, run.id), whole)
        return msgspec.structs.replace(run, head=box.encode(), body=b"")

    async def open(self, run: NewRun) -> NewRun:
        """Return the run as it was accepted; raises SealBroken and Unavailable."""
        purpose = (_PAYLOAD, run.scenario_id, run.id)
        whole = await self.sealing.open(run.organization_id, purpose, run.head.decode(errors="replace"))
        end = _LENGTH_BYTES + int.from_bytes(whole[:_LENGTH_BYTES], "big")
        return msgspec.structs.replace(run, head=whole[_LENGTH_BYTES:end], body=whole[end:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Seals what a run answered, and opens it for who waits."""

    sealing: Sealing

    async def beside(self, outcome: Outcome, result: RunResult) -> Outcome:
        """Return the outcome with the full detail sealed in its own; raises Unavailable."""
        purpose = (_ANSWER, outcome.scenario_id, outcome.id)
        box = await self.sealing.seal(outcome.organization_id, purpose, runlog.encode_detail(result))
        return msgspec.structs.replace(outcome, detail=runlog.with_answer(outcome.detail, box))

    async def of(
        self, organization_id: OrganizationId, scenario_id: ScenarioId, execution_id: ExecutionId, shown: StoredDetail
    ) -> StoredDetail:
        """Return the full detail where there is one; an error met while settling stands in the outer one only."""
        if shown.answer is None:
            return shown
        whole = await self.sealing.open(organization_id, (_ANSWER, scenario_id, execution_id), shown.answer)
        detail = runlog.decode_detail(whole)
        if shown.error is not None and detail.error is None:
            return msgspec.structs.replace(detail, error=shown.error, outputs=None)
        return detail
