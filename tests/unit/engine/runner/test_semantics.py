"""The rules of a run, one blueprint per rule, with what must come out written by hand from the specification."""

import tracemalloc
from typing import Any

import pytest

from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.findings import BlueprintInvalid
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.request import ResumePoint, RunLimits
from make_bridge.engine.runner.result import Ending, RetryMode
from make_bridge.engine.runner.run import run
from support.blueprints import aggregator, blueprint, feeder, module, program, request, returns, router, webhook, when
from support.scripted import make_world


async def go(*flow: Any, bundles: Any = ({},), ports: Ports | None = None, asked: Any = None, **scenario: Any) -> Any:
    asked = request(*bundles) if asked is None else asked
    return await run(program(*flow, **scenario), asked, ports or Ports())


def note(number: int, text: str, **rest: Any) -> dict[str, Any]:
    """Say something that `trace` finds in the log."""
    return module(number, "util:ComposeTransformer", {"value": text}, **rest)


def trace(result: Any) -> list[str]:
    """What the composing modules gave, in running order: the order of the run."""
    return [
        bundle["value"] for step in result.steps if step.module == "util:ComposeTransformer" for bundle in step.outputs
    ]


def throw(number: int, message: str = "broken", **rest: Any) -> dict[str, Any]:
    return module(number, "builtin:ThrowError", {"message": message}, **rest)


def ifelse(number: int, *branches: Any, merge: Any = None) -> list[Any]:
    made = [module(number, "builtin:BasicIfElse", branches=list(branches))]
    if merge is not None:
        made.append({**module(number + 1, "builtin:BasicMerge"), **merge})
    return made


def branch(conditions: Any, *flow: Any, merge: bool = False, **rest: Any) -> dict[str, Any]:
    kind = "else" if conditions is None else "condition"
    groups = {} if conditions is None else {"conditions": conditions}
    return {"type": kind, "label": rest.pop("label", ""), "merge": merge, "flow": list(flow), **groups, **rest}


def is_(a: str, b: str) -> list[list[dict[str, str]]]:
    return [[{"a": a, "o": "text:equal", "b": b}]]


# Filters.

VALUES = {
    "n": 5, "zero": 0, "no": False, "empty": "", "text": "Ahoy", "list": [1, "b"], "none_": None,
    "at": "2026-03-01T00:00:00Z", "version": "1.10.0", "void": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("a", "operator", "b", "passes"),
    [
        ("n", "exist", None, True), ("zero", "exist", None, True), ("no", "exist", None, True),
        ("void", "exist", None, True), ("empty", "exist", None, False), ("none_", "exist", None, False),
        ("missing", "notexist", None, True), ("text", None, None, True), ("missing", None, None, False),
        ("text", "text:equal", "Ahoy", True), ("text", "text:equal", "ahoy", False),
        ("text", "text:equal:ci", "aHOY", True), ("text", "text:notequal:ci", "aHOY", False),
        ("text", "text:notequal", "x", True), ("text", "text:contain", "ho", True),
        ("text", "text:notcontain", "ho", False), ("text", "text:contain:ci", "HO", True),
        ("text", "text:notcontain:ci", "HO", False), ("text", "text:startwith", "Ah", True),
        ("text", "text:startwith:ci", "ah", True), ("text", "text:notstartwith", "Ah", False),
        ("text", "text:endwith", "oy", True), ("text", "text:notendwith:ci", "OY", False),
        ("text", "text:pattern", "^A.*y$", True), ("text", "text:pattern", "^a", False),
        ("text", "text:pattern:ci", "^a", True), ("text", "text:notpattern", "z", True),
        ("text", "text:notpattern:ci", "AH", False), ("missing", "text:equal", "", True),
        ("n", "text:equal", "5", True),
        ("n", "number:equal", "5", True), ("n", "number:equal", "5.0", True), ("n", "number:notequal", "5", False),
        ("n", "number:greater", "4", True), ("n", "number:less", "4", False), ("n", "number:greaterorequal", "5", True),
        ("n", "number:lessorequal", "5", True), ("text", "number:greater", "1", False),
        ("text", "number:notequal", "1", True), ("missing", "number:less", "1", False),
        ("at", "date:equal", "2026-03-01T01:00:00+01:00", True), ("at", "date:greater", "2026-02-28", True),
        ("at", "date:less", "2026-02-28", False), ("text", "date:less", "2026-02-28", False),
        ("text", "date:notequal", "2026-02-28", False), ("at", "date:lessorequal", "2026-03-01T00:00:00Z", True),
        ("at", "time:equal", "00:00", True), ("at", "time:less", "00:01:00", True),
        ("version", "semver:greater", "1.9.0", True), ("version", "semver:less", "1.10.0-rc.1", False),
        ("version", "semver:equal", "v1.10", True),
        ("list", "array:contain", "b", True), ("list", "array:contain", "1", True),
        ("list", "array:contain", "B", False),
        ("list", "array:contain:ci", "B", True), ("list", "array:notcontain", "x", True),
        ("list", "array:equal", "2", True), ("list", "array:greater", "2", False), ("void", "array:less", "1", True),
        ("text", "array:contain", "Ahoy", True), ("missing", "array:equal", "0", True),
        ("no", "boolean:equal", "false", True), ("n", "boolean:equal", "true", True),
        ("missing", "boolean:equal", "false", True),
        ("no", "boolean:notequal", "false", False),
    ],
)  # fmt: skip
async def test_a_filter_lets_through_what_its_operator_says(a, operator, b, passes):
    condition = (
        {"a": f"{{{{1.{a}}}}}"} | ({} if operator is None else {"o": operator}) | ({} if b is None else {"b": b})
    )
    gate = {"name": "", "conditions": [[condition]]}
    result = await go(webhook(), note(2, "in", filter=gate), bundles=[VALUES])
    assert (result.status, trace(result)) == ("success", ["in"] if passes else [])
    assert result.operations == (2 if passes else 1)


@pytest.mark.parametrize("gate", [None, {}, {"name": "x"}, {"conditions": []}, {"conditions": [[]]}])
async def test_a_filter_without_conditions_passes(gate):
    assert trace(await go(webhook(), note(2, "in", filter=gate))) == ["in"]


async def test_groups_are_alternatives_and_conditions_of_a_group_all_hold():
    gate = {"conditions": [[*is_("{{1.a}}", "1")[0], *is_("{{1.b}}", "1")[0]], is_("{{1.c}}", "1")[0]]}
    bundles = [{"a": 1}, {"a": 1, "b": 1}, {"c": 1}, {"b": 1}]
    result = await go(webhook(), note(2, "{{1.a}}{{1.b}}{{1.c}}", filter=gate), bundles=bundles)
    assert trace(result) == ["11", "1"]
    assert result.blocked == {2: 2}


@pytest.mark.parametrize(
    ("operator", "said"), [("semantic:equal", "needs a language model"), ("text:isempty", "does not exist")]
)
async def test_an_operator_that_is_none_is_an_error_with_its_name(operator, said):
    result = await go(webhook(), note(2, "in", filter=when("{{1.a}}", operator, "x")))
    assert (result.status, result.error.type, result.error.module_id) == ("error", "InvalidConfigurationError", 2)
    assert said in result.error.message


# Routers.


async def test_routes_run_in_order_each_to_its_end():
    result = await go(webhook(), router(2, [note(3, "a"), note(4, "b")], [note(5, "c")]))
    assert trace(result) == ["a", "b", "c"]
    assert result.operations == 4


@pytest.mark.parametrize(("x", "order"), [("1", ["one"]), ("2", ["two"]), ("9", ["else"]), ("12", ["one", "two"])])
async def test_a_fallback_runs_last_and_only_when_nothing_else_took_the_bundle(x, order):
    made = router(
        2,
        [note(3, "else", filter={"name": "", "conditions": []})],
        [note(4, "one", filter=when("{{1.x}}", "text:contain", "1"))],
        [note(5, "two", filter=when("{{1.x}}", "text:contain", "2"))],
        parameters={"else": 0},
    )
    assert trace(await go(webhook(), made, bundles=[{"x": x}])) == order


async def test_a_fallback_with_conditions_of_its_own_applies_them_too():
    made = router(
        2,
        [note(3, "a", filter=when("{{1.x}}", "text:equal", "1"))],
        [note(4, "else", filter=when("{{1.x}}", "text:equal", "2"))],
        parameters={"else": "1"},
    )
    result = await go(webhook(), made, bundles=[{"x": "1"}, {"x": "2"}, {"x": "3"}])
    assert trace(result) == ["a", "else"]


async def test_a_route_without_a_filter_always_takes_the_bundle_so_that_the_fallback_never_runs():
    made = router(2, [note(3, "a")], [note(4, "else")], parameters={"else": 1})
    assert trace(await go(webhook(), made)) == ["a"]


async def test_a_nested_router_carries_the_filter_of_its_route():
    inner = router(3, [note(4, "a")], [note(5, "b")], filter=when("{{1.x}}", "text:equal", "1"))
    made = router(2, [inner], [note(6, "else")], parameters={"else": 1})
    assert trace(await go(webhook(), made, bundles=[{"x": "1"}])) == ["a", "b"]
    assert trace(await go(webhook(), made, bundles=[{"x": "2"}])) == ["else"]


async def test_empty_and_disabled_routes_are_as_if_they_were_not_there():
    made = router(2, [], [note(3, "off")], [note(4, "on")])
    made["routes"][1]["disabled"] = True
    assert trace(await go(webhook(), made)) == ["on"]


# If-else and merge.


@pytest.mark.parametrize(("x", "order"), [("1", ["one", "after 1"]), ("2", ["two"]), ("3", ["else", "after 3"])])
async def test_the_first_branch_that_holds_runs_and_only_merging_ones_go_on(x, order):
    flow = ifelse(
        2,
        branch(is_("{{1.x}}", "1"), note(4, "one"), merge=True),
        branch(is_("{{1.x}}", "2"), note(5, "two")),
        branch(None, note(6, "else"), merge=True),
        merge={"outputs": [{"name": "v", "mappings": ["1", "3"]}]},
    )
    result = await go(webhook(), *flow, note(7, "after {{3.v}}"), bundles=[{"x": x}])
    assert trace(result) == order
    assert result.operations == (5 if len(order) == 2 else 3)
    assert result.credits == (1 + len(order))


async def test_if_nothing_holds_nothing_goes_on():
    flow = ifelse(2, branch(is_("{{1.x}}", "1"), note(4, "one"), merge=True), merge={"outputs": []})
    result = await go(webhook(), *flow, note(7, "after"), bundles=[{"x": "2"}])
    assert (result.status, trace(result)) == ("success", [])


async def test_the_else_branch_is_asked_last_wherever_it_stands_and_branch_filters_do_not_count():
    first = note(4, "one", filter=when("nothing", "text:equal", "x"))
    flow = ifelse(2, branch(None, note(3, "else")), branch(is_("{{1.x}}", "1"), first))
    assert trace(await go(webhook(), *flow, bundles=[{"x": "1"}, {"x": "2"}])) == ["one", "else"]


async def test_an_if_else_inside_a_branch_merges_into_the_outer_one():
    inner = ifelse(
        10,
        branch(is_("{{1.y}}", "1"), note(12, "y1"), merge=True),
        branch(None, note(13, "y2"), merge=True),
        merge={"outputs": [{"name": "in", "mappings": ["{{12.value}}", "{{13.value}}"]}]},
    )
    flow = ifelse(
        2,
        branch(is_("{{1.x}}", "1"), *inner, note(14, "inner {{11.in}}"), merge=True),
        branch(None, note(15, "other"), merge=True),
        merge={"outputs": [{"name": "out", "mappings": ["{{14.value}}", "{{15.value}}"]}]},
    )
    run_of = [{"x": "1", "y": "1"}, {"x": "1", "y": "2"}, {"x": "2"}]
    result = await go(webhook(), *flow, note(20, "=> {{3.out}}"), bundles=run_of)
    assert [text for text in trace(result) if text.startswith("=>")] == ["=> inner y1", "=> inner y2", "=> other"]


async def test_a_merge_that_failed_goes_on_with_the_branch_its_bundle_came_through():
    flow = ifelse(
        2,
        branch(is_("{{1.x}}", "1"), note(4, "one"), merge=True),
        branch(None, note(5, "two"), merge=True),
        merge={"outputs": [{"name": "v", "mappings": ["{{4.value}}!", "{{5.value}}?"]}]},
    )
    compiled = program(webhook(), *flow, returns(7, v="{{3.v}}"), dlq=True)
    paths: Any = ((((1, {}), (4, {"value": "one"})), "one!"), (((1, {}), (5, {"value": "two"})), "two?"))
    for seen, expected in paths:
        point = ResumePoint(module_id=3, bundles=seen)
        assert (await run(compiled, request(resume=point), Ports())).outputs == {"v": expected}


# Loops and aggregators.


async def test_an_iterator_numbers_its_bundles_from_one_and_takes_a_single_value_as_one():
    shown = note(3, "{{2.__IMTINDEX__}}/{{2.__IMTLENGTH__}} {{2.value}}{{2.name}}")
    bundles = [{"a": ["x", {"name": "n"}, None]}, {"a": "single"}, {"a": []}, {"a": None}]
    result = await go(webhook(), feeder(2, "{{1.a}}"), shown, bundles=bundles)
    assert trace(result) == ["1/3 x", "2/3 n", "3/3 ", "1/1 single"]


async def test_a_repeater_counts_by_its_step():
    repeat = module(1, "builtin:BasicRepeater", {"start": 10, "repeats": "3", "step": -5})
    assert trace(await go(repeat, note(2, "{{1.i}}"))) == ["10", "5", "0"]


NESTED = [
    {"id": "A", "lines": [{"n": 1, "parts": ["p", "q"]}, {"n": 2, "parts": []}]},
    {"id": "B", "lines": []},
    {"id": "C", "lines": [{"n": 3, "parts": ["r"]}]},
]


async def test_loops_nest_to_any_depth_and_each_aggregator_closes_its_own():
    flow = (
        webhook(),
        feeder(2, "{{1.orders}}"),
        feeder(3, "{{2.lines}}"),
        feeder(4, "{{3.parts}}"),
        module(5, "util:TextAggregator", {"value": "{{4.value}}"}, parameters={"feeder": 4, "rowSeparator": ""}),
        aggregator(6, 3, {"n": "{{3.n}}", "parts": "{{5.text}}"}),
        aggregator(7, 2, {"id": "{{2.id}}", "lines": "{{6.array}}"}),
        returns(8, all="{{7.array}}", gone="{{2.id}}{{3.n}}{{6.array}}"),
    )
    result = await go(*flow, bundles=[{"orders": NESTED}])
    assert result.outputs["all"] == [
        {"id": "A", "lines": [{"n": 1, "parts": "pq"}, {"n": 2, "parts": ""}]},
        {"id": "B", "lines": []},
        {"id": "C", "lines": [{"n": 3, "parts": "r"}]},
    ]
    assert result.outputs["gone"] == ""


async def test_groups_come_in_first_seen_order_with_their_key():
    grouped = aggregator(3, 2, {"n": "{{2.n}}"}, flags={"groupBy": "{{2.kind}}"})
    items = [{"kind": "b", "n": 1}, {"kind": "a", "n": 2}, {"kind": "b", "n": 3}, {"n": 4}]
    shown = note(4, '{{3.__IMTKEY__}}:{{join(map(3.array; "n"); "+")}}:{{3.__IMTAGGLENGTH__}}')
    result = await go(webhook(), feeder(2, "{{1.items}}"), grouped, shown, bundles=[{"items": items}])
    assert trace(result) == ["b:1+3:2", "a:2:1", ":4:1"]


@pytest.mark.parametrize(("stop", "order"), [(False, ["empty 0"]), (True, [])])
async def test_an_empty_loop_goes_on_with_an_empty_result_unless_told_to_stop(stop, order):
    collect = aggregator(3, 2, {"n": "{{2.value}}"}, flags={"stopIfEmpty": stop})
    result = await go(
        webhook(), feeder(2, "{{1.items}}"), collect, note(4, "empty {{3.__IMTAGGLENGTH__}}"), bundles=[{"items": []}]
    )
    assert trace(result) == order


async def test_a_trigger_may_feed_an_aggregator_once_per_cycle():
    flow = (
        module(
            1, "util:BasicTrigger", {}, parameters={"values": [{"spec": [{"name": "n", "value": v}]} for v in "abc"]}
        ),
        aggregator(2, 1, {"n": "{{1.n}}"}),
        note(3, "{{2.__IMTAGGLENGTH__}}"),
    )
    assert trace(await go(*flow, roundtrips=2)) == ["3", "3"]


async def test_an_aggregator_in_a_route_closes_after_the_other_routes_have_had_every_bundle():
    routes = router(
        3,
        [note(4, "a{{2.value}}"), aggregator(5, 2, {"v": "{{4.value}}"}), note(6, "all {{5.__IMTAGGLENGTH__}}")],
        [note(7, "b{{2.value}}")],
    )
    result = await go(webhook(), feeder(2, "{{1.items}}"), routes, bundles=[{"items": [1, 2]}])
    assert trace(result) == ["a1", "b1", "a2", "b2", "all 2"]


async def test_an_aggregator_with_an_empty_mapper_collects_the_feeder_s_bundles():
    result = await go(
        webhook(), feeder(2, "{{1.items}}"), aggregator(3, 2, {}), returns(4, all='{{map(3.array; "n")}}'),
        bundles=[{"items": [{"n": 1}, {"n": 2}]}],
    )  # fmt: skip
    assert result.outputs == {"all": [1, 2]}


async def test_an_aggregator_whose_feeder_is_disabled_collects_what_comes_before_it():
    flow = (webhook(), feeder(2, "{{1.items}}", disabled=True), aggregator(3, 2, {"v": "{{1.v}}"}))
    result = await go(*flow, returns(4, all="{{3.array}}"), bundles=[{"v": 7}])
    assert result.outputs == {"all": [{"v": 7}]}
    with pytest.raises(BlueprintInvalid):
        program(feeder(2, "{{1.items}}", disabled=True), aggregator(3, 2, {"v": "x"}))


# Cycles.


@pytest.mark.parametrize(("roundtrips", "count"), [(1, 1), (3, 3)])
async def test_an_action_in_front_runs_once_in_every_cycle(roundtrips, count):
    result = await go(note(1, "x"), roundtrips=roundtrips)
    assert (len(trace(result)), result.cycles, result.cycles_committed) == (count, count, count)


async def test_instant_bundles_are_cycles_of_their_own_whatever_roundtrips_says():
    result = await go(webhook(), note(2, "{{1.n}}"), bundles=[{"n": n} for n in range(3)], roundtrips=1)
    assert (result.cycles, result.taken) == (3, 3)


@pytest.mark.parametrize(
    ("most", "roundtrips", "cycles", "taken"),
    [(2, 1, 1, 2), ("2", 2, 2, 4), (2, 9, 3, 5), (None, 1, 1, 5), (10, 3, 1, 5)],
)
async def test_a_webhook_on_an_interval_takes_as_many_bundles_per_cycle_as_it_may(most, roundtrips, cycles, taken):
    trigger = module(1, "gateway:CustomWebHook", {}, parameters={"hook": 1, "maxResults": most})
    bundles = [{"n": n} for n in range(5)]
    collect = aggregator(2, 1, {"n": "{{1.n}}"})
    flow = (trigger, collect, note(3, "{{2.__IMTAGGLENGTH__}}"))
    result = await go(*flow, asked=request(*bundles, instant=False), roundtrips=roundtrips)
    assert (result.cycles, result.taken, sum(map(int, trace(result)))) == (cycles, taken, taken)


async def test_variables_of_a_cycle_end_with_it_and_those_of_a_run_do_not():
    def keep(number: int, name: str, scope: str) -> Any:
        mapper = {"name": name, "scope": scope, "value": "{{1.n}}"}
        return module(number, "util:SetVariable2", mapper, filter=when("{{1.n}}", "text:equal", "1"))

    def get(number: int, name: str) -> Any:
        return module(number, "util:GetVariable2", {"name": name})

    flow = router(
        2,
        [keep(3, "c", "roundtrip")],
        [keep(4, "r", "execution")],
        [get(5, "c"), get(6, "r"), note(7, "{{5.c}}|{{6.r}}")],
    )
    assert trace(await go(webhook(), flow, bundles=[{"n": 1}, {"n": 2}])) == ["1|1", "|1"]


# Handlers.


async def test_a_handler_sees_the_error_and_everything_its_module_could_see():
    handler = [note(3, "{{1.who}}: {{2.error.type}} {{2.error.message}}"), module(4, "builtin:Ignore")]
    result = await go(webhook(), throw(2, "no {{1.who}}", onerror=handler), note(5, "after"), bundles=[{"who": "Ann"}])
    assert (result.status, trace(result)) == ("success", ["Ann: RuntimeError no Ann"])


async def test_ignore_drops_the_bundle_and_the_next_one_goes_on():
    failing = throw(3, onerror=[module(4, "builtin:Ignore")], filter=when("{{2.value}}", "text:equal", "2"))
    flow = (webhook(), feeder(2, "{{1.items}}"), router(5, [failing], [note(6, "{{2.value}}")]))
    assert trace(await go(*flow, bundles=[{"items": [1, 2, 3]}])) == ["1", "2", "3"]


async def test_resume_gives_the_module_another_output_and_goes_on():
    handler = [module(3, "builtin:Resume", {"value": "instead of {{2.error.message}}"})]
    assert trace(await go(webhook(), throw(2, "x", onerror=handler), note(4, "{{2.value}}"))) == ["instead of x"]


@pytest.mark.parametrize(
    ("kind", "status", "ending"), [("Commit", "success", Ending.COMMITTED), ("Rollback", "error", Ending.ROLLED_BACK)]
)
async def test_commit_and_rollback_stop_the_whole_run(kind, status, ending):
    failing = throw(3, "stop", onerror=[module(4, f"builtin:{kind}")])
    flow = (webhook(), router(2, [failing], [note(5, "other route")]))
    result = await go(*flow, bundles=[{}, {}])
    assert (result.status, result.ending, trace(result), result.cycles) == (status, ending, [], 1)
    assert (result.error and result.error.message) == (None if status == "success" else "stop")


@pytest.mark.parametrize(
    ("mapper", "mode", "attempts", "interval"),
    [
        ({}, RetryMode.FIXED, 3, 15),
        ({"retry": True, "count": "5", "interval": "60"}, RetryMode.FIXED, 5, 60),
        ({"retry": "false", "count": 5}, RetryMode.NONE, 0, 0),
    ],
)
async def test_break_stores_the_bundle_with_its_own_retry_and_goes_on(mapper, mode, attempts, interval):
    failing = throw(3, onerror=[module(4, "builtin:Break", mapper)])
    result = await go(webhook(), router(2, [note(6, "first"), failing], [note(5, "goes on")]), dlq=True)
    [stored] = result.incomplete
    assert (result.status, trace(result)) == ("warning", ["first", "goes on"])
    assert (stored.module_id, stored.retry.mode, stored.retry.attempts, stored.retry.interval_minutes) == (
        3,
        mode,
        attempts,
        interval,
    )
    assert dict(stored.bundles) == {1: {}, 6: {"value": "first"}}


@pytest.mark.parametrize("count", ["0", "10001", "x"])
async def test_a_break_outside_its_bounds_does_not_lose_the_bundle(count):
    failing = throw(2, onerror=[module(3, "builtin:Break", {"count": count})])
    result = await go(webhook(), failing, dlq=True)
    assert result.status in {"error", "warning"}
    assert result.incomplete or result.error is not None


@pytest.mark.parametrize(("message", "status"), [("gone", "success"), ("other", "error")])
async def test_a_filter_on_the_directive_chooses_which_errors_are_swallowed(message, status):
    ignore = module(3, "builtin:Ignore", filter=when("{{2.error.message}}", "text:equal", "gone"))
    result = await go(webhook(), throw(2, message, onerror=[ignore]))
    assert result.status == status


async def test_a_router_in_an_arm_ends_each_route_with_its_own_directive():
    arm = router(
        3,
        [module(4, "builtin:Resume", {"value": "resumed"}, filter=when("{{1.x}}", "text:equal", "r"))],
        [note(7, "noted"), module(5, "builtin:Ignore")],
        parameters={"else": 1},
    )
    flow = (webhook(), throw(2, onerror=[arm]), note(6, "{{2.value}}"))
    assert trace(await go(*flow, bundles=[{"x": "r"}, {"x": "i"}])) == ["resumed", "noted"]


async def test_a_module_of_an_arm_may_have_an_arm_of_its_own():
    inner = throw(
        3,
        "second",
        onerror=[
            note(5, "{{2.error.message}} then {{3.error.message}}"),
            module(6, "builtin:Resume", {"value": "mended"}),
        ],
    )
    handler = [inner, module(4, "builtin:Resume", {"value": "{{3.value}}"})]
    result = await go(webhook(), throw(2, "first", onerror=handler), note(7, "{{2.value}}"))
    assert trace(result) == ["first then second", "mended"]


async def test_an_error_in_an_arm_without_one_ends_the_run_with_that_error():
    handler = [throw(3, "second"), module(4, "builtin:Ignore")]
    result = await go(webhook(), throw(2, "first", onerror=handler))
    assert (result.status, result.error.message, result.error.module_id) == ("error", "second", 3)


async def test_an_arm_that_ends_in_an_ordinary_module_is_like_ignore():
    assert (await go(webhook(), throw(2, onerror=[note(3, "seen")]), note(4, "never"))).status == "success"


async def test_a_disabled_arm_is_no_arm_and_disabled_modules_are_passed_over():
    failing = throw(2, onerror=[module(3, "builtin:Ignore", disabled=True)])
    assert (await go(webhook(), failing)).status == "error"
    assert trace(await go(webhook(), throw(2, disabled=True), note(4, "on"))) == ["on"]


async def test_a_warning_marks_the_run_and_goes_on_and_an_error_can_be_thrown():
    result = await go(webhook(), module(2, "builtin:ThrowWarning", {"message": "look"}), note(3, "on"))
    assert (result.status, trace(result), [warning.message for warning in result.warnings]) == (
        "warning",
        ["on"],
        ["look"],
    )


# Inputs and outputs.

INPUTS = [
    {"name": "who", "type": "text", "required": True},
    {"name": "count", "type": "number", "default": 2},
    {"name": "when", "type": "date"},
]


def _with_interface(form: str, inputs: Any, outputs: Any, *flow: Any) -> Any:
    source = blueprint(*flow)
    if form == "interface":
        source["interface"] = {"input": inputs, "output": outputs}
    else:
        source["io"] = {"input_spec": inputs, "output_spec": outputs}
    return compile_blueprint(parse_blueprint(source), CATALOGUE)


@pytest.mark.parametrize("form", ["interface", "io"])
async def test_inputs_take_their_types_and_defaults(form):
    flow = (
        module(1, "scenario-service:StartSubscenario", {}),
        returns(2, who="{{var.input.who}}", sum="{{1.count + 1}}", year='{{formatDate(1.when; "YYYY")}}'),
    )
    compiled = _with_interface(form, INPUTS, [], *flow)
    asked = request(inputs={"who": 5, "when": "2026-05-06", "more": "kept"})
    result = await run(compiled, asked, Ports())
    assert result.outputs == {"who": "5", "sum": 3, "year": "2026"}
    asked = request(inputs={"who": "a", "count": "40"})
    result = await run(compiled, asked, Ports())
    assert result.outputs is not None
    assert result.outputs["sum"] == 41


@pytest.mark.parametrize(
    ("inputs", "named"), [({}, "'who'"), ({"who": ""}, "'who'"), ({"who": "a", "count": "x"}, "'count'")]
)
async def test_inputs_that_do_not_fit_end_the_run_before_its_first_operation(inputs, named):
    compiled = _with_interface("interface", INPUTS, [], note(1, "never"))
    result: Any = await run(compiled, request(inputs=inputs), Ports())
    assert (result.status, result.operations, result.error.type) == ("error", 0, "BundleValidationError")
    assert named in result.error.message


async def test_outputs_take_their_declared_types_and_missing_ones_are_null():
    outputs = [{"name": "n", "type": "number", "required": True}, {"name": "other", "type": "text"}]
    compiled = _with_interface("interface", [], outputs, returns(1, n="42", extra="kept"))
    assert (await run(compiled, request(), Ports())).outputs == {"n": 42, "other": None, "extra": "kept"}


async def test_the_last_return_wins_and_a_failed_run_returns_nothing():
    flow = router(1, [returns(2, v="first")], [returns(3, v="second")])
    assert (await go(flow)).outputs == {"v": "second"}
    assert (await go(router(1, [returns(2, v="first")], [throw(3)]))).outputs is None


class Changing:
    """Variables that are others each time they are asked for."""

    def __init__(self) -> None:
        self.asked = 0

    async def current(self) -> Any:
        self.asked += 1
        return {"n": self.asked}, {"m": -self.asked}


@pytest.mark.parametrize(("fresh", "seen"), [(True, ["1/-1", "2/-2"]), (False, ["0/", "0/"])])
async def test_fresh_variables_are_read_before_every_cycle(fresh, seen):
    shown = note(2, "{{var.organization.n}}/{{var.team.m}}")
    asked = request({}, {}, organization_variables={"n": 0})
    result = await go(webhook(), shown, asked=asked, ports=Ports(variables=Changing()), freshVariables=fresh)
    assert trace(result) == seen


async def test_a_confidential_run_logs_no_detail_of_an_error():
    flow = (module(1, "json:ParseJSON", {"json": "{"}), note(2, "x"))
    result = await go(*flow, confidential=True)
    assert all(step.error is None or step.error.detail is None for step in result.steps)
    assert all(step.input is None and not step.outputs for step in result.steps)


# Budgets.


def repeat(number: int, times: int) -> Any:
    return module(number, "builtin:BasicRepeater", {"start": 1, "repeats": times, "step": 1})


async def test_bundles_that_a_filter_stops_count_too():
    flow = (repeat(1, 100), repeat(2, 100), note(3, "never", filter=when("{{2.i}}", "number:less", "0")))
    result = await go(*flow, asked=request(limits=RunLimits(bundles=5000)))
    assert (result.status, result.error.type) == ("error", "MaxResultsExceededError")
    assert "5000 bundles" in result.error.message
    assert (await go(*flow, asked=request(limits=RunLimits(bundles=10_100)))).status == "success"


async def test_a_loop_without_operations_is_stopped_by_the_clock():
    world = make_world()
    ticking = world.clock

    class Ticking:
        def now(self) -> Any:
            return ticking.now()

        def monotonic(self) -> float:
            ticking.advance(0.01)
            return ticking.monotonic()

    flow = (repeat(1, 10_000), note(2, "never", filter=when("{{1.i}}", "number:less", "0")))
    result = await go(*flow, asked=request(limits=RunLimits(seconds=0.1)), ports=Ports(clock=Ticking()))
    assert (result.status, result.ending) == ("warning", Ending.INTERRUPTED)


def _peak(count: int) -> int:
    flow = (
        webhook(),
        repeat(2, count),
        module(3, "util:ComposeTransformer", {"value": "{{2.i}} " + "x" * 2000}),
        module(4, "util:FunctionAggregator2", {"value": "{{length(3.value)}}"}, parameters={"feeder": 2, "fn": "max"}),
        returns(5, longest="{{4.result}}"),
    )
    compiled, limits = program(*flow), RunLimits(logged_bytes=10_000, logged_steps=100)
    running = run(compiled, request({}, limits=limits), Ports())
    tracemalloc.start()
    with pytest.raises(StopIteration) as stop:
        running.send(None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert stop.value.value.outputs["longest"] >= 2002
    return peak


def test_ten_thousand_bundles_stream_without_being_held():
    small, large = _peak(100), _peak(10_000)
    assert large < small + 700_000  # ten thousand texts of two kilobytes are twenty megabytes


async def test_the_cost_of_a_loop_grows_with_its_turns_and_not_faster():
    async def steps(count: int) -> int:
        flow = (webhook(), repeat(2, count), note(3, "{{2.i}}"), aggregator(4, 2, {"v": "{{3.value}}"}))
        asked_clock = make_world().clock
        asked = 0

        class Counting:
            def now(self) -> Any:
                return asked_clock.now()

            def monotonic(self) -> float:
                nonlocal asked
                asked += 1
                return 0.0

        await go(*flow, ports=Ports(clock=Counting()))
        return asked

    few, many = await steps(100), await steps(1000)
    assert many < 11 * few
