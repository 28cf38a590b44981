"""The ordering key over the API: set, shown, taken away; what is wrong with an expression; who may."""

import pytest

from make_bridge.domain.scenarios.messages import CreateScenario
from make_bridge.kernel.ids import OrganizationId, TeamId
from support.blueprints import blueprint, call, webhook
from support.organizations import administrator
from support.portal import refusal

BLUEPRINT = blueprint(webhook(), call(2, "get", "https://shop.example/"))


async def scenario_of(api, integrator, document=BLUEPRINT):
    context = administrator(OrganizationId(integrator.facts.organization_id))
    command = CreateScenario(team_id=TeamId(integrator.facts.team_id), blueprint=document)
    return (await api.commands.execute(context, command)).id


@pytest.fixture
async def path(api, acme):
    return f"/scenarios/{await scenario_of(api, acme)}/ordering"


async def test_an_expression_is_set_shown_and_taken_away(acme, path):
    scenario_id = int(path.split("/")[2])
    nothing = {"ordering": {"scenarioId": scenario_id, "orderingKey": None, "sequential": False}}
    assert await acme.ask("GET", path) == nothing
    given = "{{lower(1.customer.id)}}"
    set_ = {"ordering": {"scenarioId": scenario_id, "orderingKey": given, "sequential": False}}
    assert await acme.ask("PUT", path, {"orderingKey": given}) == set_
    assert await acme.ask("GET", path) == set_
    for empty in (None, "  "):
        assert await acme.ask("PUT", path, {"orderingKey": empty}) == nothing


async def test_a_scenario_in_order_as_a_whole_says_so(api, acme):
    document = blueprint(webhook(), sequential=True)
    answer = await acme.ask("GET", f"/scenarios/{await scenario_of(api, acme, document)}/ordering")
    assert answer["ordering"]["sequential"] is True


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        pytest.param("{{1.customer", "cannot be read", id="not an expression"),
        pytest.param("{{nothing(1.customer)}}", "unknown functions: nothing", id="unknown function"),
        pytest.param("{{2.data}}", "reads module 2, but only the trigger, 1, has run then", id="another module"),
        pytest.param("{{1.a}}{{var.team.id}}", "reads team", id="what is not known yet"),
        pytest.param("{{1.a}}{{var}}", "reads var", id="all variables"),
        pytest.param("orders", "reads nothing of the trigger", id="a constant"),
        pytest.param("{{now}}", "reads nothing of the trigger", id="nothing of the bundle"),
        pytest.param("{{1.a}}" + "x" * 1000, "at most 1000 are allowed", id="too long"),
    ],
)
async def test_a_wrong_expression_is_refused_with_a_sentence(acme, path, expression, sentence):
    answer = await acme.send("PUT", path, {"orderingKey": expression})
    refusal(answer, 422, "ordering_key_invalid")
    assert sentence in answer.json()["detail"]
    assert (await acme.ask("GET", path))["ordering"]["orderingKey"] is None


@pytest.mark.parametrize("body", [{}, {"orderingKey": 5}, {"orderingKey": "x" * 4001}, {"orderingKey": ["{{1.a}}"]}])
async def test_a_body_of_another_shape_is_refused(acme, path, body):
    refusal(await acme.send("PUT", path, body), 422, "invalid_body")


async def test_whose_it_is_and_who_may(acme, api, path):
    rival = await api.integrator("Rival")
    for method, body in (("GET", None), ("PUT", {"orderingKey": "{{1.a}}"})):
        refusal(await rival.send(method, path, body), 404, "not_found")
        refusal(await acme.send(method, "/scenarios/none/ordering", body), 404, "not_found")
    reader = await api.integrator("Reader")
    own = f"/scenarios/{await scenario_of(api, reader)}/ordering"
    await reader.allow_only("scenarios:read")
    assert (await reader.ask("GET", own))["ordering"]["orderingKey"] is None
    refusal(await reader.send("PUT", own, {"orderingKey": "{{1.a}}"}), 403, "permission_denied")
