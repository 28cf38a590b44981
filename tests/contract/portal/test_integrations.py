"""The catalogue and the way into the wizard, shape by shape as the Bridge API has them."""

from dataclasses import replace

import pytest

from make_bridge.domain.executions.messages import RunScenario
from make_bridge.domain.integrations.messages import FlowStarted, FlowState, GetFlow, Integration, ListIntegrations
from make_bridge.domain.integrations.messages import StartFlow as Start
from make_bridge.domain.scenarios.messages import ActivateScenario, DeactivateScenario, DeleteScenario
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ScenarioId, TemplateVersionId
from support.portal import DANA_TEAM, EVE_TEAM, ROOT_TEAM, refusal, scenario

EXECUTION = "0199f0e1a2b31000" + "0123456789abcdef"


def card(**changes):
    made = Integration(
        version_id=TemplateVersionId(9216),
        name="Orders",
        used_packages=("http",),
        scheduling={"type": "immediately"},
        scenario_id=None,
        scenario_active=False,
    )
    return replace(made, **changes)


def flow(**changes):
    made = FlowState(
        flow_id="flow1",
        status_id=1,
        status_message="started",
        is_completed=False,
        scenario_id=None,
        scenario_name=None,
        document={},
    )
    return replace(made, **changes)


@pytest.fixture(autouse=True)
def answers(portal):
    portal.buses.answers |= {
        ListIntegrations: [],
        Start: FlowStarted(flow_id="flow1", secret="hush"),
        GetFlow: flow(),
        ActivateScenario: lambda command: command.scenario_id,
        DeactivateScenario: lambda command: command.scenario_id,
        DeleteScenario: None,
        RunScenario: EXECUTION,
    }


@pytest.mark.parametrize("target", ["/integrations", "/integrations/", "/api/bridge/integrations/"])
async def test_the_catalogue_shows_each_template_with_the_customer_s_scenario(portal, target):
    portal.buses.answers[ListIntegrations] = [card(), card(scenario_id=ScenarioId(7168), scenario_active=True)]
    answer = await portal.get(target)
    template = {"versionUid": 9216, "instanceableId": 9216}
    facts = {"name": "Orders", "usedPackages": ["http"], "scheduling": {"type": "immediately"}}
    assert answer.json() == {
        "integrations": [
            {"scenario": facts, "state": {"isConnected": False}, "template": template},
            {
                "scenario": {"id": 7168, **facts, "isActive": True},
                "state": {"isConnected": True},
                "template": template,
            },
        ]
    }


# --- init


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b' {"unknown": {"deep": [1]}} '])
async def test_a_flow_begins_without_any_wish(portal, body):
    answer = await portal.post("/integrations/init/9216", body=body)
    assert answer.json() == {"publicUrl": "https://bridge.example/flow/flow1#hush", "flow": {"id": "flow1"}}
    command = portal.buses.one(Start)
    options = command.options
    assert command == Start(team_id=DANA_TEAM, version_id=TemplateVersionId(9216), options=options)
    assert (options.prefill_hard, options.prefill_soft) == ({}, {})
    assert (options.allow_reusing_components, options.allow_creating_components) == (True, True)
    assert (options.auto_activate, options.auto_finalize) == (False, False)
    assert (options.redirect_uri, options.scenario_name, options.scenario_enable) == (None, None, None)


async def test_a_post_as_the_official_sample_sends_it_is_legal(portal):
    headers = [("Connection", "close"), ("Accept-Charset", "utf-8"), ("Cookie", "connect.sid=s%3Aabc")]
    assert (await portal.post("/integrations/init/9216", headers=headers)).status == 200


async def test_every_wish_reaches_the_wizard(portal):
    body = b"""{"teamId": 4096, "templateId": 9216, "algorithm": "whiteboard",
        "prefill": {"hard": {"u1": 1}, "soft": {"u2": [true]}}, "allowReusingComponents": false,
        "allowCreatingComponents": false, "autoActivate": true, "autoFinalize": true,
        "redirectUri": "https://app.acme.example/done?x=1#y", "scenario": {"name": "Mine", "enable": true}}"""
    assert (await portal.post("/integrations/init/9216", body=body)).status == 200
    options = portal.buses.one(Start).options
    assert (options.prefill_hard, options.prefill_soft) == ({"u1": 1}, {"u2": [True]})
    assert (options.allow_reusing_components, options.allow_creating_components) == (False, False)
    assert (options.auto_activate, options.auto_finalize) == (True, True)
    assert options.redirect_uri == "https://app.acme.example/done?x=1#y"
    assert (options.scenario_name, options.scenario_enable) == ("Mine", True)


async def test_members_that_are_null_are_as_good_as_absent(portal):
    names = ("teamId", "templateId", "algorithm", "prefill", "allowReusingComponents", "autoActivate", "redirectUri",
             "scenario", "autoFinalize", "allowCreatingComponents")  # fmt: skip
    body = "{" + ",".join(f'"{name}": null' for name in names) + "}"
    assert (await portal.post("/integrations/init/9216", body=body.encode())).status == 200
    assert portal.buses.one(Start).options.allow_reusing_components is True


@pytest.mark.parametrize(
    ("body", "field", "saying"),
    [
        ('{"teamId": "4096"}', "teamId", "must be a whole number"),
        ('{"teamId": true}', "teamId", "must be a whole number"),
        ('{"templateId": 9216.0}', "templateId", "must be a whole number"),
        ('{"autoActivate": 1}', "autoActivate", "must be true or false"),
        ('{"autoFinalize": "true"}', "autoFinalize", "must be true or false"),
        ('{"algorithm": 5}', "algorithm", "must be text"),
        ('{"prefill": []}', "prefill", "must be an object"),
        ('{"prefill": {"hard": {}}}', "prefill.soft", "is missing"),
        ('{"prefill": {"soft": {}}}', "prefill.hard", "is missing"),
        ('{"prefill": {"hard": [], "soft": {}}}', "prefill.hard", "must be an object"),
        ('{"scenario": {"name": "x"}}', "scenario.enable", "is missing"),
        ('{"scenario": {"enable": true}}', "scenario.name", "is missing"),
        ('{"scenario": {"name": "", "enable": true}}', "scenario.name", "must have at least 1 character(s)"),
        ('{"redirectUri": 5}', "redirectUri", "must be text"),
    ],
)
async def test_a_wish_of_the_wrong_form_is_named(portal, body, field, saying):
    told = refusal(await portal.post("/integrations/init/9216", body=body.encode()), 422, "invalid_body")
    assert told["fields"] == {field: saying}
    assert told["detail"] == f"{field} {saying}."
    assert portal.buses.dispatched == []


@pytest.mark.parametrize("body", [b'{"templateId": 9217}', b'{"teamId": 5120}'])
async def test_a_body_that_names_another_template_or_team_than_the_request_is_refused(portal, body):
    refusal(await portal.post("/integrations/init/9216", body=body), 400, "invalid_input")
    assert portal.buses.dispatched == []


async def test_an_administrator_starts_a_flow_in_the_team_it_names(portal):
    await portal.post(f"/integrations/init/9216?teamId={EVE_TEAM}", sub="*", body=f'{{"teamId": {EVE_TEAM}}}'.encode())
    await portal.post("/integrations/init/9216", sub="*")
    assert [command.team_id for command in portal.buses.messages(Start)] == [EVE_TEAM, ROOT_TEAM]


@pytest.mark.attack("C09")
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "https://app.acme.example.evil.example/",
        "https://app.acme.example:8443/",
        "http://app.acme.example/",
        "https://app.acme.example@evil.example/",
        "https://app.acme.example\\\\@evil.example/",
        "//app.acme.example/",
        "/done",
        "javascript:alert(1)",
        "",
    ],
)
async def test_customers_are_sent_back_to_registered_origins_only(portal, address):
    body = f'{{"redirectUri": "{address}"}}'.encode()
    refusal(await portal.post("/integrations/init/9216", body=body), 400, "invalid_redirect_uri")
    assert portal.buses.dispatched == []


async def test_an_unknown_template_is_not_found(portal):
    portal.buses.answers[Start] = NotFound("There is no such published template.")
    refusal(await portal.post("/integrations/init/9999"), 404, "not_found")


@pytest.mark.parametrize("number", ["abc", "0", "-1", "1.5", "1e3", "%31%00", str(2**53), "9" * 5000, "%EF%BC%91"])
async def test_an_id_that_is_no_number_names_nothing(portal, number):
    for method, target in (("POST", "init/{}"), ("POST", "{}/activate"), ("POST", "{}/run"), ("DELETE", "{}")):
        refusal(await portal.send(method, "/integrations/" + target.format(number)), 404, "not_found")
    assert portal.buses.dispatched == []


# --- check-init


async def test_a_flow_under_way_has_no_result(portal):
    answer = await portal.get("/integrations/check-init/flow1")
    shape = {"id": "flow1", "statusId": 1, "statusMessage": "started", "isCompleted": False, "result": None}
    assert answer.json() == {"flow": shape}
    assert portal.buses.one(GetFlow) == GetFlow(flow_id="flow1", team_id=DANA_TEAM)


async def test_a_completed_flow_names_its_scenario(portal):
    portal.buses.answers[GetFlow] = flow(is_completed=True, scenario_id=ScenarioId(7168), scenario_name=None)
    told = (await portal.get("/integrations/check-init/flow1/")).json()
    assert told["flow"]["result"] == {"scenarios": [{"id": 7168, "description": ""}]}


async def test_an_administrator_checks_any_flow_of_the_organization(portal):
    await portal.get("/integrations/check-init/flow1", sub="*")
    assert portal.buses.one(GetFlow).team_id is None


@pytest.mark.parametrize("flow_id", ["%00", "a%20b", "a" * 129, "%ED%A0%80", "..", "%F0%9F%98%80"])
async def test_an_id_that_no_flow_can_have_is_not_looked_up(portal, flow_id):
    refusal(await portal.get(f"/integrations/check-init/{flow_id}"), 404, "not_found")
    assert portal.buses.dispatched == []


# --- switches


@pytest.mark.parametrize(("verb", "kind"), [("activate", ActivateScenario), ("deactivate", DeactivateScenario)])
async def test_a_switch_answers_with_the_wrapped_id(portal, verb, kind):
    answer = await portal.post(f"/integrations/7168/{verb}")
    assert answer.json() == {"integration": {"scenarioId": 7168}}
    assert portal.buses.one(kind).scenario_id == 7168


async def test_removing_says_what_was_done(portal):
    answer = await portal.send("DELETE", "/integrations/7168/")
    assert answer.json() == {"message": "The integration was removed."}
    assert portal.buses.one(DeleteScenario).scenario_id == 7168


async def test_a_run_answers_with_the_execution_and_where_to_look(portal):
    answer = await portal.post("/integrations/7168/run")
    status_url = f"https://bridge.example/portal/api/bridge/scenarios/7168/logs/{EXECUTION}"
    assert answer.json() == {"executionId": EXECUTION, "statusUrl": status_url}


@pytest.mark.parametrize("line", ["POST {}/activate", "POST {}/deactivate", "POST {}/run", "DELETE {}"])
async def test_another_team_s_scenario_is_not_found_and_nothing_is_done_to_it(portal, line):
    portal.buses.scenarios[7169] = scenario(7169, EVE_TEAM)
    method, target = line.format("/integrations/7169").split()
    refusal(await portal.send(method, target), 404, "not_found")
    refusal(await portal.send(method, f"{target}?teamId={DANA_TEAM}", sub="*"), 404, "not_found")
    assert [type(message).__name__ for _, message in portal.buses.dispatched] == ["GetScenario", "GetScenario"]
    assert (await portal.send(method, target, sub="*")).status == 200
