"""Answers in words: expressions become the items that a person chose, everything else what it says."""

import pytest

from make_bridge.domain.integrations.wording import Wording, plain
from make_bridge.domain.templates.mapping_items import mapping_items
from make_bridge.engine.apps.fields import Field, Option
from support.templates import blueprint, ground

TEXT = Field(name="note", type="text")


@pytest.fixture
def document():
    named = blueprint()
    named["flow"][0]["metadata"]["designer"] = {"name": "New order"}
    return named


@pytest.fixture
def wording(document):
    return Wording(ground(document))


def item(label, source="New order"):
    return {"label": label, "from": source}


def test_an_item_is_named_with_its_label_and_its_module(wording):
    assert wording.say("Order {{1.orderId}} from {{1.buyer.`first name`}}!", TEXT, mapped=True) == [
        {"text": "Order "},
        {"expression": "{{1.orderId}}", "items": [item("Order id")], "calculated": False},
        {"text": " from "},
        {
            "expression": "{{1.buyer.`first name`}}",
            "items": [item("Buyer › First name")],  # noqa: RUF001
            "calculated": False,
        },
        {"text": "!"},
    ]


def test_without_a_caption_the_module_s_own_name_stands_in():
    [part] = Wording(ground()).say("{{1.orderId}}", TEXT, mapped=True)
    assert part["items"] == [item("Order id", "Custom webhook")]


def test_a_calculation_names_what_it_reads_once(wording):
    [part] = wording.say("{{upper(1.orderId) + 1.orderId + 1.unheard[2].of}}", TEXT, mapped=True)
    assert part["calculated"] is True
    assert part["items"] == [item("Order id"), item("unheard › 2 › of")]  # noqa: RUF001


def test_words_of_the_language_are_said_in_words(wording):
    [part] = wording.say("{{now}}", TEXT, mapped=True)
    assert (part["items"], part["calculated"]) == ([item("Time of the run", None)], False)
    assert wording.say('a{{newline}}b{{"{{"}}', TEXT, mapped=True) == [{"text": "a\nb{{"}]


def test_where_nothing_may_be_mapped_braces_are_text(wording):
    assert wording.say("{{1.orderId}}", TEXT, mapped=False) == [{"text": "{{1.orderId}}"}]


def test_a_broken_expression_is_shown_as_it_was_typed(wording):
    assert wording.say("{{1.orderId", TEXT, mapped=True) == [{"text": "{{1.orderId"}]


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        (None, TEXT, ""),
        (True, Field(name="on", type="boolean"), "Yes"),
        (False, Field(name="on", type="boolean"), "No"),
        (12, Field(name="n", type="number"), "12"),
        (["new", "web"], Field(name="tags", type="array"), "new, web"),
        ("b", Field(name="s", type="select", options=(Option(value="b", label="Beta"),)), "Beta"),
        ("hush", Field(name="p", type="password"), "••••••••"),
        (
            [{"name": "X-Shop", "value": "{{1.orderId}}"}, {"name": "Y", "value": ""}],
            Field(name="headers", type="array", spec=(Field(name="name", type="text", label="Name"), TEXT)),
            "Name: X-Shop, value: [Order id]\nName: Y",
        ),
        ("x" * 700, TEXT, "x" * 600 + "…"),
    ],
)
def test_every_kind_of_answer_is_readable(wording, value, field, said):
    assert plain(wording.say(value, field, mapped=True)) == said


def test_offered_items_say_where_they_come_from(document):
    on = ground(document)
    assert Wording(on).items(mapping_items(on, 3))[0] == {
        "label": "Order id",
        "expression": "{{1.orderId}}",
        "from": "New order",
    }
