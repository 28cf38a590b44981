"""The main job, from the outside: a template becomes a customer's scenario, a webhook arrives, the log tells all.

Every test speaks HTTP with a server in one of the three layouts, for a customer whom nobody has met before.
"""

import json
import re

import pytest

from acceptance.conftest import API_KEY, blueprint_of, failed_module
from support.integrator import API
from support.network import send
from support.waiting import until

# Starting a server for the first test is part of that test.
pytestmark = pytest.mark.timeout(300)
WITHIN = 15.0
ORDER = {"orderId": "a-17", "total": 20}


def ended(scenario, execution_id):
    """Wait for the end of an execution and return its log."""

    def read():
        log = scenario.log(execution_id)
        return log if log["status"] else None

    return until(read, f"execution {execution_id} has ended", within=WITHIN)


def card_of(customer, version_id):
    cards = customer.get("/integrations/")["integrations"]
    return next(card for card in cards if card["template"]["instanceableId"] == version_id)


def test_a_server_says_that_it_lives_and_is_ready(product):
    assert send("GET", f"{product.url}/live").status == 200
    assert send("GET", f"{product.url}/ready").status == 200


def test_the_catalogue_shows_a_published_template_as_not_yet_connected(product):
    card = card_of(product.integrator.customer(), product.orders)
    assert card == {
        "scenario": {
            "name": "Orders to your shop",
            "usedPackages": ["gateway", "util", "http"],
            "scheduling": {"type": "immediately"},
        },
        "state": {"isConnected": False},
        "template": {"versionUid": product.orders, "instanceableId": product.orders},
    }


def test_init_gives_the_address_of_the_wizard_also_without_a_body(product):
    reply = product.integrator.customer().call("POST", f"/integrations/init/{product.orders}")
    assert reply.status == 200, reply
    answer = reply.json()
    flow_id = answer["flow"]["id"]
    assert re.fullmatch(rf"{product.url}/flow/{re.escape(flow_id)}#[A-Za-z0-9_-]{{22,}}", answer["publicUrl"])


def test_the_wizard_s_page_may_load_only_what_its_own_server_gives(product):
    public_url = product.integrator.customer().post(f"/integrations/init/{product.orders}")["publicUrl"]
    page = send("GET", public_url.partition("#")[0])
    policy = page.headers["content-security-policy"]
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'self' http://127.0.0.1:3000" in policy


def test_the_wizard_leads_from_its_intro_to_a_scenario(product):
    customer = product.integrator.customer()
    wizard = customer.begin(product.orders, scenario={"name": "My orders", "enable": False})
    state = wizard.state()
    assert (state["phase"], state["flow"]["isCompleted"]) == ("intro", False)
    assert state["template"]["name"] == "Orders to your shop"
    before = customer.get(f"/integrations/check-init/{wizard.flow_id}")["flow"]
    assert (before["isCompleted"], before["result"]) == (False, None)
    done = wizard.walk(product.answers)
    after = customer.get(f"/integrations/check-init/{wizard.flow_id}")["flow"]
    scenario_id = after["result"]["scenarios"][0]["id"]
    assert after["isCompleted"]
    assert after["result"] == {"scenarios": [{"id": scenario_id, "description": "My orders"}]}
    assert done["scenario"]["id"] == scenario_id
    card = card_of(customer, product.orders)
    assert card["state"] == {"isConnected": True}
    assert (card["scenario"]["id"], card["scenario"]["isActive"]) == (scenario_id, False)


def test_a_step_with_a_wrong_answer_is_refused_with_a_sentence_for_its_field(product):
    wizard = product.integrator.customer().begin(product.orders, autoActivate=True)
    state = wizard.state()
    while not (asked := fields_called("URL", state)):
        keys = {
            field["uuid"]: wizard.create(state["currentStep"], field["uuid"], "Key", product.answers["Credentials"])
            for field in fields_called("Credentials", state)
        }
        state = wizard.save(state["currentStep"], keys)
    refused = wizard.call("POST", f"/steps/{state['currentStep']}", {"values": {asked[0]["uuid"]: "not an address"}})
    assert refused.status == 422, refused
    assert set(refused.json()["fields"]) == {asked[0]["uuid"]}
    assert wizard.state()["currentStep"] == state["currentStep"]


def fields_called(label, state):
    """The fields of the current step with this label."""
    step = next(step for step in state["steps"] if step["id"] == state["currentStep"])
    return [field for field in step["fields"] if field["label"] == label]


def test_a_flow_opens_only_to_its_own_secret(product):
    wizard = product.integrator.customer().begin(product.orders)
    assert wizard.call("GET", **{"Flow-Secret": "x" * 43}).status == 401
    assert wizard.call("GET", **{"Flow-Secret": ""}).status == 401
    assert wizard.state()["phase"] == "intro"


def test_a_webhook_runs_the_scenario_and_is_answered_by_it(product, connected):
    reply = connected.call_hook(ORDER)
    assert (reply.status, reply.body, reply.headers["x-shop"]) == (201, b"a-17 is number 4711", "Acme")
    call = product.shop.calls_to("/orders")[-1]
    assert (call.method, call.body) == ("POST", b"a-17 costs 30")
    assert (call.headers["x-order"], call.headers["x-api-key"]) == ("A-17", API_KEY)
    assert call.headers["idempotency-key"]


def test_the_log_shows_every_module_s_input_and_output(connected):
    execution_id = connected.call_hook(ORDER).headers["x-execution-id"]
    log = ended(connected, execution_id)
    steps = {step["moduleId"]: step for step in log["steps"]}
    assert (log["id"], log["status"], log["operations"]) == (execution_id, 1, 4)
    assert [step["module"] for step in log["steps"]] == [
        "gateway:CustomWebHook",
        "util:SetVariable2",
        "http:ActionSendDataAPIKeyAuth",
        "gateway:WebhookRespond",
    ]
    assert steps[1]["outputs"] == [ORDER]
    assert steps[2]["input"]["value"] == 30
    assert steps[2]["outputs"] == [{"gross": 30}]
    assert steps[3]["input"]["data"] == "a-17 costs 30"
    assert steps[3]["outputs"][0]["statusCode"] == 200
    assert steps[3]["outputs"][0]["data"] == {"number": 4711}
    assert steps[4]["input"]["body"] == "a-17 is number 4711"
    assert API_KEY not in json.dumps(log)
    (row,) = connected.logs()
    assert {name: row[name] for name in ("id", "imtId", "status", "type", "operations")} == {
        "id": execution_id,
        "imtId": execution_id,
        "status": 1,
        "type": "auto",
        "operations": 4,
    }


def test_a_webhook_may_hold_what_a_database_s_text_may_not(product, connected):
    odd = b'{"orderId": "nul \\u0000 and \\ud83d\\ude00", "total": 1}'
    reply = connected.call_hook(body=odd, headers={"Content-Type": "application/json"})
    log = ended(connected, reply.headers["x-execution-id"])
    assert log["steps"][0]["outputs"][0]["orderId"] == "nul \x00 and \U0001f600"


def test_webhooks_are_read_as_their_content_type_says(product, connected):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = send("POST", f"{connected.hook_url}?total=7", body=b"orderId=b+18", headers=form)
    log = ended(connected, reply.headers["x-execution-id"])
    assert log["steps"][0]["outputs"] == [{"total": "7", "orderId": "b 18"}]


def test_a_call_to_an_address_that_is_not_open_ends_in_an_error_with_its_module(product):
    customer = product.integrator.customer()
    answers = product.answers | {"URL": f"{product.shop.url.replace('127.0.0.1', '127.0.0.2')}/orders"}
    scenario = customer.connect(product.orders, answers, scenario={"name": "Not open", "enable": True})
    reply = scenario.call_hook(ORDER)
    log = ended(scenario, reply.headers["x-execution-id"])
    assert reply.status == 500
    assert log["status"] == 3
    assert failed_module(log) == 3


def test_switching_off_and_on_again_is_felt_by_the_next_webhook(connected):
    portal = connected.portal
    assert portal.post(f"/integrations/{connected.id}/deactivate") == {"integration": {"scenarioId": connected.id}}
    off = until(
        lambda: reply if (reply := connected.call_hook(ORDER)).status == 409 else None,
        "the webhook is refused",
        within=WITHIN,
    )
    stored = len(connected.logs())
    assert off.json()["code"] == "scenario_inactive"
    assert connected.call_hook(ORDER).status == 409
    assert len(connected.logs()) == stored
    assert portal.get(f"/scenarios/{connected.id}")["isActive"] is False
    assert portal.post(f"/scenarios/{connected.id}/activate") == {"scenarioId": connected.id}
    assert connected.call_hook(ORDER).status == 201
    assert portal.get(f"/scenarios/{connected.id}")["isActive"] is True


def test_a_run_by_hand_is_started_and_can_be_followed(product):
    customer = product.integrator.customer()
    scenario = customer.connect(product.sums, {})
    started = customer.post(f"/integrations/{scenario.id}/run", {"data": {"first": 2, "second": 3}})
    assert started["statusUrl"].startswith(product.url)
    followed = started["statusUrl"].removeprefix(product.url + API)
    log = until(lambda: log if (log := customer.get(followed))["status"] else None, "it has ended", within=WITHIN)
    assert (log["id"], log["status"], log["type"]) == (started["executionId"], 1, "manual")
    assert log["outputs"] == {"sum": 5}


def test_a_responsive_run_answers_with_the_outputs(product):
    customer = product.integrator.customer()
    scenario = customer.connect(product.sums, {})
    body = {"data": {"first": 2, "second": 40}, "responsive": True}
    answer = customer.post(f"/scenarios/{scenario.id}/run", body)
    assert (answer["status"], answer["outputs"]) == (1, {"sum": 42})


def test_a_scenario_is_shown_with_all_that_the_api_promises(product, connected):
    shown = connected.portal.get(f"/scenarios/{connected.id}")
    assert shown | {"usedPackages": sorted(shown["usedPackages"])} == {
        "id": connected.id,
        "name": "My orders",
        "isActive": True,
        "islocked": False,
        "isPaused": False,
        "usedPackages": ["gateway", "http", "util"],
        "scheduling": {"type": "immediately"},
        "iswaiting": False,
        "nextExec": None,
    }
    assert connected.portal.get("/scenarios/") == {"scenarios": [shown]}


def test_usage_counts_the_operations_of_today(connected):
    for _ in range(3):
        ended(connected, connected.call_hook(ORDER).headers["x-execution-id"])
    usage = connected.portal.get(f"/scenarios/{connected.id}/usage")
    assert usage[-1]["operations"] == 12
    assert usage[-1]["dataTransfer"] > 0
    assert sum(day["operations"] for day in usage[:-1]) == 0
    assert all(set(day) == {"date", "operations", "dataTransfer"} for day in usage)


def test_the_blueprint_holds_the_answers_and_no_secret(product, connected):
    blueprint = connected.portal.get(f"/scenarios/{connected.id}/blueprint")["blueprint"]
    http = blueprint["flow"][2]
    assert http["mapper"]["url"] == f"{product.shop.url}/orders"
    assert isinstance(http["parameters"]["auth"], int)
    assert blueprint["flow"][0]["parameters"]["hook"] != 4711
    assert API_KEY not in json.dumps(blueprint)
    (version,) = connected.portal.get(f"/scenarios/{connected.id}/blueprints")["blueprints"]
    assert version["blueprint"] == blueprint


def test_the_interface_is_null_where_nothing_is_declared_and_else_what_is_declared(product, connected):
    assert connected.portal.get(f"/scenarios/{connected.id}/interface") == {"input": None, "output": None}
    customer = product.integrator.customer()
    scenario = customer.connect(product.sums, {})
    assert customer.get(f"/scenarios/{scenario.id}/interface") == blueprint_of("sum")["interface"]


def test_a_deleted_integration_is_gone_with_its_webhook(product, connected):
    ended(connected, connected.call_hook(ORDER).headers["x-execution-id"])
    message = connected.portal.delete(f"/integrations/{connected.id}")["message"]
    gone = until(
        lambda: status if (status := connected.call_hook(ORDER).status) != 201 else None,
        "the webhook is refused",
        within=WITHIN,
    )
    assert message
    assert gone in {404, 410}
    assert connected.portal.call("GET", f"/scenarios/{connected.id}").status == 404
    assert connected.portal.get("/scenarios/") == {"scenarios": []}
    assert card_of(connected.portal, product.orders)["state"] == {"isConnected": False}


def test_hard_prefilled_fields_are_not_asked(product):
    customer = product.integrator.customer()
    url = next(
        field["uuid"]
        for step in customer.begin(product.orders).state()["steps"]
        for field in step["fields"]
        if field["label"] == "URL"
    )
    wizard = customer.begin(product.orders, prefill={"hard": {url: f"{product.shop.url}/fixed"}, "soft": {}})
    labels = [field["label"] for step in wizard.state()["steps"] for field in step["fields"]]
    assert "URL" not in labels
    wizard.walk(product.answers)
    before = len(product.shop.calls_to("/fixed"))
    scenario = customer.get("/scenarios/")["scenarios"][0]
    customer.post(f"/scenarios/{scenario['id']}/activate")
    assert send("POST", wizard.hook_url, json_body=ORDER).status == 201
    assert len(product.shop.calls_to("/fixed")) == before + 1
