"""Versions of a database: what the program knows is what its files say, and what is newer is taken or refused."""

import re

import psycopg
import pytest

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.database.migration_steps import MIGRATIONS, upgrade
from make_bridge.platform.database.versions import HEADS, LockPatience, Tree, pending
from support.migrations import former_version, next_version

BOTH: tuple[Tree, ...] = ("directory", "shard")
# From here on migrations know of expanding and contracting.
PHASED = {"directory": "0010", "shard": "0028"}
TAKING_AWAY = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|FUNCTION|SCHEMA|VIEW)\b|\bRENAME\b|\bALTER\s+COLUMN\s+\w+\s+(TYPE|SET\s+NOT\s+NULL)\b",
    re.IGNORECASE,
)


@pytest.fixture
async def database(postgres):
    name = await postgres.clone(BOTH, 0)
    yield postgres.dsn(name)
    await postgres.drop(name)


@pytest.mark.parametrize("tree", BOTH)
def test_the_program_knows_the_newest_of_its_migrations(tree):
    numbers = [path.name[:4] for path in (MIGRATIONS / tree / "versions").glob("[0-9]*.py")]
    assert max(numbers) == HEADS[tree]


@pytest.mark.parametrize("tree", BOTH)
def test_a_migration_that_takes_something_away_raises_the_floor(tree):
    for path in sorted((MIGRATIONS / tree / "versions").glob("[0-9]*.py")):
        # What a function does when it is called takes nothing away from a version.
        text = re.sub(r"\$function\$.*?\$function\$", "", path.read_text(), flags=re.DOTALL)
        if path.name[:4] > PHASED[tree] and TAKING_AWAY.search(text):
            assert "raise_floor(" in text, f"{path.name} takes something away that the version before may use"


async def test_a_database_that_is_ahead_and_only_added_is_behind_nobody(database, tmp_path):
    assert upgrade(database, "shard", LockPatience(), folder=next_version(tmp_path, "shard", "SELECT 1")) == ["9001"]
    assert await pending(database, BOTH) == ()
    assert upgrade(database, "shard", LockPatience()) == [], "the version before changes nothing there"


async def test_a_database_that_took_something_away_is_refused_with_a_sentence(database, tmp_path):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE directory.schema_version SET serves_from = '9001', version_num = '9001'")
    with pytest.raises(ConfigurationError, match="takes programs from 9001 on") as refused:
        await pending(database, BOTH)
    assert refused.value.message.endswith("start the newer version of Make Bridge.")


async def test_a_database_that_knows_of_no_floor_is_older(database, tmp_path):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA shard CASCADE")
    upgrade(database, "shard", LockPatience(), folder=former_version(tmp_path, "shard", "0027"))
    assert await pending(database, BOTH) == ("shard",)
    assert upgrade(database, "shard", LockPatience())[-1] == HEADS["shard"]
    assert await pending(database, BOTH) == ()


async def test_a_migration_gives_way_and_says_so_when_the_lock_never_comes(database, tmp_path):
    folder = next_version(tmp_path, "shard", "SELECT 1", "ALTER TABLE shard.teams ADD COLUMN later text")
    tried: list[str] = []
    with psycopg.connect(database) as holder:
        holder.execute("SELECT 1 FROM shard.teams")
        with pytest.raises(ConfigurationError, match=r"did not get its locks in 2 tries of 0\.05 s"):
            upgrade(
                database, "shard", LockPatience(seconds=0.05, tries=2), folder=folder,
                begun=lambda _connection, revision: tried.append(revision),
            )  # fmt: skip
    assert tried == ["9001", "9002", "9002"]
    assert upgrade(database, "shard", LockPatience(), folder=folder) == ["9002"], "what came before stayed applied"
