"""Mappers: nested JSON around templates, and the fields that ask to be left out or emptied."""

import pytest

from make_bridge.engine.iml import ExpressionSyntaxError, Reference, compile_value
from make_bridge.engine.values import ERASE, IGNORE


def test_templates_are_found_at_any_depth_and_other_values_pass(make_scope):
    compiled = compile_value(
        {"to": "{{1.email}}", "n": 5.0, "list": ["{{1.n + 1}}", None, True, {"deep": "<{{1.n}}>"}], "{{1.n}}": "x"}
    )

    assert compiled.evaluate(make_scope(bundles={1: {"email": "a@x", "n": 2}})) == {
        "to": "a@x",
        "n": 5,
        "list": [3, None, True, {"deep": "<2>"}],
        "{{1.n}}": "x",
    }
    assert compiled.references == (Reference(module_id=1, path=("email",)), Reference(module_id=1, path=("n",)))
    assert not compiled.constant


def test_ignore_leaves_an_entry_out_and_erase_empties_it(make_scope):
    compiled = compile_value(
        {"gone": "{{ignore}}", "emptied": "{{erase}}", "list": ["{{ignore}}", "{{erase}}", "{{if(1.x; 1.x; ignore)}}"]}
    )

    assert compiled.evaluate(make_scope()) == {"emptied": None, "list": [None]}


def test_a_single_text_hands_its_marker_to_the_caller(make_scope):
    assert compile_value("{{ignore}}").evaluate(make_scope()) is IGNORE
    assert compile_value("{{erase}}").evaluate(make_scope()) is ERASE


@pytest.mark.parametrize("json", [None, True, 5, 1.5, "text", [], {}, {"a": [1, "b", None]}])
def test_json_without_templates_is_constant_and_passes(make_scope, json):
    compiled = compile_value(json)

    assert compiled.constant
    assert compiled.evaluate(make_scope()) == json


def test_every_evaluation_makes_its_own_containers(make_scope):
    compiled = compile_value([1, {"k": "v"}])
    first, second = compiled.evaluate(make_scope()), compiled.evaluate(make_scope())

    assert first == second
    assert first is not second
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert first[1] is not second[1]


def test_unknown_functions_are_collected_from_all_texts():
    compiled = compile_value({"a": "{{nope(1)}}", "b": ["{{upper(2.x)}} {{never()}}"]})

    assert compiled.functions == {"nope", "never", "upper"}
    assert compiled.unknown_functions == {"nope", "never"}


def test_a_mapper_nested_without_end_is_an_error():
    value: object = "{{1.x}}"
    for _ in range(5_000):
        value = [value]

    with pytest.raises(ExpressionSyntaxError, match="nests more than 100 levels"):
        compile_value(value)
