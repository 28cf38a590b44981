"""The rows of customers and teams.

A team is the boundary of data: what a customer makes hangs on it. Every statement names the
organization besides the row-level policy, so that each of the two would hold alone.
"""

from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.customers.messages import Customer
from make_bridge.domain.customers.model import NewCustomer
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import CustomerId, OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_FIND: Final = """
SELECT id, organization_id, team_id, name, external_id, operations_limit
FROM shard.customers WHERE organization_id = %s AND external_id = %s
"""
_GET: Final = """
SELECT id, organization_id, team_id, name, external_id, operations_limit
FROM shard.customers WHERE organization_id = %s AND id = %s
"""
_LIST: Final = """
SELECT id, organization_id, team_id, name, external_id, operations_limit
FROM shard.customers WHERE organization_id = %s AND id > %s ORDER BY id LIMIT %s
"""
_INSERT: Final = """
INSERT INTO shard.customers (organization_id, external_id, team_id, name, operations_limit)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (organization_id, external_id) DO NOTHING
RETURNING id, organization_id, team_id, name, external_id, operations_limit
"""
_SET_OPERATIONS_LIMIT: Final = """
UPDATE shard.customers SET operations_limit = %s WHERE organization_id = %s AND id = %s
RETURNING id, organization_id, team_id, name, external_id, operations_limit
"""
_DELETE: Final = "DELETE FROM shard.customers WHERE organization_id = %s AND id = %s"
_SHARES_TEAM: Final = """
SELECT 1 FROM shard.customers WHERE organization_id = %s AND team_id = %s AND id <> %s LIMIT 1
"""
_INSERT_TEAM: Final = """
INSERT INTO shard.teams (organization_id, name, operations_limit, transfer_limit) VALUES (%s, %s, %s, %s) RETURNING id
"""
_FIND_TEAM: Final = "SELECT 1 FROM shard.teams WHERE organization_id = %s AND id = %s"
# Whoever would hang a new row on the team waits for this lock, and then finds the team gone or kept.
_LOCK_TEAM: Final = "SELECT 1 FROM shard.teams WHERE organization_id = %s AND id = %s FOR UPDATE"
_TEAM_HAS_SCENARIOS: Final = "SELECT 1 FROM shard.scenarios WHERE organization_id = %s AND team_id = %s LIMIT 1"
_DELETE_FLOWS: Final = "DELETE FROM shard.flows WHERE organization_id = %s AND team_id = %s"
_DELETE_HOOKS: Final = "DELETE FROM shard.hooks WHERE organization_id = %s AND team_id = %s"
_DELETE_COMPONENTS: Final = "DELETE FROM shard.connections WHERE organization_id = %s AND team_id = %s"
_DELETE_DATA_STORES: Final = "DELETE FROM shard.data_stores WHERE organization_id = %s AND team_id = %s"
_DELETE_DATA_STRUCTURES: Final = "DELETE FROM shard.data_structures WHERE organization_id = %s AND team_id = %s"
_DELETE_FOLDERS: Final = "DELETE FROM shard.scenario_folders WHERE organization_id = %s AND team_id = %s"
_DELETE_VARIABLES: Final = "DELETE FROM shard.custom_variables WHERE organization_id = %s AND team_id = %s"
_DELETE_CHANGES: Final = "DELETE FROM shard.custom_variable_changes WHERE organization_id = %s AND team_id = %s"
_DELETE_TEAM: Final = "DELETE FROM shard.teams WHERE organization_id = %s AND id = %s"


async def find(tx: ReadTx, organization_id: OrganizationId, external_id: str) -> Customer | None:
    """Return the customer with this ``sub``."""
    row = await tx.one(_FIND, (organization_id, external_id))
    return None if row is None else _customer(row)


async def get(tx: ReadTx, organization_id: OrganizationId, customer_id: CustomerId) -> Customer:
    """Return one customer; raises NotFound."""
    row = await tx.one(_GET, (organization_id, customer_id))
    if row is None:
        raise NotFound("There is no such customer.")
    return _customer(row)


async def list_page(tx: ReadTx, organization_id: OrganizationId, *, after: int, limit: int) -> list[Customer]:
    """Return customers in the order they came, beginning behind the id ``after``."""
    return [_customer(row) for row in await tx.all(_LIST, (organization_id, after, limit))]


async def insert(tx: WriteTx, organization_id: OrganizationId, new: NewCustomer, team_id: TeamId) -> Customer | None:
    """Add a customer; None when the external id is taken, also by somebody who commits at this moment."""
    row = await tx.one(_INSERT, (organization_id, new.external_id, team_id, new.name, new.operations_limit))
    return None if row is None else _customer(row)


async def set_operations_limit(
    tx: WriteTx, organization_id: OrganizationId, customer_id: CustomerId, limit: int | None
) -> Customer:
    """Write a customer's limit; raises NotFound."""
    row = await tx.one(_SET_OPERATIONS_LIMIT, (limit, organization_id, customer_id))
    if row is None:
        raise NotFound("There is no such customer.")
    return _customer(row)


async def delete(tx: WriteTx, organization_id: OrganizationId, customer_id: CustomerId) -> None:
    """Remove the customer's row."""
    await tx.execute(_DELETE, (organization_id, customer_id))


async def shares_team(tx: ReadTx, customer: Customer) -> bool:
    """Say whether another customer has the same team."""
    return await tx.one(_SHARES_TEAM, (customer.organization_id, customer.team_id, customer.id)) is not None


async def insert_team(
    tx: WriteTx,
    organization_id: OrganizationId,
    name: str,
    *,
    operations_limit: int | None = None,
    transfer_limit: int | None = None,
) -> TeamId:
    """Add a team, with what it may use in a month (operations, bytes); None is no limit."""
    rows = await tx.all(_INSERT_TEAM, (organization_id, name, operations_limit, transfer_limit))
    return TeamId(rows[0]["id"])


async def has_team(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> bool:
    """Say whether the organization has this team."""
    return await tx.one(_FIND_TEAM, (organization_id, team_id)) is not None


async def require_team(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> None:
    """Raise NotFound unless the organization has this team. Foreign keys alone know no organization."""
    if not await has_team(tx, organization_id, team_id):
        raise NotFound("There is no such team.")


async def lock_team(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId) -> None:
    """Keep others from adding to the team until the transaction ends."""
    await tx.one(_LOCK_TEAM, (organization_id, team_id))


async def has_scenarios(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> bool:
    """Say whether scenarios of the team are left."""
    return await tx.one(_TEAM_HAS_SCENARIOS, (organization_id, team_id)) is not None


async def delete_team(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId) -> None:
    """Remove a team without scenarios: its flows, unused hooks, credentials, data stores, folders and variables."""
    stored = (_DELETE_DATA_STORES, _DELETE_DATA_STRUCTURES, _DELETE_FOLDERS, _DELETE_VARIABLES, _DELETE_CHANGES)
    for statement in (_DELETE_FLOWS, _DELETE_HOOKS, _DELETE_COMPONENTS, *stored, _DELETE_TEAM):
        await tx.execute(statement, (organization_id, team_id))


def _customer(row: DictRow) -> Customer:
    return Customer(
        id=row["id"],
        organization_id=row["organization_id"],
        team_id=row["team_id"],
        name=row["name"],
        external_id=row["external_id"],
        operations_limit=row["operations_limit"],
    )
