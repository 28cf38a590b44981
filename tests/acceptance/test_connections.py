"""Servers that together want more connections than PostgreSQL takes: warned of, or refused, as the setting says."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.waiting import until

# Each server opens 13 at most: 2 for the directory, twice 2 and 7 for the shard. Two have room beside ten kept free.
EACH, ALLOWED = 13, 45
STRICT = {"DATABASE_OVERCOMMIT": "false"}

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def installation(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with ExitStack() as exits:
        postgres = exits.enter_context(own_postgres(server("postgresql-15"), max_connections=str(ALLOWED)))
        folder = tmp_path_factory.mktemp("connections") / "w"
        yield exits.enter_context(installed("external-one", folder, postgres, DATABASE_CONNECTIONS="2"))


@pytest.fixture(scope="module")
def two(installation: Installation) -> list[ServerProcess]:
    """Two servers that serve, for which there is room."""
    return [installation.server(name, **STRICT).start() for name in ("first", "second")]


def connections_row(installation: Installation, **settings: str) -> tuple[str, str]:
    """Ask doctor; what it says of connections."""
    installation.environment |= settings
    said = installation.command("doctor", "--json", check=False).stdout
    [row] = [row for row in json.loads(said) if row["check"] == "connections"]
    return row["state"], row["message"]


def test_one_too_many_is_refused_with_a_sentence_and_the_others_go_on(
    installation: Installation, two: list[ServerProcess]
) -> None:
    state, message = connections_row(installation)
    assert state == "ok"
    assert f"2 servers together may open {2 * EACH} of the {ALLOWED} connections of the PostgreSQL at " in message
    third = installation.server("third", **STRICT)
    third.start(wait=False)
    process = third.process
    assert process is not None
    until(lambda: process.poll() is not None, "it has given up", within=60)
    assert process.returncode != 0
    third.process = None
    assert f"3 servers together may open {3 * EACH} of the {ALLOWED} connections" in third.log_tail()
    assert all(one.is_ready() for one in two)


def test_one_that_was_killed_makes_room(installation: Installation, two: list[ServerProcess]) -> None:
    two[1].kill()
    successor = installation.server("successor", **STRICT).start()
    assert successor.is_ready()
    assert successor.end() is None


def test_one_too_many_that_may_overcommit_is_warned_of(installation: Installation, two: list[ServerProcess]) -> None:
    if two[1].process is None:
        two[1].start()
    third = installation.server("patient").start()
    until(lambda: "connections_overcommitted" in third.log_tail(), "it warns", within=60)
    assert "connections_overcommitted" not in two[0].log_tail()
    sentence = f"3 servers together may open {3 * EACH} of the {ALLOWED} connections"
    state, message = connections_row(installation)
    assert (state, sentence in message) == ("warning", True), message
    state, message = connections_row(installation, **STRICT)
    assert (state, sentence in message) == ("wrong", True), message
