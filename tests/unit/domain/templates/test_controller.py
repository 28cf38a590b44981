"""The controller: its format, its fit with the blueprint, and the one that is derived."""

import copy

import pytest

from make_bridge.domain.templates.controller import ControllerInvalid, read_controller, write_controller
from make_bridge.domain.templates.controller_check import check_controller
from make_bridge.domain.templates.controller_default import default_controller, renewed_controller
from make_bridge.domain.templates.places import Domain
from support.templates import blueprint, controller, field, ground


def refusal(raw):
    with pytest.raises(ControllerInvalid) as caught:
        read_controller(raw)
    return caught.value


def misfit(made, document=None):
    with pytest.raises(ControllerInvalid) as caught:
        check_controller(made, ground(document))
    return caught.value


FULL = {
    "version": 1,
    "fields": [
        {
            "uuid": "6f0c",
            "moduleId": 3,
            "domain": "mapper",
            "path": ["headers", 0, "value"],
            "label": {"en": "Shop number"},
            "help": {"de": "Steht auf der Rechnung"},
            "show": True,
            "useValue": False,
            "allowMapping": True,
            "required": True,
            "reuse": None,
            "showWhen": {"uuid": "91ab", "equals": "https://second.example/orders"},
        },
        {
            "uuid": "91ab",
            "moduleId": 4,
            "domain": "mapper",
            "path": ["url"],
            "label": {},
            "help": {},
            "show": True,
            "useValue": True,
            "allowMapping": False,
            "required": None,
            "reuse": None,
            "showWhen": None,
        },
    ],
    "steps": [{"title": {"en": "Your shop"}, "fields": ["91ab", "6f0c"]}],
}


def test_a_controller_is_written_as_it_was_read():
    assert write_controller(read_controller(FULL)) == FULL


def test_a_fitting_controller_passes():
    check_controller(read_controller(FULL), ground())


@pytest.mark.parametrize(
    ("change", "uuid", "words"),
    [
        ({"version": 2}, "version", "2"),
        ({"fields": [{"moduleId": 3}]}, "fields[0]", "no uuid"),
        ({"fields": [field("a b", 3, "mapper", ["url"])]}, "fields[0]", "no uuid"),
        ({"fields": [field("a", 3, "moon", ["url"])]}, "a", "'moon'"),
        ({"fields": [field("a", "3", "mapper", ["url"])]}, "a", "moduleId"),
        ({"fields": [field("a", True, "mapper", ["url"])]}, "a", "moduleId"),
        ({"fields": [field("a", 3, "schedule", ["type"])]}, "a", "null"),
        ({"fields": [field("a", 3, "mapper", ["url", True])]}, "a", "path"),
        ({"fields": [field("a", 3, "mapper", "url")]}, "a", "path"),
        ({"fields": [field("a", 3, "mapper", ["x"] * 21)]}, "a", "at most 20"),
        ({"fields": [field("a", 3, "mapper", ["url"], requried=True)]}, "a", "'requried'"),
        ({"fields": [field("a", 3, "mapper", ["url"], required="yes")]}, "a", "required"),
        ({"fields": [field("a", 3, "mapper", ["url"], show=1)]}, "a", "show"),
        ({"fields": [field("a", 3, "mapper", ["url"], label="URL")]}, "a", "label"),
        ({"fields": [field("a", 3, "mapper", ["url"], help={"en": 1})]}, "a", "help"),
        ({"fields": [field("a", 3, "mapper", ["url"], showWhen={"uuid": "b"})]}, "a", "showWhen"),
        ({"fields": [field("a", 3, "mapper", ["url"], showWhen={"uuid": "b", "equals": []})]}, "a", "single value"),
        ({"steps": [{"title": {}}]}, "steps[0]", "fields"),
        ({"steps": {}}, "steps", "array"),
    ],
)
def test_a_mistake_in_the_format_is_a_sentence_beside_its_uuid(change, uuid, words):
    error = refusal({"version": 1, "fields": [], **change})
    assert words in error.fields[uuid]
    if not uuid.startswith(("fields", "steps", "version")):
        assert uuid in error.fields[uuid]


def test_something_else_than_an_object_is_no_controller():
    assert "JSON object" in refusal([]).message


def test_too_many_fields_are_refused():
    assert "500" in refusal({"version": 1, "fields": [{}] * 501}).message


@pytest.mark.parametrize(
    ("fields", "uuid", "words"),
    [
        ([field("a", 5, "mapper", ["url"])], "a", "module 5"),
        ([field("a", 3, "mapper", ["uri"])], "a", "mapper.uri"),
        ([field("a", 3, "mapper", ["headers", 1, "value"])], "a", "does not exist"),
        ([field("a", 3, "mapper", ["headers", -1, "value"])], "a", "does not exist"),
        ([field("a", 3, "mapper", [])], "a", "does not exist"),
        ([field("a", 3, "key", ["url"])], "a", "does not exist"),
        ([field("a", 3, "hook", ["auth"])], "a", "does not exist"),
        ([field("a", None, "schedule", ["moon"])], "a", "schedule.moon"),
        ([field("a", 3, "parameters", ["auth"])], "a", "must be 'key'"),
        ([field("a", 3, "mapper", ["url"], required=False)], "a", "cannot make it optional"),
        ([field("a", 3, "parameters", ["handleErrors"], allowMapping=True)], "a", "mapper may hold"),
        ([field("a", 3, "mapper", ["url"]), field("a", 4, "mapper", ["url"])], "a", "twice"),
        ([field("a", 3, "mapper", ["url"]), field("b", 3, "mapper", ["url"])], "b", "same place as a"),
        ([field("a", 3, "key", ["auth"], reuse="x")], "a", "not in the controller"),
        ([field("a", 3, "mapper", ["url"], reuse="b"), field("b", 4, "mapper", ["url"])], "a", "cannot reuse"),
        ([field("a", 3, "key", ["auth"], reuse="b"), field("b", 1, "hook", ["hook"])], "a", "of its kind"),
        ([field("a", 3, "key", ["auth"], reuse="a")], "a", "itself through 'reuse'"),
        (
            [field("a", 3, "key", ["auth"], reuse="b"), field("b", 4, "key", ["auth"], reuse="a")],
            "b",
            "itself through 'reuse'",
        ),
        ([field("a", 3, "mapper", ["url"], showWhen={"uuid": "x", "equals": 1})], "a", "depending on x"),
        (
            [
                field("a", 3, "mapper", ["url"], showWhen={"uuid": "b", "equals": 1}),
                field("b", 4, "mapper", ["url"], showWhen={"uuid": "a", "equals": 1}),
            ],
            "a",
            "itself through 'showWhen'",
        ),
    ],
)
def test_a_misfit_is_a_sentence_that_names_the_uuid(fields, uuid, words):
    error = misfit(controller(*fields))
    assert words in error.fields[uuid]
    assert uuid in error.fields[uuid]


def test_steps_list_each_known_field_once():
    made = controller(
        field("a", 3, "mapper", ["url"]),
        steps=[{"title": {}, "fields": ["a", "x"]}, {"title": {}, "fields": ["a"]}],
    )
    error = misfit(made)
    assert "not in the controller" in error.fields["x"]
    assert "two steps" in error.fields["a"]


def test_a_hidden_field_may_be_optional_because_it_keeps_the_templates_value():
    check_controller(controller(field("a", 4, "mapper", ["url"], show=False, required=False)), ground())


def test_a_described_field_that_the_template_leaves_out_is_a_place():
    document = blueprint()
    del document["flow"][1]["routes"][0]["flow"][0]["mapper"]["url"]
    check_controller(controller(field("a", 3, "mapper", ["url"])), ground(document))


def test_a_mapper_that_is_one_expression_has_no_places():
    document = blueprint()
    document["flow"][1]["routes"][0]["flow"][0]["mapper"] = "{{1}}"
    assert "does not exist" in misfit(controller(field("a", 3, "mapper", ["url"])), document).fields["a"]


def test_a_key_of_an_undescribed_module_describes_itself():
    document = blueprint(flow=[{"id": 1, "module": "acme:Send", "mapper": {"times": 3}}])
    made = ground(document)
    check_controller(controller(field("a", 1, "mapper", ["times"])), made)
    spot = made.find(controller(field("a", 1, "mapper", ["times"])).fields[0].place)
    assert spot is not None
    assert (spot.field.type, spot.value) == ("number", 3)


def places(made):
    return [(item.place.module_id, item.place.domain, item.place.path) for item in made.fields]


def test_the_default_asks_for_components_and_required_empty_fields():
    assert places(default_controller(ground())) == [
        (1, Domain.HOOK, ("hook",)),
        (3, Domain.KEY, ("auth",)),
        (3, Domain.MAPPER, ("url",)),
        (4, Domain.KEY, ("auth",)),
    ]


def test_the_default_lets_one_key_serve_where_the_template_used_one():
    first, second = [item for item in default_controller(ground()).fields if item.place.domain is Domain.KEY]
    assert (first.reuse, second.reuse) == (None, first.uuid)


def test_the_default_asks_twice_where_the_template_used_two_keys():
    document = blueprint()
    document["flow"][1]["routes"][1]["flow"][0]["parameters"]["auth"] = 98
    keys = [item for item in default_controller(ground(document)).fields if item.place.domain is Domain.KEY]
    assert [item.reuse for item in keys] == [None, None]


def test_the_default_fits_the_blueprint_and_never_shows_the_authors_own_components():
    made = default_controller(ground())
    check_controller(made, ground())
    assert [item.use_value for item in made.fields if item.place.domain is not Domain.MAPPER] == [False] * 3


def test_the_default_uuids_depend_on_the_place_alone():
    renamed = blueprint(name="Another")
    renamed["flow"][1]["routes"][0]["flow"][0]["mapper"]["data"] = "other"
    one, other = default_controller(ground()), default_controller(ground(renamed))
    assert [item.uuid for item in one.fields] == [item.uuid for item in other.fields]
    assert len({item.uuid for item in one.fields}) == 4


def test_the_default_uuids_are_the_same_in_every_release():
    uuids = [item.uuid for item in default_controller(ground()).fields]
    assert uuids[0] == "170d67bb-0b20-5ed9-9e4f-6caca0793908"


def test_the_default_asks_for_the_credentials_of_the_chosen_way_to_sign_in():
    def keys(**parameters):
        document = blueprint(
            flow=[{"id": 1, "module": "http:MakeRequest", "version": 4, "parameters": parameters, "mapper": {}}]
        )
        return [item.place.path for item in default_controller(ground(document)).fields if item.place.domain == "key"]

    assert keys() == []
    assert keys(authenticationType="noAuth", apiKeyKeychain=5) == []
    assert keys(authenticationType="apiKey") == [("apiKeyKeychain",)]
    assert keys(authenticationType="basicAuth", apiKeyKeychain=5) == [("basicAuthKeychain",)]


def test_the_default_finds_required_gaps_inside_items():
    document = blueprint()
    document["flow"].append(
        {
            "id": 9,
            "module": "gateway:WebhookRespond",
            "mapper": {"status": "200", "headers": [{"key": "X", "value": ""}]},
        }
    )
    assert (9, Domain.MAPPER, ("headers", 0, "value")) in places(default_controller(ground(document)))


def test_disabled_modules_are_not_asked_about():
    document = blueprint()
    document["flow"][1]["routes"][0]["flow"][0]["disabled"] = True
    assert {item.place.module_id for item in default_controller(ground(document)).fields} == {1, 4}


def test_a_renewed_controller_keeps_what_fits_and_adds_what_is_new():
    old = controller(
        field("my-url", 3, "mapper", ["url"], label={"en": "Address"}),
        field("gone", 4, "mapper", ["url"]),
        field("hangs-on-gone", 3, "mapper", ["data"], showWhen={"uuid": "gone", "equals": "x"}),
        steps=[{"title": {"en": "One"}, "fields": ["my-url", "gone"]}],
    )
    document = copy.deepcopy(blueprint())
    document["flow"][1]["routes"].pop()
    renewed = renewed_controller(old, ground(document))
    check_controller(renewed, ground(document))
    assert [item.uuid for item in renewed.fields][:1] == ["my-url"]
    assert places(renewed)[1:] == [(1, Domain.HOOK, ("hook",)), (3, Domain.KEY, ("auth",))]
    assert [step.fields for step in renewed.steps] == [("my-url",)]
