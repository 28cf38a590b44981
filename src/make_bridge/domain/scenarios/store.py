"""Every statement on scenarios, their blueprints and hooks."""

from datetime import datetime
from typing import Any, Final, cast

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.folders.messages import FolderId
from make_bridge.domain.scenarios.messages import Hook, Scenario, StoredVersion
from make_bridge.domain.scenarios.model import JsonObject, ScenarioState
from make_bridge.domain.scenarios.schedules import Plan
from make_bridge.kernel.errors import ChangedMeanwhile, NotFound
from make_bridge.kernel.ids import HookId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

COLUMNS: Final = """
id, team_id, name, state, is_paused, is_invalid, used_packages, scheduling, template_version_id, flow_id, hook_id,
blueprint_version, next_run_at, created_at, ordering_key
"""
_GET = (
    "SELECT " + COLUMNS + " FROM shard.scenarios"
    " WHERE organization_id = %s AND id = %s AND (%s::bigint IS NULL OR team_id = %s)"
)
_LOCK = "SELECT " + COLUMNS + ", revision FROM shard.scenarios WHERE organization_id = %s AND id = %s FOR UPDATE"
_LIST = (
    "SELECT " + COLUMNS + " FROM shard.scenarios"
    " WHERE organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR team_id = %(team)s)"
    " AND (NOT %(templates)s OR template_version_id IS NOT NULL) AND id > %(after)s ORDER BY id LIMIT %(limit)s"
)
_INSERT = (
    "INSERT INTO shard.scenarios (organization_id, team_id, template_version_id, flow_id, name, state, is_invalid,"
    " used_packages, scheduling, interface, hook_id, is_sequential, folder_id)"
    " VALUES (%s, %s, %s, %s, %s, 'inactive', %s, %s, %s, %s, %s, %s, %s) RETURNING " + COLUMNS
)
_SET_STATE = """
UPDATE shard.scenarios SET state = %s, is_paused = false, updated_at = now(), revision = revision + 1
WHERE organization_id = %s AND id = %s
"""
_FORGET_TROUBLES = "DELETE FROM shard.scenario_troubles WHERE organization_id = %s AND scenario_id = %s"
_SET_PLAN = """
UPDATE shard.scenarios SET next_run_at = %s, schedule_anchor = %s, ticks_missed = 0, ticks_skipped = 0
WHERE organization_id = %s AND id = %s
"""
_EDIT = (
    "UPDATE shard.scenarios SET name = %s, scheduling = %s, description = coalesce(%s, description),"
    " updated_at = now(), revision = revision + 1"
    " WHERE organization_id = %s AND id = %s RETURNING " + COLUMNS
)
_SET_FOLDER = "UPDATE shard.scenarios SET folder_id = %s WHERE organization_id = %s AND id = %s"
_SET_ORDERING = """
UPDATE shard.scenarios SET ordering_key = %s, updated_at = now(), revision = revision + 1
WHERE organization_id = %s AND id = %s
"""
_MOMENT = "SELECT date_trunc('second', now()) AS moment"
_SET_BLUEPRINT = (
    "UPDATE shard.scenarios SET blueprint_version = blueprint_version + 1, is_invalid = %s, used_packages = %s,"
    " interface = %s, state = CASE WHEN %s THEN 'inactive' ELSE state END, is_sequential = %s,"
    " next_run_at = CASE WHEN %s THEN NULL ELSE next_run_at END, updated_at = now(), revision = revision + 1"
    " WHERE organization_id = %s AND id = %s RETURNING " + COLUMNS
)
_INSERT_BLUEPRINT = """
INSERT INTO shard.blueprints (organization_id, scenario_id, version, blueprint) VALUES (%s, %s, %s, %s)
"""
_GET_BLUEPRINT = """
SELECT b.blueprint FROM shard.blueprints b JOIN shard.scenarios s ON s.id = b.scenario_id
WHERE b.organization_id = %s AND b.scenario_id = %s AND b.version = coalesce(%s, s.blueprint_version)
"""
_LIST_BLUEPRINTS = """
SELECT version, created_at, blueprint FROM shard.blueprints
WHERE organization_id = %s AND scenario_id = %s ORDER BY version DESC LIMIT %s
"""
_LIST_VERSIONS = """
SELECT version, created_at FROM shard.blueprints
WHERE organization_id = %s AND scenario_id = %s ORDER BY version DESC LIMIT %s
"""
_GET_INTERFACE = "SELECT interface FROM shard.scenarios WHERE organization_id = %s AND id = %s"
# Whose it was stays known: what it has used this month still counts against its team's limit.
_DELETE = """
WITH gone AS (
    DELETE FROM shard.scenarios WHERE organization_id = %s AND id = %s RETURNING organization_id, team_id, id
)
INSERT INTO shard.past_scenarios (organization_id, team_id, scenario_id) SELECT organization_id, team_id, id FROM gone
"""
_DELETE_HOOK = "DELETE FROM shard.hooks WHERE organization_id = %s AND scenario_id = %s"
_DELETE_INCOMPLETE = "DELETE FROM shard.incomplete_executions WHERE organization_id = %s AND scenario_id = %s"
_DELETE_RETRIES = """
DELETE FROM shard.queue WHERE organization_id = %s AND scenario_id = %s AND kind = 'incomplete.retry'
"""
_DELETE_MEMORY = "DELETE FROM shard.scenario_memory WHERE organization_id = %s AND scenario_id = %s"
_TEAM_EXISTS = "SELECT 1 FROM shard.teams WHERE organization_id = %s AND id = %s"
_NEW_ID = "SELECT shard.new_id() AS id"
_INSERT_HOOK = """
INSERT INTO shard.hooks (id, organization_id, team_id, name, token_digest, token_sealed, type_name, settings)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_ATTACH_HOOK = """
UPDATE shard.hooks SET scenario_id = %s
WHERE organization_id = %s AND id = %s AND team_id = %s AND (scenario_id IS NULL OR scenario_id = %s)
"""
_GET_HOOK = """
SELECT id, team_id, name, token_sealed, scenario_id, enabled FROM shard.hooks WHERE organization_id = %s AND id = %s
"""
_FIND_TARGET = """
SELECT h.id AS hook_id, h.enabled, h.settings, h.team_id, s.id AS scenario_id, s.name, s.state, s.is_paused,
       s.is_invalid, s.blueprint_version, s.ordering_key
FROM shard.hooks h LEFT JOIN shard.scenarios s ON s.id = h.scenario_id
WHERE h.organization_id = %s AND h.token_digest = %s
"""


def scenario_of(row: DictRow) -> Scenario:
    """Return a row of ``COLUMNS`` as every face shows it."""
    return Scenario(
        id=row["id"],
        team_id=row["team_id"],
        name=row["name"],
        is_active=row["state"] == ScenarioState.ACTIVE,
        is_paused=row["is_paused"],
        is_invalid=row["is_invalid"],
        used_packages=tuple(row["used_packages"]),
        scheduling=msgspec.json.decode(row["scheduling"], type=dict[str, Any]),
        template_version_id=row["template_version_id"],
        flow_id=row["flow_id"],
        hook_id=row["hook_id"],
        blueprint_version=row["blueprint_version"],
        next_run_at=row["next_run_at"] if row["state"] == ScenarioState.ACTIVE and not row["is_paused"] else None,
        created_at=row["created_at"],
        ordering_key=row["ordering_key"],
    )


def _found(row: DictRow | None) -> DictRow:
    if row is None:
        message = "There is no such scenario."
        raise NotFound(message)
    return row


async def get(
    tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId, team_id: TeamId | None = None
) -> Scenario:
    """Return a scenario; raises NotFound, also when it belongs to another team than the one given."""
    return scenario_of(_found(await tx.one(_GET, (organization_id, scenario_id, team_id, team_id))))


async def lock(
    tx: WriteTx, organization_id: OrganizationId, scenario_id: ScenarioId, expected: int | None = None
) -> Scenario:
    """Return a scenario and hold its row until the transaction ends.

    Raises ChangedMeanwhile when its revision is another than the expected one.
    """
    row = _found(await tx.one(_LOCK, (organization_id, scenario_id)))
    if expected is not None and row["revision"] != expected:
        raise ChangedMeanwhile("Somebody else has changed this scenario meanwhile: read it again, and decide anew.")
    return scenario_of(row)


async def list_page(
    tx: ReadTx,
    organization_id: OrganizationId,
    *,
    team_id: TeamId | None,
    from_templates_only: bool,
    after: int,
    limit: int,
) -> list[Scenario]:
    """Return a page of scenarios by ascending id."""
    parameters = {
        "organization": organization_id,
        "team": team_id,
        "templates": from_templates_only,
        "after": after,
        "limit": limit,
    }
    return [scenario_of(row) for row in await tx.all(_LIST, parameters)]


class NewScenario(msgspec.Struct, frozen=True, kw_only=True):
    """The row of a scenario about to be made."""

    team_id: TeamId
    template_version_id: int | None
    flow_id: str | None
    name: str
    is_invalid: bool
    used_packages: list[str]
    scheduling: JsonObject
    interface: JsonObject
    hook_id: HookId | None
    is_sequential: bool = False
    folder_id: int | None = None


async def insert(tx: WriteTx, organization_id: OrganizationId, new: NewScenario, blueprint: bytes) -> Scenario:
    """Write a scenario with the first version of its blueprint."""
    row = await tx.one(
        _INSERT,
        (
            organization_id,
            new.team_id,
            new.template_version_id,
            new.flow_id,
            new.name,
            new.is_invalid,
            new.used_packages,
            msgspec.json.encode(new.scheduling),
            msgspec.json.encode(new.interface),
            new.hook_id,
            new.is_sequential,
            new.folder_id,
        ),
    )
    scenario = scenario_of(_found(row))
    await tx.execute(_INSERT_BLUEPRINT, (organization_id, scenario.id, 1, blueprint))
    return scenario


async def save_blueprint(
    tx: WriteTx, organization_id: OrganizationId, scenario_id: ScenarioId, new: NewScenario, blueprint: bytes
) -> Scenario:
    """Write the next version; a scenario whose new blueprint is invalid is switched off."""
    parameters = (
        new.is_invalid,
        new.used_packages,
        msgspec.json.encode(new.interface),
        new.is_invalid,
        new.is_sequential,
        new.is_invalid,
        organization_id,
        scenario_id,
    )
    scenario = scenario_of(_found(await tx.one(_SET_BLUEPRINT, parameters)))
    await tx.execute(_INSERT_BLUEPRINT, (organization_id, scenario_id, scenario.blueprint_version, blueprint))
    return scenario


async def set_state(
    tx: WriteTx, organization_id: OrganizationId, scenario_id: ScenarioId, state: ScenarioState
) -> None:
    """Switch on or off; a pause ends with it, and errors are counted from the beginning."""
    await tx.execute(_SET_STATE, (state.value, organization_id, scenario_id))
    await tx.execute(_FORGET_TROUBLES, (organization_id, scenario_id))


async def set_plan(tx: WriteTx, organization_id: OrganizationId, scenario_id: ScenarioId, plan: Plan) -> None:
    """Write when a scenario runs next, and what its intervals are counted from."""
    await tx.execute(_SET_PLAN, (plan.next_run_at, plan.anchor, organization_id, scenario_id))


async def edit(
    tx: WriteTx,
    organization_id: OrganizationId,
    scenario_id: ScenarioId,
    name: str,
    scheduling: JsonObject,
    description: str | None = None,
) -> Scenario:
    """Write name and schedule, and the description unless it is None."""
    row = await tx.one(_EDIT, (name, msgspec.json.encode(scheduling), description, organization_id, scenario_id))
    return scenario_of(_found(row))


async def set_folder(
    tx: WriteTx, organization_id: OrganizationId, scenario_id: ScenarioId, folder_id: FolderId | None
) -> None:
    """Put a scenario into a folder of its team, which has to be held, or take it out of the one it stands in."""
    await tx.execute(_SET_FOLDER, (folder_id, organization_id, scenario_id))


async def set_ordering(
    tx: WriteTx, organization_id: OrganizationId, scenario_id: ScenarioId, expression: str | None
) -> None:
    """Write by what the scenario's runs are ordered."""
    await tx.execute(_SET_ORDERING, (expression, organization_id, scenario_id))


async def moment(tx: ReadTx) -> datetime:
    """Return the database's time in whole seconds: the clock that schedules go by."""
    return cast("datetime", _found(await tx.one(_MOMENT))["moment"])


async def delete(tx: WriteTx, organization_id: OrganizationId, scenario_id: ScenarioId) -> None:
    """Remove a scenario, its blueprints and its hook."""
    await tx.execute(_DELETE_INCOMPLETE, (organization_id, scenario_id))
    await tx.execute(_DELETE_RETRIES, (organization_id, scenario_id))
    await tx.execute(_DELETE_HOOK, (organization_id, scenario_id))
    await tx.execute(_DELETE_MEMORY, (organization_id, scenario_id))
    if not await tx.execute(_DELETE, (organization_id, scenario_id)):
        message = "There is no such scenario."
        raise NotFound(message)


async def get_blueprint(
    tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId, version: int | None = None
) -> bytes:
    """Return a blueprint as it was stored."""
    return bytes(_found(await tx.one(_GET_BLUEPRINT, (organization_id, scenario_id, version)))["blueprint"])


async def list_blueprints(
    tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId, limit: int
) -> list[DictRow]:
    """Return versions, newest first."""
    return await tx.all(_LIST_BLUEPRINTS, (organization_id, scenario_id, limit))


async def list_versions(
    tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId, limit: int
) -> list[StoredVersion]:
    """Return which versions there are, newest first."""
    rows = await tx.all(_LIST_VERSIONS, (organization_id, scenario_id, limit))
    return [StoredVersion(version=row["version"], created_at=row["created_at"]) for row in rows]


async def get_interface(tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId) -> JsonObject:
    """Return the declared inputs and outputs."""
    row = _found(await tx.one(_GET_INTERFACE, (organization_id, scenario_id)))
    return msgspec.json.decode(row["interface"], type=dict[str, Any])


async def require_team(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> None:
    """Raise NotFound unless the team is the organization's."""
    if await tx.one(_TEAM_EXISTS, (organization_id, team_id)) is None:
        message = "There is no such team."
        raise NotFound(message)


async def new_id(tx: WriteTx) -> int:
    """Return a fresh row id."""
    row = await tx.one(_NEW_ID)
    return int(row["id"]) if row else 0


class NewHook(msgspec.Struct, frozen=True, kw_only=True):
    """What a new hook is, beside its name and its address."""

    type_name: str
    settings: bytes


PLAIN: Final = NewHook(type_name="gateway-webhook", settings=b"{}")


async def insert_hook(
    tx: WriteTx, organization_id: OrganizationId, hook: Hook, token_digest: bytes, token_sealed: str, new: NewHook
) -> None:
    """Write a hook; its token is stored sealed, and found by its digest."""
    row = (hook.id, organization_id, hook.team_id, hook.name, token_digest, token_sealed, new.type_name, new.settings)
    await tx.execute(_INSERT_HOOK, row)


async def attach_hook(
    tx: WriteTx, organization_id: OrganizationId, hook_id: HookId, team_id: TeamId, scenario_id: ScenarioId
) -> None:
    """Give a team's hook to a scenario; a hook serves one scenario."""
    if not await tx.execute(_ATTACH_HOOK, (scenario_id, organization_id, hook_id, team_id, scenario_id)):
        message = f"There is no free webhook {hook_id} in this team."
        raise NotFound(message)


async def get_hook(tx: ReadTx, organization_id: OrganizationId, hook_id: HookId) -> DictRow | None:
    """Return a hook's row with its sealed token."""
    return await tx.one(_GET_HOOK, (organization_id, hook_id))


async def find_target(tx: ReadTx, organization_id: OrganizationId, token_digest: bytes) -> DictRow | None:
    """Return what a webhook call needs to know, by its token's digest."""
    return await tx.one(_FIND_TARGET, (organization_id, token_digest))
