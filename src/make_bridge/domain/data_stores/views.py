"""What can be read of data stores and their records."""

from dataclasses import dataclass, field
from typing import Any, Final

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.data_stores.messages import DataStore, GetDataStore, ListDataStores, ListRecords, RecordPage
from make_bridge.domain.data_stores.model import DataStoreLimits
from make_bridge.domain.data_stores.store import DataStoreStore, RecordStore
from make_bridge.domain.data_structures.store import DataStructureStore
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import TooLarge
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx

_MOST_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStoreViews:
    """The views."""

    limits: DataStoreLimits
    stores: DataStoreStore = field(default_factory=DataStoreStore)
    structures: DataStructureStore = field(default_factory=DataStructureStore)

    async def list_stores(self, tx: ReadTx, context: Context, query: ListDataStores) -> list[DataStore]:
        """Answer ListDataStores; raises NotFound for a team out of sight."""
        require_sight(context, query.team_id)
        return await self.stores.list(tx, context.organization_id, query.team_id)

    async def get_store(self, tx: ReadTx, context: Context, query: GetDataStore) -> DataStore:
        """Answer GetDataStore; raises NotFound."""
        found = await self.stores.get(tx, context.organization_id, query.data_store_id)
        require_sight(context, found.team_id)
        return found

    async def list_records(self, tx: ReadTx, context: Context, query: ListRecords) -> RecordPage:
        """Answer ListRecords; raises TooLarge when the part that was asked for is."""
        found = await self.get_store(tx, context, GetDataStore(data_store_id=query.data_store_id))
        records = RecordStore(organization_id=context.organization_id, team_id=None, limits=self.limits)
        size = await records.slice_bytes(tx, found.id, query.offset, query.limit)
        if size > _MOST_BYTES and query.limit > 1:
            message = f"These records have {size} bytes: ask for fewer of them with a smaller pg[limit]."
            raise TooLarge(message)
        structure = None
        if found.structure_id is not None:
            structure = await self.structures.get(tx, context.organization_id, found.structure_id)
        return RecordPage(
            records=await records.slice(tx, found.id, query.offset, query.limit),
            spec=structure.spec if structure else [],
            strict=structure.strict if structure else False,
            count=found.records,
        )


def queries(limits: DataStoreLimits) -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    views, read = DataStoreViews(limits=limits), "datastores:read"
    return [
        QueryRegistration(query=ListDataStores, view=views.list_stores, permission=read, may_lag=True),
        QueryRegistration(query=GetDataStore, view=views.get_store, permission=read),
        QueryRegistration(query=ListRecords, view=views.list_records, permission=read, may_lag=True),
    ]
