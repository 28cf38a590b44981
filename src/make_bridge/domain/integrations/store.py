"""Every statement on flows, and the merged catalogue."""

from datetime import timedelta

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.integrations.model import LIFETIME_DAYS, FlowDocument
from make_bridge.kernel.errors import Gone, NotFound
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId, TemplateVersionId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_INSERT = """
INSERT INTO shard.flows (id, organization_id, team_id, template_version_id, secret_digest, state, document, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, now() + %s)
"""
_GET = """
SELECT id, team_id, template_version_id, secret_digest, state, document, scenario_id, expires_at < now() AS expired
FROM shard.flows WHERE organization_id = %s AND id = %s AND (%s::bigint IS NULL OR team_id = %s)
"""
_LOCK = """
SELECT id, team_id, template_version_id, secret_digest, state, document, scenario_id, expires_at < now() AS expired
FROM shard.flows WHERE organization_id = %s AND id = %s FOR UPDATE
"""
_SAVE = """
UPDATE shard.flows SET state = %s, document = %s, scenario_id = %s, updated_at = now(), revision = revision + 1
WHERE organization_id = %s AND id = %s
"""
_LAST_COMPLETED = """
SELECT id, team_id, template_version_id, document FROM shard.flows
WHERE organization_id = %s AND team_id = %s AND scenario_id = %s AND state = 'done'
ORDER BY updated_at DESC, created_at DESC LIMIT 1
"""
_CATALOGUE = """
SELECT v.id AS version_id, t.id AS template_id, v.name, v.used_packages, v.scheduling,
       s.id AS scenario_id, s.state, s.name AS scenario_name, s.scheduling AS scenario_scheduling,
       s.used_packages AS scenario_packages
FROM shard.templates t
JOIN shard.template_versions v ON v.id = t.published_version_id
LEFT JOIN LATERAL (
    SELECT s.id, s.state, s.name, s.scheduling, s.used_packages FROM shard.scenarios s
    JOIN shard.template_versions sv ON sv.id = s.template_version_id
    WHERE s.team_id = %(team)s AND s.organization_id = %(organization)s AND sv.template_id = t.id
    ORDER BY s.id DESC LIMIT 1
) s ON true
WHERE t.organization_id = %(organization)s AND (t.visibility <> 'withdrawn' OR s.id IS NOT NULL)
ORDER BY t.id LIMIT 1000
"""
_SCENARIO_FACTS = "SELECT name, state FROM shard.scenarios WHERE organization_id = %s AND id = %s"


class NewFlow(msgspec.Struct, frozen=True, kw_only=True):
    """The row of a flow about to begin."""

    id: str
    team_id: TeamId
    version_id: TemplateVersionId
    secret_digest: bytes
    document: FlowDocument


async def insert(tx: WriteTx, organization_id: OrganizationId, new: NewFlow) -> None:
    """Write a new flow."""
    await tx.execute(
        _INSERT,
        (
            new.id,
            organization_id,
            new.team_id,
            new.version_id,
            new.secret_digest,
            new.document.phase.value,
            msgspec.json.encode(new.document),
            timedelta(days=LIFETIME_DAYS),
        ),
    )


async def get(tx: ReadTx, organization_id: OrganizationId, flow_id: str, team_id: TeamId | None = None) -> DictRow:
    """Return a flow's row; raises NotFound."""
    return _found(await tx.one(_GET, (organization_id, flow_id, team_id, team_id)))


async def lock(tx: WriteTx, organization_id: OrganizationId, flow_id: str) -> DictRow:
    """Return a flow's row and hold it; raises NotFound, or Gone past its life unless it is completed."""
    row = _found(await tx.one(_LOCK, (organization_id, flow_id)))
    if row["expired"] and row["scenario_id"] is None:
        message = "This link has expired. Ask for a new one where you found it."
        raise Gone(message, code="flow_expired")
    return row


async def save(
    tx: WriteTx, organization_id: OrganizationId, flow_id: str, document: FlowDocument, scenario_id: ScenarioId | None
) -> None:
    """Write where the flow stands now."""
    await tx.execute(
        _SAVE, (document.phase.value, msgspec.json.encode(document), scenario_id, organization_id, flow_id)
    )


async def last_completed(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId, scenario_id: ScenarioId
) -> DictRow | None:
    """Return the flow with a scenario's newest answers; None for a scenario made without the wizard."""
    return await tx.one(_LAST_COMPLETED, (organization_id, team_id, scenario_id))


async def catalogue(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> list[DictRow]:
    """Return each published template with the team's newest scenario made from it."""
    return await tx.all(_CATALOGUE, {"organization": organization_id, "team": team_id})


async def scenario_facts(tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId | None) -> DictRow | None:
    """Return name and state of a flow's scenario; None when there is none (any more)."""
    return await tx.one(_SCENARIO_FACTS, (organization_id, scenario_id)) if scenario_id is not None else None


def _found(row: DictRow | None) -> DictRow:
    if row is None:
        message = "There is no such flow."
        raise NotFound(message)
    return row
