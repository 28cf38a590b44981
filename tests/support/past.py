"""Runs of other days, and time that has gone by: what the database's clock cannot be told, its rows are."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from make_bridge.domain.executions import store
from make_bridge.domain.executions.model import NewRun
from make_bridge.kernel.ids import ExecutionId, Retention, new_execution_id
from make_bridge.platform.database.pools import Shard
from support.endings import Place
from support.postgres import PostgresServer

# What `shard.ensure_partitions` makes for days that are still to come.
_PARTITIONS = """
DO $do$
DECLARE parent text; class integer; day date; child text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['executions', 'payloads', 'outcomes', 'execution_logs', 'journal'] LOOP
        FOR class IN 0..2 LOOP
            FOR back IN 0..{days} LOOP
                day := (now() AT TIME ZONE 'UTC')::date - back;
                child := format('%s_%s_%s', parent, class, to_char(day, 'YYYYMMDD'));
                CONTINUE WHEN to_regclass('shard.' || child) IS NOT NULL;
                EXECUTE format('CREATE TABLE shard.%I PARTITION OF shard.%I FOR VALUES FROM (%s, %L) TO (%s, %L)',
                    child, parent, class, shard.first_run_of(day, class), class, shard.first_run_of(day + 1, class));
            END LOOP;
        END LOOP;
    END LOOP;
END $do$
"""


@asynccontextmanager
async def owner_of(server: PostgresServer, shard: Shard) -> AsyncIterator[psycopg.AsyncConnection[dict[str, Any]]]:
    """Connect as the owner of a shard's database."""
    async with shard.engine_statement() as tx:
        row = await tx.one("SELECT current_database() AS name")
    assert row is not None
    async with await psycopg.AsyncConnection.connect(
        server.dsn(row["name"]), autocommit=True, row_factory=dict_row
    ) as connection:
        yield connection


async def make_past(server: PostgresServer, shard: Shard, days: int) -> None:
    """Make the partitions of so many days that have gone by."""
    async with owner_of(server, shard) as owner:
        await owner.execute(_PARTITIONS.replace("{days}", str(int(days))).encode())


def past_id(shard: Shard, days: int, *, retention: Retention = Retention.STANDARD, millisecond: int = 0) -> ExecutionId:
    """Return the id of a run that was accepted so many days ago, at noon."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=days)
    plain = new_execution_id(retention, shard.number)
    return ExecutionId(f"{int(noon.timestamp() * 1000) + millisecond:012x}{plain[12:]}")


async def run_in_the_past(place: Place, days: int, *, body: int = 0, ends: bool = True, number: int = 0) -> NewRun:
    """Accept a run so many days ago with a body of so many bytes that cannot be compressed, and settle it."""
    run = place.run(id=past_id(place.shard, days, millisecond=number), body=os.urandom(body))
    await store.accept(place.shard, [run])
    if ends:
        assert await store.settle(place.shard, [place.outcome(run)], "me") == {run.id}
    return run
