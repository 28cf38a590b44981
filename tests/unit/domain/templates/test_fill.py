"""Filling: answers stand in their places, and a text that looks like an expression stays a text."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from make_bridge.domain.templates.fill import component_ids, fill_blueprint, fill_scheduling, literal
from make_bridge.engine.iml import Budget, compile_value
from support.templates import blueprint, controller, field

KEY = field("key", 3, "key", ["auth"])
SAME_KEY = field("same-key", 4, "key", ["auth"], reuse="key")


class Upstream:
    """What the filled blueprint's expressions can see: an order of module 1."""

    now = datetime(2026, 11, 22, tzinfo=UTC)
    execution_id = "0" * 32
    timezone = ZoneInfo("UTC")

    def __init__(self):
        self.budget = Budget()

    def bundle(self, module_id):
        return {"orderId": 42, "secret": "s3cret"} if module_id == 1 else None

    def variable(self, name):
        return None

    def random(self):
        return 0.5

    def uuid(self):
        return "u"


def evaluated(value):
    return compile_value(value).evaluate(Upstream())


def modules(filled):
    return {module["id"]: module for route in filled["flow"][1]["routes"] for module in route["flow"]}


def test_answers_stand_in_their_places_also_in_routes_and_handlers():
    fields = (
        field("url", 3, "mapper", ["url"]),
        field("header", 3, "mapper", ["headers", 0, "value"]),
        field("errors", 3, "parameters", ["handleErrors"]),
        field("handler", 7, "mapper", ["value"]),
    )
    answers = {"url": "https://a.example", "header": "9", "errors": False, "handler": "sorry"}
    module = modules(fill_blueprint(blueprint(), controller(*fields), answers))[3]
    assert module["mapper"]["url"] == "https://a.example"
    assert module["mapper"]["headers"] == [{"name": "X-Shop", "value": "9"}]
    assert module["parameters"] == {"auth": 99, "handleErrors": False}
    assert module["onerror"][0]["mapper"] == {"value": "sorry"}


def test_branches_are_reached():
    flow = [
        {
            "id": 1,
            "module": "builtin:BasicIfElse",
            "branches": [{"type": "else", "flow": [{"id": "2", "module": "util:ComposeTransformer"}]}],
        }
    ]
    filled = fill_blueprint({"flow": flow}, controller(field("a", 2, "mapper", ["value"])), {"a": "x"})
    assert filled["flow"][0]["branches"][0]["flow"][0]["mapper"] == {"value": "x"}


def test_the_template_itself_is_not_changed():
    document = blueprint()
    fill_blueprint(document, controller(field("url", 3, "mapper", ["url"])), {"url": "https://a.example"})
    assert document == blueprint()


def test_places_without_an_answer_stay_and_an_empty_answer_empties():
    fields = (field("url", 4, "mapper", ["url"]), field("data", 4, "mapper", ["data"]))
    mapper = modules(fill_blueprint(blueprint(), controller(*fields), {"url": None}))[4]["mapper"]
    assert mapper == {"url": None, "method": "post", "data": "{{1.orderId}}"}


def test_a_missing_place_is_made():
    fields = (field("qs", 3, "mapper", ["qs"]), field("max", 1, "parameters", ["maxResults"]))
    document = blueprint()
    document["flow"][0]["parameters"] = []  # how PHP-made files write an empty object
    filled = fill_blueprint(document, controller(*fields), {"qs": [{"name": "a", "value": "b"}], "max": 2})
    assert modules(filled)[3]["mapper"]["qs"] == [{"name": "a", "value": "b"}]
    assert filled["flow"][0]["parameters"] == {"maxResults": 2}


def test_a_component_is_written_wherever_it_is_reused():
    made = controller(KEY, SAME_KEY)
    filled = modules(fill_blueprint(blueprint(), made, {"key": 2048}))
    assert [filled[3]["parameters"]["auth"], filled[4]["parameters"]["auth"]] == [2048, 2048]
    assert component_ids(made, {"key": 2048}) == {"key": 2048}


def test_a_field_of_its_own_answer_does_not_take_over():
    filled = modules(fill_blueprint(blueprint(), controller(KEY, SAME_KEY), {"key": 2048, "same-key": 4096}))
    assert [filled[3]["parameters"]["auth"], filled[4]["parameters"]["auth"]] == [2048, 4096]


def test_an_expression_typed_where_mapping_is_not_allowed_stays_text():
    made = controller(field("data", 3, "mapper", ["data"]))
    mapper = modules(fill_blueprint(blueprint(), made, {"data": "{{1.secret}}"}))[3]["mapper"]
    assert evaluated(mapper["data"]) == "{{1.secret}}"


def test_an_expression_is_evaluated_where_mapping_is_allowed():
    made = controller(field("data", 3, "mapper", ["data"], allowMapping=True))
    mapper = modules(fill_blueprint(blueprint(), made, {"data": "{{1.orderId}}"}))[3]["mapper"]
    assert evaluated(mapper["data"]) == 42


def test_settings_are_not_evaluated_so_nothing_is_escaped_there():
    made = controller(field("hook", 1, "parameters", ["maxResults"]))
    filled = fill_blueprint(blueprint(), made, {"hook": "{{1}}"})
    assert filled["flow"][0]["parameters"]["maxResults"] == "{{1}}"


TEXTS = st.text(alphabet=st.sampled_from('{}"`a1.;[ '), max_size=30) | st.text(max_size=30)
VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers(-10, 10), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(VALUES)
def test_a_literal_evaluates_to_itself(value):
    assert evaluated(literal(value)) == value


def test_the_schedule_is_filled():
    fields = (field("type", None, "schedule", ["type"]), field("every", None, "schedule", ["interval"]))
    template = {"type": "on-demand"}
    filled = fill_scheduling(template, controller(*fields), {"type": "indefinitely", "every": 900})
    assert filled == {"type": "indefinitely", "interval": 900}
    assert template == {"type": "on-demand"}
