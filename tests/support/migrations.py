"""Migrations of a test's own, on top of the product's: as the next version would bring them."""

import shutil
from pathlib import Path

from make_bridge.platform.database.migration_steps import MIGRATIONS
from make_bridge.platform.database.versions import HEADS, Tree

_TEXT = '''"""{words}."""

from alembic import op

revision = "{revision}"
down_revision = "{down}"


def upgrade() -> None:
    """Do it."""
    op.execute("""{statements}""")
'''


def next_version(folder: Path, tree: Tree, *steps: str) -> Path:
    """Copy the product's migrations and add a step for each text of statements; return the copy for ``upgrade``."""
    copy = _copied(folder)
    down = HEADS[tree]
    for number, statements in enumerate(steps, start=9001):
        text = _TEXT.format(words="A step of a test", revision=number, down=down, statements=statements)
        (copy / tree / "versions" / f"{number}_of_a_test.py").write_text(text)
        down = str(number)
    return copy


def former_version(folder: Path, tree: Tree, newest: str) -> Path:
    """Copy the product's migrations up to one of them; return the copy for ``upgrade``."""
    copy = _copied(folder)
    for path in (copy / tree / "versions").glob("[0-9]*.py"):
        if path.name[:4] > newest:
            path.unlink()
    return copy


def _copied(folder: Path) -> Path:
    copy = folder / "migrations"
    if not copy.exists():
        shutil.copytree(MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy
