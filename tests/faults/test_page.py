"""The page `docs/security/faults.md` says what tests and patches say of themselves, and every fault is held or open."""

import subprocess
import sys

from faults.page import PAGE, PATCHES, ROOT, held_by_tests, read, render
from faults.rows import FAULTS, OPEN, PARTS


def test_the_page_is_what_the_program_writes() -> None:
    written = subprocess.run(
        [sys.executable, "-m", "faults.page"], cwd=ROOT / "tests", check=True, capture_output=True, text=True
    ).stdout
    assert written == render()
    assert written == PAGE.read_text(encoding="utf-8"), "run `make docs`"


def test_every_fault_is_held_by_a_test_or_said_to_be_open() -> None:
    held = held_by_tests()
    assert [fault for fault in FAULTS if fault not in held and fault not in OPEN] == []
    assert OPEN.keys() <= FAULTS.keys()


def test_every_fault_that_a_test_or_a_patch_names_is_on_the_list() -> None:
    named = {fault for fault in held_by_tests() if fault[2:].isdigit()}
    assert named - FAULTS.keys() == set()
    assert all(any(first <= int(fault[2:]) <= last for first, last in PARTS.values()) for fault in FAULTS)


def test_every_patch_stands_on_the_page_beside_its_test() -> None:
    page = render()
    assert [patch.stem for patch in PATCHES if f"`{patch.stem}`: " not in page] == []
    assert [mutant.test for mutant in map(read, PATCHES) if f"`{mutant.test.partition('[')[0]}`" not in page] == []
