"""Mappers: what a module is given, coerced and checked by its fields."""

from datetime import UTC, datetime
from typing import Any

import pytest

from make_bridge.engine.apps.fields import Bounds, Field, fields_from_json
from make_bridge.engine.apps.module import ModuleError
from make_bridge.engine.blueprint.constants import NothingScope
from make_bridge.engine.blueprint.mapping import compile_mapper
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.values import Value


class _Scope(NothingScope):
    """Module 1's bundle is what the test gives."""

    def __init__(self, given: dict[str, Value]) -> None:
        super().__init__()
        self.given = given

    def bundle(self, module_id: int) -> Value:
        return self.given if module_id == 1 else None


def _map(raw: object, *fields: Field, expect: tuple[Field, ...] = (), **bundle: Any) -> dict[str, Value]:
    return compile_mapper(raw, fields, expect).evaluate(_Scope(bundle))


def _problems(raw: object, *fields: Field, **bundle: Any) -> list[str]:
    with pytest.raises(ModuleError) as caught:
        _map(raw, *fields, **bundle)
    assert caught.value.error_type == "BundleValidationError"
    first, *lines = caught.value.message.splitlines()
    assert first == f"Validation failed for {len(lines)} parameter(s)."
    return [line.removeprefix(" - ") for line in lines]


NUMBER = Field(name="n", type="number")
TEXT = Field(name="t", type="text", required=True)
ROWS = Field(name="rows", type="array", spec=(TEXT, NUMBER))


def test_without_fields_values_pass_untyped_and_in_order():
    raw = {"z": "{{1.n}}", "a": "5", "m": [1, "{{1.n}}", {"k": "{{1.t}} b"}], "b": True}
    mapped = _map(raw, n=7, t="x")
    assert mapped == {"z": 7, "a": "5", "m": [1, 7, {"k": "x b"}], "b": True}
    assert list(mapped) == ["z", "a", "m", "b"]


def test_values_take_the_type_of_their_field():
    fields = fields_from_json(
        [
            {"name": "n", "type": "number"},
            {"name": "b", "type": "boolean"},
            {"name": "d", "type": "date"},
            {"name": "l", "type": "array", "spec": {"name": "value", "type": "text"}},
            {"name": "t", "type": "text"},
        ]
    )
    raw = {"n": "{{1.n}}", "b": "{{1.b}}", "d": "2026-01-02", "l": "{{1.n}}", "t": "{{1.n}}"}
    mapped = _map(raw, expect=fields, n="5", b=0)
    day = datetime(2026, 1, 2, tzinfo=UTC)
    assert mapped == {"n": 5, "b": True, "d": day, "l": ["5"], "t": "5"}


def test_a_modules_own_field_wins_over_what_the_blueprint_expects():
    expected = (Field(name="n", type="text"), Field(name="extra", type="number"))
    assert _map({"n": "{{1.a}}", "extra": "{{1.a}}"}, NUMBER, expect=expected, a="5") == {"n": 5, "extra": 5}


def test_mapped_arrays_and_collections_are_coerced_inside():
    rows = [{"t": 1, "n": "2", "more": None}, {"t": "x"}]
    assert _map({"rows": "{{1.rows}}"}, ROWS, rows=rows) == {"rows": [{"t": "1", "n": 2, "more": None}, {"t": "x"}]}


def test_empty_text_in_a_field_that_is_no_text_counts_as_not_given():
    assert _map({"n": "", "m": "{{1.empty}}"}, NUMBER, Field(name="m", type="number"), empty="") == {}


def test_defaults_fill_in_what_is_not_given():
    field = Field(name="n", type="number", default=3)
    assert _map({}, field) == {"n": 3}
    assert _map({"n": ""}, field) == {"n": 3}
    assert _map({"n": 0}, field) == {"n": 0}


def test_ignore_leaves_a_field_out_and_erase_empties_it():
    raw = {
        "a": "{{ignore}}",
        "b": "{{if(1.x; 1.x; ignore)}}",
        "c": "{{erase}}",
        "l": "{{erase}}",
        "d": ["{{ignore}}", 1],
    }
    assert _map(raw, Field(name="l", type="array")) == {"c": None, "l": [], "d": [1]}


@pytest.mark.parametrize("given", [{}, {"t": ""}, {"t": None}, {"t": "{{1.nothing}}"}, {"t": "{{ignore}}"}])
def test_a_required_field_must_have_a_value(given):
    assert _problems(given, TEXT) == ["Missing value of required parameter 't'."]


def test_everything_that_is_wrong_is_said_at_once_with_its_place():
    raw = {"n": "{{1.a}}", "rows": [{"t": "", "n": 1}, {"t": "x", "n": "{{1.a}}"}]}
    assert _problems(raw, NUMBER, ROWS, a="many") == [
        "Invalid value of parameter 'n': 'many' is not a valid number.",
        "Missing value of required parameter 'rows[1].t'.",
        "Invalid value of parameter 'rows[2].n': 'many' is not a valid number.",
    ]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (Field(name="x", type="number", validate=Bounds(min=1, max=300)), 301, "at most 300 is allowed"),
        (Field(name="x", type="number", validate=Bounds(min=1, max=300)), "0", "at least 1 is needed"),
        (Field(name="x", type="text", validate=Bounds(max=3)), "abcd", "The length of parameter 'x' is 4"),
        (Field(name="x", type="array", validate=Bounds(max_items=1)), [1, 2], "has 2 items; at most 1"),
        (Field(name="x", type="array", validate=Bounds(min_items=1)), [], "has 0 items; at least 1"),
        (Field(name="x", type="uinteger"), -1, "negative"),
        (Field(name="x", type="integer"), 1.5, "not a whole number"),
        (Field(name="x", type="collection"), "a", "not a valid collection"),
    ],
)
def test_bounds_and_types_are_checked_whether_written_or_mapped(field, value, said):
    assert said in _problems({"x": "{{1.v}}"}, field, v=value)[0]
    assert said in _problems({"x": value}, field)[0]


def test_a_whole_collection_may_be_mapped_at_once():
    assert _map("{{`1`}}", NUMBER, n="5", other=1) == {"n": 5, "other": 1}
    assert _map("{{1}}", n=1) == {"n": 1}
    assert _problems("{{1.n}}", n=5) == ["The mapped value is not a collection."]
    assert _map("{{2}}") == {}
    assert _problems("", TEXT) == ["Missing value of required parameter 't'."]


def test_constant_parts_are_shared_and_dynamic_ones_are_new():
    mapper = compile_mapper({"fixed": {"a": [1]}, "moving": "{{1.n}}"}, (), ())
    first, second = mapper.evaluate(_Scope({"n": 1})), mapper.evaluate(_Scope({"n": 2}))
    assert first["fixed"] is second["fixed"]
    assert (first["moving"], second["moving"]) == (1, 2)


def test_a_constant_that_cannot_be_evaluated_fails_at_run_time_only():
    mapper = compile_mapper({"x": "{{1 / 0}}"}, (), ())
    with pytest.raises(ExpressionError):
        mapper.evaluate(_Scope({}))


def test_passwords_are_not_shown():
    mapper = compile_mapper({"user": "ann", "pass": "{{1.p}}"}, (Field(name="pass", type="password"),), ())
    given = mapper.evaluate(_Scope({"p": "hunter2"}))
    assert given["pass"] == "hunter2"
    assert mapper.shown(given) == {"user": "ann", "pass": "•••"}
