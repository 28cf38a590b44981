"""Variables: ``var.input``, ``var.scenario``, ``var.organization``, ``var.team``, as the scope gives their families."""

import pytest

from make_bridge.engine.iml import Reference, compile_template

FAMILIES = {
    "input": {"email": "a@x", "Full name": "Ann", "rows": [{"n": 1}, {"n": 2}], "nothing": None},
    "scenario": {"id": 42, "name": "Orders", "url": "https://x/scenarios/42", "executionId": "019a"},
    "organization": {"id": 7, "name": "Acme", "timezone": "Europe/Prague", "vatRate": 21, "Head office": "Brno"},
    "team": {"id": 9, "name": "Sales", "quota": {"daily": 100}},
}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("var.input.email", "a@x"),
        ("var.input.`Full name`", "Ann"),
        ("var.input.rows[2].n", 2),
        ("var.input.rows[].n", 1),
        ("var.input.nothing", None),
        ("var.input.missing", None),
        ("var.input", FAMILIES["input"]),
        ("var.scenario.id", 42),
        ("var.scenario.name", "Orders"),
        ("var.scenario.url", "https://x/scenarios/42"),
        ("var.scenario.executionId", "019a"),
        ("var.organization.timezone", "Europe/Prague"),
        ("var.organization.vatRate", 21),
        ("var.organization.`Head office`", "Brno"),
        ("var.team.quota.daily", 100),
        ("var.team.quota.daily.deeper", None),
        ("var.`team`.name", "Sales"),
        ("var.elsewhere.x", None),
        ("var", None),
    ],
)
def test_a_variable_is_found_in_its_family(evaluate, reference, expected):
    assert evaluate("{{" + reference + "}}", variables=FAMILIES) == expected


def test_variables_work_wherever_values_do(evaluate):
    def result(template):
        return evaluate(template, {"price": 100}, variables=FAMILIES)

    assert result("{{1.price * (1 + var.organization.vatRate / 100)}}") == 121
    assert result("Run {{var.scenario.executionId}} of {{var.scenario.name}}") == "Run 019a of Orders"
    assert result('{{join(map(var.input.rows; "n"); "+")}}') == "1+2"
    assert result('{{ifempty(var.input.nothing; "-")}}') == "-"
    assert result('{{get(var.organization; "Head office")}}') == "Brno"


def test_a_variable_is_known_as_a_reference_without_module():
    template = compile_template("{{var.team.quota.daily}} {{scenario.name}}")

    assert template.references == (Reference(module_id=None, path=("team", "quota", "daily")),)


def test_a_word_that_only_looks_like_a_variable_is_text(evaluate):
    assert evaluate("{{scenario.name}}", variables=FAMILIES) == "scenario.name"
    assert evaluate("{{variable}}", variables=FAMILIES) == "variable"
    assert evaluate("{{`scenario`.name}}", variables=FAMILIES) is None
