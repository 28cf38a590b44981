"""Answers that are changed later: a new flow over an existing scenario, begun with the answers given last.

The handlers call it. A completed flow stays as it is, because it says what was answered when; a change is a flow of its
own that opens at the check, where every answer can be seen, and writes the scenario's next blueprint version when it
is finished. Runs under way keep the version they began with, and whether the scenario is on does not change.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from make_bridge.domain.integrations import store
from make_bridge.domain.integrations.messages import ChangeAnswers, FlowStarted, ReopenFlow
from make_bridge.domain.integrations.model import FlowDocument, FlowPhase, decode_document
from make_bridge.domain.integrations.reading import FlowReader
from make_bridge.domain.integrations.walk import Walk
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.handlers import ScenarioHandlers
from make_bridge.domain.scenarios.messages import EditScenario, SaveBlueprint, Scenario
from make_bridge.domain.templates.fill import fill_blueprint, fill_scheduling
from make_bridge.kernel.errors import Conflict, Gone
from make_bridge.kernel.ids import ScenarioId, TeamId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.security.secrets import digest_of, new_opaque_token, new_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerChanges:
    """The handlers that begin a change, and the step that ends one."""

    scenarios: ScenarioHandlers
    reader: FlowReader

    async def begin(self, work: UnitOfWork, command: ChangeAnswers) -> FlowStarted:
        """Begin to change the answers of a team's scenario."""
        organization_id = work.context.organization_id
        scenario = await scenario_store.get(work.tx, organization_id, command.scenario_id, command.team_id)
        return await self._begin(work, scenario, command.redirect_uri)

    async def reopen(self, work: UnitOfWork, command: ReopenFlow) -> FlowStarted:
        """Begin to change what a completed flow has made, as long as its link lives."""
        organization_id = work.context.organization_id
        row = await store.lock(work.tx, organization_id, command.flow_id)
        if row["scenario_id"] is None:
            message = "This set-up is not finished yet: there is nothing to change."
            raise Conflict(message, code="flow_incomplete")
        if row["expired"]:
            message = "This link has expired. Your answers are kept: open them where you found this set-up."
            raise Gone(message, code="flow_expired")
        scenario = await scenario_store.get(work.tx, organization_id, row["scenario_id"], row["team_id"])
        return await self._begin(work, scenario, decode_document(bytes(row["document"])).redirect_uri)

    async def _begin(self, work: UnitOfWork, scenario: Scenario, redirect_uri: str | None) -> FlowStarted:
        organization_id = work.context.organization_id
        row = await store.last_completed(work.tx, organization_id, scenario.team_id, scenario.id)
        if row is None:
            message = "This integration was not set up in the wizard, so there are no answers to change."
            raise Conflict(message, code="no_answers")
        version = await self.reader.version(work.tx, organization_id, row["template_version_id"])
        document = _reopened(decode_document(bytes(row["document"])), scenario, redirect_uri)
        document.done_steps = Walk.over(version, document).step_ids
        flow_id, secret = new_opaque_token(organization_id), new_secret()
        new = store.NewFlow(
            id=flow_id,
            team_id=TeamId(row["team_id"]),
            version_id=row["template_version_id"],
            secret_digest=digest_of(secret),
            document=document,
        )
        await store.insert(work.tx, organization_id, new)
        work.touch(f"flow/{flow_id}", changes=scenario.id)
        return FlowStarted(flow_id=flow_id, secret=secret)

    async def apply(self, work: UnitOfWork, walk: Walk, document: FlowDocument, scenario_id: ScenarioId) -> Scenario:
        """Write the answers into the scenario; what somebody else changed in its blueprint since is kept."""
        organization_id = work.context.organization_id
        current = await scenario_store.lock(work.tx, organization_id, scenario_id)
        ground: dict[str, Any] = walk.version.blueprint
        if current.blueprint_version != document.blueprint_version:
            raw = await scenario_store.get_blueprint(work.tx, organization_id, scenario_id)
            ground = msgspec.json.decode(raw, type=dict[str, Any])
        values = walk.values(document)
        filled = fill_blueprint(ground, walk.controller, values)
        saved = await self.scenarios.save_blueprint(work, SaveBlueprint(scenario_id=scenario_id, blueprint=filled))
        scheduling = fill_scheduling(current.scheduling, walk.controller, values)
        if scheduling == current.scheduling:
            return saved
        return await self.scenarios.edit(work, EditScenario(scenario_id=scenario_id, scheduling=scheduling))


def _reopened(before: FlowDocument, scenario: Scenario, redirect_uri: str | None) -> FlowDocument:
    return msgspec.structs.replace(
        before,
        phase=FlowPhase.CHECK,
        auto_activate=True,
        auto_finalize=False,
        redirect_uri=redirect_uri,
        scenario_name=scenario.name,
        scenario_enable=None,
        changes=scenario.id,
        is_changed=False,
    )
