"""Alembic's entry into the directory tree; see ``environment.run`` for what it does."""

from make_bridge.platform.database.migrations.environment import run

run(schema="directory")
