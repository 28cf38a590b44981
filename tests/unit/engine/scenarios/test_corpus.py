"""Blueprints of other people, without vendor modules: each does what its own description promises.

The files lie outside the repository (their licences differ), so a machine without them skips these
tests by name. Every case names one promise and shows it kept against a scripted target.
"""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.ports import Credential, Ports
from make_bridge.engine.runner.memory_stores import MemoryStores
from make_bridge.engine.runner.result import RunResult
from make_bridge.engine.runner.run import run
from support.blueprints import request
from support.scripted import Answer, World, make_world

OK = Answer.from_json({"json": {"ok": True}})


@dataclass
class Ran:
    result: RunResult
    world: World

    @property
    def sent(self) -> list[tuple[str, str, Any]]:
        return [
            (sent.method, sent.url, json.loads(sent.body) if sent.body else None) for sent in self.world.target.requests
        ]


@dataclass
class Runner:
    corpus: Path
    credentials: dict[int, Credential] = field(default_factory=dict)

    async def __call__(self, name: str, *bundles: dict[str, Any], answers: list[Answer] | None = None, **rest) -> Ran:
        compiled = compile_blueprint(parse_blueprint((self.corpus / f"{name}.json").read_bytes()), CATALOGUE)
        world = make_world(answers or [OK], credentials=self.credentials)
        return Ran(await run(compiled, request(*bundles, **rest), world.ports), world)


@pytest.fixture
def go(corpus: Path) -> Runner:
    return Runner(corpus)


async def test_webhook_to_http_forwards_the_lead(go):
    ran = await go("official/integromat__webhook-to-http-blueprint", {"email": "a@b.example", "name": "Ann"})
    assert ran.sent == [("POST", "https://api.example.com/leads", {"email": "a@b.example", "name": "Ann"})]
    assert (ran.result.status, ran.result.operations) == ("success", 2)


async def test_filter_gate_lets_only_hot_leads_through(go):
    name = "official/integromat__filter-gate-blueprint"
    ran = await go(name, {"email": "hot", "score": 51}, {"email": "cold", "score": 50}, {"email": "none"})
    assert ran.sent == [("POST", "https://api.example.com/hot-leads", {"email": "hot", "score": 51})]
    assert ran.result.blocked == {2: 2}


async def test_error_handler_with_logging_logs_the_failure_and_goes_on(go):
    failing = [Answer.from_json({"url": "https://api.example.com/orders", "status": 500, "text": "down"}), OK]
    name = "official/integromat__error-handler-fallback-blueprint"
    ran = await go(name, {"orderId": "A1", "amount": 5}, answers=failing)
    assert ran.result.status == "success"
    assert ran.sent[1] == (
        "POST",
        "https://api.example.com/logs",
        {"level": "error", "message": "The server answered 500 Internal Server Error.", "orderId": "A1"},
    )


async def test_error_handler_with_logging_logs_nothing_when_all_is_well(go):
    ran = await go("official/integromat__error-handler-fallback-blueprint", {"orderId": "A1", "amount": 5})
    assert [url for _, url, _ in ran.sent] == ["https://api.example.com/orders"]


async def test_if_else_with_merge_joins_both_branches(go):
    name = "official/integromat__if-else-merge-blueprint"
    ran = await go(name, {"orderId": 1, "priority": "high"}, {"orderId": 2, "priority": "low"})
    assert [body["message"] for _, _, body in ran.sent] == [
        "Expedited: order 1 ships today",
        "Standard: order 2 ships within 5 days",
    ]


async def test_iterator_and_aggregator_recombine_all_items_into_a_single_request(go):
    items = [{"name": "tea", "qty": 2}, {"name": "cup", "qty": 1}]
    ran = await go("official/integromat__iterator-aggregator-blueprint", {"items": items})
    assert ran.sent == [("POST", "https://api.example.com/order-summaries", {"summary": "tea × 2, cup × 1"})]


async def test_rate_limited_loop_pauses_before_every_call(go):
    items = [{"id": 7, "email": "a"}, {"id": 8, "email": "b"}]
    ran = await go("official/integromat__rate-limited-loop-blueprint", {"items": items})
    assert ran.world.sleeper.slept == [1, 1]
    assert ran.sent == [
        ("PUT", "https://api.example.com/items/7", {"email": "a"}),
        ("PUT", "https://api.example.com/items/8", {"email": "b"}),
    ]


async def test_scheduled_status_poll_alerts_when_the_status_is_not_ok(go):
    status = Answer.from_json({"method": "GET", "url": "https://status.example.com/", "json": {"status": "degraded"}})
    ran = await go("official/integromat__scheduled-http-poll-blueprint", answers=[status, OK])
    assert ran.sent[1] == (
        "POST",
        "https://api.example.com/alerts",
        {"message": "Status check degraded: degraded", "checkedAt": "2026-03-31T10:20:30+00:00"},
    )


async def test_scheduled_status_poll_is_silent_when_the_status_is_ok(go):
    status = Answer.from_json({"method": "GET", "json": {"status": "ok"}})
    ran = await go("official/integromat__scheduled-http-poll-blueprint", answers=[status])
    assert len(ran.sent) == 1


async def test_webhook_api_endpoint_returns_a_custom_json_response(go):
    ran = await go("official/integromat__webhook-api-endpoint-blueprint", {"email": "a@b.example"})
    response = ran.result.response
    assert response is not None
    assert json.loads(response.body) == {"ok": True, "received": "a@b.example"}
    assert (response.status, response.headers) == (200, (("content-type", "application/json"),))


async def test_lead_intake_posts_hot_leads_and_survives_a_failing_api(go):
    name = "official/integromat__webhook-router-error-handler-blueprint"
    lead = {"email": "e", "name": "n", "score": 90}
    ran = await go(name, lead, {"email": "f", "score": 1}, answers=[Answer.from_json({"status": 500})])
    assert ran.result.status == "success"
    assert ran.sent == [
        ("POST", "https://api.example.com/hot-leads", {**lead, "received": "2026-03-31T10:20:30+00:00"}),
    ]
    assert [step.outputs for step in ran.result.steps if step.module_id == 4] == [
        [{"lastLeadEmail": "e"}],
        [{"lastLeadEmail": "f"}],
    ]


async def test_simple_scenario_greets_its_input(go):
    ran = await go("official/integromat__executions-blueprint", inputs={"name": "Ann"})
    assert ran.result.outputs == {"greeting": "Hello, Ann!"}


async def test_http_template_example_calls_its_address(go):
    ran = await go("official/integromat__public-templates-blueprint")
    assert ran.sent == [("GET", "https://example.com", None)]


async def test_a_module_without_its_input_fails_before_it_runs(go):
    ran = await go("official/integromat__get")
    error = ran.result.error
    assert error is not None
    assert error.type == "BundleValidationError"
    assert "Missing value of required parameter 'json'." in error.message


def _script_ids(**more: object) -> dict[str, object]:
    return {"sourceUpdatedScriptId": "SRC", "toUpdateScriptId": "DST", **more}


DSM = "exports/amrit-dash__Update-Apps-Script-Code-Amrit-s-DSM-Bot"


async def test_the_script_updater_copies_the_source_and_says_so(go):
    go.credentials = {33477: Credential(kind="bearer", secret="t")}
    script = [Answer.from_json({"method": "GET", "url": "https://script.googleapis.com/", "json": {"files": []}}), OK]
    ran = await go(DSM, _script_ids(), answers=script)
    response = ran.result.response
    assert response is not None
    assert (response.status, response.body) == (200, b"Updated Script.")
    assert ran.sent[0][1] == "https://script.googleapis.com/v1/projects/SRC/content?key=YOUR_API_KEY_HERE"
    assert ran.sent[1] == (
        "PUT",
        "https://script.googleapis.com/v1/projects/DST/content?key=YOUR_API_KEY_HERE",
        {"files": []},
    )
    assert dict(ran.world.target.requests[1].headers)["Authorization"] == "Bearer t"
    assert len(ran.sent) == 2  # the last route is disabled


async def test_the_script_updater_answers_400_when_the_source_cannot_be_read(go):
    go.credentials = {33477: Credential(kind="bearer", secret="t")}
    ran = await go(DSM, _script_ids(), answers=[Answer.from_json({"url": "https://script", "status": 500}), OK])
    response = ran.result.response
    assert response is not None
    assert (response.status, response.body) == (400, b"Script Update Failed")


async def test_the_script_updater_refuses_a_call_without_scripts(go):
    ran = await go(DSM, {"x": 1})
    response = ran.result.response
    assert response is not None
    assert (response.status, response.body) == (401, b"Not Success")


def _refused(corpus: Path, name: str) -> list[tuple[str, str | None]]:
    with pytest.raises(BlueprintInvalid) as caught:
        compile_blueprint(parse_blueprint((corpus / f"{name}.json").read_bytes()), CATALOGUE)
    return [(found.message, found.fix) for found in caught.value.findings]


def test_a_misspelt_webhook_is_refused_with_its_right_name(corpus):
    assert _refused(corpus, "handmade/cognizonline__basic-webhook") == [
        ("The module gateway:CustomWebhook is not known here.", "Did you mean gateway:CustomWebHook?")
    ]


async def test_the_data_store_pattern_lets_every_id_through_once(corpus):
    source = json.loads((corpus / "official/integromat__datastore-dedupe-blueprint.json").read_bytes())
    flow = source.get("blueprint", source)["flow"]
    for raw in flow:
        if raw["module"].startswith("datastore:"):
            raw["parameters"] = {"datastore": 1}  # the sample leaves the choice of the store open
    program = compile_blueprint(parse_blueprint(source), CATALOGUE)
    stores = MemoryStores()
    stores.add_store(1)
    bundles = [{"id": "a", "email": "a@x.example"}, {"id": "b", "email": "b@x.example"}, {"id": "a", "email": "again"}]
    world = make_world([OK])
    result = await run(program, request(*bundles), Ports(stores=stores, http=world.target))
    assert (result.status, result.cycles, len(world.target.requests)) == ("success", 3, 2)
    kept: dict[str, Any] = dict(stores.contents()[1])
    assert {key: record["email"] for key, record in kept.items()} == {
        "a": "a@x.example",
        "b": "b@x.example",
    }


def test_every_vendor_free_blueprint_of_the_corpus_has_its_case(corpus):
    with (corpus / "index.csv").open(newline="") as rows:
        free = {row["file"].removesuffix(".json") for row in csv.DictReader(rows) if row["non_vendor_only"] == "yes"}
    source = Path(__file__).read_text()
    assert [name for name in sorted(free) if name not in source] == []
