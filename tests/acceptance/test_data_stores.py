"""Data stores from the outside: made through the API, filled by scenarios, undone with what failed."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from acceptance.conftest import Product
from support.integrator import Integrator
from support.network import Reply, send
from support.waiting import until

# Starting a server for the first test is part of that test.
pytestmark = pytest.mark.timeout(300)
WITHIN = 15.0


class Desk:
    """What an operator does with data stores and scenarios."""

    def __init__(self, integrator: Integrator) -> None:
        self.integrator = integrator

    def call(self, method: str, path: str, json_body: object = None) -> Reply:
        headers = {"Authorization": f"Token {self.integrator.api_token}"}
        return send(method, f"{self.integrator.url}/api/v2{path}", headers=headers, json_body=json_body)

    def ask(self, method: str, path: str, json_body: object = None) -> Any:
        reply = self.call(method, path, json_body)
        assert reply.status == 200, f"{method} {path}: {reply}"
        return reply.json()

    def store(self, **more: object) -> int:
        body = {"name": f"s {uuid.uuid4()}", "teamId": self.integrator.team_id, "maxSizeMB": 1} | more
        made: int = self.ask("POST", "/data-stores", body)["dataStore"]["id"]
        return made

    def records(self, store: int) -> dict[str, Any]:
        listed = self.ask("GET", f"/data-stores/{store}/data")["records"]
        return {record["key"]: record["data"] for record in listed}

    def scenario(self, *flow: dict[str, Any], **settings: object) -> str:
        """Make a scenario that is switched on, and return the address of its webhook."""
        trigger = {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 1}, "mapper": {}}
        blueprint = {"name": "Stored", "flow": [trigger, *flow], "metadata": {"version": 1, "scenario": settings}}
        administrator = self.integrator.administrator()
        made = administrator.post("/scenarios", {"blueprint": blueprint})
        administrator.post(f"/scenarios/{made['scenario']['id']}/activate")
        hook_url: str = made["hookUrl"]
        return hook_url


def module(number: int, name: str, mapper: object, **rest: Any) -> dict[str, Any]:
    return {"id": number, "module": name, "version": 1, "parameters": {}, "mapper": mapper, **rest}


def respond(number: int, body: str) -> dict[str, Any]:
    return module(number, "gateway:WebhookRespond", {"status": "200", "body": body})


def remember(number: int, store: int, mapper: dict[str, Any], name: str = "UpdateRecord") -> dict[str, Any]:
    return module(number, f"datastore:{name}", mapper, parameters={"datastore": store})


@pytest.fixture
def desk(product: Product) -> Desk:
    return Desk(product.integrator)


def test_a_scenario_keeps_records_that_the_api_shows(desk):
    store = desk.store()
    address = desk.scenario(
        remember(2, store, {"key": "{{1.who}}", "upsert": True, "data": {"orders": ["{{1.order}}"], "at": "{{now}}"}}),
        respond(3, "{{length(2.orders)}} orders"),
    )
    answers = [send("POST", address, json_body={"who": "dana", "order": n}).body for n in (1, 2)]
    assert answers == [b"1 orders", b"2 orders"]
    kept = desk.records(store)["dana"]
    assert kept["orders"] == [1, 2]
    assert kept["at"].endswith("Z")
    desk.ask("PATCH", f"/data-stores/{store}/data/dana", {"vip": True})
    assert send("POST", address, json_body={"who": "dana", "order": 3}).body == b"3 orders"
    assert desk.records(store)["dana"]["vip"] is True


@pytest.mark.parametrize(("auto", "left"), [(True, 1), (False, 0)])
def test_a_failed_run_undoes_what_was_not_committed(desk, auto, left):
    store = desk.store()
    fails = module(3, "builtin:ThrowError", {"message": "no"})
    address = desk.scenario(
        remember(2, store, {"key": "a", "data": {}}, "AddRecord"), fails, respond(4, "never"), autoCommit=auto
    )
    assert send("POST", address, json_body={}).status == 500
    assert len(desk.records(store)) == left


def test_counters_of_runs_at_once_lose_no_count(desk):
    store = desk.store()
    address = desk.scenario(
        remember(2, store, {"key": "all", "upsert": True, "data": {"seen": ["{{1.n}}"]}}), respond(3, "ok")
    )
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: send("POST", address, json_body={"n": n}), range(64)))
    assert [answer.status for answer in answers] == [200] * 64
    kept = until(lambda: desk.records(store) or None, "the record is there", within=WITHIN)
    assert sorted(kept["all"]["seen"]) == list(range(64))
    assert desk.ask("GET", f"/data-stores/{store}")["dataStore"]["records"] == 1


def test_a_store_of_another_team_does_not_exist_for_a_scenario(desk):
    team = desk.integrator.administrator().post("/customers", {"name": "x", "externalId": f"c-{uuid.uuid4()}"})
    foreign = desk.store(teamId=team["teamId"])
    address = desk.scenario(
        remember(2, foreign, {"key": "a", "data": {}}, "AddRecord"),
        respond(3, "never"),
    )
    assert send("POST", address, json_body={}).status == 500
    assert desk.records(foreign) == {}


def test_nobody_reads_records_without_a_token(desk):
    store = desk.store()
    assert send("GET", f"{desk.integrator.url}/api/v2/data-stores/{store}/data").status == 401
