"""F-26: the clock of one server is wrong, by seconds or by minutes.

Its wall clock is moved by a library that is loaded before it; its monotonic one, and all others' clocks, are right.
Within what verifying grants nobody notices. Beyond it that server says so, is not ready, and lets no token in: also
none that is good by its own clock, because its use may have been forgotten. Others go on.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.integrator import Integrator, new_organization
from support.network import Reply, send
from support.postgres_process import own_postgres
from support.server import PROGRAM, Installation, ServerProcess, installed
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15", "libfaketime"), pytest.mark.timeout(180)]

_PATH = "/portal/api/bridge/scenarios"


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """One whose clock is right, and what starts others."""

    installation: Installation
    right: ServerProcess
    integrator: Integrator
    library: Path
    folder: Path

    def started(self, seconds: int) -> ServerProcess:
        """Start a server whose clock is this far ahead."""
        server = self.installation.server(f"clock{seconds:+}", CLOCK_LOOK_SECONDS="0.2")
        program = self.folder / f"clock{seconds:+}"
        program.write_text(
            f"#!/bin/sh\nLD_PRELOAD={self.library} FAKETIME={seconds:+}s FAKETIME_DONT_FAKE_MONOTONIC=1 "
            f'DONT_FAKE_MONOTONIC=1 exec {PROGRAM} "$@"\n',
            encoding="utf-8",
        )
        program.chmod(0o700)
        return server.start(wait=False, program=program)

    def ask(self, server: ServerProcess, **claims: int) -> Reply:
        token = self.integrator.token("dana@example.com", **claims)
        return send("GET", server.url + _PATH, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(scope="module")
def servers(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("clocks")
    with ExitStack() as stack:
        postgres = stack.enter_context(own_postgres(server("postgresql-15")))
        installation = stack.enter_context(
            installed("external-one", folder / "w", postgres, DATABASE_CONNECTIONS="3", CLOCK_LOOK_SECONDS="0.2")
        )
        right = installation.server("right").start()
        yield Servers(
            installation=installation,
            right=right,
            integrator=new_organization(installation, right.url),
            library=server("libfaketime"),
            folder=folder,
        )


@pytest.mark.parametrize("seconds", [5, -5, 9, -9])
def test_a_clock_that_is_a_little_wrong_refuses_nothing(servers: Servers, seconds: int) -> None:
    server = servers.started(seconds)
    server.wait_ready()
    answers = [servers.ask(server).status for _ in range(20)]
    assert answers == [200] * 20
    assert server.metric("clock_skew_seconds") == pytest.approx(seconds, abs=1)
    assert server.end() is None


@pytest.mark.parametrize("seconds", [12, -12, 130, -130])
def test_a_clock_that_is_very_wrong_is_told_and_lets_no_token_in(servers: Servers, seconds: int) -> None:
    server = servers.started(seconds)
    until(lambda: alive(server), "it is alive", within=60)
    ready = until(lambda: unready(server), "it knows what its clock is", within=20)
    [reason] = ready.json()["reasons"]
    assert f"{abs(seconds)} seconds" in reason
    assert ("ahead" if seconds > 0 else "behind") in reason
    for _ in range(5):
        refused = servers.ask(server)
        assert (refused.status, refused.json()["code"]) == (503, "clock_skew"), refused
        assert "retry-after" in refused.headers
        # Nobody else minds, and what was refused was not used up.
        assert servers.ask(servers.right).status == 200
    assert server.metric("clock_skew_seconds") == pytest.approx(seconds, abs=1)
    assert server.end() is None


def unready(server: ServerProcess) -> Reply | None:
    ready = server.get("/ready")
    return None if ready.status == 200 else ready


def alive(server: ServerProcess) -> bool:
    try:
        return server.get("/live").status == 200
    except OSError:
        return False
