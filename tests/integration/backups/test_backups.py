"""A backup is whole or none, and comes back as it was, or not at all."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import psycopg
import pytest

from make_bridge.cli.backups import _refuse_key_beside
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import BridgeError, ConfigurationError, Conflict, InvalidInput
from make_bridge.platform.backups.manifest import MANIFEST, Summed, differing_files, read, write
from make_bridge.platform.backups.moment import Part
from make_bridge.platform.backups.restoring import TOKENS_FACT, RestoreConfig, Restores
from make_bridge.platform.backups.taking import BackupConfig, Backups, _require_room
from make_bridge.platform.database.opening import occupied

BOTH = ("directory", "shard")
FILLED = """
INSERT INTO directory.organizations (name, timezone) SELECT 'Org ' || n, 'UTC' FROM generate_series(1, 3) n;
INSERT INTO shard.teams (organization_id, name) SELECT id, 'Team é ' || name FROM directory.organizations;
INSERT INTO directory.shards (number, name, address) VALUES (0, 'shard-0', NULL) ON CONFLICT DO NOTHING;
INSERT INTO directory.facts (name, value) VALUES ('root_key_check', 'cafe');
"""
CONFIG = RestoreConfig(jobs=2, seconds=120, token_life=timedelta(seconds=200))


def ask(dsn, statement):
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def part_of(dsn):
    return Part(dsn=dsn, has_directory=True, shard=0)


@pytest.fixture
async def source(postgres):
    name = await postgres.clone(BOTH, 0)
    with psycopg.connect(postgres.dsn(name), autocommit=True) as connection:
        connection.execute(FILLED)
    yield postgres.dsn(name)
    await postgres.drop(name)


@pytest.fixture
async def target(postgres):
    name = await postgres.clone((), 0)
    yield postgres.dsn(name)
    await postgres.drop(name)


@pytest.fixture
def backups():
    config = BackupConfig(jobs=2, compression=1, seconds=120)
    return Backups(config=config, clock=SystemClock(), tell=lambda _words: None)


@pytest.fixture
def restores():
    return Restores(config=CONFIG, clock=SystemClock(), tell=lambda _words: None)


async def test_what_was_saved_comes_back_with_an_end_to_what_was_only_true_then(
    source, target, backups, restores, tmp_path
):
    sessions = (
        "INSERT INTO directory.users (email, password) VALUES ('a@example.com', 'x');"
        "INSERT INTO directory.memberships SELECT u.id, o.id, 'owner'"
        " FROM directory.users u, directory.organizations o;"
        "INSERT INTO directory.sessions (digest, user_id, organization_id, ends_at, address, user_agent) SELECT"
        " sha256('s'), user_id, organization_id, now() + interval '1 day', '', '' FROM directory.memberships LIMIT 1"
    )
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(sessions)
        connection.execute("UPDATE directory.shards SET address = 'sealed'")
    manifest = await backups.take([part_of(source)], tmp_path / "b")
    assert read(tmp_path / "b") == manifest
    assert await differing_files(tmp_path / "b", manifest) == []
    assert manifest.root_key_check == "cafe"
    assert len(manifest.databases[0].organizations) == 3
    await restores.restore(tmp_path / "b", manifest, [part_of(target)], replace=False)
    teams = "SELECT id, organization_id, name, created_at FROM shard.teams ORDER BY id"
    versions = "SELECT version_num, serves_from FROM shard.schema_version"
    assert ask(target, teams) == ask(source, teams)
    assert ask(target, versions) == ask(source, versions)
    assert ask(target, "SELECT count(*) FROM directory.sessions") == [(0,)]
    assert ask(target, "SELECT DISTINCT address FROM directory.shards") == [(None,)]
    facts = "SELECT name FROM directory.facts WHERE name <> 'root_key_check' AND value::timestamptz > now() + '150 s'"
    assert ask(target, facts) == [(TOKENS_FACT,)]
    newer = "SELECT nextval('shard.ids')"
    assert ask(target, newer) == ask(source, newer), "ids go on where they were"


async def test_a_folder_without_a_manifest_is_no_backup(source, backups, tmp_path):
    manifest = await backups.take([part_of(source)], tmp_path / "b")
    (tmp_path / "b" / MANIFEST).unlink()
    with pytest.raises(InvalidInput, match="no finished backup"):
        read(tmp_path / "b")
    with pytest.raises(InvalidInput, match="not empty"):
        await backups.take([part_of(source)], tmp_path / "b")
    write(tmp_path / "b", msgspec.structs.replace(manifest, format=2))
    with pytest.raises(InvalidInput, match="form 2"):
        read(tmp_path / "b")


async def test_changed_missing_and_strange_files_are_found_and_nothing_is_restored(
    source, target, backups, restores, tmp_path
):
    manifest = await backups.take([part_of(source)], tmp_path / "b")
    first, second, *_ = sorted(path for path in (tmp_path / "b" / "shard-0").iterdir() if path.suffix == ".gz")
    first.write_bytes(first.read_bytes() + b"x")
    second.unlink()
    (tmp_path / "b" / "shard-0" / "strange").write_bytes(b"")
    assert [sentence.rpartition("/")[2] for sentence in await differing_files(tmp_path / "b", manifest)] == [
        f"{second.name} is missing.", "strange does not belong to the backup.", f"{first.name} was changed.",
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="damaged"):
        await restores.restore(tmp_path / "b", manifest, [part_of(target)], replace=False)
    assert (await occupied(target)).is_free


async def test_what_does_not_come_back_as_it_was_leaves_the_databases_empty(
    source, target, backups, restores, tmp_path
):
    manifest = await backups.take([part_of(source)], tmp_path / "b")
    database = manifest.databases[0]
    tables = {**database.tables, "shard.teams": Summed(rows=4, checksum="1")}
    wrong = msgspec.structs.replace(manifest, databases=(msgspec.structs.replace(database, tables=tables),))
    with pytest.raises(BridgeError, match=r"did not come back as it was saved: shard\.teams differ"):
        await restores.restore(tmp_path / "b", wrong, [part_of(target)], replace=False)
    assert (await occupied(target)).is_free


async def test_what_is_there_is_replaced_only_when_somebody_says_so_and_never_under_a_server(
    source, backups, restores, tmp_path
):
    manifest = await backups.take([part_of(source)], tmp_path / "b")
    with pytest.raises(Conflict, match="not empty"):
        await restores.restore(tmp_path / "b", manifest, [part_of(source)], replace=False)
    with psycopg.connect(source), pytest.raises(Conflict, match="stop every server first"):
        await restores.restore(tmp_path / "b", manifest, [part_of(source)], replace=True)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("DELETE FROM shard.teams")
    await restores.restore(tmp_path / "b", manifest, [part_of(source)], replace=True)
    assert ask(source, "SELECT count(*) FROM shard.teams") == [(3,)]


async def test_other_databases_than_those_that_were_saved_are_refused(source, target, backups, restores, tmp_path):
    manifest = await backups.take([part_of(source)], tmp_path / "b")
    with pytest.raises(InvalidInput, match="the settings name other databases"):
        await restores.restore(tmp_path / "b", manifest, [replace(part_of(target), shard=None)], replace=False)


async def test_a_shard_without_its_owners_address_and_a_full_disk_end_a_backup(source, backups, tmp_path):
    with pytest.raises(InvalidInput, match="MiB left"):
        await _require_room(tmp_path, 2**62)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("INSERT INTO directory.shards (number, name) VALUES (7, 'seven')")
    with pytest.raises(ConfigurationError, match="--owner-file 7=FILE"):
        await backups.take([part_of(source)], tmp_path / "b")
    with pytest.raises(InvalidInput, match="no finished backup"):
        read(tmp_path / "b")


def test_the_root_key_does_not_go_into_the_backup(tmp_path):
    with pytest.raises(InvalidInput, match="must not lie in the backup"):
        _refuse_key_beside(tmp_path / "b" / "deep" / "key", tmp_path / "b")
    (tmp_path / "key").touch()
    with pytest.raises(InvalidInput, match="exists already"):
        _refuse_key_beside(tmp_path / "key", tmp_path / "b")
    _refuse_key_beside(tmp_path / "other", tmp_path / "b")
