"""A server that starts has made ready what ran last, as much of it as it may and no longer than it may."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from faults.scene import QUICK
from support.integrator import Connected, new_organization
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(180)]
SCENARIOS = 3


@pytest.fixture(scope="module")
def installation(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with ExitStack() as exits:
        postgres = exits.enter_context(own_postgres(server("postgresql-15")))
        yield exits.enter_context(installed("external-one", tmp_path_factory.mktemp("warm") / "w", postgres))


@pytest.fixture(scope="module")
def scenarios(installation: Installation) -> list[Connected]:
    """Scenarios that have run, of a server that has ended."""
    server = installation.server().start()
    integrator = new_organization(installation, server.url)
    version_id = integrator.publish(QUICK)
    options: dict[str, Any] = {"autoActivate": True, "scenario": {"name": QUICK["name"], "enable": True}}
    made = [integrator.customer().connect(version_id, {}, **options) for _ in range(SCENARIOS)]
    for scenario in made:
        assert scenario.call_hook({"op": "1"}).status == 200
    assert server.end() is None
    return made


@contextmanager
def restarted(installation: Installation, **settings: str) -> Iterator[ServerProcess]:
    """Serve again at the same address, with other settings."""
    server = installation.servers[0]
    server.settings = settings
    server.start()
    try:
        yield server
    finally:
        assert server.end() is None


@contextmanager
def nobody_reads_blueprints(installation: Installation) -> Iterator[None]:
    """Hold the table of blueprints, so that whoever reads one there waits."""
    with psycopg.connect(installation.shard_dsn) as connection:
        connection.execute("LOCK TABLE shard.blueprints IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def warm(server: ServerProcess) -> float:
    return server.metric("near_cache_entries", cache="programs")


def test_the_first_calls_after_a_start_read_no_blueprint(
    installation: Installation, scenarios: list[Connected]
) -> None:
    with restarted(installation) as server:
        misses = server.metric("near_cache_reads_total", cache="programs", result="miss")
        assert (warm(server), misses) == (SCENARIOS, SCENARIOS)
        with nobody_reads_blueprints(installation):
            assert [scenario.call_hook({"op": "2"}).status for scenario in scenarios] == [200] * SCENARIOS
        assert server.metric("near_cache_reads_total", cache="programs", result="miss") == misses
        assert server.metric("near_cache_reads_total", cache="programs", result="hit") >= SCENARIOS


def test_no_more_is_made_ready_than_the_setting_says_and_the_latest_first(
    installation: Installation, scenarios: list[Connected]
) -> None:
    with restarted(installation, CACHE_WARM_PROGRAMS="0") as server:
        assert warm(server) == 0
        for scenario in reversed(scenarios):
            assert scenario.call_hook({"op": "3"}).status == 200
    with restarted(installation, CACHE_WARM_PROGRAMS="1") as server:
        assert warm(server) == 1
        with nobody_reads_blueprints(installation):
            assert scenarios[0].call_hook({"op": "4"}).status == 200


@pytest.mark.usefixtures("scenarios")
def test_a_start_waits_for_what_is_made_ready_no_longer_than_the_setting_says(installation: Installation) -> None:
    """Each blueprint would be waited for longer than a start may take at all."""
    patient = {"LOCK_TIMEOUT_SECONDS": "90", "STATEMENT_TIMEOUT_SECONDS": "90"}
    with nobody_reads_blueprints(installation), restarted(installation, CACHE_WARM_SECONDS="0.5", **patient) as server:
        assert warm(server) == 0
        assert "programs_warm" in server.log_tail()
