"""Incomplete executions (``/dlqs``): list, look into, edit, try again, say whether a call was done, give up.

Shapes are Make's own. Ours beside them: ``nextAttempt``, ``failer``, ``isRetrying``, ``possiblyDone``, ``answer``,
``orderingKey`` and ``runsBehind`` in the answers, ``/answer``, and ``bundles`` in an edit, because a person who mends a
run mends its data more often than its blueprint.
"""

import re
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.executions.incomplete import DONE, NOT_DONE
from make_bridge.domain.executions.incomplete_messages import (
    AnswerIncompleteExecution,
    DeleteIncompleteExecutions,
    EditIncompleteExecution,
    GetIncompleteBlueprint,
    GetIncompleteBundles,
    GetIncompleteExecution,
    IncompleteExecution,
    ListIncompleteAttempts,
    ListIncompleteExecutions,
    RetryIncompleteExecution,
    RetryIncompleteExecutions,
)
from make_bridge.domain.executions.messages import Execution
from make_bridge.domain.scenarios.messages import GetScenario
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.execution_bodies import AnswerIncompleteBody, ChosenBody, EditIncompleteBody
from make_bridge.faces.api_v2.operations import Operation, access, require_confirmation, respond
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, part_of
from make_bridge.faces.api_v2.parameters import CONFIRMED, THE_SCENARIO
from make_bridge.faces.edge.body import parse_object, parse_optional
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import MAX_ID, ScenarioId

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,15}")
_HEX: Final = frozenset("0123456789abcdef")
_LENGTH: Final = 32
_ANSWERS: Final = {DONE: "done", NOT_DONE: "notDone"}
JsonObject = dict[str, Any]
_SORTABLE: Final = frozenset({"id", "created", "reason", "size", "resolved", "attempts"})
_LOGS_SORTABLE: Final = frozenset({"id", "imtId", "status", "duration", "operations", "timestamp"})


def _read_id(text: object) -> str:
    if isinstance(text, str):
        plain = text.replace("-", "").lower()
        if len(plain) == _LENGTH and _HEX.issuperset(plain):
            return plain
    raise NotFound("There is no such incomplete execution: its id is 32 hexadecimal characters.")


RecordPath = Annotated[str, BeforeValidator(_read_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompleteRoutes:
    """The routes of ``/dlqs``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table; the fixed paths stand before those with an id."""
        bodies = self.api.bodies
        read = access("scenarios:read", bodies.api)
        write = access("scenarios:write", bodies.blueprint)
        run = access("scenarios:run", bodies.api)
        answer = access("scenarios:run", bodies.blueprint)
        one = "/dlqs/{record_id}"
        return [
            Operation(method="GET", path="/dlqs", endpoint=self.list_dlqs, access=read, query=(THE_SCENARIO,)),
            Operation(
                method="DELETE",
                path="/dlqs",
                endpoint=self.delete_dlqs,
                access=write,
                body=ChosenBody,
                is_body_required=False,
                query=(THE_SCENARIO, CONFIRMED),
            ),
            Operation(
                method="POST",
                path="/dlqs/retry",
                endpoint=self.retry_dlqs,
                access=run,
                body=ChosenBody,
                is_body_required=False,
                query=(THE_SCENARIO,),
            ),
            Operation(method="GET", path=one, endpoint=self.get_dlq, access=read),
            Operation(method="PATCH", path=one, endpoint=self.edit_dlq, access=write, body=EditIncompleteBody),
            Operation(method="POST", path=f"{one}/retry", endpoint=self.retry_dlq, access=run),
            Operation(
                method="POST", path=f"{one}/answer", endpoint=self.answer_dlq, access=answer, body=AnswerIncompleteBody
            ),
            Operation(method="GET", path=f"{one}/bundle", endpoint=self.get_dlq_bundle, access=read),
            Operation(method="GET", path=f"{one}/blueprint", endpoint=self.get_dlq_blueprint, access=read),
            Operation(method="GET", path=f"{one}/logs", endpoint=self.list_dlq_logs, access=read),
            Operation(method="GET", path=f"{one}/logs/{{execution_id}}", endpoint=self.get_dlq_log, access=read),
        ]

    async def list_dlqs(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the incomplete executions of a scenario, newest first."""
        query = ListIncompleteExecutions(scenario_id=_scenario_of(request), limit=MAX_LIMIT)
        rows = [_row(record) for record in await self.api.queries.ask(call.context, query)]
        newest_first = page if page.sort_by or page.direction else page.newest_first()
        shown = part_of(rows, newest_first, sort_by="created", sortable=_SORTABLE)
        described = newest_first.describe(limit=MAX_LIMIT, sort_by="created", direction="desc")
        return respond({"dlqs": shown, "pg": described})

    async def get_dlq(self, record_id: RecordPath, call: CurrentCall) -> Response:
        """Show one with its scenario and organization."""
        detail = await self.api.queries.ask(call.context, GetIncompleteExecution(record_id=record_id))
        organization = await self.api.organizations.get(call.context.organization_id)
        record = detail.record
        more = {
            "scenarioId": record.scenario_id,
            "scenarioName": detail.scenario_name,
            "companyId": organization.id,
            "companyName": organization.name,
            "deleted": False,
            "index": 0,
            "executionId": str(uuid.UUID(hex=record.execution_id)),
        }
        return respond({"dlq": _row(record) | more})

    async def edit_dlq(self, record_id: RecordPath, call: CurrentCall) -> Response:
        """Change what one goes on with: its own copy of the blueprint, the module, stored bundles."""
        body = parse_object(call.body, EditIncompleteBody, max_depth=self.api.json_depth)
        command = EditIncompleteExecution(
            record_id=record_id,
            blueprint=body.blueprint,
            module_id=body.failer,
            bundles=None if body.bundles is None else _by_module(body.bundles),
        )
        record = await self.api.commands.execute(call.context, command)
        blueprint = await self.api.queries.ask(call.context, GetIncompleteBlueprint(record_id=record_id))
        return respond({"dlq": {"failer": record.module_id, "blueprint": blueprint}})

    async def retry_dlq(self, record_id: RecordPath, call: CurrentCall) -> Response:
        """Try one again now."""
        done = await self.api.commands.execute(call.context, RetryIncompleteExecution(record_id=record_id))
        return respond({"dlq": done})

    async def answer_dlq(self, record_id: RecordPath, call: CurrentCall) -> Response:
        """Say whether a call that was possibly done was done, and go on."""
        body = parse_object(call.body, AnswerIncompleteBody, max_depth=self.api.json_depth)
        command = AnswerIncompleteExecution(record_id=record_id, done=body.done, output=body.output)
        return respond({"dlq": _row(await self.api.commands.execute(call.context, command))})

    async def retry_dlqs(self, request: Request, call: CurrentCall) -> Response:
        """Try several of a scenario again now."""
        chosen = self._chosen(call)
        command = RetryIncompleteExecutions(
            scenario_id=_scenario_of(request), ids=_ids(chosen), except_ids=tuple(map(_read_id, chosen.except_ids))
        )
        return respond({"dlq": await self.api.commands.execute(call.context, command)})

    async def delete_dlqs(self, request: Request, call: CurrentCall) -> Response:
        """Give several of a scenario up; all of them only with ``confirmed=true``."""
        chosen = self._chosen(call)
        if chosen.all:
            require_confirmation(request)
        command = DeleteIncompleteExecutions(
            scenario_id=_scenario_of(request), ids=_ids(chosen), except_ids=tuple(map(_read_id, chosen.except_ids))
        )
        return respond({"dlqs": await self.api.commands.execute(call.context, command)})

    async def get_dlq_bundle(self, record_id: RecordPath, call: CurrentCall) -> Response:
        """Show the bundles its module can see, by module."""
        bundles = await self.api.queries.ask(call.context, GetIncompleteBundles(record_id=record_id))
        return respond({"code": "OK", "response": {str(module): bundle for module, bundle in bundles.items()}})

    async def get_dlq_blueprint(self, record_id: RecordPath, call: CurrentCall) -> Response:
        """Show the blueprint it goes on with."""
        blueprint = await self.api.queries.ask(call.context, GetIncompleteBlueprint(record_id=record_id))
        return respond({"code": "OK", "response": {"blueprint": blueprint}})

    async def list_dlq_logs(self, record_id: RecordPath, call: CurrentCall, page: CurrentPage) -> Response:
        """List the executions that tried it again, newest first."""
        rows = await self._attempts(call, record_id)
        newest_first = page if page.sort_by or page.direction else page.newest_first()
        shown = part_of(rows, newest_first, sort_by="imtId", sortable=_LOGS_SORTABLE)
        return respond({"dlqLogs": shown, "pg": newest_first.describe(limit=MAX_LIMIT, sort_by="imtId")})

    async def get_dlq_log(self, record_id: RecordPath, execution_id: str, call: CurrentCall) -> Response:
        """Show one execution that tried it again."""
        wanted = execution_id.replace("-", "").lower()
        found = next((row for row in await self._attempts(call, record_id) if row["id"] == wanted), None)
        if found is None:
            raise NotFound("No such execution has tried this incomplete execution again.")
        return respond({"dlqLog": found})

    async def _attempts(self, call: Call, record_id: str) -> list[JsonObject]:
        detail = await self.api.queries.ask(call.context, GetIncompleteExecution(record_id=record_id))
        scenario = await self.api.queries.ask(call.context, GetScenario(scenario_id=detail.record.scenario_id))
        attempts: list[Execution] = await self.api.queries.ask(
            call.context, ListIncompleteAttempts(record_id=record_id)
        )
        rows = [wire.log_row(attempt, scenario, call.context.organization_id) for attempt in attempts]
        return [row.model_dump(mode="json", by_alias=True) for row in rows]

    def _chosen(self, call: Call) -> ChosenBody:
        return parse_optional(call.body, ChosenBody, max_depth=self.api.json_depth) or ChosenBody()


def _ids(chosen: ChosenBody) -> tuple[str, ...] | None:
    """Return what was named; None for all. Naming nothing at all is a mistake, not everything."""
    if chosen.ids is not None and not chosen.all:
        return tuple(map(_read_id, chosen.ids))
    if not chosen.all and not chosen.except_ids:
        raise InvalidInput("Name incomplete executions in ids, or say all: true.", code="invalid_body")
    return None


def _scenario_of(request: Request) -> ScenarioId:
    text = request.query_params.get("scenarioId", "")
    if not _NUMBER.fullmatch(text) or int(text) > MAX_ID:
        raise InvalidInput("Missing required parameter scenarioId: name the scenario in the query.")
    return ScenarioId(int(text))


def _by_module(bundles: JsonObject) -> dict[int, object]:
    if not all(name.isascii() and name.isdigit() for name in bundles):
        raise InvalidInput("The keys of bundles are the numbers of modules.", fields={"bundles": "Use module numbers."})
    return {int(name): bundle for name, bundle in bundles.items()}


def _row(record: IncompleteExecution) -> JsonObject:
    return {
        "id": record.id,
        "reason": f"{record.error_type}: {record.reason}",
        "created": wire.instant(record.created_at),
        "size": record.size,
        "resolved": record.resolved,
        "retry": record.retry,
        "attempts": record.attempts,
        "nextAttempt": None if record.next_attempt_at is None else wire.instant(record.next_attempt_at),
        "failer": record.module_id,
        "isRetrying": record.is_retrying,
        "possiblyDone": record.possibly_done,
        "answer": _ANSWERS.get(record.answer or ""),
        "orderingKey": record.ordering_key,
        "runsBehind": record.runs_behind,
    }
