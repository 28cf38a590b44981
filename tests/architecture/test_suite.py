"""The suite keeps its own promise: a test without its server is skipped by name, and fails a CI run."""

import os
import subprocess
import sys

import pytest

CASE = """
import conftest
import pytest

conftest.SERVERS["nowhere"] = ("no-such-program-anywhere",)

@pytest.mark.requires_server("nowhere")
def test_marked():
    raise AssertionError

def test_asking(server):
    server("nowhere")

def test_content():
    pass
"""


@pytest.fixture
def run(root, tmp_path):
    """Run a small suite under the project's conftest, in a process of its own."""
    (tmp_path / "conftest.py").write_text((root / "tests" / "conftest.py").read_text(encoding="utf-8"))
    (tmp_path / "test_case.py").write_text(CASE)

    def suite(ci):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment["PYTHONPATH"] = os.pathsep.join((str(root / "src"), str(root / "tests")))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", tmp_path, "-p", "no:cacheprovider"],
            cwd=tmp_path,
            env=environment | {"CI": ci},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return suite


def test_on_a_person_s_machine_a_missing_server_is_named_and_forgiven(run):
    done = run(ci="")
    assert done.returncode == 0, done.stdout
    assert "no nowhere on this machine: 2 skipped" in done.stdout
    assert "test_case.py::test_marked" in done.stdout
    assert "1 passed, 2 skipped" in done.stdout


def test_in_ci_a_missing_server_fails_the_run(run):
    done = run(ci="true")
    assert done.returncode == 1, done.stdout
    assert "CI has to meet every server" in done.stdout
