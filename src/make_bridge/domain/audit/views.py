"""What can be read of the trail. It speaks of the whole organization, so who is bound to one team sees nothing of it.

A trail has two homes and a query one, so a page is two answers, merged: ``read_page`` is how faces and the command line
read. An export is page after page, each a reading of its own, so a slow reader holds nothing.
"""

from collections.abc import AsyncIterator
from typing import Any, Final, Protocol, TypeVar

from make_bridge.domain.audit import store
from make_bridge.domain.audit.messages import Act, ListDirectoryActs, ListShardActs, Place, Wanted
from make_bridge.domain.audit.model import merged, place_of
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.kernel.messages import Query
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx

EXPORT_PAGE: Final = 500
R = TypeVar("R")


class Asking(Protocol):
    """The query bus."""

    async def ask(self, context: Context, query: Query[R]) -> R:
        """Answer a query; raises BridgeError."""
        ...


async def list_shard_acts(tx: ReadTx, context: Context, query: ListShardActs) -> list[Act]:
    """Answer ListShardActs."""
    _require_whole_organization(context)
    return await store.list_acts(tx, "shard", context.organization_id, query.wanted, query.behind, query.limit)


async def list_directory_acts(tx: ReadTx, context: Context, query: ListDirectoryActs) -> list[Act]:
    """Answer ListDirectoryActs."""
    _require_whole_organization(context)
    return await store.list_acts(tx, "directory", context.organization_id, query.wanted, query.behind, query.limit)


async def read_page(
    queries: Asking, context: Context, wanted: Wanted, behind: Place | None = None, *, limit: int
) -> list[Act]:
    """Return the newest acts behind a place, of both homes."""
    pages = [
        await queries.ask(context, ListDirectoryActs(wanted=wanted, behind=behind, limit=limit)),
        await queries.ask(context, ListShardActs(wanted=wanted, behind=behind, limit=limit)),
    ]
    return merged(pages, limit)


async def read_all(queries: Asking, context: Context, wanted: Wanted) -> AsyncIterator[list[Act]]:
    """Return everything that is wanted, page after page."""
    behind = None
    while page := await read_page(queries, context, wanted, behind, limit=EXPORT_PAGE):
        yield page
        behind = place_of(page[-1])


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "audit:read"
    return [
        QueryRegistration(query=ListShardActs, view=list_shard_acts, permission=read, may_lag=True),
        QueryRegistration(query=ListDirectoryActs, view=list_directory_acts, permission=read, home="directory"),
    ]


def _require_whole_organization(context: Context) -> None:
    if context.team_id is not None:
        raise PermissionDenied("The audit trail is the whole organization's: leave teamId out.")
