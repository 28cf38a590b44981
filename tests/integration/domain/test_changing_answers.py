"""Answers that are changed after the end, on a real database: a new flow over the same scenario."""

import dataclasses
from typing import Any

import pytest

from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.integrations import handlers, views
from make_bridge.domain.integrations.handlers import FlowHandlers
from make_bridge.domain.integrations.messages import (
    ChangeAnswers,
    FinalizeFlow,
    FlowOptions,
    GetFlow,
    LeaveIntro,
    ReopenFlow,
    SaveStep,
    StartFlow,
)
from make_bridge.domain.integrations.reading import FlowReader
from make_bridge.domain.organizations.zones import Zones
from make_bridge.domain.scenarios import handlers as scenario_handlers
from make_bridge.domain.scenarios import views as scenario_views
from make_bridge.domain.scenarios.handlers import ScenarioHandlers
from make_bridge.domain.scenarios.messages import (
    CreateScenario,
    DeleteScenario,
    GetBlueprint,
    GetScenario,
    SaveBlueprint,
)
from make_bridge.domain.templates import handlers as template_handlers
from make_bridge.domain.templates.messages import CreateTemplate, PublishTemplate
from make_bridge.domain.templates.store import TemplateStore
from make_bridge.kernel.context import Actor, ActorKind
from make_bridge.kernel.errors import Conflict, NotFound
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from support.oauth import uncalled_handlers
from support.organizations import administrator, data_keys_of, make_organization, organizations_of

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")
HOOK, NAME, NOTE = "00000000-0000-4000-8000-000000000001", "u-name", "u-note"


def field(uuid, module_id, domain, path, **more):
    return {"uuid": uuid, "moduleId": module_id, "domain": domain, "path": path, "show": True, **more}


BLUEPRINT = {
    "name": "Greet",
    "flow": [
        {
            "id": 1,
            "module": "gateway:CustomWebHook",
            "version": 1,
            "parameters": {"hook": None, "maxResults": 1},
            "metadata": {"designer": {"name": "New guest"}, "interface": [{"name": "name", "type": "text"}]},
        },
        {
            "id": 2,
            "module": "util:SetVariables",
            "version": 1,
            "mapper": {
                "scope": "roundtrip",
                "variables": [{"name": "who", "value": ""}, {"name": "note", "value": "Hello {{1.name}}"}],
            },
        },
    ],
}
CONTROLLER: dict[str, Any] = {
    "version": 1,
    "fields": [
        field(HOOK, 1, "hook", ["hook"], label={"en": "Address"}),
        field(NAME, 2, "mapper", ["variables", 0, "value"], label={"en": "Who greets"}, useValue=False, required=True),
        field(NOTE, 2, "mapper", ["variables", 1, "value"], label={"en": "Note"}, allowMapping=True, useValue=True),
    ],
    "steps": [{"title": {"en": "Greeting"}, "fields": [HOOK, NAME, NOTE]}],
}
OPTIONS = FlowOptions(prefill_hard={}, prefill_soft={}, scenario_name="My greeter", scenario_enable=True)


@pytest.fixture(scope="module")
def parts(shards):
    sealing = data_keys_of(shards)
    organizations = organizations_of(shards)
    scenarios = ScenarioHandlers(sealing=sealing, zones=Zones(organizations=organizations))
    components = ComponentHandlers(sealing=sealing)
    reader = FlowReader(
        organizations=organizations,
        sealing=sealing,
        templates=TemplateStore(),
        connections=ComponentStore(),
    )
    flows = FlowHandlers(scenarios=scenarios, components=components, oauth=uncalled_handlers(shards), reader=reader)
    commands = [*template_handlers.commands(), *scenario_handlers.commands(scenarios), *handlers.commands(flows)]
    queries = [*scenario_views.queries(sealing), *views.queries(reader)]
    return CommandBus(commands, shards, sealing), QueryBus(queries, shards)


@pytest.fixture
def do(parts):
    return parts[0].execute


@pytest.fixture
def ask(parts):
    return parts[1].ask


@pytest.fixture
async def organization(shards):
    return await make_organization(shards)


@pytest.fixture
def context(organization):
    """The integrator's backend, acting for the team of one customer."""
    return administrator(organization.organization_id, team_id=organization.team_id)


def holder(context, flow_id):
    """Whoever holds the secret of a flow."""
    actor = Actor(kind=ActorKind.FLOW, reference=flow_id)
    return dataclasses.replace(context, actor=actor, permissions=frozenset({"flow:walk", "integrations:read"}))


@pytest.fixture
def set_up(do, context):
    """Publish a template and walk its one step to the end."""

    async def walk(template, values):
        made = await do(context, template)
        version = await do(context, PublishTemplate(template_id=made.id))
        start = StartFlow(team_id=context.team_id, version_id=version.id, options=OPTIONS)
        flow_id = (await do(context, start)).flow_id
        walker = holder(context, flow_id)
        step_id = (await do(walker, LeaveIntro(flow_id=flow_id))).document["currentStep"]
        await do(walker, SaveStep(flow_id=flow_id, step_id=step_id, values=values))
        return await do(walker, FinalizeFlow(flow_id=flow_id))

    return walk


@pytest.fixture
async def made(set_up):
    """A finished flow and the scenario that it made."""
    template = CreateTemplate(blueprint=BLUEPRINT, controller=CONTROLLER)
    return await set_up(template, {NAME: "Ada", NOTE: "Hello {{1.name}}"})


@pytest.fixture
def change(do, context):
    """Begin to change a scenario's answers and return the flow's id and who walks it."""

    async def begin(scenario_id):
        started = await do(context, ChangeAnswers(team_id=context.team_id, scenario_id=scenario_id))
        return started.flow_id, holder(context, started.flow_id)

    return begin


async def greeter(ask, context, scenario_id):
    blueprint = await ask(context, GetBlueprint(scenario_id=scenario_id))
    return blueprint["flow"][1]["mapper"]["variables"][0]["value"]


async def test_a_change_opens_at_the_answers_with_their_address(do, ask, context, made, change):
    flow_id, walker = await change(made.scenario_id)
    state = await ask(walker, GetFlow(flow_id=flow_id))
    shown = state.document
    assert (shown["phase"], shown["changes"]) == ("check", {"scenarioId": made.scenario_id, "isChanged": False})
    assert (shown["scenario"]["name"], shown["scenario"]["isActive"]) == ("My greeter", True)
    assert not state.is_completed
    rows = {row["label"]: row for row in shown["summary"]}
    before = {row["label"]: row for row in made.document["summary"]}
    assert rows == before
    assert rows["Address"]["value"]
    assert rows["Note"]["value"] == "Hello [name]"
    assert rows["Note"]["parts"][1]["items"] == [{"label": "name", "from": "New guest"}]


async def test_saving_writes_the_next_version_of_the_same_scenario(do, ask, context, made, change):
    before = await ask(context, GetScenario(scenario_id=made.scenario_id))
    flow_id, walker = await change(made.scenario_id)
    saved = await do(walker, SaveStep(flow_id=flow_id, step_id="s1", values={NAME: "Grace", NOTE: "Hi"}))
    assert saved.document["changes"]["isChanged"] is True
    assert await greeter(ask, context, made.scenario_id) == "Ada"

    done = await do(walker, FinalizeFlow(flow_id=flow_id))
    after = await ask(context, GetScenario(scenario_id=made.scenario_id))
    assert (done.scenario_id, done.is_completed) == (made.scenario_id, True)
    assert await greeter(ask, context, made.scenario_id) == "Grace"
    assert (after.blueprint_version, after.is_active, after.hook_id) == (2, True, before.hook_id)


async def test_the_next_change_begins_with_the_newest_answers(do, ask, context, made, change):
    for name in ("Grace", "Joan"):
        flow_id, walker = await change(made.scenario_id)
        await do(walker, SaveStep(flow_id=flow_id, step_id="s1", values={NAME: name, NOTE: None}))
        await do(walker, FinalizeFlow(flow_id=flow_id))
    flow_id, walker = await change(made.scenario_id)
    shown = (await ask(walker, GetFlow(flow_id=flow_id))).document
    assert {row["label"]: row["value"] for row in shown["summary"]}["Who greets"] == "Joan"


async def test_a_change_that_is_left_changes_nothing(do, ask, context, made, change):
    flow_id, walker = await change(made.scenario_id)
    await do(walker, SaveStep(flow_id=flow_id, step_id="s1", values={NAME: "Grace", NOTE: None}))
    assert await greeter(ask, context, made.scenario_id) == "Ada"
    again, other = await change(made.scenario_id)
    shown = (await ask(other, GetFlow(flow_id=again))).document
    assert {row["label"]: row["value"] for row in shown["summary"]}["Who greets"] == "Ada"


async def test_what_somebody_else_changed_in_the_blueprint_is_kept(do, ask, context, made, change):
    blueprint = await ask(context, GetBlueprint(scenario_id=made.scenario_id))
    blueprint["flow"][1]["mapper"]["variables"].append({"name": "mine", "value": "kept"})
    await do(context, SaveBlueprint(scenario_id=made.scenario_id, blueprint=blueprint))
    flow_id, walker = await change(made.scenario_id)
    await do(walker, SaveStep(flow_id=flow_id, step_id="s1", values={NAME: "Grace", NOTE: None}))
    await do(walker, FinalizeFlow(flow_id=flow_id))
    variables = (await ask(context, GetBlueprint(scenario_id=made.scenario_id)))["flow"][1]["mapper"]["variables"]
    assert [(one["name"], one["value"]) for one in variables] == [("who", "Grace"), ("note", None), ("mine", "kept")]


async def test_the_last_page_of_a_flow_leads_back_to_its_answers(do, ask, context, made):
    started = await do(holder(context, made.flow_id), ReopenFlow(flow_id=made.flow_id))
    assert started.flow_id != made.flow_id
    shown = (await ask(holder(context, started.flow_id), GetFlow(flow_id=started.flow_id))).document
    assert shown["changes"]["scenarioId"] == made.scenario_id
    finished = await ask(holder(context, made.flow_id), GetFlow(flow_id=made.flow_id))
    assert finished.is_completed


async def test_an_unfinished_flow_has_nothing_to_change(do, context, made, change):
    flow_id, walker = await change(made.scenario_id)
    with pytest.raises(Conflict, match="not finished yet"):
        await do(walker, ReopenFlow(flow_id=flow_id))


async def test_a_scenario_made_without_the_wizard_has_no_answers(do, context, change):
    scenario = await do(context, CreateScenario(team_id=context.team_id, blueprint=BLUEPRINT))
    with pytest.raises(Conflict, match="not set up in the wizard"):
        await change(scenario.id)


async def test_another_team_s_scenario_and_a_removed_one_are_not_found(do, context, made, change):
    with pytest.raises(NotFound):
        await do(context, ChangeAnswers(team_id=TeamId(context.team_id + 1024), scenario_id=made.scenario_id))
    flow_id, walker = await change(made.scenario_id)
    await do(context, DeleteScenario(scenario_id=made.scenario_id))
    with pytest.raises(NotFound):
        await do(walker, FinalizeFlow(flow_id=flow_id))
    with pytest.raises(NotFound):
        await change(made.scenario_id)


async def test_what_is_asked_no_more_goes_back_to_the_template_s_value(do, ask, context, set_up, change):
    only_for_ada = {**CONTROLLER["fields"][2], "showWhen": {"uuid": NAME, "equals": "Ada"}}
    controller = {**CONTROLLER, "fields": [*CONTROLLER["fields"][:2], only_for_ada]}
    template = CreateTemplate(blueprint=BLUEPRINT, controller=controller)
    made = await set_up(template, {NAME: "Joan", NOTE: None})
    for values, note in (({NAME: "Ada", NOTE: "Hi"}, "Hi"), ({NAME: "Grace"}, "Hello {{1.name}}")):
        flow_id, walker = await change(made.scenario_id)
        await do(walker, SaveStep(flow_id=flow_id, step_id="s1", values=values))
        await do(walker, FinalizeFlow(flow_id=flow_id))
        blueprint = await ask(context, GetBlueprint(scenario_id=made.scenario_id))
        assert blueprint["flow"][1]["mapper"]["variables"][1]["value"] == note


async def test_an_answer_about_the_schedule_changes_when_it_runs(do, ask, context, set_up, change):
    every = field("u-every", None, "schedule", ["interval"], label={"en": "Seconds between runs"}, useValue=True)
    scheduling = {"type": "indefinitely", "interval": 900}
    controller = {"version": 1, "fields": [every], "steps": []}
    blueprint = {"name": "Tick", "flow": [{"id": 1, "module": "util:SetVariables", "version": 1, "mapper": {}}]}
    template = CreateTemplate(blueprint=blueprint, controller=controller, scheduling=scheduling)
    made = await set_up(template, {"u-every": 900})

    change_id, walker = await change(made.scenario_id)
    step_id = (await ask(walker, GetFlow(flow_id=change_id))).document["steps"][0]["id"]
    await do(walker, SaveStep(flow_id=change_id, step_id=step_id, values={"u-every": 3600}))
    await do(walker, FinalizeFlow(flow_id=change_id))
    scenario = await ask(context, GetScenario(scenario_id=made.scenario_id))
    assert scenario.scheduling == scheduling | {"interval": 3600}
    assert scenario.is_active
