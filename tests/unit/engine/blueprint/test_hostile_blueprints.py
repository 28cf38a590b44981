"""Whatever a file holds, it is read or refused with findings; a run of it ends with a result."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.request import RunLimits
from make_bridge.engine.runner.result import RunResult
from make_bridge.engine.runner.run import run
from support.blueprints import request

EXPRESSIONS = (
    "{{1.a}}",
    "{{2.value}}",
    "{{3.array}}",
    "{{1}}",
    "{{now}}",
    "{{ignore}}",
    "{{erase}}",
    "{{1.a + 1}}",
    "{{",
)
FAILING = ("{{nope(1)}}", "{{1 / 0}}", "{{length(1.a)}}", "{{1.a[1].b}}", "{{random}}")
TEXTS = st.sampled_from(("", "x", "5", "true", "text:equal", "number:less", *EXPRESSIONS, *FAILING))
SCALARS = st.none() | st.booleans() | st.integers(-3, 20) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "value", "name", "spec"]), inner, max_size=3)
    ),
    max_leaves=6,
)
CONDITIONS = st.lists(
    st.lists(
        st.fixed_dictionaries({"a": TEXTS, "o": TEXTS | st.sampled_from(["exist", "text:pattern"]), "b": VALUES}),
        max_size=2,
    ),
    max_size=2,
)


def _modules(flows: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = sorted({field.name for spec in CATALOGUE.values() for field in (*spec.mapper, *spec.parameters)})
    numbers = st.integers(1, 9)
    return st.fixed_dictionaries(
        {"id": numbers, "module": st.sampled_from(sorted(CATALOGUE))},
        optional={
            "mapper": st.dictionaries(st.sampled_from(fields), VALUES, max_size=5) | VALUES,
            "parameters": st.dictionaries(st.sampled_from(fields), VALUES | numbers, max_size=4),
            "filter": st.fixed_dictionaries({"name": TEXTS, "conditions": CONDITIONS}) | SCALARS,
            "routes": st.lists(st.fixed_dictionaries({"flow": flows}), max_size=3),
            "branches": st.lists(
                st.fixed_dictionaries({"flow": flows, "conditions": CONDITIONS, "merge": st.booleans(), "type": TEXTS}),
                max_size=3,
            ),
            "outputs": st.lists(
                st.fixed_dictionaries({"name": TEXTS, "mappings": st.lists(VALUES, max_size=2)}), max_size=2
            ),
            "onerror": flows,
            "flags": st.dictionaries(st.sampled_from(["groupBy", "stopIfEmpty"]), SCALARS),
            "version": SCALARS,
        },
    )


FLOWS = st.recursive(
    st.lists(_modules(st.just([])), max_size=3), lambda flows: st.lists(_modules(flows), max_size=3), max_leaves=4
)
BLUEPRINTS = st.fixed_dictionaries(
    {"flow": FLOWS}, optional={"metadata": st.just({"scenario": {"dlq": True}}) | VALUES, "name": SCALARS}
)


def _modules_of(flow: Any) -> Iterator[dict[str, Any]]:
    for node in flow:
        yield node
        for inner in (*node.get("routes", []), *node.get("branches", [])):
            yield from _modules_of(inner["flow"])
        yield from _modules_of(node.get("onerror", []))


@pytest.mark.attack("F07", "J06")
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=BLUEPRINTS, renumber=st.booleans())
def test_any_blueprint_is_refused_with_findings_or_ends_with_a_result(document, renumber):
    if renumber:  # most random ones would only show that an id is used twice
        for number, node in enumerate(_modules_of(document["flow"]), 1):
            node["id"] = number
            if "feeder" in node.get("parameters", {}):
                node["parameters"]["feeder"] = max(1, number - 1)
    compiled = _compiled(document)
    if compiled is None:
        return
    limits = RunLimits(operations=300)
    result = _drive(run(compiled, request({"a": [1, {"b": 2}]}, limits=limits), Ports()))
    assert result.status in ("success", "warning", "error")
    assert result.unexpected == []


def _compiled(document: Any) -> Program | None:
    """Return the program, or nothing when the document was refused with a reason."""
    try:
        return compile_blueprint(parse_blueprint(json.dumps(document)), CATALOGUE)
    except BlueprintInvalid as refused:
        if not refused.findings:
            raise
        return None


def _drive(running: Any) -> RunResult:
    """Without a network nothing suspends, so no event loop is needed."""
    try:
        running.send(None)
    except StopIteration as stop:
        found: RunResult = stop.value
        return found
    raise AssertionError("The run suspended.")


@pytest.mark.attack("F07", "J06")
@settings(max_examples=100, deadline=None)
@given(
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner), max_leaves=20)
)
def test_any_json_is_read_or_refused(value):
    _compiled(value)
