"""The rows of custom variables and of their changes.

Every statement names the organization besides the row-level policy.
``holder`` is the team, or 0 for the organization itself, so that one index serves both.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.variables.messages import Act, Held, Scalar, Variable, VariableChange
from make_bridge.kernel.context import Actor
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

# Who makes one counts first: two at once would both find room for it.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('make_bridge.custom_variables', %s))"
_COUNT: Final = "SELECT count(*) AS variables FROM shard.custom_variables WHERE organization_id = %s AND holder = %s"
_LIST: Final = """
SELECT team_id, name, type_id, value FROM shard.custom_variables
WHERE organization_id = %s AND holder = %s ORDER BY name
"""
_GET: Final = """
SELECT team_id, name, type_id, value FROM shard.custom_variables
WHERE organization_id = %s AND holder = %s AND name = %s
"""
_PUT: Final = """
INSERT INTO shard.custom_variables (organization_id, team_id, name, type_id, value) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (organization_id, holder, name)
DO UPDATE SET type_id = excluded.type_id, value = excluded.value, updated_at = now()
"""
_DELETE: Final = "DELETE FROM shard.custom_variables WHERE organization_id = %s AND holder = %s AND name = %s"
_READ: Final = """
SELECT team_id, name, type_id, value FROM shard.custom_variables
WHERE organization_id = %(organization)s AND (
    holder = 0 AND (%(of_organization)s::text[] IS NULL OR name = ANY(%(of_organization)s))
    OR holder = %(team)s AND (%(of_team)s::text[] IS NULL OR name = ANY(%(of_team)s))
)
"""
_NOTE: Final = """
INSERT INTO shard.custom_variable_changes (organization_id, team_id, name, action, before, after, actor_kind, actor)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_TRIM: Final = """
DELETE FROM shard.custom_variable_changes WHERE organization_id = %(organization)s AND holder = %(holder)s AND id <= (
    SELECT id FROM shard.custom_variable_changes
    WHERE organization_id = %(organization)s AND holder = %(holder)s ORDER BY id DESC OFFSET %(most)s LIMIT 1)
"""
_CHANGES: Final = """
SELECT id, action, before, after, actor_kind, actor, changed_at FROM shard.custom_variable_changes
WHERE organization_id = %s AND holder = %s AND name = %s ORDER BY id DESC LIMIT 1000
"""


async def lock(tx: WriteTx, organization_id: OrganizationId) -> None:
    """Keep others from changing the organization's variables until the transaction ends."""
    await tx.one(_LOCK, (organization_id,))


async def count(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None) -> int:
    """Return how many there are."""
    row = await tx.one(_COUNT, (organization_id, team_id or 0))
    return 0 if row is None else int(row["variables"])


async def list_of(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None) -> list[Variable]:
    """Return the organization's, or a team's, by name."""
    return [_variable(row) for row in await tx.all(_LIST, (organization_id, team_id or 0))]


async def find(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, name: str) -> Variable | None:
    """Return one."""
    row = await tx.one(_GET, (organization_id, team_id or 0, name))
    return None if row is None else _variable(row)


async def put(tx: WriteTx, organization_id: OrganizationId, variable: Variable) -> None:
    """Write one, whether there is one of its name or not."""
    value = msgspec.json.encode(variable.value)
    await tx.execute(_PUT, (organization_id, variable.team_id, variable.name, variable.type_id, value))


async def delete(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId | None, name: str) -> None:
    """Remove one."""
    await tx.execute(_DELETE, (organization_id, team_id or 0, name))


async def read_named(
    tx: ReadTx,
    organization_id: OrganizationId,
    team_id: TeamId,
    *,
    of_organization: Iterable[str] | None,
    of_team: Iterable[str] | None,
) -> list[Variable]:
    """Return those that a run reads, of both: by their names, or (None) all."""
    parameters = {
        "organization": organization_id,
        "team": team_id,
        "of_organization": None if of_organization is None else sorted(of_organization),
        "of_team": None if of_team is None else sorted(of_team),
    }
    return [_variable(row) for row in await tx.all(_READ, parameters)]


async def note(  # noqa: PLR0913  what a change is told by
    tx: WriteTx, organization_id: OrganizationId, act: Act, before: Variable | None, after: Variable | None,
    actor: Actor, *, most: int,
) -> None:  # fmt: skip
    """Write a change down, and let go of the oldest beyond ``most`` of the same holder."""
    variable = after or before
    if variable is None:
        return
    held = (_held(before), _held(after))
    told = (organization_id, variable.team_id, variable.name, act, *held, actor.kind.value, actor.reference)
    await tx.execute(_NOTE, told)
    await tx.execute(_TRIM, {"organization": organization_id, "holder": variable.team_id or 0, "most": most})


async def changes(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, name: str
) -> list[VariableChange]:
    """Return what became of one, newest first."""
    return [_change(row) for row in await tx.all(_CHANGES, (organization_id, team_id or 0, name))]


def _variable(row: DictRow) -> Variable:
    value = msgspec.json.decode(bytes(row["value"]), type=Scalar)
    return Variable(team_id=row["team_id"], name=row["name"], type_id=row["type_id"], value=value)


def _held(variable: Variable | None) -> bytes | None:
    return None if variable is None else msgspec.json.encode(Held(type_id=variable.type_id, value=variable.value))


def _change(row: DictRow) -> VariableChange:
    before, after = (
        None if row[side] is None else msgspec.json.decode(bytes(row[side]), type=Held) for side in ("before", "after")
    )
    return VariableChange(
        id=row["id"],
        action=row["action"],
        before=before,
        after=after,
        actor_kind=row["actor_kind"],
        actor=row["actor"],
        changed_at=row["changed_at"],
    )
