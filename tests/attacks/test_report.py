"""The page `docs/security/attacks.md` says what pytest collects, and every row is held or said to be open."""

import os
import re
import subprocess
import sys

import pytest

from attacks.report import PAGE, ROOT, lines_of
from attacks.rows import OPEN, PARTS, ROWS

HOLDS_A_ROW = re.compile(r"mark\.attack\(|def test_[a-j]\d\d_")


def by_row(page):
    """Read a page back: row to tests."""
    return {row: set(lines) for row, lines in lines_of(page).items()}


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """What the page would say now."""
    page = tmp_path_factory.mktemp("page") / "attacks.md"
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if HOLDS_A_ROW.search(path.read_text())]
    arguments = ["-p", "attacks.report", "--attacks-page", page, "--collect-only", "-n0", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, *files],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT / "tests")},
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return page.read_text()


def test_the_page_names_the_tests_that_there_are(collected):
    told, there = by_row(PAGE.read_text()), by_row(collected)
    stale = {row: there[row] ^ told.get(row, set()) for row in there if there[row] != told.get(row)}
    assert stale == {}, "run `make attacks`"


def test_every_row_is_held_by_a_test_or_said_to_be_open(collected):
    rows = by_row(collected)
    assert rows.keys() == ROWS.keys()
    assert [row for row, tests in rows.items() if not tests and row not in OPEN] == []


def test_every_test_holds_rows_of_the_list(collected):
    """A marker or name with an id that the list does not have would be on no page."""
    named = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text()
        for found in re.findall(r"def test_((?:[a-j]\d\d_)+)", text):
            named |= {part.upper() for part in found.split("_") if part}
        for found in re.findall(r"mark\.attack\(([^)]*)\)", text):
            named |= set(re.findall(r"\"([A-Z]\d\d)\"", found))
    assert named - ROWS.keys() == set()
    assert OPEN.keys() <= ROWS.keys()
    assert {row[0] for row in ROWS} == set(PARTS)


def test_what_failed_stands_on_no_page():
    told = re.findall(r"`: (.*)$", PAGE.read_text(), re.MULTILINE)
    assert [outcome for outcome in told if re.search(r"failed|error|not run", outcome)] == []
