"""Limits of usage from the outside: what comes over a limit is taken and waits, and runs when the limit is raised.

Two servers on one database: what one of them counts, the other knows within seconds. A limit is enforced with what the
last look knew, so a burst may go beyond it by what is accepted until the next one; nothing is ever lost for it.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.integrator import Connected, Integrator, Portal, new_organization
from support.network import Reply, send
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(300)]
WITHIN = 20.0
AGREED_WITHIN = 5.0
LIMIT = 10
DEFERRED = 20
CALLS = 15
QUICK: dict[str, Any] = {
    "name": "Calls nobody",
    "flow": [
        {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": None}, "mapper": {}},
        {"id": 2, "module": "util:ComposeTransformer", "version": 1, "mapper": {"value": "{{1.op}}"}},
    ],
    "metadata": {"version": 1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two servers on one database."""

    installation: Installation
    servers: tuple[ServerProcess, ServerProcess]
    integrator: Integrator
    version_id: int


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, server: Callable[[str], Path]) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("quotas")
    with (
        own_postgres(server("postgresql-15")) as postgres,
        installed("external-one", folder / "w", postgres, USAGE_DEFERRED=str(DEFERRED)) as installation,
    ):
        first = installation.server("first", NODE_ID="first").start()
        second = installation.server("second", NODE_ID="second").start()
        integrator = new_organization(installation, first.url)
        yield Pair(
            installation=installation,
            servers=(first, second),
            integrator=integrator,
            version_id=integrator.publish(QUICK),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A customer with a limit, and a scenario on a webhook."""

    pair: Pair
    id: int
    customer: Portal
    scenario: Connected

    def call(self, number: int) -> Reply:
        """Call the webhook at one of the servers, then at the other."""
        server = self.pair.servers[number % 2]
        token = self.scenario.hook_url.rpartition("/")[2]
        return send("POST", f"{server.url}/hook/{token}", json_body={"op": str(number)})

    def usage(self) -> dict[str, Any]:
        usage: dict[str, Any] = self.customer.get(f"/customers/{self.id}/usage")
        return usage

    def ended(self) -> list[dict[str, Any]]:
        return [log for log in self.scenario.logs() if log["status"] == 1]

    def waiting(self) -> list[dict[str, Any]]:
        return [log for log in self.scenario.logs() if "waits" in log]

    def raise_limit(self, operations: int | None) -> None:
        administrator = self.pair.integrator.administrator()
        reply = administrator.call("PATCH", f"/customers/{self.id}", json_body={"operationsLimit": operations})
        assert reply.status == 200, reply

    def wait_until_both_know(self) -> float:
        """Wait until both servers hold the customer back; return how long that took."""
        began = time.monotonic()
        for server in self.pair.servers:
            until(
                lambda server=server: server.metric("usage_limits_reached") == 1,  # type: ignore[misc]
                f"{server.name} knows that the limit is reached",
                within=AGREED_WITHIN,
            )
        return time.monotonic() - began


@pytest.fixture
def shop(pair: Pair) -> Iterator[Shop]:
    sub = f"customer-{uuid.uuid4()}"
    body = {"name": "Dana", "externalId": sub, "operationsLimit": LIMIT}
    made = pair.integrator.administrator().post("/customers", body)
    customer = pair.integrator.customer(sub)
    scenario = customer.connect(pair.version_id, {}, autoActivate=True, scenario={"name": "Quick", "enable": True})
    shop = Shop(pair=pair, id=made["id"], customer=customer, scenario=scenario)
    yield shop
    shop.raise_limit(None)
    for server in pair.servers:
        until(lambda server=server: server.metric("usage_limits_reached") == 0, "no limit is left", within=WITHIN)  # type: ignore[misc]


def test_a_burst_over_the_limit_loses_nothing_and_all_of_it_runs_when_the_limit_is_raised(shop: Shop) -> None:
    ids = set()
    for number in range(CALLS):
        reply = shop.call(number)
        assert reply.status == 200, reply
        ids.add(reply.headers["x-execution-id"])
    shop.wait_until_both_know()
    assert shop.usage()["operations"] >= LIMIT
    assert len(shop.ended()) + len(shop.waiting()) == CALLS
    shop.raise_limit(1000)
    until(lambda: len(shop.ended()) == CALLS, "all of them have run", within=WITHIN)
    assert {log["id"] for log in shop.ended()} == ids
    usage = shop.usage()
    assert (usage["executions"], usage["state"], usage["waiting"]) == (CALLS, "normal", 0)
    assert usage["operations"] == sum(log["operations"] for log in shop.ended())


def test_what_comes_after_the_limit_waits_says_so_and_runs_in_the_order_it_came(shop: Shop) -> None:
    number = 0
    while shop.usage()["operations"] < LIMIT:
        assert shop.call(number).status == 200
        number += 1
    took = shop.wait_until_both_know()
    assert took < AGREED_WITHIN
    before = shop.usage()
    assert before["operations"] < LIMIT + 5
    waiting = [shop.call(number).headers["x-execution-id"] for number in range(5)]
    after = shop.usage()
    assert (after["state"], after["operations"], after["waiting"]) == ("reached", before["operations"], 5)
    shown = shop.waiting()
    assert sorted(log["id"] for log in shown) == sorted(waiting)
    assert {log["waits"]["reason"] for log in shown} == {"usage_limit_reached"}
    by_hand = shop.customer.call("POST", f"/scenarios/{shop.scenario.id}/run", json_body={})
    assert (by_hand.status, by_hand.json()["code"]) == (429, "usage_limit_reached")
    assert int(by_hand.headers["retry-after"]) >= 1
    shop.raise_limit(1000)
    until(lambda: not shop.waiting() and len(shop.ended()) == number + 5, "all of them have run", within=WITHIN)


def test_beyond_what_may_wait_a_call_is_refused_with_a_time_and_a_sentence(shop: Shop) -> None:
    shop.raise_limit(0)
    shop.wait_until_both_know()
    replies = [shop.call(number) for number in range(DEFERRED + 6)]
    assert [reply.status for reply in replies] == [200] * DEFERRED + [429] * 6
    refused = replies[-1]
    assert 1 <= int(refused.headers["retry-after"]) <= 3600
    assert refused.json()["code"] == "usage_limit_reached"
    assert "used what it may use this month" in refused.json()["detail"]
    assert shop.usage()["waiting"] == DEFERRED
    shop.raise_limit(None)
    until(lambda: len(shop.ended()) == DEFERRED, "all that waited have run", within=WITHIN)


def test_the_operator_limits_an_organization_from_the_command_line_while_servers_run(pair: Pair, shop: Shop) -> None:
    organization = str(pair.integrator.organization_id)
    limited = pair.installation.ask("org", "limits", organization, "--executions", "0")
    assert (limited["executionsLimit"], limited["state"]) == (0, "reached")
    shop.wait_until_both_know()
    run = shop.call(0).headers["x-execution-id"]
    assert [log["id"] for log in shop.waiting()] == [run]
    token = {"Authorization": f"Token {pair.integrator.api_token}"}
    told = send("GET", f"{pair.servers[1].url}/api/v2/organizations/{organization}/limits", headers=token).json()
    assert (told["state"], told["isPaused"], told["waiting"]) == ("reached", True, 1)
    assert pair.installation.ask("org", "limits", organization, "--lift")["executionsLimit"] is None
    until(lambda: len(shop.ended()) == 1, "it has run", within=WITHIN)
