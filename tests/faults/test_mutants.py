"""Each fault test has a mutant: a patch that breaks the product in the way named, and turns the test red.

A test that cannot fail is worth nothing, and only breaking the code shows that it can. The patches in `mutants/` are
named for their fault; what stands before the diff names the test and what is broken. The short form checks that each
still applies to the tree and names a test that is there, so that a patch cannot go stale unseen. `make mutants` (or
MAKE_BRIDGE_TEST_MUTANTS=1) is the long one: each patch is applied to a copy of the tree, its test is run from there,
and has to fail: in the test itself, not because the copy could not be imported or a fixture not be made.
"""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from faults.page import PATCHES, ROOT, read

# The faults that this folder tests; each needs at least one mutant.
FAULTS = (
    *(f"F-{number:02}" for number in (*range(1, 19), 20, 21, 26, *range(28, 59), 60, 61, 62, 66, 70, 71)),
    # Attacks on people and on consents, by their row.
    *("F-B08", "F-B13", "F-I02", "F-I11"),
)
IS_LONG = "MAKE_BRIDGE_TEST_MUTANTS" in os.environ
# A mutant that is broken itself shows nothing. Faults of fixtures and imports are errors, and count as nothing noticed.
_MISTAKES = ("ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "TypeError")
_COPIED = ("src", "tests", "pyproject.toml")
_SECONDS = 540.0
_WHERE = "import make_bridge.boot; print(make_bridge.boot.__file__)"


def copy_of_tree(folder: Path) -> Path:
    """Copy what a patch may change; what else lies in the root is pointed at."""
    copy = folder / "tree"
    copy.mkdir()
    for entry in ROOT.iterdir():
        if entry.name in _COPIED:
            if entry.is_dir():
                shutil.copytree(entry, copy / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(entry, copy / entry.name)
        elif entry.name != ".git":
            (copy / entry.name).symlink_to(entry)
    return copy


def apply(patch: Path, copy: Path, *options: str) -> None:
    # Without the ceiling, git would look for a repository above and leave out what is not in it.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.parent)}
    done = subprocess.run(
        ["git", "apply", *options, patch], cwd=copy, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{patch.name} does not fit the tree any more:\n{done.stderr}"


def own_environment() -> dict[str, str]:
    """Return the environment of a pytest of our own: what the run of all tests was asked is not for it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    kept.pop("MAKE_BRIDGE_TEST_MUTANTS", None)
    return kept


def environment_of(copy: Path) -> dict[str, str]:
    return own_environment() | {"PYTHONPATH": f"{copy / 'src'}:{copy / 'tests'}"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree that nothing changes."""
    return copy_of_tree(tmp_path_factory.mktemp("mutants"))


@pytest.fixture(scope="module")
def collected() -> frozenset[str]:
    """The tests that pytest finds in the files that mutants name, with their parameters."""
    files = sorted({read(patch).test.partition("::")[0] for patch in PATCHES})
    options = ["-n0", "-p", "no:cacheprovider", "--collect-only"]
    # Its words are read, so they must not depend on how much that run says.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT, env=own_environment(), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return frozenset(done.stdout.splitlines())


def is_collected(test: str, collected: frozenset[str]) -> bool:
    """Say whether a test, or one of the file or the name with any parameters, is there."""
    return any(found == test or found.startswith((f"{test}[", f"{test}::")) for found in collected)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_mutant_fits_the_tree_and_names_a_test(patch: Path, tree: Path, collected: frozenset[str]) -> None:
    mutant = read(patch)
    assert mutant.breaks.endswith(".")
    apply(patch, tree, "--check")
    assert is_collected(mutant.test, collected), f"there is no test {mutant.test}"


def test_each_fault_has_a_mutant() -> None:
    found = {"-".join(patch.name.split("-")[:2]) for patch in PATCHES}
    assert set(FAULTS) - found == set()


@pytest.mark.timeout(_SECONDS + 60)
# The long form: MAKE_BRIDGE_TEST_MUTANTS=1, or make mutants.
@pytest.mark.parametrize("patch", PATCHES if IS_LONG else [], ids=lambda patch: patch.stem)
def test_a_mutant_turns_its_test_red(patch: Path, tmp_path: Path) -> None:
    mutant = read(patch)
    copy = copy_of_tree(tmp_path)
    apply(patch, copy)
    # One failure is what is wanted.
    environment = environment_of(copy) | {"MAKE_BRIDGE_TEST_TRIES": "1"}
    where = subprocess.run([sys.executable, "-c", _WHERE], cwd=copy, env=environment, check=True, capture_output=True)
    assert where.stdout.decode().startswith(str(copy)), "the test would run the code as it is"
    report = tmp_path / "report.xml"
    options = [
        "-p",
        "no:cacheprovider",
        "-n0",
        "-o",
        "junit_family=legacy",
        f"--junit-xml={report}",
        f"--basetemp={tmp_path / 'run'}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", copy / "pyproject.toml", f"--rootdir={copy}", *options, mutant.test],
        cwd=copy,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - written by our own pytest
    skipped = [case.get("name") for case in cases if case.find("skipped") is not None]
    if skipped and len(skipped) == len(cases):
        pytest.skip(f"this machine cannot run {mutant.test}")
    failures = [str(found.get("message")) for case in cases for found in case.findall("failure")]
    assert failures, f"{mutant.test} does not notice: {mutant.breaks}\n{done.stdout[-4000:]}"
    assert not any(message.startswith(_MISTAKES) for message in failures), failures
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
