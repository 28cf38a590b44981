"""The rows of custom functions. Every statement names the organization besides the row-level policy."""

from dataclasses import dataclass
from typing import Final

import msgspec
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg.rows import DictRow

from make_bridge.domain.functions.messages import Author, Change, CustomFunction, FunctionId
from make_bridge.kernel.errors import Conflict, NotFound
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_COLUMNS: Final = "id, team_id, name, args, description, code, author, created_at, updated_at"
_INSERT: Final = f"""
INSERT INTO shard.functions (organization_id, team_id, name, args, description, code, author)
VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING {_COLUMNS}
"""
_GET: Final = f"SELECT {_COLUMNS} FROM shard.functions WHERE organization_id = %s AND id = %s"
_LOCK: Final = f"{_GET} FOR UPDATE"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM shard.functions WHERE organization_id = %s AND team_id = %s ORDER BY id LIMIT 10000
"""
_COUNT: Final = "SELECT count(*) AS functions FROM shard.functions WHERE organization_id = %s AND team_id = %s"
_UPDATE: Final = f"""
UPDATE shard.functions SET args = %s, description = %s, code = %s, updated_at = now()
WHERE organization_id = %s AND id = %s RETURNING {_COLUMNS}
"""
_DELETE: Final = "DELETE FROM shard.functions WHERE organization_id = %s AND id = %s"
_NOTE: Final = """
INSERT INTO shard.function_changes (organization_id, function_id, previous_code, updated_by) VALUES (%s, %s, %s, %s)
"""
_FORGET: Final = """
DELETE FROM shard.function_changes WHERE organization_id = %(organization)s AND function_id = %(function)s AND id <= (
    SELECT id FROM shard.function_changes
    WHERE organization_id = %(organization)s AND function_id = %(function)s ORDER BY id DESC OFFSET %(kept)s LIMIT 1)
"""
_HISTORY: Final = """
SELECT id, previous_code, updated_at, updated_by FROM shard.function_changes
WHERE organization_id = %s AND function_id = %s ORDER BY id DESC LIMIT 10000
"""
_CODES: Final = """
SELECT name, code FROM shard.functions WHERE organization_id = %s AND team_id = %s AND name = ANY (%s)
"""
# The name alone is looked for here; who reads the blueprint knows whether it is called.
_MENTIONS: Final = """
SELECT s.id, s.name, b.blueprint FROM shard.scenarios s
JOIN shard.blueprints b ON b.scenario_id = s.id AND b.version = s.blueprint_version
WHERE s.organization_id = %s AND s.team_id = %s AND b.organization_id = s.organization_id
    AND position(convert_to(%s, 'UTF8') IN b.blueprint) > 0
    AND s.id > %s
ORDER BY s.id LIMIT %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A scenario whose blueprint has the name of a function in it."""

    id: ScenarioId
    name: str
    blueprint: bytes


@dataclass(frozen=True, slots=True)
class FunctionStore:
    """Custom functions of one organization, inside the transaction given."""

    async def insert(self, tx: WriteTx, organization_id: OrganizationId, new: CustomFunction) -> CustomFunction:
        """Write a new one; its id is drawn here. Raises Conflict when the team has one of this name."""
        author = msgspec.json.encode(new.author)
        values = (organization_id, new.team_id, new.name, new.args, new.description, new.code, author)
        try:
            rows = await tx.all(_INSERT, values)
        except ForeignKeyViolation as error:
            raise NotFound("This team was deleted a moment ago.") from error
        except UniqueViolation as error:
            message = f"The team has a function {new.name}() already: choose another name, or change that one."
            raise Conflict(message, code="function_exists") from error
        return _function(rows[0])

    async def get(self, tx: ReadTx, organization_id: OrganizationId, function_id: FunctionId) -> CustomFunction:
        """Return one; raises NotFound."""
        return _found(await tx.one(_GET, (organization_id, function_id)))

    async def lock(self, tx: WriteTx, organization_id: OrganizationId, function_id: FunctionId) -> CustomFunction:
        """Return one that nobody else changes until the transaction ends; raises NotFound."""
        return _found(await tx.one(_LOCK, (organization_id, function_id)))

    async def of_team(self, tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> list[CustomFunction]:
        """Return a team's functions, oldest first."""
        return [_function(row) for row in await tx.all(_LIST, (organization_id, team_id))]

    async def count(self, tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> int:
        """Return how many a team has."""
        [row] = await tx.all(_COUNT, (organization_id, team_id))
        return int(row["functions"])

    async def update(self, tx: WriteTx, organization_id: OrganizationId, changed: CustomFunction) -> CustomFunction:
        """Write description and code."""
        values = (changed.args, changed.description, changed.code, organization_id, changed.id)
        return _found(await tx.one(_UPDATE, values))

    async def note(
        self, tx: WriteTx, organization_id: OrganizationId, before: CustomFunction, by: Author, *, kept: int
    ) -> None:
        """Write down what the code was before a change, and forget all but the newest ``kept``."""
        await tx.execute(_NOTE, (organization_id, before.id, before.code, by.name))
        await tx.execute(_FORGET, {"organization": organization_id, "function": before.id, "kept": kept})

    async def history(self, tx: ReadTx, organization_id: OrganizationId, function_id: FunctionId) -> list[Change]:
        """Return the changes of one, newest first."""
        return [Change(**row) for row in await tx.all(_HISTORY, (organization_id, function_id))]

    async def delete(self, tx: WriteTx, organization_id: OrganizationId, function_id: FunctionId) -> None:
        """Remove one with its history."""
        await tx.execute(_DELETE, (organization_id, function_id))

    async def codes(
        self, tx: ReadTx, organization_id: OrganizationId, team_id: TeamId, names: list[str]
    ) -> dict[str, str]:
        """Return the code of those of a team's functions that have one of these names."""
        return {row["name"]: row["code"] for row in await tx.all(_CODES, (organization_id, team_id, names))}

    async def mentions(
        self, tx: ReadTx, organization_id: OrganizationId, function: CustomFunction, *, after: int, most: int
    ) -> list[Mention]:
        """Return scenarios of the team whose blueprints have the function's name in them, in the order of their ids."""
        values = (organization_id, function.team_id, function.name, after, most)
        return [
            Mention(id=row["id"], name=row["name"], blueprint=bytes(row["blueprint"]))
            for row in await tx.all(_MENTIONS, values)
        ]


def _found(row: DictRow | None) -> CustomFunction:
    if row is None:
        raise NotFound("There is no such function.")
    return _function(row)


def _function(row: DictRow) -> CustomFunction:
    return CustomFunction(
        id=row["id"],
        team_id=row["team_id"],
        name=row["name"],
        args=row["args"],
        description=row["description"],
        code=row["code"],
        author=msgspec.json.decode(bytes(row["author"]), type=Author),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
