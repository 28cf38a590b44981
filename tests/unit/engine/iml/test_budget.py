"""What an expression may use: charged before it is allocated, so a bomb ends early and flat."""

import tracemalloc

import pytest

from make_bridge.engine.iml import Budget, BudgetExceeded, compile_template
from make_bridge.engine.values import Value, to_text


def nested(expression, times, around):
    for _ in range(times):
        expression = around.format(expression)
    return "{{" + expression + "}}"


BIG = "x" * 50_000


def shared_array() -> Value:
    """Make 2**40 leaves of 41 small lists."""
    array: Value = [BIG]
    for _ in range(40):
        array = [array, array]
    return array


def shared_collection() -> Value:
    collection: Value = {"a": "leaf"}
    for _ in range(40):
        collection = {"a": collection, "b": collection}
    return collection


BOMBS = {
    "nested replace": nested('"a"', 12, 'replace({}; "a"; "aaaaaaaaaa")'),
    "nested replace by pattern": nested('"a"', 12, 'replace({}; "/a/g"; "$&$&$&$&$&$&$&$&$&$&")'),
    "the text before each match": '{{replace(1.big; "/x/g"; "$`")}}',
    "a long replacement of signs": '{{replace(1.big; "/x+/"; "' + "$&" * 5_000 + '")}}',
    "doubling by concatenation": "{{" + "+".join(["1.big"] * 50) + "}}",
    "doubling by mixed text": "{{1.big}}" * 50,
    "split into characters": "{{split(1.big; )}}",
    "many splits": "{{" + "length(split(1.lines; newline)) + " * 400 + "1}}",
    "join with a long separator": "{{join(1.list; 1.big)}}",
    "joining of shared arrays": '{{join(1.shared; ",")}}',
    "shared arrays as text": "<{{1.shared}}>",
    "shared arrays as JSON": "{{toString(1.shared)}}",
    "shared arrays in a sum": '{{1.shared + ""}}',
    "shared collections as JSON": "{{toString(1.collection)}}",
    "flattening of shared arrays": "{{length(flatten(1.shared))}}",
    "comparing shared arrays": "{{1.shared = 1.copy}}",
    "distinct over shared arrays": "{{distinct(1.shared)}}",
    "many sorts": "{{" + "length(sort(1.list)) + " * 50 + "1}}",
    "many hashes": "{{" + " + ".join(["sha512(1.huge)"] * 200) + "}}",
    "many searches": "{{" + " + ".join(["contains(1.huge; 1.big)"] * 200) + "}}",
    "removing many": "{{remove(1.list; " + "; ".join(map(str, range(100))) + ")}}",
    "base64 upon base64": nested("1.big", 12, "base64({})"),
    "entities upon entities": nested('replace(1.big; "x"; "&")', 12, "escapeHTML({})"),
    "escapes upon escapes": nested("1.big", 20, 'encodeURL(encodeURL({} + "%"))'),
    "upper case of much": nested("1.big", 40, "upper({})"),
    "a path of many steps": "{{get(1.collection; 1.path)}}",
}


@pytest.mark.attack("F08")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_with_its_budget_and_flat_memory(make_scope, name):
    bundle = {
        "big": BIG,
        "huge": "y" * 900_000,
        "shared": shared_array(),
        "copy": shared_array(),
        "collection": shared_collection(),
        "list": list(range(3_000)),
        "path": ".a" * 200_000,
        "lines": "a line\n" * 300,
    }
    template = compile_template(BOMBS[name])
    scope = make_scope(bundles={1: bundle})
    tracemalloc.start()
    try:
        with pytest.raises(BudgetExceeded):
            template.evaluate(scope)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 16_000_000


def test_a_refused_charge_names_the_function_and_the_place(evaluate):
    with pytest.raises(BudgetExceeded) as caught:
        evaluate('{{1 + replace(1.t; "a"; 1.t)}}', {"t": "a" * 10_000})

    assert (caught.value.function, caught.value.position) == ("replace", 6)


def test_the_budget_is_shared_by_all_templates_of_a_scope(make_scope):
    scope = make_scope(bundles={1: {"t": "x" * 400_000}})
    template = compile_template("<{{1.t}}>")

    assert to_text(template.evaluate(scope)).startswith("<xxx")
    assert to_text(template.evaluate(scope)).startswith("<xxx")
    with pytest.raises(BudgetExceeded):
        template.evaluate(scope)


def test_plain_references_cost_nothing(make_scope):
    scope = make_scope(bundles={1: {"file": b"x" * 5_000_000, "list": [1] * 100_000}}, budget=Budget(steps=0, output=0))

    assert compile_template("{{1.file}}").evaluate(scope) == b"x" * 5_000_000
    assert compile_template("{{if(1.file; 1.list; 0)}}").evaluate(scope) == [1] * 100_000


def test_the_same_evaluation_costs_the_same_each_time(make_scope):
    template = compile_template('{{upper(replace(1.t; "/[a-c]+/g"; "<$&>")) + join(sort(split(1.t; ",")); ";")}}')
    left = []
    for _ in range(3):
        scope = make_scope(bundles={1: {"t": "c,b,a,é"}})
        template.evaluate(scope)
        left.append((scope.budget.steps, scope.budget.output))

    assert left[0] == left[1] == left[2]


def test_honest_work_fits_the_default_budget(evaluate):
    rows = [{"id": n, "name": f"name {n}", "tags": ["a", "b"]} for n in range(1_000)]
    page = "<p>Hello <b>world</b> &amp; all</p>\n" * 2_000

    assert len(evaluate('{{join(map(1.rows; "name"); newline)}}', {"rows": rows})) > 8_000
    assert len(evaluate('{{sort(1.rows; "desc"; "name")}}', {"rows": rows})) == 1_000
    assert len(evaluate('{{flatten(map(1.rows; "tags"))}}', {"rows": rows})) == 2_000
    assert len(evaluate('{{distinct(1.rows; "name")}}', {"rows": rows})) == 1_000
    assert len(evaluate("{{toString(1.rows)}}", {"rows": rows})) > 30_000
    assert len(evaluate("{{trim(stripHTML(1.page))}}", {"page": page})) > 20_000
    assert len(evaluate('{{replace(1.page; "/<[^>]+>/g"; "")}}', {"page": page})) > 20_000
    assert len(evaluate("{{base64(1.page)}}", {"page": page})) > 90_000
