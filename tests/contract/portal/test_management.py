"""Customers, templates and the description of it all: the routes of administrators."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from make_bridge.domain.customers.messages import CreateCustomer, DeleteCustomer, GetCustomer, ListCustomers
from make_bridge.domain.templates.messages import (
    CreateTemplate,
    DeleteTemplate,
    EditTemplate,
    GetDraft,
    ListTemplates,
    PublishTemplate,
    Template,
    TemplateVersion,
)
from make_bridge.domain.usage.messages import GetCustomerMonth, Limits, Month, SetCustomerLimit
from make_bridge.kernel.errors import Conflict, NotFound
from make_bridge.kernel.ids import CustomerId, TemplateId, TemplateVersionId
from support.portal import ACME, API_TOKEN, DANA_TEAM, EVE_TEAM, NOW, customer, refusal

SHAPE = {
    "id": 8192,
    "name": "Dana",
    "organizationId": ACME,
    "teamId": DANA_TEAM,
    "operationsLimit": None,
    "externalId": "dana",
}


def template(**changes):
    made = Template(
        id=TemplateId(9216),
        name="Orders",
        description="",
        language="en",
        visibility="private",
        used_packages=("http",),
        scheduling={"type": "immediately"},
        published_version_id=None,
        updated_at=NOW,
    )
    return replace(made, **changes)


def version(number=0):
    return TemplateVersion(
        id=TemplateVersionId(10240),
        template_id=TemplateId(9216),
        number=number,
        name="Orders",
        description="",
        language="en",
        used_packages=("http",),
        scheduling={},
        blueprint={"flow": []},
        controller={"version": 1, "fields": []},
    )


@pytest.fixture(autouse=True)
def answers(portal):
    portal.buses.answers |= {
        ListCustomers: [customer()],
        GetCustomer: customer(),
        CreateCustomer: customer(),
        DeleteCustomer: None,
        ListTemplates: [template()],
        GetDraft: version(),
        CreateTemplate: template(),
        EditTemplate: template(),
        PublishTemplate: version(3),
        DeleteTemplate: None,
    }


# --- customers


async def test_an_administrator_lists_all_customers_by_pages(portal):
    answer = await portal.get("/customers?after=5&limit=10", sub="*")
    assert answer.json() == {"customers": [SHAPE]}
    assert portal.buses.one(ListCustomers) == ListCustomers(external_id=None, after=5, limit=10)


async def test_a_customer_lists_itself(portal):
    assert (await portal.get("/customers/")).status == 200
    assert portal.buses.one(ListCustomers).external_id == "dana"


@pytest.mark.attack("G06")
@pytest.mark.parametrize("query", ["after=-1", "limit=0", "limit=1001", "after=x", f"after={2**53}"])
async def test_a_page_that_cannot_be_is_refused(portal, query):
    refusal(await portal.get(f"/customers?{query}", sub="*"), 422, "invalid_input")
    assert portal.buses.dispatched == []


async def test_a_customer_sees_itself_and_nobody_else(portal):
    assert (await portal.get("/customers/8192")).json() == SHAPE
    portal.buses.answers[GetCustomer] = customer("eve", EVE_TEAM)
    refusal(await portal.get("/customers/8192"), 404, "not_found")
    assert (await portal.get("/customers/8192", sub="*")).status == 200
    refusal(await portal.get(f"/customers/8192?teamId={DANA_TEAM}", sub="*"), 404, "not_found")


async def test_an_administrator_sets_a_customers_limit_and_takes_it_away(portal):
    portal.buses.answers[SetCustomerLimit] = customer()
    for text, limit in ((b"25", 25), (b"null", None), (b"0", 0)):
        body = b'{"operationsLimit": %s}' % text
        assert (await portal.send("PATCH", "/customers/8192", sub="*", body=body)).json() == SHAPE
        assert portal.buses.messages(SetCustomerLimit)[-1] == SetCustomerLimit(
            customer_id=CustomerId(8192), operations_limit=limit
        )


@pytest.mark.attack("B10")
@pytest.mark.parametrize("body", [b"{}", b'{"operationsLimit": -1}', b'{"operationsLimit": "5"}', b'{"limit": 5}'])
async def test_a_limit_of_the_wrong_form_is_refused(portal, body):
    refusal(await portal.send("PATCH", "/customers/8192", sub="*", body=body), 422, "invalid_body")
    assert portal.buses.messages(SetCustomerLimit) == []


@pytest.mark.attack("B10")
async def test_a_customer_cannot_set_its_own_limit(portal):
    refusal(await portal.send("PATCH", "/customers/8192", body=b'{"operationsLimit": null}'), 403, "permission_denied")


async def test_a_customer_sees_what_it_has_used_and_nobody_elses(portal):
    portal.buses.answers[GetCustomerMonth] = Month(
        first_day=date(2026, 11, 1),
        until=datetime(2026, 12, 1, tzinfo=UTC),
        limits=Limits(operations=10),
        executions=6,
        operations=9,
        data_transfer=700,
        state="near",
        waiting=0,
    )
    assert (await portal.get("/customers/8192/usage")).json() == {
        "firstDay": "2026-11-01",
        "until": "2026-12-01T00:00:00.000Z",
        "operationsLimit": 10,
        "executions": 6,
        "operations": 9,
        "dataTransfer": 700,
        "state": "near",
        "waiting": 0,
    }
    portal.buses.answers[GetCustomer] = customer("eve", EVE_TEAM)
    refusal(await portal.get("/customers/8192/usage"), 404, "not_found")


async def test_an_administrator_makes_a_customer(portal):
    body = b'{"name": "Dana", "externalId": "dana", "operationsLimit": 100}'
    assert (await portal.post("/customers", sub="*", body=body)).json() == SHAPE
    command = portal.buses.one(CreateCustomer)
    assert (command.name, command.external_id, command.operations_limit, command.team_id) == ("Dana", "dana", 100, None)


async def test_a_customer_can_be_put_into_an_existing_team(portal):
    await portal.post("/customers", sub="*", body=b'{"name": "D", "externalId": "d", "teamId": 4096}')
    await portal.post("/customers?teamId=5120", sub="*", body=b'{"name": "D", "externalId": "d"}')
    assert [command.team_id for command in portal.buses.messages(CreateCustomer)] == [DANA_TEAM, EVE_TEAM]
    both = b'{"name": "D", "externalId": "d", "teamId": 4096}'
    refusal(await portal.post("/customers?teamId=5120", sub="*", body=both), 400, "invalid_input")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"name": "D"}', {"externalId"}),
        (b'{"name": "", "externalId": ""}', {"name", "externalId"}),
        (b'{"name": "D", "externalId": 5}', {"externalId"}),
        (b'{"name": "D", "externalId": "d", "operationsLimit": -1}', {"operationsLimit"}),
        (b'{"name": "D", "externalId": "d", "operationLimit": 1}', {"operationLimit"}),
        (b'{"name": "D", "externalId": "d", "organizationId": 2048}', {"organizationId"}),
    ],
)
async def test_a_customer_of_the_wrong_form_is_refused(portal, body, fields):
    told = refusal(await portal.post("/customers", sub="*", body=body), 422, "invalid_body")
    assert set(told["fields"]) == fields
    assert portal.buses.dispatched == []


async def test_a_management_body_cannot_be_left_out(portal):
    for target in ("/customers", "/templates"):
        refusal(await portal.post(target, sub="*"), 400, "invalid_json")
        refusal(await portal.post(target, sub="*", body=b"null"), 400, "invalid_body")


async def test_removing_a_customer_says_what_was_done_or_why_not(portal):
    answer = await portal.send("DELETE", "/customers/8192", sub="*")
    assert answer.json() == {"message": "The customer was removed."}
    portal.buses.answers[DeleteCustomer] = Conflict("This customer still has scenarios: delete them first.")
    refusal(await portal.send("DELETE", "/customers/8192", sub="*"), 409, "conflict")
    portal.buses.answers[GetCustomer] = NotFound("There is no such customer.")
    refusal(await portal.send("DELETE", "/customers/8192", sub="*"), 404, "not_found")


# --- templates


@pytest.mark.parametrize("target", ["/templates", "/templates/", "/api/templates", "/api/bridge/templates"])
async def test_templates_are_listed_with_their_public_version(portal, target):
    portal.buses.answers[ListTemplates] = [template(), template(published_version_id=TemplateVersionId(10240))]
    draft, published = (await portal.get(target, sub="*")).json()["templates"]
    assert draft["name"] == {"en": "Orders"}
    assert (draft["publicVersionId"], draft["isInstanceable"]) == (None, False)
    assert (published["publicVersionId"], published["versionUid"], published["isInstanceable"]) == (10240, 10240, True)
    assert portal.buses.one(ListTemplates).published_only is False


async def test_a_customer_lists_published_templates_only(portal):
    await portal.get("/templates")
    assert portal.buses.one(ListTemplates).published_only is True


@pytest.mark.parametrize("blueprint", ['{"flow": []}', '"{\\"flow\\": []}"'])
async def test_a_template_is_made_from_a_blueprint_as_object_or_text(portal, blueprint):
    body = f'{{"blueprint": {blueprint}, "languageCode": "de", "visibility": "public", "metadata": 1}}'.encode()
    assert (await portal.post("/templates", sub="*", body=body)).json()["id"] == 9216
    command = portal.buses.one(CreateTemplate)
    assert (command.blueprint, command.language, command.visibility) == ({"flow": []}, "de", "public")
    assert (command.name, command.controller, command.scheduling) == (None, None, None)


@pytest.mark.attack("J06")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name": "x"}', "blueprint"),
        (b'{"blueprint": []}', "blueprint"),
        (b'{"blueprint": "{"}', "blueprint"),
        (b'{"blueprint": "{\\"a\\": 1, \\"a\\": 2}"}', "blueprint"),
        (b'{"blueprint": {}, "languageCode": "../.."}', "languageCode"),
        (b'{"blueprint": {}, "controller": 5}', "controller"),
    ],
)
async def test_a_template_of_the_wrong_form_is_refused(portal, body, field):
    told = refusal(await portal.post("/templates", sub="*", body=body), 422, "invalid_body")
    assert set(told["fields"]) == {field}
    assert portal.buses.dispatched == []


async def test_a_blueprint_may_be_larger_than_other_bodies(portal):
    body = b'{"blueprint": {"x": "' + b"a" * (3 * 1024 * 1024) + b'"}}'
    assert (await portal.post("/templates", sub="*", body=body)).status == 200
    refusal(await portal.post("/customers", sub="*", body=body), 413, "too_large")


async def test_one_template_shows_its_draft_with_blueprint_and_controller(portal):
    told = (await portal.get("/templates/9216", authorization=f"Token {API_TOKEN}")).json()
    assert (told["blueprint"], told["controller"]) == ({"flow": []}, {"version": 1, "fields": []})


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_draft_is_changed_in_part(portal, method):
    await portal.send(method, "/templates/9216", sub="*", body=b'{"name": "New"}')
    command = portal.buses.one(EditTemplate)
    assert (command.template_id, command.name, command.blueprint, command.description) == (9216, "New", None, None)


async def test_publishing_answers_with_the_public_version_id(portal):
    answer = await portal.post("/templates/9216/publish", authorization=f"Bearer {API_TOKEN}")
    assert answer.json() == {
        "id": 9216,
        "versionId": 10240,
        "versionUid": 10240,
        "publicVersionId": 10240,
        "version": 3,
    }


async def test_withdrawing_says_what_was_done(portal):
    answer = await portal.send("DELETE", "/templates/9216", sub="*")
    assert answer.json() == {"message": "The template was withdrawn."}


# --- the description


async def test_the_description_names_every_route_with_bodies_answers_and_credentials(portal):
    told = (await portal.get("/openapi.json", sub=None)).json()
    described = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    served = {(method, route.path) for route in portal.routes for method in route.methods if "bridge" in route.path}
    assert described == served
    assert len(described) == 18 + 4 + 6 + 9
    init = told["paths"]["/portal/api/bridge/integrations/init/{instanceable_id}"]["post"]
    body = init["requestBody"]
    assert body["required"] is False
    assert body["content"]["application/json"]["schema"]["properties"]["prefill"]["anyOf"][0]["required"] == [
        "hard",
        "soft",
    ]
    assert init["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/FlowStarted")
    assert {parameter["name"] for parameter in init["parameters"]} == {"instanceable_id", "teamId", "Idempotency-Key"}
    assert init["security"] == [{"portalToken": []}]
    customers = told["paths"]["/portal/api/bridge/customers"]["post"]
    assert customers["security"] == [{"portalToken": []}, {"apiToken": []}]
    identifiers = [operation["operationId"] for methods in told["paths"].values() for operation in methods.values()]
    assert len(identifiers) == len(set(identifiers))


async def test_the_described_answer_of_a_scenario_requires_every_member(portal):
    told = (await portal.get("/openapi.json", sub=None)).json()["components"]["schemas"]
    assert set(told["Scenario"]["required"]) == {
        "id", "name", "isActive", "islocked", "isPaused", "usedPackages", "scheduling", "iswaiting", "nextExec",
    }  # fmt: skip
    assert set(told["Problem"]["required"]) == {"detail", "message", "code", "requestId"}
    assert "HTTPValidationError" not in told
