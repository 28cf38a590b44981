"""Filters: every operator, on the values people really compare."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from make_bridge.engine.apps.module import ModuleError
from make_bridge.engine.blueprint.constants import NothingScope
from make_bridge.engine.blueprint.filters import compile_filter
from make_bridge.engine.blueprint.model import Condition, Filter
from make_bridge.engine.blueprint.operators import OPERATORS, UNARY
from make_bridge.engine.values import ERASE, IGNORE, Value

DAY = datetime(2026, 3, 31, 10, 20, 30, tzinfo=UTC)


class _Scope(NothingScope):
    """Module 1's bundle is {a, b}."""

    def __init__(self, a: Value, b: Value = None) -> None:
        super().__init__(timezone=ZoneInfo("Europe/Prague"))
        self.given: dict[str, Value] = {"a": a, "b": b}

    def bundle(self, module_id: int) -> Value:
        return self.given if module_id == 1 else None


def _filter(*groups: list[tuple[object, str, object]]) -> Filter:
    made = tuple(tuple(Condition(a=a, operator=o, b=b, position="") for a, o, b in group) for group in groups)
    return Filter(name="", groups=made, position="")


def _passes(a: Value, operator: str, b: Any = None) -> bool:
    """Test with the right side written in the blueprint, and once more with it mapped: both must agree."""
    written = compile_filter(_filter([("{{1.a}}", operator, b)]))
    mapped = compile_filter(_filter([("{{1.a}}", operator, "{{1.b}}")]))
    assert written is not None
    assert mapped is not None
    outcome = mapped(_Scope(a, b))
    assert written(_Scope(a, b)) is outcome
    return outcome


@pytest.mark.parametrize(
    ("a", "operator", "b", "expected"),
    [
        ("x", "exist", None, True),
        (0, "exist", None, True),
        (False, "exist", None, True),
        ([], "exist", None, True),
        ({}, "exist", None, True),
        ("", "exist", None, False),
        (None, "exist", None, False),
        (None, "notexist", None, True),
        ("", "notexist", None, True),
        (0, "notexist", None, False),
        ("ab", "text:equal", "ab", True),
        ("ab", "text:equal", "AB", False),
        ("ab", "text:equal:ci", "AB", True),
        ("ß", "text:equal:ci", "SS", True),
        (200, "text:equal", "200", True),
        (12.50, "text:equal", "12.5", True),
        (True, "text:equal", "true", True),
        (None, "text:equal", "", True),
        (DAY, "text:startwith", "2026-03-31T10:20", True),
        ("ab", "text:notequal", "ab", False),
        ("ab", "text:notequal:ci", "AB", False),
        (None, "text:notequal", "x", True),
        ("abc", "text:contain", "b", True),
        ("abc", "text:contain", "B", False),
        ("abc", "text:contain:ci", "B", True),
        ("abc", "text:notcontain", "z", True),
        ("abc", "text:notcontain:ci", "B", False),
        ("abc", "text:startwith", "ab", True),
        ("abc", "text:startwith:ci", "AB", True),
        ("abc", "text:notstartwith", "ab", False),
        ("abc", "text:notstartwith:ci", "B", True),
        ("abc", "text:endwith", "bc", True),
        ("abc", "text:endwith:ci", "BC", True),
        ("abc", "text:notendwith", "bc", False),
        ("abc", "text:notendwith:ci", "BC", False),
        ("order 42", "text:pattern", r"\d+$", True),
        ("order", "text:pattern", r"\d+$", False),
        ("ABC", "text:pattern", "b", False),
        ("ABC", "text:pattern:ci", "b", True),
        ("ABC", "text:notpattern", "b", True),
        ("ABC", "text:notpattern:ci", "b", False),
        (50, "number:equal", "50", True),
        ("50", "number:equal", 50, True),
        ("50.0", "number:equal", "50", True),
        (None, "number:equal", "0", False),
        ("x", "number:equal", "0", False),
        (None, "number:notequal", "5", True),
        ("x", "number:notequal", "5", True),
        (4, "number:notequal", "5", True),
        (51, "number:greater", "50", True),
        ("9", "number:greater", "10", False),
        (None, "number:greater", "-1", False),
        (1, "number:greater", "", False),
        (49, "number:less", "50", True),
        (50, "number:greaterorequal", "50", True),
        (50, "number:lessorequal", "50", True),
        ("nope", "number:lessorequal", "50", False),
        (DAY, "date:equal", "2026-03-31T10:20:30Z", True),
        (DAY, "date:equal", "2026-03-31 12:20:30", True),  # Prague, where the scenario is
        (DAY, "date:notequal", "2026-04-01", True),
        (DAY, "date:greater", "2026-03-31", True),
        ("2026-01-01", "date:less", DAY, True),
        (DAY, "date:greaterorequal", DAY, True),
        (DAY, "date:lessorequal", DAY, True),
        ("rubbish", "date:less", DAY, False),
        ("rubbish", "date:notequal", DAY, False),
        (None, "date:less", DAY, False),
        ("8:05", "time:less", "10:00", True),
        ("10:00:00", "time:equal", "10:00", True),
        ("10:00:01", "time:greater", "10:00", True),
        (DAY, "time:equal", "12:20:30", True),  # the date's time in Prague
        ("noon", "time:less", "10:00", False),
        ("9:00", "time:greaterorequal", "9:00", True),
        ("9:00", "time:lessorequal", "9:00", True),
        ("9:00", "time:notequal", "9:01", True),
        ("1.10.0", "semver:greater", "1.9.0", True),
        ("1.0.0-alpha", "semver:less", "1.0.0", True),
        ("1.0.0-alpha.2", "semver:less", "1.0.0-alpha.10", True),
        ("1.0.0-alpha.10", "semver:less", "1.0.0-alpha.beta", True),
        ("1.0.0-rc", "semver:less", "1.0.0-rc.1", True),
        ("v2", "semver:equal", "2.0.0", True),
        ("1.0.0+a", "semver:equal", "1.0.0+b", True),
        ("1.2", "semver:notequal", "1.2.0", False),
        ("1.2.3", "semver:greaterorequal", "1.2.3", True),
        ("1.2.3", "semver:lessorequal", "1.2.4", True),
        ("latest", "semver:greater", "0.0.0", False),
        (["a", "b"], "array:contain", "a", True),
        (["a", "b"], "array:contain", "A", False),
        (["a", "b"], "array:contain:ci", "A", True),
        ([1, 2], "array:contain", "2", True),
        ("a", "array:contain", "a", True),
        (None, "array:contain", "a", False),
        (["a"], "array:notcontain", "b", True),
        (["a"], "array:notcontain:ci", "A", False),
        (["a", "b"], "array:equal", "2", True),
        (["a", "b"], "array:notequal", "2", False),
        (["a", "b"], "array:greater", "1", True),
        ([], "array:less", "1", True),
        (None, "array:equal", "0", True),
        (["a"], "array:greaterorequal", "1", True),
        (["a"], "array:lessorequal", "0", False),
        (["a"], "array:equal", "many", False),
        (["a"], "array:notequal", "many", True),
        (True, "boolean:equal", "true", True),
        (False, "boolean:equal", "false", True),
        ("false", "boolean:equal", "false", True),
        ("", "boolean:equal", "false", True),
        (None, "boolean:equal", "false", True),
        ("no", "boolean:equal", "true", True),
        (None, "boolean:notequal", "true", True),
        (True, "boolean:notequal", "true", False),
    ],
)
def test_an_operator_gives_what_authors_rely_on(a, operator, b, expected):
    assert _passes(a, operator, b) is expected


def test_every_operator_of_the_language_is_there():
    words = ("equal", "contain", "startwith", "endwith", "pattern")
    ordered = ("equal", "notequal", "greater", "less", "greaterorequal", "lessorequal")
    expected = {f"text:{no}{word}{ci}" for word in words for no in ("", "not") for ci in ("", ":ci")}
    expected |= {f"{family}:{word}" for family in ("number", "date", "time", "semver", "array") for word in ordered}
    expected |= {f"array:{word}{ci}" for word in ("contain", "notcontain") for ci in ("", ":ci")}
    expected |= {"boolean:equal", "boolean:notequal"}
    assert set(OPERATORS) == expected
    assert {"exist", "notexist"} == UNARY


def test_conditions_of_a_group_must_all_hold_and_one_group_is_enough():
    passes = compile_filter(
        _filter(
            [("{{1.a}}", "number:greater", "1"), ("{{1.a}}", "number:less", "5")],
            [("{{1.b}}", "text:equal", "always")],
        )
    )
    assert passes is not None
    assert [passes(_Scope(a, b)) for a, b in ((3, ""), (9, ""), (9, "always"))] == [True, False, True]


def test_a_filter_without_conditions_passes_everything():
    assert compile_filter(None) is None
    assert compile_filter(_filter()) is None


def test_a_second_condition_is_not_evaluated_after_a_first_that_fails():
    passes = compile_filter(_filter([("{{1.a}}", "exist", None), ("{{nope()}}", "exist", None)]))
    assert passes is not None
    assert passes(_Scope(None)) is False


@pytest.mark.parametrize("value", [IGNORE, ERASE])
def test_ignore_and_erase_do_not_exist(value):
    assert _passes(value, "notexist") is True


def test_an_unknown_operator_refuses_only_when_it_is_reached():
    passes = compile_filter(_filter([("{{1.a}}", "exist", None), ("{{1.a}}", "text:isempty", None)]))
    assert passes is not None
    assert passes(_Scope(None)) is False
    with pytest.raises(ModuleError, match="'text:isempty', which does not exist"):
        passes(_Scope("x"))


def test_a_hostile_pattern_is_refused_or_quick():
    assert _passes("a" * 5000 + "!", "text:pattern", "(a+)+$") is False
    passes = compile_filter(_filter([("{{1.a}}", "text:pattern", "(?=a)\\1")]))
    assert passes is not None
    with pytest.raises(ModuleError, match="cannot be used"):
        passes(_Scope("a"))
