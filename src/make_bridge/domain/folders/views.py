"""What can be read of folders."""

from typing import Any

from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.folders import store
from make_bridge.domain.folders.messages import Folder, ListFolders
from make_bridge.domain.folders.model import Tree
from make_bridge.kernel.context import Context
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


async def list_folders(tx: ReadTx, context: Context, query: ListFolders) -> list[Folder]:
    """Answer ListFolders; raises NotFound for a team out of sight, and for a folder of another team."""
    require_sight(context, query.team_id)
    await customer_store.require_team(tx, context.organization_id, query.team_id)
    return Tree(await store.all_of(tx, context.organization_id, query.team_id)).within(query.parent_id)


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    return [QueryRegistration(query=ListFolders, view=list_folders, permission="scenarios:read", may_lag=True)]
