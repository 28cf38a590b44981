"""The form: which fields are asked, on which page, under which condition."""

from make_bridge.domain.templates.controller_default import default_controller
from make_bridge.domain.templates.form import build_form
from make_bridge.domain.templates.mapping_items import mapping_items, upstream
from support.templates import blueprint, controller, field, ground

URL = field("url", 3, "mapper", ["url"], label={"en": "API address", "de": "Adresse"}, help={"en": "Where orders go"})
HEADER = field("header", 3, "mapper", ["headers", 0, "value"])
SECOND = field("second", 4, "mapper", ["url"], useValue=False)
KEY = field("key", 3, "key", ["auth"])
SAME_KEY = field("same-key", 4, "key", ["auth"], reuse="key")
HOOK = field("hook", 1, "hook", ["hook"])
SCHEDULE = field("when", None, "schedule", ["type"])


def pages(form):
    return [(step.title, [item.uuid for item in step.fields]) for step in form.steps]


def form(*fields, steps=None, **options):
    return build_form(ground(), controller(*fields, steps=steps), **options)


def test_components_come_first_merged_by_app_then_a_page_for_each_module_then_the_schedule():
    made = form(SCHEDULE, SECOND, URL, KEY, HOOK, HEADER)
    assert pages(made) == [
        ("HTTP", ["key"]),
        ("Webhooks", ["hook"]),
        ("Make an API key auth request", ["url", "header"]),
        ("Make an API key auth request", ["second"]),
        ("Schedule", ["when"]),
    ]
    assert len({step.id for step in made.steps}) == 5


def test_the_authors_caption_names_a_page():
    document = blueprint()
    document["flow"][1]["routes"][0]["flow"][0]["metadata"] = {"designer": {"name": "Tell the first shop"}}
    made = build_form(ground(document), controller(URL))
    assert made.steps[0].title == "Tell the first shop"


def test_an_authors_own_pages_stand_after_left_over_components_and_before_the_rest():
    made = form(URL, HEADER, SECOND, KEY, steps=[{"title": {"en": "Your shop"}, "fields": ["second", "url"]}])
    assert [page[1] for page in pages(made)] == [["key"], ["second", "url"], ["header"]]
    assert made.steps[1].title == "Your shop"


def test_hidden_fixed_and_taken_over_fields_are_not_asked_and_empty_pages_are_left_out():
    hidden = {**HEADER, "show": False}
    made = form(URL, hidden, SECOND, KEY, SAME_KEY, hard={"second": "https://x.example", "key": 5})
    assert pages(made) == [("Make an API key auth request", ["url"])]


def test_a_page_keeps_its_id_whatever_is_fixed():
    ids = {step.id for step in form(URL, KEY).steps if step.fields[0].uuid == "url"}
    assert ids == {step.id for step in form(URL, KEY, hard={}).steps if step.fields[0].uuid == "url"}


def test_a_field_has_the_shape_that_the_wizard_reads():
    described = form(URL).steps[0].fields[0].describe()
    assert described == {
        "uuid": "url",
        "name": "url",
        "label": "API address",
        "help": "Where orders go",
        "type": "url",
        "required": True,
        "multiline": False,
        "options": [],
        "default": None,
        "validate": None,
        "spec": None,
        "showWhen": None,
        "allowMapping": False,
        "items": [],
        "component": None,
    }


def test_labels_follow_the_language_then_english_then_the_module():
    def label(made):
        return made.steps[0].fields[0].label

    assert label(form(URL, language="de-AT")) == "Adresse"
    assert label(form(URL, language="fr")) == "API address"
    assert label(form({**URL, "label": {"cs": "Adresa"}}, language="fr")) == "Adresa"
    assert label(form({**URL, "label": {}})) == "URL"


def test_a_component_field_says_which_component_it_needs():
    key = form(KEY).steps[0].fields[0]
    assert key.describe()["type"] == "key"
    assert key.describe()["component"] == {"kind": "key", "app": "http", "label": "Credentials"}
    assert key.component is not None
    assert key.component.type == "apikeyauth"
    assert form(HOOK).steps[0].fields[0].describe()["type"] == "hook"


def test_the_initial_value_is_the_templates_unless_the_controller_says_otherwise():
    made = form({**SECOND, "useValue": True}, {**KEY, "useValue": True})
    initial = {item.uuid: item.initial for item in made.fields()}
    assert initial == {"second": "https://second.example/orders", "key": None}
    assert next(form(SECOND).fields()).initial is None


def test_a_controller_may_be_stricter_than_the_module():
    data = field("data", 3, "mapper", ["data"])
    assert next(form(data).fields()).required is False
    assert next(form({**data, "required": True}).fields()).required is True


def test_mapping_is_offered_with_the_items_of_earlier_modules():
    data = field("data", 3, "mapper", ["data"], allowMapping=True)
    assert next(form(data).fields()).describe()["items"] == [
        {"label": "Order id", "expression": "{{1.orderId}}"},
        {"label": "Buyer", "expression": "{{1.buyer}}"},
        {"label": "Buyer › First name", "expression": "{{1.buyer.`first name`}}"},  # noqa: RUF001
    ]


def test_a_module_sees_its_own_path_only():
    assert [node.id for node in upstream(ground(), 4)] == [2, 1]
    assert [node.id for node in upstream(ground(), 7)] == [3, 2, 1]
    assert upstream(ground(), 99) == ()


def test_an_aggregator_hides_the_modules_of_its_loop():
    flow = [
        {"id": 1, "module": "gateway:CustomWebHook"},
        {"id": 2, "module": "builtin:BasicFeeder", "mapper": {"array": "{{1.rows}}"}},
        {"id": 3, "module": "util:ComposeTransformer", "mapper": {"value": "x"}},
        {"id": 4, "module": "builtin:BasicAggregator", "parameters": {"feeder": 2}, "mapper": {}},
        {"id": 5, "module": "util:ComposeTransformer", "mapper": {"value": "x"}},
    ]
    made = ground(blueprint(flow=flow))
    assert [node.id for node in upstream(made, 4)] == [3, 2, 1]
    assert [node.id for node in upstream(made, 5)] == [4, 1]
    assert all(not item.expression.startswith("{{3") for item in mapping_items(made, 5))


def test_a_condition_on_the_same_page_is_left_to_the_page():
    shown = {**HEADER, "showWhen": {"uuid": "url", "equals": "custom"}}
    made = form(URL, shown)
    assert [item["uuid"] for item in made.describe(made.steps[0], {})] == ["url", "header"]
    assert made.describe(made.steps[0], {})[1]["showWhen"] == {"uuid": "url", "equals": "custom"}
    assert [item.uuid for item in made.asked(made.steps[0], {"url": "custom"})] == ["url", "header"]
    assert [item.uuid for item in made.asked(made.steps[0], {"url": "other"})] == ["url"]


def test_a_condition_on_another_page_is_decided_here():
    shown = {**SECOND, "showWhen": {"uuid": "url", "equals": "custom"}}
    made = form(URL, shown)
    page = made.steps[1]
    assert made.describe(page, {"url": "other"}) == []
    assert [item["showWhen"] for item in made.describe(page, {"url": "custom"})] == [None]


def test_a_condition_may_look_at_fixed_and_hidden_values():
    shown = {**HEADER, "showWhen": {"uuid": "second", "equals": "https://second.example/orders"}}
    hidden = form(shown, {**SECOND, "show": False})
    assert [item.uuid for item in hidden.asked(hidden.steps[0], {})] == ["header"]
    fixed = form(shown, SECOND, hard={"second": "https://third.example"})
    assert fixed.asked(fixed.steps[0], {}) == ()


def test_a_field_that_hangs_on_one_that_is_not_asked_is_not_asked():
    first = {**HEADER, "showWhen": {"uuid": "url", "equals": "custom"}}
    second = {**SECOND, "showWhen": {"uuid": "header", "equals": "5"}}
    made = form(URL, first, second)
    assert made.asked(made.steps[1], {"url": "other", "header": "5"}) == ()
    assert len(made.asked(made.steps[1], {"url": "custom", "header": "5"})) == 1


def test_true_is_not_one():
    shown = {**HEADER, "showWhen": {"uuid": "url", "equals": True}}
    made = form(URL, shown)
    assert [item.uuid for item in made.asked(made.steps[0], {"url": 1})] == ["url"]


def test_the_derived_controller_makes_a_form():
    made = build_form(ground(), default_controller(ground()))
    assert [title for title, _ in pages(made)] == ["Webhooks", "HTTP", "Make an API key auth request"]
