"""Two servers on one PostgreSQL: what is changed at one is felt at the other, long before what it remembers ends.

(F-34)
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.scene import QUICK
from support.integrator import Connected, new_organization
from support.network import Reply, send
from support.postgres_process import own_postgres
from support.server import ServerProcess, installed
from support.waiting import until

# A server remembers where an address leads for two seconds: what is felt within one was told.
FELT_WITHIN = 1.0
ROUNDS = 5

pytestmark = [
    pytest.mark.requires_server("postgresql-15"),
    pytest.mark.timeout(180),
]


@pytest.fixture
def pair(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    with (
        own_postgres(server("postgresql-15")) as postgres,
        installed("external-one", tmp_path / "w", postgres) as installation,
    ):
        first = installation.server("first", NODE_ID="first").start()
        yield first, installation.server("second", NODE_ID="second").start()


def _connected(here: ServerProcess) -> Connected:
    integrator = new_organization(here.installation, here.url)
    customer = integrator.customer("dana@example.com")
    options: dict[str, Any] = {"autoActivate": True, "scenario": {"name": QUICK["name"], "enable": True}}
    return customer.connect(integrator.publish(QUICK), {}, **options)


@pytest.mark.parametrize("changing", ["first", "second"])
def test_a_scenario_switched_off_at_one_server_takes_no_webhook_at_the_other(
    pair: tuple[ServerProcess, ServerProcess], changing: str
) -> None:
    here, there = pair if changing == "first" else pair[::-1]
    scenario = _connected(here)
    address = f"{there.url}/hook/{scenario.hook_url.rpartition('/')[2]}"
    felt = []
    for _ in range(ROUNDS):
        assert _call(address).status == 200
        scenario.portal.post(f"/scenarios/{scenario.id}/deactivate")
        began = time.monotonic()
        until(lambda: _call(address).status == 409, "the other server refuses the webhook", within=FELT_WITHIN)
        felt.append(time.monotonic() - began)
        scenario.portal.post(f"/scenarios/{scenario.id}/activate")
        until(lambda: _call(address).status == 200, "the other server takes the webhook", within=FELT_WITHIN)
    assert max(felt) < FELT_WITHIN, felt
    stamped = [server.metric("events_stamped_total") for server in pair]
    assert stamped[0] > 0
    assert stamped[1] == 0, "one of them leads"


def _call(address: str) -> Reply:
    return send("POST", address, json_body={"op": "1"})
