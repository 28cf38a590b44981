"""The catalogue as data: every function explains itself, and every example in it is true."""

import re

import pytest

from make_bridge.engine.iml import compile_template
from make_bridge.engine.iml.functions import FAMILIES, FUNCTIONS
from make_bridge.engine.iml.functions.signature import Function

EXAMPLES = [
    pytest.param(example, id=f"{name}-{place}")
    for name, function in FUNCTIONS.items()
    for place, example in enumerate(function.examples, 1)
]
EVERY_FUNCTION = [pytest.param(function, id=name) for name, function in FUNCTIONS.items()]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_gives_its_result(evaluate, example):
    result = evaluate("{{" + example.expression + "}}", example.given)

    assert result == example.result
    assert type(result) is type(example.result)


@pytest.mark.parametrize("function", EVERY_FUNCTION)
def test_a_function_explains_itself(function):
    assert 1 <= len(function.examples) <= 3
    assert all(re.search(rf"\b{function.name}\(", example.expression) for example in function.examples)
    assert re.fullmatch(r"[A-Z][^\n]*\.", function.summary)
    assert len(function.summary) <= 110
    assert function.signature.startswith(f"{function.name}(")


@pytest.mark.parametrize("function", EVERY_FUNCTION)
def test_a_signature_is_itself_a_well_formed_call(function):
    """Without its brackets and dots; the names of the arguments are bare words there."""
    call = re.sub(r"; …(?=[;)])", "", function.signature).replace("[", "").replace("]", "")

    assert compile_template("{{" + call + "}}").functions == {function.name}


def test_the_arguments_of_a_function_have_names_of_their_own():
    for function in FUNCTIONS.values():
        if isinstance(function, Function):
            names = [parameter.name for parameter in function.all_parameters]
            assert len(set(names)) == len(names)
            assert all(re.fullmatch(r"[a-z][A-Za-z]*", name) for name in names)
            assert function.required <= len(names)


def test_every_function_belongs_to_one_family():
    names = [function.name for family in FAMILIES for function in family.functions]

    assert len(names) == len(set(names)) == len(FUNCTIONS)
    assert all(family.name and family.summary for family in FAMILIES)


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("substring", "substring(text; start; [end])"),
        ("sum", "sum(value; …)"),
        ("pick", "pick(collection; key; …)"),
        ("map", "map(array; key; [filterKey]; [filterValues])"),
        ("if", "if(condition; then; [else])"),
        ("switch", "switch(expression; value; result; …; [else])"),
        ("formatDate", "formatDate(date; format; [timezone])"),
    ],
)
def test_a_signature_shows_what_may_be_left_out(name, signature):
    assert FUNCTIONS[name].signature == signature
