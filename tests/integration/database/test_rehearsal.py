"""A rehearsal tells what an upgrade costs and whom it holds up, and leaves the database and its server as they were."""

import json

import psycopg
import pytest

from make_bridge.platform.database.migration_steps import upgrade
from make_bridge.platform.database.rehearsal import copy_of, rehearse
from make_bridge.platform.database.versions import HEADS, LockPatience, Tree
from support.migrations import former_version, next_version
from support.postgres_process import own_postgres
from support.server import installed

BOTH: tuple[Tree, ...] = ("directory", "shard")
DATABASES = "SELECT datname FROM pg_database ORDER BY 1"
VERSION = "SELECT version_num FROM shard.schema_version"
HOLDS = """
ALTER TABLE shard.teams ADD COLUMN later text;
CREATE INDEX customers_later ON shard.customers (team_id, id);
CREATE TABLE shard.later (organization_id bigint, id bigint PRIMARY KEY);
SELECT pg_sleep(0.2)
"""
TAKES_AWAY = "UPDATE shard.schema_version SET serves_from = '9002'; SELECT 1 FROM shard.customers"


@pytest.fixture
async def database(postgres):
    name = await postgres.clone(BOTH, 0)
    yield postgres.dsn(name)
    await postgres.drop(name)


def ask(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


async def test_a_rehearsal_names_the_locks_of_each_step_and_who_goes_on_beside_it(database, tmp_path):
    folder = next_version(tmp_path, "shard", HOLDS, TAKES_AWAY)
    before = ask(database, DATABASES)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO directory.facts (name, value) VALUES ('copied', 'yes')")
    async with copy_of(database, seconds=60) as copy:
        assert ask(copy, "SELECT value FROM directory.facts WHERE name = 'copied'") == [("yes",)]
        holds, takes = rehearse(copy, BOTH, LockPatience(), folder=folder)
        assert ask(copy, VERSION) == [("9002",)]
    assert ask(database, DATABASES) == before, "the copy is gone"
    assert ask(database, VERSION) == [(HEADS["shard"],)], "the database itself is as it was"
    assert [holds.revision, takes.revision] == ["9001", "9002"]
    assert holds.seconds >= 0.2
    locks = {lock.table: (lock.mode, lock.meaning) for lock in holds.locks}
    assert locks["shard.teams"] == ("AccessExclusiveLock", "nobody reads or writes")
    assert locks["shard.customers"] == ("ShareLock", "nobody writes")
    assert "shard.later" not in locks, "nobody waits for a table that was not there"
    assert all(lock.seconds >= 0.2 for lock in holds.locks)
    assert holds.beside == "go on, and start anew"
    assert takes.beside == "have to have ended"
    assert takes.locks == (), "readings hold nobody up"


async def test_a_copy_goes_also_when_the_rehearsal_fails(database):
    before = ask(database, DATABASES)
    with pytest.raises(ZeroDivisionError):
        async with copy_of(database, seconds=60):
            raise ZeroDivisionError
    assert ask(database, DATABASES) == before


@pytest.mark.timeout(300)
def test_the_command_rehearses_what_is_pending_beside_a_server(server, tmp_path):
    with (
        own_postgres(server("postgresql-15")) as postgres,
        installed("external-one", tmp_path / "w", postgres) as installation,
    ):
        installation.command("migrate")
        assert installation.ask("upgrade", "--rehearse") == []
        with psycopg.connect(installation.shard_dsn, autocommit=True) as connection:
            connection.execute("DROP SCHEMA directory CASCADE")
        upgrade(
            installation.shard_dsn, "directory", LockPatience(), folder=former_version(tmp_path, "directory", "0009")
        )
        before = ask(installation.shard_dsn, DATABASES)
        step, *_, last = installation.ask("upgrade", "--rehearse")
        assert (step["tree"], step["revision"]) == ("directory", "0010")
        assert (last["tree"], last["revision"]) == ("directory", HEADS["directory"])
        assert step["beside"] == "those that run go on, none starts anew"
        assert "directory" in installation.command("upgrade", "--rehearse").stdout
        assert ask(installation.shard_dsn, DATABASES) == before
        given = postgres.create("given")
        complaint = installation.command("upgrade", "--rehearse", "--copy", given, "--copy", given, check=False)
        assert complaint.returncode == 1
        assert "give as many copies" in json.dumps(complaint.stderr + complaint.stdout)
        assert installation.command("upgrade", check=False).returncode == 1
