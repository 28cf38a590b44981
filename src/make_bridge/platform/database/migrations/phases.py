"""Expand and contract: which servers may go on beside a version of the database.

A migration that only adds (expand) asks nothing: servers of the version before go on, start and end beside it. One that
takes away or narrows what an older server reads or writes (contract) raises the floor: a server whose newest version is
below it does not start any more. So a contract comes a release after the code that needs it no more.
"""

from alembic import op


def raise_floor(schema: str, oldest: str) -> None:
    """Have servers that know less than the version ``oldest`` refuse to start."""
    op.execute(f"UPDATE {schema}.schema_version SET serves_from = '{oldest}'")  # noqa: S608 - words of migrations
