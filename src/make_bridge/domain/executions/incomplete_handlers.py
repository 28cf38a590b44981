"""What people do with incomplete executions: try again, edit and resume, say whether a call was done, give up.

Nobody changes a record that an execution is trying at this moment: its outcome decides, so such a command is
refused, or leaves that record out where it names all. The scenario itself is never changed by an edit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from make_bridge.domain.executions import incomplete_store
from make_bridge.domain.executions.incomplete import (
    DONE,
    NOT_DONE,
    answered,
    decode_done,
    decode_point,
    edited,
    encode_point,
    needs_answer,
)
from make_bridge.domain.executions.incomplete_messages import (
    AnswerIncompleteExecution,
    DeleteIncompleteExecutions,
    EditIncompleteExecution,
    IncompleteExecution,
    IncompleteExecutionAnswered,
    IncompleteExecutionEdited,
    IncompleteExecutionsDeleted,
    IncompleteExecutionsRetried,
    RetryIncompleteExecution,
    RetryIncompleteExecutions,
)
from make_bridge.domain.executions.incomplete_views import find_record, record_of, require_owner
from make_bridge.domain.executions.parking import Documents
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.blueprints import compile_stored, read_facts
from make_bridge.engine.blueprint.program import Program
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from make_bridge.kernel.ids import OrganizationId, ScenarioId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import Row

_RETRYING = "This incomplete execution is being tried again right now: wait for the outcome."
_UNANSWERED = "The call of this incomplete execution was possibly done: say first whether it was."
_ANSWERED = "Somebody has already said the other thing of this incomplete execution."
_NOT_ASKED = "Nothing is in doubt about this incomplete execution: its call was not done. Try it again instead."
_RESOLVED = "This incomplete execution is resolved: nothing is left to be done."


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompleteHandlers:
    """The handlers, with what they need beside the unit of work."""

    documents: Documents

    async def retry_one(self, work: UnitOfWork, command: RetryIncompleteExecution) -> str:
        """Let one be tried again at once."""
        row = await _lock_free(work, command.record_id)
        if needs_answer(row["error_type"], row["answer"]):
            raise Conflict(_UNANSWERED, code="possibly_done")
        await incomplete_store.arm_now(work.tx, work.context.organization_id, [command.record_id])
        _note_retry(work, row["scenario_id"], [command.record_id])
        work.touch(f"incomplete_execution/{command.record_id}", scenario=row["scenario_id"])
        return command.record_id

    async def retry_many(self, work: UnitOfWork, command: RetryIncompleteExecutions) -> list[str]:
        """Let several be tried again at once; those under way, and calls in doubt, are left out."""
        ids = await self._chosen(work, command, with_resolved=False)
        await incomplete_store.arm_now(work.tx, work.context.organization_id, ids)
        _note_retry(work, command.scenario_id, ids)
        work.touch(f"scenario/{command.scenario_id}", incompleteExecutions=ids)
        return ids

    async def delete(self, work: UnitOfWork, command: DeleteIncompleteExecutions) -> list[str]:
        """Give several up."""
        ids = await self._chosen(work, command, with_resolved=True)
        await incomplete_store.delete(work.tx, work.context.organization_id, ids)
        work.touch(f"scenario/{command.scenario_id}", incompleteExecutions=ids)
        event = IncompleteExecutionsDeleted(scenario_id=command.scenario_id, incomplete_execution_ids=tuple(ids))
        work.emit(event, subject=f"scenario/{command.scenario_id}")
        return ids

    async def edit(self, work: UnitOfWork, command: EditIncompleteExecution) -> IncompleteExecution:
        """Change what one goes on with."""
        organization_id = work.context.organization_id
        row = await _lock_free(work, command.record_id)
        if row["is_sealed"] and command.bundles is not None:
            raise PermissionDenied("The data of a confidential scenario can be neither read nor edited.")
        whole = await incomplete_store.get(work.tx, organization_id, command.record_id, whole=True)
        if whole is None:
            raise NotFound("There is no such incomplete execution.")
        blueprint = None if command.blueprint is None else read_facts(command.blueprint).raw
        module_id = row["module_id"] if command.module_id is None else command.module_id
        _require_module(await _program(work, whole, blueprint), module_id)
        document = await self._edited(whole, command, module_id)
        if needs_answer(row["error_type"], row["answer"]) and module_id != row["module_id"]:
            raise Conflict(_UNANSWERED, code="possibly_done")
        await incomplete_store.edit(
            work.tx, organization_id, command.record_id, module_id=module_id, document=document, blueprint=blueprint
        )
        work.touch(
            f"incomplete_execution/{command.record_id}",
            blueprint=blueprint is not None,
            module=module_id,
            bundles=sorted(command.bundles or ()),
        )
        event = IncompleteExecutionEdited(incomplete_execution_id=command.record_id, scenario_id=row["scenario_id"])
        work.emit(event, subject=f"incomplete_execution/{command.record_id}")
        return record_of(await find_record(work.tx, work.context, command.record_id))

    async def answer(self, work: UnitOfWork, command: AnswerIncompleteExecution) -> IncompleteExecution:
        """Keep what a person says of a call in doubt, and let the record go on; saying it again changes nothing."""
        if command.output is not None and not command.done:
            message = "An output goes on only from a call that was done."
            raise InvalidInput(message, fields={"output": message})
        said = DONE if command.done else NOT_DONE
        await find_record(work.tx, work.context, command.record_id)
        row = await incomplete_store.lock(work.tx, command.record_id)
        if row is None:
            raise NotFound("There is no such incomplete execution.")
        if row["answer"] == said:
            work.touch(f"incomplete_execution/{command.record_id}", done=command.done, again=True)
            return record_of(row)
        if row["answer"] is not None:
            raise Conflict(_ANSWERED, code="answered")
        if not needs_answer(row["error_type"], row["answer"]):
            raise Conflict(_NOT_ASKED, code="not_possibly_done")
        row = await _lock_free(work, command.record_id)
        await self._go_on(work, command, said)
        work.touch(f"incomplete_execution/{command.record_id}", scenario=row["scenario_id"], done=command.done)
        event = IncompleteExecutionAnswered(
            incomplete_execution_id=command.record_id, scenario_id=row["scenario_id"], done=command.done
        )
        work.emit(event, subject=f"incomplete_execution/{command.record_id}")
        return record_of(await find_record(work.tx, work.context, command.record_id))

    async def _go_on(self, work: UnitOfWork, command: AnswerIncompleteExecution, said: str) -> None:
        organization_id = work.context.organization_id
        whole = await incomplete_store.get(work.tx, organization_id, command.record_id, whole=True)
        if whole is None:
            raise NotFound("There is no such incomplete execution.")
        point = decode_point(await self._opened(whole), whole["module_id"])
        point, given = answered(point, command.record_id, done=command.done, output=command.output)
        document = await self._as_stored(whole, encode_point(point, given))
        await incomplete_store.answer(work.tx, organization_id, command.record_id, said=said, document=document)
        await incomplete_store.arm_now(work.tx, organization_id, [command.record_id])

    async def _opened(self, whole: Row) -> bytes:
        """Return a record's document in clear."""
        document = bytes(whole["document"])
        if not whole["is_sealed"]:
            return document
        return await self.documents.open(*_place_of(whole), document)

    async def _as_stored(self, whole: Row, plain: bytes) -> tuple[bytes, int]:
        """Return a changed document as it is stored, and its plain size."""
        if not whole["is_sealed"]:
            return plain, len(plain)
        return await self.documents.seal(*_place_of(whole), plain), len(plain)

    async def _edited(self, whole: Row, command: EditIncompleteExecution, module_id: int) -> tuple[bytes, int]:
        """Return the changed document as it is stored, and its plain size."""
        document = await self._opened(whole)
        done = decode_done(document)
        point = edited(
            decode_point(document, whole["module_id"]),
            module_id=module_id,
            bundles=command.bundles,
            other_blueprint=command.blueprint is not None,
            is_done=done is not None,
        )
        return await self._as_stored(whole, encode_point(point, done if module_id == whole["module_id"] else None))

    async def _chosen(
        self, work: UnitOfWork, command: RetryIncompleteExecutions | DeleteIncompleteExecutions, *, with_resolved: bool
    ) -> list[str]:
        """Return the ids that a command names and may change; one that was named and is not there is not found."""
        organization_id = work.context.organization_id
        await scenario_store.get(work.tx, organization_id, command.scenario_id, work.context.team_id)
        rows = await incomplete_store.choose(
            work.tx,
            organization_id,
            command.scenario_id,
            ids=command.ids,
            without=command.except_ids,
            with_resolved=with_resolved,
        )
        found = [row["id"].hex for row in rows]
        if command.ids is not None:
            _require_all(command.ids, command.except_ids, found)
            if any(row["retry_execution_id"] is not None for row in rows):
                raise Conflict(_RETRYING, code="retrying")
        free = [row for row in rows if row["retry_execution_id"] is None]
        if isinstance(command, DeleteIncompleteExecutions):
            return [row["id"].hex for row in free]
        known = [row["id"].hex for row in free if not needs_answer(row["error_type"], row["answer"])]
        if command.ids is not None and len(known) < len(free):
            raise Conflict(_UNANSWERED, code="possibly_done")
        return known

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        write = "scenarios:write"
        return [
            CommandRegistration(
                command=RetryIncompleteExecution,
                handler=self.retry_one,
                result=str,
                permission="scenarios:run",
                action="incomplete_execution.retry",
            ),
            CommandRegistration(
                command=RetryIncompleteExecutions,
                handler=self.retry_many,
                result=list[str],
                permission="scenarios:run",
                action="incomplete_execution.retry",
            ),
            CommandRegistration(
                command=EditIncompleteExecution,
                handler=self.edit,
                result=IncompleteExecution,
                permission=write,
                action="incomplete_execution.edit",
            ),
            CommandRegistration(
                command=AnswerIncompleteExecution,
                handler=self.answer,
                result=IncompleteExecution,
                permission="scenarios:run",
                action="incomplete_execution.answer",
            ),
            CommandRegistration(
                command=DeleteIncompleteExecutions,
                handler=self.delete,
                result=list[str],
                permission=write,
                action="incomplete_execution.delete",
            ),
        ]


async def forget_resolved(shards: Shards) -> int:
    """Drop records that were resolved a month ago, on every shard; return how many."""

    async def forget(shard: Shard) -> int:
        async with shard.engine_write() as tx:
            return await incomplete_store.forget_resolved(tx)

    return await shards.everywhere("incomplete_executions_forgotten", forget)


async def _lock_free(work: UnitOfWork, record_id: str) -> Row:
    """Return a record that waits, held until the transaction ends; raises NotFound and Conflict."""
    await find_record(work.tx, work.context, record_id)
    row = await incomplete_store.lock(work.tx, record_id)
    if row is None:
        raise NotFound("There is no such incomplete execution.")
    await require_owner(work.tx, work.context, row)
    if row["resolved"]:
        raise Conflict(_RESOLVED, code="resolved")
    if row["retry_execution_id"] is not None:
        raise Conflict(_RETRYING, code="retrying")
    return row


def _place_of(row: Row) -> tuple[OrganizationId, ScenarioId, str]:
    return OrganizationId(row["organization_id"]), ScenarioId(row["scenario_id"]), row["id"].hex


def _note_retry(work: UnitOfWork, scenario_id: ScenarioId, ids: Sequence[str]) -> None:
    event = IncompleteExecutionsRetried(scenario_id=scenario_id, incomplete_execution_ids=tuple(ids))
    work.emit(event, subject=f"scenario/{scenario_id}")


async def _program(work: UnitOfWork, whole: Row, blueprint: bytes | None) -> Program:
    """Compile what the record will go on with; raises BlueprintInvalid."""
    raw = blueprint or (None if whole["blueprint"] is None else bytes(whole["blueprint"]))
    if raw is None:
        raw = await scenario_store.get_blueprint(
            work.tx, work.context.organization_id, whole["scenario_id"], whole["blueprint_version"]
        )
    return compile_stored(raw)


def _require_module(program: Program, module_id: int) -> None:
    if module_id not in program.nodes:
        message = f"The blueprint has no module {module_id}: an incomplete execution goes on at one of its modules."
        raise InvalidInput(message, fields={"failer": message})


def _require_all(asked: Sequence[str], without: Sequence[str], found: Sequence[str]) -> None:
    if set(asked) - set(without) - set(found):
        raise NotFound("Not all of these are incomplete executions of this scenario that wait.")
