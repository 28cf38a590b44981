"""An operator sees which statements were slow in a server; nobody else does."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.integrator import new_organization
from support.network import send
from support.server import Installation, installed


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with installed("embedded", tmp_path / "w", None, SLOW_QUERY_MS="0", SLOW_QUERY_FINGERPRINTS="50") as one:
        yield one


def test_slow_statements_are_shown_by_the_command_to_this_machine_only(installation: Installation) -> None:
    server = installation.server().start()
    integrator = new_organization(installation, server.url)
    assert integrator.administrator().call("GET", "/templates").status == 200
    shown = json.loads(installation.command("database", "slow", "--json", "--url", server.url).stdout)
    assert 1 <= len(shown) <= 50
    assert all(entry["worstSeconds"] >= entry["meanSeconds"] >= 0 for entry in shown)
    assert integrator.secret not in json.dumps(shown)
    assert server.metric("slow_statements_total") > 0
    outside = send("GET", f"{server.url}/slow-statements", headers={"X-Forwarded-For": "203.0.113.9"})
    assert outside.status == 404
    assert "×" in installation.command("database", "slow", "--url", server.url).stdout
