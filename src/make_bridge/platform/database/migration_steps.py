"""One migration after the other, each in a transaction of its own that waits shortly for locks.

``migrate`` and ``rehearsal`` bring a tree forward here. A database that is new is made in one transaction. One that is
served meanwhile is changed step by step: a lock that is not had within ``lock_seconds`` is given up, so that what waits
behind the migration goes on, and asked for again after a pause; what was applied before stays applied.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.database.versions import LockPatience, Tree

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
Within = Callable[[Connection, str], object]


def upgrade(
    owner_dsn: str,
    tree: Tree,
    patience: LockPatience,
    *,
    folder: Path = MIGRATIONS,
    begun: Within = lambda _connection, _revision: None,
    ended: Within = lambda _connection, _revision: None,
) -> list[str]:
    """Bring a tree to its newest version; return the versions that were applied, none where it is newer than this.

    ``begun`` and ``ended`` are called inside of each transaction, before its first statement and after its last.
    """
    config = Config()
    config.set_main_option("script_location", str(folder / tree))
    scripts = ScriptDirectory.from_config(config)
    with _connected(owner_dsn) as engine:
        current = _version(engine, tree)
        if current is None:
            with engine.begin() as connection:
                _apply(config, connection, "head")
            return []
        if current not in {script.revision for script in scripts.walk_revisions()}:
            return []
        steps = [script.revision for script in scripts.iterate_revisions("head", current)][::-1]
        for revision in steps:
            _patiently(engine, config, revision, patience, (begun, ended))
    return steps


def _patiently(
    engine: Engine, config: Config, revision: str, patience: LockPatience, around: tuple[Within, Within]
) -> None:
    pause = _FIRST_PAUSE
    for tries_left in range(patience.tries - 1, -1, -1):
        try:
            with engine.begin() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = {int(patience.seconds * 1000)}"))
                around[0](connection, revision)
                _apply(config, connection, revision)
                around[1](connection, revision)
        except DBAPIError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            if not tries_left:
                message = (
                    f"The migration {revision} did not get its locks in {patience.tries} tries of {patience.seconds:g} "
                    "s: something works on its tables for long. What came before it is applied; try again when less "
                    "is going on."
                )
                raise ConfigurationError(message) from error
        else:
            return
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _apply(config: Config, connection: Connection, revision: str) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _version(engine: Engine, tree: Tree) -> str | None:
    with engine.connect() as connection:
        name = f"{tree}.schema_version"
        if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is None:
            return None
        found = connection.execute(text(f"SELECT version_num FROM {name}")).scalar()  # noqa: S608 - one of two names
        return None if found is None else str(found)


@contextmanager
def _connected(owner_dsn: str) -> Iterator[Engine]:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(owner_dsn), poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def keep_quiet(connection: psycopg.Connection, _record: object) -> None:
        connection.execute("SET client_min_messages = warning")
        connection.commit()

    try:
        yield engine
    finally:
        engine.dispose()
