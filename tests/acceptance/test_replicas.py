"""Lists come from a replica while it is fresh, and nobody ever misses what was answered to him: by no server.

Two servers on one PostgreSQL with a real streaming standby. What is written through one is looked for through the
other at once; the standby is paused, hung and killed meanwhile.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from acceptance.conftest import blueprint_of
from support.integrator import Portal, new_organization
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.standby import Standby, standby_of
from support.waiting import until

# Long enough that a paused standby is still asked when the test comes to it.
LAG = 1.5
BACK = 3.0
ROUNDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two servers, a customer's integrator at each, and the standby that both read."""

    installation: Installation
    servers: tuple[ServerProcess, ServerProcess]
    portals: tuple[Portal, Portal]
    standby: Standby

    def reads(self, source: str) -> float:
        return self.installation.metric("reads_total", source=source)

    def await_open(self) -> None:
        until(
            lambda: all(server.metric("replica_open") == 1 for server in self.servers),
            "both servers read the standby",
            within=20,
        )

    def await_shut(self) -> None:
        until(lambda: self.installation.metric("replica_open") == 0, "nobody reads the standby", within=20)

    def write(self) -> int:
        """Make a template through the first server and return its id."""
        made: int = self.portals[0].post("/templates", {"blueprint": blueprint_of("sum")})["id"]
        return made

    def listed(self, server: int = 1) -> set[int]:
        """List the templates through a server."""
        return {template["id"] for template in self.portals[server].get("/templates")["templates"]}


@pytest.fixture(scope="module")
def pair(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with ExitStack() as exits:
        postgres = exits.enter_context(own_postgres(server("postgresql-15")))
        standby = exits.enter_context(standby_of(postgres))
        settings = {
            "REPLICA_URLS": f"0={standby.address}",
            "REPLICA_LAG_SECONDS": str(LAG),
            "REPLICA_BACK_SECONDS": str(BACK),
        }
        folder = tmp_path_factory.mktemp("replicas")
        installation = exits.enter_context(installed("external-one", folder, postgres, **settings))
        servers = (installation.server("first").start(), installation.server("second").start())
        integrator = new_organization(installation, servers[0].url)
        one = integrator.administrator()
        two = replace(integrator, url=servers[1].url).administrator()
        yield Pair(installation=installation, servers=servers, portals=(one, two), standby=standby)


@pytest.fixture(autouse=True)
def fresh(pair: Pair) -> None:
    pair.await_open()


def test_lists_are_read_from_the_replica_and_what_is_decided_upon_is_not(pair: Pair) -> None:
    before = pair.reads("replica"), pair.reads("primary")
    for _ in range(10):
        pair.listed()
    assert pair.reads("replica") - before[0] >= 10
    assert pair.reads("primary") == before[1]
    template = pair.write()
    counted = pair.reads("replica")
    assert pair.portals[1].call("GET", f"/templates/{template}").status == 200
    assert pair.reads("replica") == counted


def test_what_was_written_through_one_server_is_seen_through_the_other_at_once(pair: Pair) -> None:
    before = pair.reads("replica")
    took = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        written = pair.write()
        took.append(time.monotonic() - began)
        assert written in pair.listed(), "STALE: a write that was answered is missing"
    assert pair.reads("replica") - before >= ROUNDS
    assert sorted(took)[ROUNDS // 2] < LAG / 2, "a replica that follows delays no write for long"


def test_a_replica_that_stands_still_hides_no_write_from_anybody(pair: Pair) -> None:
    pair.standby.pause_replay()
    try:
        first = pair.write()
        assert first in pair.listed(), "STALE: a write that was answered is missing"
        assert first in pair.listed(0), "STALE: the server that wrote misses it itself"
        pair.await_shut()
        began = time.monotonic()
        second = pair.write()
        assert time.monotonic() - began < LAG / 2, "no write waits for a replica that nobody reads"
        counted = pair.reads("replica")
        assert {first, second} <= pair.listed()
        assert pair.reads("replica") == counted
    finally:
        pair.standby.resume_replay()
    pair.await_open()
    assert {first, second} <= pair.listed()
    assert pair.reads("replica") > counted


def test_a_replica_that_hangs_costs_a_moment_once(pair: Pair) -> None:
    written = pair.write()
    pair.standby.freeze()
    try:
        began = time.monotonic()
        assert written in pair.listed()
        assert time.monotonic() - began < 3.0
        pair.await_shut()
        began = time.monotonic()
        assert pair.write() in pair.listed()
        assert time.monotonic() - began < LAG + 3.0
    finally:
        pair.standby.thaw()


def test_a_replica_that_dies_fails_nobody(pair: Pair) -> None:
    written = pair.write()
    pair.standby.server.kill()
    assert written in pair.listed()
    assert pair.write() in pair.listed()
    pair.await_shut()
    pair.standby.server.start()
    pair.await_open()
    assert written in pair.listed()
