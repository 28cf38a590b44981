"""What the tables of all shards take, for the operator: ``make-bridge storage``."""

import msgspec

from make_bridge.domain.storage import store
from make_bridge.domain.storage.model import StorageConfig
from make_bridge.domain.storage.store import TableSize, Taken
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.sharding.scatter import scatter

_SECONDS = 30.0


class ShardStorage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One shard: its tables, the organizations whose runs take most, and what the next rounds remove."""

    shard: int
    bytes: int
    oldest: dict[str, str]
    to_free_bytes: int
    tables: list[TableSize]
    organizations: list[Taken]


async def storage_of(shards: Shards, config: StorageConfig, *, most: int) -> tuple[list[ShardStorage], dict[int, str]]:
    """Return what each shard holds, and why others do not answer; ``most`` organizations of each."""

    async def look(shard: Shard) -> ShardStorage:
        async with shard.engine_statement() as tx:
            tables = await store.tables(tx)
        async with shard.engine_statement() as tx:
            oldest = await store.oldest_rows(tx)
        async with shard.engine_statement() as tx:
            taken = await store.largest(tx, config.days, config.bytes, most)
        return ShardStorage(
            shard=shard.number,
            bytes=sum(table.bytes for table in tables),
            oldest={kind: at.isoformat() for kind, at in sorted(oldest.items())},
            to_free_bytes=sum(each.to_free for each in taken),
            tables=tables,
            organizations=taken,
        )

    found = await scatter(shards.all(), look, seconds=_SECONDS)
    return [found.answers[number] for number in sorted(found.answers)], dict(found.silent)
