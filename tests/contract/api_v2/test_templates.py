"""Templates over the API: an organization's own with their life, the public ones, and scenarios made of them."""

import json

import pytest

from make_bridge.domain.scenarios.messages import CreateScenario
from make_bridge.kernel.ids import OrganizationId
from support.blueprints import module, webhook
from support.organizations import administrator
from support.portal import refusal

SECOND = module(2, "util:SetVariable", {"name": "a", "value": "b"})
BLUEPRINT = {"name": "Orders to the shöp", "flow": [webhook(), SECOND]}


async def _template(acme, **more):
    body = {"teamId": acme.facts.team_id, "language": "en", "blueprint": json.dumps(BLUEPRINT)} | more
    return (await acme.ask("POST", "/templates", body))["template"]


async def _published(acme, **more):
    made = await _template(acme, **more)
    return (await acme.ask("POST", f"/templates/{made['id']}/publish"))["template"]


async def test_a_template_goes_through_its_whole_life(acme):
    made = await _template(acme, description="Sends orders on.", scheduling=json.dumps({"type": "immediately"}))
    assert (made["name"], made["description"]) == ("Orders to the shöp", "Sends orders on.")
    assert (made["teamId"], made["published"], made["publishedId"], made["publicUrl"]) == (None, False, None, None)
    target = f"/templates/{made['id']}"
    assert (await acme.ask("GET", target))["template"] == made
    refusal(await acme.send("GET", f"{target}/blueprint?forUse=true"), 404, "not_found")
    published = (await acme.ask("POST", f"{target}/publish"))["template"]
    assert published["public"] is published["approved"] is published["published"] is True
    assert published["publicUrl"] == f"{made['id']}-orders-to-the-shop"
    renamed = (await acme.ask("PATCH", target, {"name": "Orders", "blueprint": BLUEPRINT | {"name": "x"}}))["template"]
    assert (renamed["name"], renamed["publishedId"]) == ("Orders", published["publishedId"])
    assert (await acme.ask("GET", f"{target}/blueprint"))["blueprint"]["name"] == "x"
    assert (await acme.ask("GET", f"{target}/blueprint?forUse=true"))["blueprint"]["name"] == BLUEPRINT["name"]
    assert [each["id"] for each in (await acme.ask("GET", "/templates"))["templates"]] == [made["id"]]
    refusal(await acme.send("DELETE", target), 406, "IM004")
    await acme.ask("DELETE", f"{target}?confirmed=true")
    for gone in (target, f"{target}/blueprint", f"/templates/public/{made['id']}"):
        refusal(await acme.send("GET", gone), 404, "not_found")


async def test_a_template_with_unknown_modules_is_kept_and_not_published(acme):
    made = await _template(acme, blueprint={"name": "X", "flow": [module(1, "nobody:Knows")]})
    refusal(await acme.send("POST", f"/templates/{made['id']}/publish"), 409, "template_invalid")


async def test_make_s_own_controller_is_replaced_and_ours_comes_back_as_it_went(acme):
    made = await _template(acme, controller=json.dumps({"name": "x", "modules": {}, "idSequence": 3}))
    shown = await acme.ask("GET", f"/templates/{made['id']}/blueprint")
    controller = shown["controller"]
    assert (controller["name"], controller["modules"], controller["idSequence"]) == (made["name"], {}, 3)
    assert controller["fields"]
    again = await _template(acme, controller=controller)
    assert (await acme.ask("GET", f"/templates/{again['id']}/blueprint"))["controller"] == controller


async def test_what_is_public_comes_with_the_server_or_was_published_here(acme, api):
    own = await _published(acme)
    await _template(acme, name="A draft")
    rival = await _published(await api.integrator("Rival"), name="Not to be seen")
    listed = (await acme.ask("GET", "/templates/public"))["templatesPublic"]
    names = {each["name"] for each in listed}
    assert {"Webhook to HTTP request", own["name"]} <= names
    assert not names & {"A draft", "Not to be seen"}
    [found] = [each for each in listed if each["id"] == own["id"]]
    assert found == {"id": own["id"], "name": own["name"], "description": None, "url": own["publicUrl"],
                     "usedApps": ["gateway", "util"], "usage": 0}  # fmt: skip
    for address in (own["publicUrl"], str(own["id"]), f"{own['id']}-a-name-of-before"):
        assert (await acme.ask("GET", f"/templates/public/{address}"))["templatePublic"] == found
    for other in (rival["publicUrl"], "13x", "0", "x-13", "9" * 17):
        refusal(await acme.send("GET", f"/templates/public/{other}"), 404, "not_found")
        refusal(await acme.send("GET", f"/templates/public/{other}/blueprint"), 404, "not_found")


async def test_public_templates_are_filtered_by_name_and_apps_and_narrowed(acme):
    await _published(acme)
    target = "/templates/public?cols[]=name&cols[]=usedApps"
    by_app = (await acme.ask("GET", f"{target}&usedApps[]=http&usedApps[]=gateway"))["templatesPublic"]
    assert by_app
    assert all(set(each) == {"name", "usedApps"} and {"http", "gateway"} <= set(each["usedApps"]) for each in by_app)
    by_name = (await acme.ask("GET", f"{target}&name=WEBHOOK&includeEn=true&pg[limit]=1"))["templatesPublic"]
    assert len(by_name) == 1
    assert "webhook" in by_name[0]["name"].lower()
    many = "&".join(["usedApps[]=a"] * 51)
    refusal(await acme.send("GET", f"/templates/public?{many}"), 400, "invalid_page")


async def test_those_used_most_come_first(acme, api):
    own = await _published(acme)
    made_in_the_wizard = CreateScenario(
        team_id=acme.facts.team_id, blueprint=BLUEPRINT, template_version_id=own["publishedId"]
    )
    await api.commands.execute(administrator(OrganizationId(acme.facts.organization_id)), made_in_the_wizard)
    listed = await acme.ask("GET", "/templates/public")
    assert (listed["templatesPublic"][0]["id"], listed["templatesPublic"][0]["usage"]) == (own["id"], 1)
    assert (listed["pg"]["sortBy"], listed["pg"]["sortDir"]) == ("usage", "desc")
    upwards = (await acme.ask("GET", "/templates/public?pg[sortBy]=id&pg[sortDir]=asc"))["templatesPublic"]
    assert [each["id"] for each in upwards] == sorted(each["id"] for each in upwards)


async def test_a_scenario_is_made_of_a_public_template_by_its_number_or_its_blueprint(acme):
    [ready] = (await acme.ask("GET", "/templates/public?name=on+demand"))["templatesPublic"]
    found = await acme.ask("GET", f"/templates/public/{ready['url']}/blueprint")
    assert found["metadata"]["input_spec"][0]["name"] == "address"
    assert found["scheduling"] == {"type": "on-demand"}
    made = (await acme.ask("POST", "/scenarios", {"teamId": acme.facts.team_id, "basedon": ready["id"]}))["scenario"]
    assert (made["name"], made["isinvalid"], made["scheduling"]) == (ready["name"], False, found["scheduling"])
    declared = (await acme.ask("GET", f"/scenarios/{made['id']}/interface"))["interface"]
    assert declared["input"] == found["metadata"]["input_spec"]
    body = {"teamId": acme.facts.team_id, "blueprint": json.dumps(found["blueprint"]), "name": "Mine",
            "scheduling": json.dumps(found["scheduling"]), "basedon": str(ready["id"])}  # fmt: skip
    again = (await acme.ask("POST", "/scenarios", body))["scenario"]
    assert (again["name"], again["usedPackages"]) == ("Mine", made["usedPackages"])
    await acme.ask("POST", f"/scenarios/{again['id']}/start")


async def test_a_scenario_is_based_on_no_draft_and_on_nothing_of_others(acme, api):
    draft, rival = await _template(acme), await _published(await api.integrator("Rival"))
    for number in (draft["id"], rival["id"], 999):
        body = {"teamId": acme.facts.team_id, "basedon": number}
        refusal(await acme.send("POST", "/scenarios", body), 404, "not_found")
    refusal(await acme.send("POST", "/scenarios", {"teamId": acme.facts.team_id}), 400, "invalid_input")


async def test_a_team_that_is_none_of_one_s_own_gets_no_template(acme, api):
    rival = await api.integrator("Rival")
    refusal(
        await acme.send("POST", "/templates", {"teamId": rival.facts.team_id, "blueprint": BLUEPRINT}), 404, "not_found"
    )


@pytest.mark.parametrize("permission", ["templates:read", "scenarios:write"])
async def test_a_token_that_may_only_read_makes_none(acme, permission):
    await acme.allow_only(permission)
    refusal(await acme.send("POST", "/templates", {"blueprint": BLUEPRINT}), 403, "permission_denied")
    expected = 200 if permission == "templates:read" else 403
    assert (await acme.send("GET", "/templates/public")).status == expected
