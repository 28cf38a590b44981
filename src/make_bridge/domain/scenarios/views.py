"""What can be read of scenarios."""

from dataclasses import dataclass
from typing import Any

import msgspec

from make_bridge.domain.folders import store as folder_store
from make_bridge.domain.scenarios import finding_store, ordering, store
from make_bridge.domain.scenarios.messages import (
    BlueprintVersion,
    DescribeScenario,
    FindScenarios,
    GetBlueprint,
    GetHook,
    GetInterface,
    GetOrdering,
    GetScenario,
    Hook,
    Interface,
    ListBlueprints,
    ListScenarios,
    ListVersions,
    Ordering,
    Scenario,
    ScenarioFacts,
    StoredVersion,
)
from make_bridge.domain.scenarios.model import JsonObject
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx
from make_bridge.platform.security.sealing import Sealing


async def list_scenarios(tx: ReadTx, context: Context, query: ListScenarios) -> list[Scenario]:
    """Answer ListScenarios."""
    return await store.list_page(
        tx,
        context.organization_id,
        team_id=query.team_id,
        from_templates_only=query.from_templates_only,
        after=query.after,
        limit=query.limit,
    )


async def get_scenario(tx: ReadTx, context: Context, query: GetScenario) -> Scenario:
    """Answer GetScenario."""
    return await store.get(tx, context.organization_id, query.scenario_id, query.team_id)


async def find_scenarios(tx: ReadTx, context: Context, query: FindScenarios) -> list[ScenarioFacts]:
    """Answer FindScenarios; raises NotFound for a folder that is not the team's."""
    if query.folder_id is not None:
        await folder_store.require(tx, context.organization_id, query.folder_id, query.team_id)
    return await finding_store.find(tx, context.organization_id, query)


async def describe_scenario(tx: ReadTx, context: Context, query: DescribeScenario) -> ScenarioFacts:
    """Answer DescribeScenario."""
    return await finding_store.describe(tx, context.organization_id, query)


async def get_ordering(tx: ReadTx, context: Context, query: GetOrdering) -> Ordering:
    """Answer GetOrdering."""
    scenario = await store.get(tx, context.organization_id, query.scenario_id, query.team_id)
    return ordering.ordering_of(scenario, await store.get_blueprint(tx, context.organization_id, scenario.id))


async def get_blueprint(tx: ReadTx, context: Context, query: GetBlueprint) -> JsonObject:
    """Answer GetBlueprint."""
    raw = await store.get_blueprint(tx, context.organization_id, query.scenario_id, query.version)
    return msgspec.json.decode(raw, type=dict[str, Any])


async def list_blueprints(tx: ReadTx, context: Context, query: ListBlueprints) -> list[BlueprintVersion]:
    """Answer ListBlueprints."""
    await store.get(tx, context.organization_id, query.scenario_id)
    rows = await store.list_blueprints(tx, context.organization_id, query.scenario_id, query.limit)
    return [
        BlueprintVersion(
            version=row["version"],
            created_at=row["created_at"],
            blueprint=msgspec.json.decode(row["blueprint"], type=dict[str, Any]),
        )
        for row in rows
    ]


async def get_interface(tx: ReadTx, context: Context, query: GetInterface) -> Interface:
    """Answer GetInterface."""
    declared = await store.get_interface(tx, context.organization_id, query.scenario_id)
    return Interface(input=declared["input"], output=declared["output"])


@dataclass(frozen=True, slots=True, kw_only=True)
class HookViews:
    """Views that open sealed columns."""

    sealing: Sealing

    async def get_hook(self, tx: ReadTx, context: Context, query: GetHook) -> Hook:
        """Answer GetHook with its token opened."""
        row = await store.get_hook(tx, context.organization_id, query.hook_id)
        if row is None:
            message = "There is no such webhook."
            raise NotFound(message)
        token = await self.sealing.open(context.organization_id, ("hook", row["id"], "token"), row["token_sealed"])
        return Hook(
            id=row["id"],
            team_id=row["team_id"],
            name=row["name"],
            token=token.decode(),
            scenario_id=row["scenario_id"],
            enabled=row["enabled"],
        )


async def list_versions(tx: ReadTx, context: Context, query: ListVersions) -> list[StoredVersion]:
    """Answer ListVersions; NotFound for a scenario that is not the organization's."""
    await store.get(tx, context.organization_id, query.scenario_id)
    return await store.list_versions(tx, context.organization_id, query.scenario_id, query.limit)


def queries(sealing: Sealing) -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "scenarios:read"
    return [
        QueryRegistration(query=ListScenarios, view=list_scenarios, permission=read, may_lag=True),
        QueryRegistration(query=FindScenarios, view=find_scenarios, permission=read, may_lag=True),
        QueryRegistration(query=DescribeScenario, view=describe_scenario, permission=read),
        QueryRegistration(query=GetScenario, view=get_scenario, permission=read),
        QueryRegistration(query=GetOrdering, view=get_ordering, permission=read),
        QueryRegistration(query=GetBlueprint, view=get_blueprint, permission=read),
        QueryRegistration(query=ListBlueprints, view=list_blueprints, permission=read, may_lag=True),
        QueryRegistration(query=ListVersions, view=list_versions, permission=read, may_lag=True),
        QueryRegistration(query=GetInterface, view=get_interface, permission=read),
        QueryRegistration(query=GetHook, view=HookViews(sealing=sealing).get_hook, permission=read),
    ]
