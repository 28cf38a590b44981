"""What every test may ask for, and what a run says about the servers it lacked.

Read by pytest before any test. The suite brings its servers itself (wheels, then tools/test-servers.sh); where one is
missing all the same, the tests that need it are skipped by name, the closing summary lists them, and with `CI=true`
the run fails, so that a green CI run has met every server. The corpus is the one thing that may be absent anywhere.

A coroutine test needs no marker (`anyio_mode = "auto"`); it runs on uvloop, the loop the product is served on.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedPostgres
from support.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
NEEDS = "needs the server "

# Server: where its program may be. What counts as present must agree with tools/test-servers.sh.
SERVERS: dict[str, tuple[str, ...]] = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    # A library that is loaded before a program, which no PATH finds.
    "libfaketime": tuple(
        f"/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1" for machine in ("x86_64", "aarch64")
    ),
    "nginx": ("nginx", "/usr/sbin/nginx"),
    "postgresql-15": ("/usr/lib/postgresql/15/bin/postgres",),
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "redis-server": ("redis-server", "valkey-server"),
    "zookeeper": ("/usr/share/zookeeper/bin/zkServer.sh",),
}

# Nothing of a test outlives a power cut, so its server need not wait for the disk.
HASTE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
WORKER = "PYTEST_XDIST_WORKER"
# In a run with workers the files of these folders begin in this order: first those of the longest files (fault tests
# take as long as servers take to come back), so that at the end no worker has one left for itself alone.
FOLDERS = (
    "faults",
    "cluster",
    "integration",
    "acceptance",
    "clients",
    "docs",
    "deploy",
    "attacks",
    "contract",
    "fuzz",
    "architecture",
    "unit",
)
# Tests of these folders end and pause real processes and look at clocks: what fails there once is tried once more, and
# the closing summary names it. A run in which many needed that fails all the same.
TIMED = ("faults", "cluster", "integration", "acceptance", "clients", "docs", "deploy", "attacks")
TRIES = int(os.environ.get("MAKE_BRIDGE_TEST_TRIES", "2"))
MOST_TRIED_AGAIN = 5


def find_server(name: str) -> Path | None:
    """Return the program of a server, or nothing when this machine has none."""
    found = (shutil.which(candidate) or candidate for candidate in SERVERS[name])
    return next((Path(program) for program in found if Path(program).is_absolute() and Path(program).is_file()), None)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session", autouse=True)
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the programs that tests start find what others of the run have compiled.

    Where Python is told to write no bytecode beside its sources, each server would compile the whole program anew, a
    second of a processor. It is kept with what else the run leaves then.
    """
    with pytest.MonkeyPatch.context() as patch:
        if sys.dont_write_bytecode and sys.pycache_prefix is None:
            base = tmp_path_factory.getbasetemp()
            patch.setenv("PYTHONPYCACHEPREFIX", str((base.parent if WORKER in os.environ else base) / "bytecode"))
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory):
    """One server for the session (with xdist: for the worker), or the owner's address of one that is there."""
    shared = os.environ.get("MAKE_BRIDGE_TEST_DATABASE")
    if shared is not None:
        server = PostgresServer(owner_dsn=shared, is_shared=True)
        yield server
        await server.close()
        return
    config = EmbeddedConfig(data_dir=tmp_path_factory.mktemp("postgres"), settings=HASTE)
    async with EmbeddedPostgres(config, lambda event: None) as facts:
        yield PostgresServer(owner_dsn=facts.admin_dsn, is_shared=False)


@pytest.fixture(scope="session")
def server() -> Callable[[str], Path]:
    """Give the program of a named server: `server("chromium")`; skips the test by name where it is missing."""

    def program_of(name: str) -> Path:
        program = find_server(name)
        if program is None:
            pytest.skip(NEEDS + name)
        return program

    return program_of


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Give the folder of collected blueprints; it lies beside the repository and is not part of it."""
    folder = ROOT.parent / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip(f"there is no corpus at {folder}")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    # Files begin in the order in which they are laid below, not by their number of tests.
    config.option.loadscopereorder = False
    config.addinivalue_line("markers", "requires_server(name, …): skip the test by name where a server is missing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests are tried again, and lay the files of a run with workers in the order in which they begin."""
    for item in items:
        if TRIES > 1 and folder_of(item) in TIMED:
            item.add_marker(pytest.mark.flaky(reruns=TRIES - 1))
    if WORKER in os.environ:
        items.sort(key=turn_of)


def folder_of(item: pytest.Item) -> str:
    return item.nodeid.removeprefix("tests/").partition("/")[0]


def turn_of(item: pytest.Item) -> int:
    """Say when a test's file begins: with its folder; one that is not listed, at the end."""
    folder = folder_of(item)
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires_server"):
        for name in marker.args:
            if find_server(name) is None:
                pytest.skip(NEEDS + name)


def skipped_for_a_server(config: pytest.Config) -> dict[str, list[str]]:
    """Collect the tests a run skipped, under the server each lacked. With xdist only the main process knows all."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    missing: dict[str, list[str]] = {}
    for report in reporter.stats.get("skipped", []) if reporter else []:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        _, found, name = reason.partition(NEEDS)
        if found:
            missing.setdefault(name, []).append(report.nodeid)
    return missing


def tried_again(config: pytest.Config) -> dict[str, str]:
    """Name the tests that failed at a first try, each with the whole of how."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return {report.nodeid: report.longreprtext for report in reporter.stats.get("rerun", [])} if reporter else {}


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus != pytest.ExitCode.OK:
        return
    if len(tried_again(session.config)) > MOST_TRIED_AGAIN or (is_ci() and skipped_for_a_server(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    again = tried_again(config)
    if again:
        terminalreporter.section(f"tried again after a failure: {len(again)} (a run may have {MOST_TRIED_AGAIN})")
        for test, failure in again.items():
            terminalreporter.line(f"{test}\n{failure}")
    for name, tests in sorted(skipped_for_a_server(config).items()):
        terminalreporter.section(f"no {name} on this machine: {len(tests)} skipped")
        for test in tests:
            terminalreporter.line(test)
        if is_ci():
            terminalreporter.line("CI has to meet every server: the run fails.", red=True)
