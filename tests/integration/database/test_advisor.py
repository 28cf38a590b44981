"""The adviser says what an index would be good for, tries nothing out in earnest, and changes nothing."""

import os

import psycopg
import pytest

from make_bridge.platform.database.advisor import AdviceLimits, advise
from support.commands import run_command
from support.postgres_process import own_postgres

SMALL = AdviceLimits(rows=500, scans=5, bytes=8192, calls=3, days=0.0)
OBJECTS = "SELECT count(*), coalesce(sum(relpages), 0) FROM pg_class WHERE relnamespace = 'shard'::regnamespace"
STATEMENTS = (
    "CREATE SCHEMA shard",
    "CREATE TABLE shard.parcels (id bigint PRIMARY KEY, organization_id bigint, town text, label text)",
    "INSERT INTO shard.parcels SELECT n, n % 7, 'town ' || n % 900, repeat('x', 200) FROM generate_series(1, 5000) n",
    "CREATE INDEX parcels_label ON shard.parcels (label)",
    "CREATE INDEX parcels_label_again ON shard.parcels (label)",
    "CREATE TABLE shard.victims (id bigint)",
    "INSERT INTO shard.victims SELECT generate_series(1, 10)",
    "ANALYZE",
)
LOOK = "SELECT id FROM shard.parcels WHERE town = $1 AND organization_id = $2"


@pytest.fixture(scope="module")
def database(server):
    """A server that keeps statistics of statements, with a table that lacks an index."""
    with own_postgres(server("postgresql-15")) as postgres:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        postgres.kill()
        postgres.start()
        url = postgres.create("advised")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
            for statement in STATEMENTS:
                connection.execute(statement)
            for number in range(20):
                connection.execute(LOOK.replace("$1", "%s").replace("$2", "%s"), (f"town {number}", number % 7))
                connection.execute("DELETE FROM shard.victims WHERE id = %s", (number + 100,))
            connection.execute("SELECT pg_stat_force_next_flush()")
        yield url


def facts(url):
    with psycopg.connect(url) as connection:
        victims = connection.execute("SELECT count(*) FROM shard.victims").fetchone()
        return connection.execute(OBJECTS).fetchone(), victims


async def test_an_index_that_a_frequent_statement_lacks_is_proposed_and_none_is_made(database):
    before = facts(database)
    advice = await advise(database, SMALL)
    assert facts(database) == before
    [missing] = [proposal for proposal in advice.proposals if proposal.kind == "missing index"]
    assert missing.statement in {
        "CREATE INDEX CONCURRENTLY ON shard.parcels (town, organization_id);",
        "CREATE INDEX CONCURRENTLY ON shard.parcels (organization_id, town);",
    }
    assert missing.reason.startswith("20 statements of ")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(missing.statement)
        connection.execute("ANALYZE shard.parcels")
        connection.execute("SELECT pg_stat_statements_reset()")
        for number in range(20):
            connection.execute(LOOK.replace("$1", "%s").replace("$2", "%s"), (f"town {number}", number % 7))
    again = await advise(database, SMALL)
    assert [proposal for proposal in again.proposals if proposal.kind == "missing index"] == []


async def test_an_index_that_is_there_twice_and_one_that_nobody_uses_are_proposed_to_go(database):
    advice = await advise(database, SMALL)
    drops = {(proposal.kind, proposal.statement) for proposal in advice.proposals}
    assert ("duplicate index", "DROP INDEX CONCURRENTLY shard.parcels_label_again;") in drops
    assert ("unused index", "DROP INDEX CONCURRENTLY shard.parcels_label;") in drops
    assert not any("parcels_pkey" in statement for _, statement in drops)


async def test_what_is_young_says_nothing_of_what_is_unused(database):
    advice = await advise(database, AdviceLimits(rows=500, bytes=8192, days=7.0))
    assert [proposal for proposal in advice.proposals if proposal.kind == "unused index"] == []
    assert any("days old" in note for note in advice.notes)


async def test_text_that_only_looks_like_a_statement_is_not_run(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA trap")
        connection.execute(
            "CREATE VIEW trap.pg_stat_statements AS SELECT text AS query, 100::bigint AS calls, 1.0::float8 AS "
            "mean_exec_time, 1.0::float8 AS total_exec_time, oid AS dbid FROM pg_database, (VALUES "
            "('select 1; commit; delete from shard.victims'), ('delete from shard.victims'), "
            "('select 1 from shard.victims; drop table shard.victims')) texts(text)"
        )
    before = facts(database)
    trapped = f"{database}?options=-csearch_path%3Dtrap,public"
    await advise(trapped, SMALL)
    assert facts(database) == before


async def test_where_no_statistics_of_statements_are_it_says_so(server):
    with own_postgres(server("postgresql-15")) as postgres:
        advice = await advise(postgres.create("bare"), SMALL)
    assert advice.proposals == []
    assert any(note.startswith("pg_stat_statements is not installed") for note in advice.notes)


async def test_an_index_is_tried_before_it_is_proposed(database):
    with psycopg.connect(database, autocommit=True) as connection:
        has = connection.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'").fetchone()
        if has == (0,):
            pytest.skip("needs the extension hypopg of PostgreSQL")
        connection.execute("CREATE EXTENSION hypopg")
    advice = await advise(database, SMALL)
    assert not any(note.startswith("hypopg") for note in advice.notes)


def test_the_embedded_database_is_told_why_not(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE_BRIDGE_")}
    done = run_command(["database", "advise"], kept, tmp_path, timeout=60)
    assert done.returncode == 1
    assert "has neither pg_stat_statements nor hypopg" in done.stderr + done.stdout
