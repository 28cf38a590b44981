"""Alembic's entry into the shard tree; see ``environment.run`` for what it does."""

from make_bridge.platform.database.migrations.environment import run

run(schema="shard")
