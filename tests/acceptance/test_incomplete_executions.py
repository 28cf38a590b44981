"""Runs that stop half-way, from the outside: kept, looked at, mended, tried again at the module they stopped at."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance.conftest import Product
from support.integrator import Integrator, new_organization
from support.network import Reply, send
from support.server import ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 20.0


def post(number: int, url: str, data: str) -> dict[str, Any]:
    """One module that posts a text."""
    mapper = {
        "url": url,
        "method": "post",
        "headers": [],
        "bodyType": "raw",
        "contentType": "text/plain",
        "data": data,
        "parseResponse": True,
    }
    parameters = {"handleErrors": True}
    return {"id": number, "module": "http:ActionSendData", "version": 3, "parameters": parameters, "mapper": mapper}


def trigger() -> dict[str, Any]:
    return {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 1}, "mapper": {}}


def fails_always() -> dict[str, Any]:
    return {"id": 2, "module": "builtin:ThrowError", "version": 1, "parameters": {}, "mapper": {"message": "Enough."}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A scenario of the integrator's own with three calls; the second may be refused."""

    integrator: Integrator
    shop: Target
    path: str
    id: int
    hook_url: str

    def url(self, step: str) -> str:
        return f"{self.path}/{step}"

    def count(self, step: str) -> int:
        return len(self.shop.calls_to(self.url(step)))

    def refuse(self, status: int, step: str = "second") -> None:
        self.shop.statuses[self.url(step)] = status

    def repair(self, step: str = "second") -> None:
        self.shop.statuses.pop(self.url(step), None)

    def call(self, body: object) -> None:
        reply = send("POST", self.hook_url, json_body=body)
        assert reply.status == 200, reply

    def api(self, method: str, path: str, json_body: object = None) -> Reply:
        headers = {"Authorization": f"Token {self.integrator.api_token}"}
        return send(method, f"{self.integrator.url}/api/v2{path}", headers=headers, json_body=json_body)

    def ask(self, method: str, path: str, json_body: object = None) -> Any:
        reply = self.api(method, path, json_body)
        assert reply.status == 200, f"{method} {path}: {reply}"
        return reply.json()

    def dlqs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", f"/dlqs?scenarioId={self.id}")["dlqs"]
        return found

    def parked(self) -> dict[str, Any]:
        return until(lambda: next(iter(self.dlqs()), None), "an incomplete execution is stored", within=WITHIN)

    def record(self, record_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/dlqs/{record_id}")["dlq"]
        return found

    def resolved(self, record_id: str) -> dict[str, Any]:
        def read() -> dict[str, Any] | None:
            record = self.record(record_id)
            return record if record["resolved"] else None

        return until(read, f"{record_id} is resolved", within=WITHIN)

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = self.integrator.administrator().get(f"/scenarios/{self.id}")
        return found

    def logs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.integrator.administrator().get(f"/scenarios/{self.id}/logs")
        return found


def make_scene(integrator: Integrator, shop: Target, *flow: dict[str, Any], **settings: object) -> Scene:
    path = f"/{uuid.uuid4().hex}"
    calls = [
        post(2, f"{shop.url}{path}/first", "{{1.order}}"),
        post(3, f"{shop.url}{path}/second", "{{1.order}} again"),
        post(4, f"{shop.url}{path}/third", "{{1.order}} is done"),
    ]
    blueprint = {
        "name": "Orders",
        "flow": [trigger(), *(flow or calls)],
        "metadata": {"version": 1, "scenario": settings},
    }
    administrator = integrator.administrator()
    made = administrator.post("/scenarios", {"blueprint": blueprint})
    administrator.post(f"/scenarios/{made['scenario']['id']}/activate")
    return Scene(integrator=integrator, shop=shop, path=path, id=made["scenario"]["id"], hook_url=made["hookUrl"])


@pytest.fixture
def scene(product: Product) -> Callable[..., Scene]:
    def make(*flow: dict[str, Any], **settings: object) -> Scene:
        return make_scene(product.integrator, product.shop, *flow, **settings)

    return make


def test_a_retry_goes_on_at_the_module_and_earlier_modules_do_not_run_again(scene):
    orders = scene(dlq=True)
    orders.refuse(400)
    orders.call({"order": "a-17"})
    record = orders.parked()
    assert (record["resolved"], record["retry"], record["attempts"]) == (False, False, 0)
    assert record["reason"].startswith("DataError: ")
    assert (orders.count("first"), orders.count("second"), orders.count("third")) == (1, 1, 0)
    [log] = orders.logs()
    assert log["status"] == 2
    detail = orders.record(record["id"])
    assert (detail["scenarioId"], detail["scenarioName"]) == (orders.id, "Orders")
    assert uuid.UUID(detail["executionId"]).hex == log["id"]

    orders.repair()
    assert orders.ask("POST", f"/dlqs/{record['id']}/retry") == {"dlq": record["id"]}
    after = orders.resolved(record["id"])
    assert (after["attempts"], after["retry"], after["nextAttempt"]) == (1, False, None)
    assert (orders.count("first"), orders.count("second"), orders.count("third")) == (1, 2, 1)
    keys = [call.headers["idempotency-key"] for call in orders.shop.calls_to(orders.url("second"))]
    assert keys[0] == keys[1]
    [attempt] = orders.ask("GET", f"/dlqs/{record['id']}/logs")["dlqLogs"]
    assert attempt["status"] == 1
    assert [row["id"] for row in orders.logs()] == [attempt["id"], log["id"]]
    assert orders.ask("GET", f"/dlqs/{record['id']}/logs/{attempt['id']}")["dlqLog"] == attempt


def test_what_failed_for_lack_of_a_connection_is_tried_again_by_itself(scene):
    orders = scene(dlq=True)
    orders.refuse(503)
    orders.call({"order": "a-17"})
    record = orders.parked()
    assert record["retry"]
    assert record["nextAttempt"] is not None
    assert record["reason"].startswith("ConnectionError: ")


def test_an_edited_record_goes_on_with_its_own_data_and_blueprint(scene):
    orders = scene(dlq=True)
    orders.refuse(400)
    orders.call({"order": "a-17"})
    record_id = orders.parked()["id"]
    bundles = orders.ask("GET", f"/dlqs/{record_id}/bundle")["response"]
    assert bundles["1"] == {"order": "a-17"}
    mended = orders.ask("GET", f"/dlqs/{record_id}/blueprint")["response"]["blueprint"]
    mended["flow"][2]["mapper"]["data"] = "mended {{1.order}}"
    edit = {"blueprint": json.dumps(mended), "bundles": {"1": {"order": "b-18"}}}
    answer = orders.ask("PATCH", f"/dlqs/{record_id}", edit)["dlq"]
    assert answer["failer"] == 3
    assert answer["blueprint"]["flow"][2]["mapper"]["data"] == "mended {{1.order}}"

    orders.repair()
    orders.ask("POST", f"/dlqs/{record_id}/retry")
    orders.resolved(record_id)
    refused, taken = orders.shop.calls_to(orders.url("second"))
    assert (refused.body, taken.body) == (b"a-17 again", b"mended b-18")
    assert refused.headers["idempotency-key"] != taken.headers["idempotency-key"]
    current = orders.integrator.administrator().get(f"/scenarios/{orders.id}/blueprint")["blueprint"]
    assert current["flow"][2]["mapper"]["data"] == "{{1.order}} again"


def test_a_confidential_record_goes_on_and_shows_nobody_its_data(scene):
    orders = scene(dlq=True, confidential=True)
    orders.refuse(400)
    orders.call({"order": "a-17"})
    record_id = orders.parked()["id"]
    assert orders.api("GET", f"/dlqs/{record_id}/bundle").status == 403
    orders.repair()
    orders.ask("POST", f"/dlqs/{record_id}/retry")
    orders.resolved(record_id)
    assert [call.body for call in orders.shop.calls_to(orders.url("third"))] == [b"a-17 is done"]


def test_an_edit_that_could_not_run_is_refused(scene):
    orders = scene(dlq=True)
    orders.refuse(400)
    orders.call({"order": "a-17"})
    record_id = orders.parked()["id"]
    assert orders.api("PATCH", f"/dlqs/{record_id}", {"failer": 99}).status == 422
    assert orders.api("PATCH", f"/dlqs/{record_id}", {"bundles": {"77": {}}}).status == 400
    assert orders.api("PATCH", f"/dlqs/{record_id}", {"blueprint": {"name": "x", "flow": []}}).status == 422


def test_all_of_a_scenario_are_tried_again_or_given_up_together(scene):
    orders = scene(dlq=True)
    orders.refuse(400)
    for number in range(3):
        orders.call({"order": f"a-{number}"})
    until(lambda: len(orders.dlqs()) == 3, "three are stored", within=WITHIN)
    first, *rest = sorted(record["id"] for record in orders.dlqs())
    assert orders.api("DELETE", f"/dlqs?scenarioId={orders.id}", {"all": True}).status == 406
    assert orders.ask("DELETE", f"/dlqs?scenarioId={orders.id}", {"ids": [first]}) == {"dlqs": [first]}
    orders.repair()
    tried = orders.ask("POST", f"/dlqs/retry?scenarioId={orders.id}", {"all": True})["dlq"]
    assert sorted(tried) == rest
    for record_id in rest:
        orders.resolved(record_id)
    given_up = orders.ask("DELETE", f"/dlqs?scenarioId={orders.id}&confirmed=true", {"all": True})
    assert sorted(given_up["dlqs"]) == rest
    assert orders.dlqs() == []


def test_a_scenario_in_order_waits_until_what_stopped_it_is_resolved(scene):
    orders = scene(dlq=True, sequential=True)
    orders.refuse(400)
    orders.call({"order": "a-1"})
    record_id = orders.parked()["id"]
    orders.call({"order": "a-2"})
    orders.repair()
    waiting = [row for row in orders.logs() if row["status"] == 0]
    assert len(waiting) == 1
    assert orders.count("first") == 1
    orders.ask("POST", f"/dlqs/{record_id}/retry")
    orders.resolved(record_id)
    until(lambda: orders.count("third") == 2, "the waiting one has run", within=WITHIN)
    assert [call.body for call in orders.shop.calls_to(orders.url("third"))] == [b"a-1 is done", b"a-2 is done"]


def test_giving_up_lets_a_scenario_in_order_go_on(scene):
    orders = scene(dlq=True, sequential=True)
    orders.refuse(400)
    orders.call({"order": "a-1"})
    record_id = orders.parked()["id"]
    orders.call({"order": "a-2"})
    orders.repair()
    orders.ask("DELETE", f"/dlqs?scenarioId={orders.id}", {"ids": [record_id]})
    until(lambda: orders.count("third") == 1, "the waiting one has run", within=WITHIN)
    assert [call.body for call in orders.shop.calls_to(orders.url("third"))] == [b"a-2 is done"]


def test_an_instant_scenario_is_switched_off_at_its_first_error(scene):
    orders = scene(fails_always())
    orders.call({"order": "a-1"})
    until(lambda: not orders.shown()["isActive"], "the scenario is switched off", within=WITHIN)

    def refused() -> Reply | None:
        reply = send("POST", orders.hook_url, json_body={})
        return None if reply.status == 200 else reply

    answer = until(refused, "the address refuses calls", within=WITHIN)
    assert (answer.status, answer.json()["code"]) == (409, "scenario_inactive")


def test_a_refusal_by_the_other_side_does_not_switch_a_scenario_off(scene):
    orders = scene()
    orders.refuse(400)
    orders.call({"order": "a-1"})
    orders.call({"order": "a-2"})
    until(lambda: [row["status"] for row in orders.logs()] == [3, 3], "both have failed", within=WITHIN)
    assert orders.shown()["isActive"]
    assert orders.dlqs() == []


def test_another_organization_s_record_is_not_found(scene, product):
    orders = scene(dlq=True)
    orders.refuse(400)
    orders.call({"order": "a-1"})
    record_id = orders.parked()["id"]
    stranger = new_organization(product.installation, product.url, "Rival")
    headers = {"Authorization": f"Token {stranger.api_token}"}
    for method, path in (
        ("GET", f"/dlqs/{record_id}"),
        ("GET", f"/dlqs/{record_id}/bundle"),
        ("GET", f"/dlqs/{record_id}/logs"),
        ("POST", f"/dlqs/{record_id}/retry"),
        ("GET", f"/dlqs?scenarioId={orders.id}"),
        ("POST", f"/dlqs/retry?scenarioId={orders.id}"),
    ):
        body = {"ids": [record_id]} if path.startswith("/dlqs/retry") else None
        reply = send(method, f"{product.url}/api/v2{path}", headers=headers, json_body=body)
        assert reply.status == 404, (method, path, reply)


@pytest.fixture
def killable(tmp_path: Path) -> Iterator[tuple[ServerProcess, Integrator, Target]]:
    """A server of this test's own, to be killed."""
    with ExitStack() as exits:
        shop = exits.enter_context(serving_target())
        installation = exits.enter_context(installed("embedded", tmp_path / "own", None, EGRESS_ALLOW="127.0.0.1"))
        server = installation.server().start()
        yield server, new_organization(installation, server.url), shop


def test_kill_9_during_a_retry_puts_its_call_in_doubt_and_leaves_exactly_one_resolution(killable):
    server, integrator, shop = killable
    orders = make_scene(integrator, shop, dlq=True)
    orders.refuse(400)
    orders.call({"order": "a-17"})
    record_id = orders.parked()["id"]
    orders.repair()
    hold = shop.hold()
    orders.ask("POST", f"/dlqs/{record_id}/retry")
    until(lambda: orders.count("second") == 2, "the retry is at its module", within=WITHIN)
    assert orders.record(record_id)["isRetrying"]
    assert orders.api("POST", f"/dlqs/{record_id}/retry").status == 409
    assert orders.api("PATCH", f"/dlqs/{record_id}", {"failer": 2}).status == 409
    server.kill()
    hold.release()
    server.start()
    until(lambda: orders.record(record_id)["possiblyDone"], "nobody knows whether the call was done", within=60.0)
    assert orders.count("second") == 2
    assert orders.api("POST", f"/dlqs/{record_id}/retry").status == 409
    assert orders.ask("POST", f"/dlqs/{record_id}/answer", {"done": False})["dlq"]["answer"] == "notDone"
    after = until(lambda: (r := orders.record(record_id))["resolved"] and r, "it is resolved", within=60.0)
    assert after["attempts"] == 2
    attempts = orders.ask("GET", f"/dlqs/{record_id}/logs")["dlqLogs"]
    assert [attempt["status"] for attempt in attempts] == [1, 2]
    assert len(orders.logs()) == 3
    assert (orders.count("first"), orders.count("third")) == (1, 1)
    assert len({call.headers["idempotency-key"] for call in orders.shop.calls_to(orders.url("second"))}) == 1
