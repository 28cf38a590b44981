"""The way back into the wizard for an integration that exists: an extension of the Bridge API."""

import pytest

from make_bridge.domain.integrations.messages import ChangeAnswers, FlowStarted
from make_bridge.kernel.errors import Conflict
from make_bridge.kernel.ids import ScenarioId
from support.portal import DANA_TEAM, refusal


@pytest.fixture(autouse=True)
def answers(portal):
    portal.buses.answers[ChangeAnswers] = FlowStarted(flow_id="flow2", secret="hush")


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"scenario": {"name": "x", "enable": true}}'])
async def test_it_answers_as_init_does(portal, body):
    answer = await portal.post("/integrations/7168/edit", body=body)
    assert answer.json() == {"publicUrl": "https://bridge.example/flow/flow2#hush", "flow": {"id": "flow2"}}
    assert portal.buses.one(ChangeAnswers) == ChangeAnswers(
        team_id=DANA_TEAM, scenario_id=ScenarioId(7168), redirect_uri=None
    )


async def test_the_customer_is_sent_back_to_registered_origins_only(portal):
    good = b'{"redirectUri": "https://app.acme.example/done"}'
    assert (await portal.post("/integrations/7168/edit", body=good)).status == 200
    assert portal.buses.one(ChangeAnswers).redirect_uri == "https://app.acme.example/done"
    bad = b'{"redirectUri": "https://evil.example/"}'
    refusal(await portal.post("/integrations/7168/edit", body=bad), 400, "invalid_redirect_uri")
    assert len(portal.buses.messages(ChangeAnswers)) == 1


async def test_another_customer_s_integration_is_not_found(portal):
    refusal(await portal.post("/integrations/7168/edit", sub="eve"), 404, "not_found")
    assert portal.buses.messages(ChangeAnswers) == []


async def test_an_integration_without_answers_says_so(portal):
    portal.buses.answers[ChangeAnswers] = Conflict("There are no answers to change.", code="no_answers")
    refusal(await portal.post("/integrations/7168/edit"), 409, "no_answers")
