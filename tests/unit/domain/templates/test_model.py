"""Drafts: what a blueprint brings by itself, what an edit keeps, what cannot be published."""

import pytest

from make_bridge.domain.templates.controller import ControllerInvalid
from make_bridge.domain.templates.model import DraftParts, edited_draft, new_draft, require_publishable
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.kernel.errors import Conflict, InvalidInput, TooLarge
from support.templates import blueprint, field


def draft(document=None, *, language="en", visibility="private", **parts):
    made = DraftParts(blueprint=blueprint() if document is None else document, **parts)
    return new_draft(made, CATALOGUE, language=language, visibility=visibility)


def edited(old, **parts):
    return edited_draft(old, DraftParts(**parts), CATALOGUE)


def test_a_blueprint_brings_name_description_apps_and_schedule():
    made = draft()
    assert (made.name, made.description) == ("Tell the shops", "Sends each order on.")
    assert made.used_packages == ["gateway", "http", "util"]
    assert made.scheduling == {"type": "immediately"}
    assert len(made.controller.fields) == 4


def test_what_the_author_says_comes_first():
    made = draft(name="Mine", description="", scheduling={"type": "daily", "time": "06:10"})
    assert (made.name, made.description, made.scheduling) == ("Mine", "", {"type": "daily", "time": "06:10"})


def test_a_blueprint_without_a_name_is_a_new_template_that_runs_by_hand():
    made = draft({"flow": [{"id": 1, "module": "util:ComposeTransformer", "mapper": {"value": "x"}}]})
    assert (made.name, made.scheduling) == ("New template", {"type": "on-demand"})


def test_a_blueprint_may_bring_its_schedule():
    made = draft(blueprint(scheduling={"type": "indefinitely", "interval": 900}))
    assert made.scheduling == {"type": "indefinitely", "interval": 900}


def test_a_subscenario_is_not_instant():
    assert draft({"flow": [{"id": 1, "module": "scenario-service:StartSubscenario"}]}).scheduling["type"] == "on-demand"


def test_an_unknown_instant_trigger_is_told_by_its_metadata():
    document = {"flow": [{"id": 1, "module": "acme:Watch"}], "metadata": {"instant": True}}
    assert draft(document).scheduling == {"type": "immediately"}


def test_wrappers_are_taken_off():
    assert draft({"response": {"blueprint": blueprint()}}).blueprint.document == blueprint()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"description": "x" * 4001}, "description"),
        ({"language": "english!"}, "language"),
        ({"visibility": "withdrawn"}, "visibility"),
        ({"scheduling": {"type": "hourly"}}, "schedule"),
        ({"scheduling": {"type": "cron", "expression": "* * *"}}, "five"),
        ({"scheduling": {"type": "indefinitely", "interval": 59}}, "60"),
        ({"document": {"name": "x"}}, "flow"),
        ({"document": {"name": "\ud83d", "flow": []}}, "surrogate"),
    ],
)
def test_what_cannot_be_a_draft_is_refused_with_a_sentence(parts, words):
    with pytest.raises(InvalidInput, match=words):
        draft(**parts)


def test_a_blueprint_over_four_megabytes_is_refused():
    texts = ["x" * 200_000] * 21
    with pytest.raises(TooLarge, match="4 MB"):
        draft({"flow": [{"id": 1, "module": "util:ComposeTransformer", "mapper": {"value": texts}}]})


def test_a_given_controller_is_checked():
    with pytest.raises(ControllerInvalid, match="module 12"):
        draft(controller={"version": 1, "fields": [field("a", 12, "mapper", ["url"])]})
    assert [item.uuid for item in draft(controller=OWN).controller.fields] == ["mine"]


OWN = {"version": 1, "fields": [field("mine", 3, "mapper", ["url"])]}


def test_makes_own_controller_is_replaced_by_a_derived_one():
    made = draft(controller={"name": "x", "modules": {}, "idSequence": 1})
    assert len(made.controller.fields) == 4


def test_an_edit_changes_what_it_names():
    made = edited(draft(), name="Other")
    assert (made.name, made.description, made.scheduling) == ("Other", "Sends each order on.", {"type": "immediately"})
    assert made.controller == draft().controller


def test_a_new_blueprint_keeps_the_fields_that_still_fit():
    made = edited(draft(controller=OWN), blueprint=blueprint(name="ignored"))
    assert made.name == "Tell the shops"
    assert next(item.uuid for item in made.controller.fields) == "mine"
    assert len(made.controller.fields) == 4


def test_the_same_blueprint_again_keeps_every_uuid():
    assert edited(draft(), blueprint=blueprint()).controller == draft().controller


def test_a_derived_schedule_follows_the_blueprint_a_chosen_one_stays():
    by_hand = {"flow": [{"id": 1, "module": "util:ComposeTransformer", "mapper": {"value": "x"}}]}
    assert edited(draft(), blueprint=by_hand).scheduling == {"type": "on-demand"}
    chosen = draft(scheduling={"type": "daily", "time": "06:10"})
    assert edited(chosen, blueprint=by_hand).scheduling == {"type": "daily", "time": "06:10"}


def test_a_good_draft_may_be_published():
    require_publishable(draft(), CATALOGUE)


def test_unknown_modules_are_listed_with_id_and_position():
    document = blueprint()
    document["flow"][1]["routes"][0]["flow"].append({"id": 8, "module": "acme:Send"})
    with pytest.raises(Conflict) as caught:
        require_publishable(draft(document), CATALOGUE)
    assert "acme:Send" in caught.value.message
    assert "module 8 at flow[1].routes[0].flow[1].module" in caught.value.message


def test_an_empty_template_is_not_published():
    with pytest.raises(Conflict, match="no modules"):
        require_publishable(draft({"flow": []}), CATALOGUE)
