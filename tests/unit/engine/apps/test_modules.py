"""The modules that touch nothing: tools, JSON, webhooks, text parser."""

from datetime import UTC, datetime
from typing import Any

import pytest

from make_bridge.engine.apps.html_text import html_to_text
from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.run import run
from support.blueprints import feeder, module, program, request, returns, webhook


async def _run(*flow: dict[str, Any], bundle: dict[str, Any] | None = None) -> Any:
    return await run(program(webhook(), *flow), request(bundle or {}), Ports())


async def _outputs(
    name: str,
    mapper: object,
    bundle: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **parameters: Any,
) -> Any:
    result = await _run(module(2, name, mapper, parameters=settings or parameters), bundle=bundle)
    assert result.error is None, result.error
    return result.steps[1].outputs


async def _error(name: str, mapper: object, bundle: dict[str, Any] | None = None, **parameters: Any) -> Any:
    result = await _run(module(2, name, mapper, parameters=parameters), bundle=bundle)
    assert result.error is not None
    return result.error


async def _collected(aggregator: str, mapper: object, items: list[Any], **parameters: Any) -> Any:
    result = await _run(
        feeder(2, "{{1.items}}"),
        module(3, aggregator, mapper, parameters={"feeder": 2, **parameters}),
        bundle={"items": items},
    )
    assert result.error is None, result.error
    return result.steps[-1].outputs[0]


@pytest.mark.parametrize(
    ("array", "bundles"),
    [
        ([{"a": 1}, 5, None], [{"a": 1}, {"value": 5}, {"value": None}]),
        ("single", [{"value": "single"}]),
        ({"a": 1}, [{"a": 1}]),
        ([], []),
        (None, []),
    ],
)
async def test_an_iterator_spreads_collections_and_names_scalars(array, bundles):
    found = await _outputs("builtin:BasicFeeder", {"array": "{{1.items}}"}, {"items": array})
    order = [{"__IMTINDEX__": index, "__IMTLENGTH__": len(bundles)} for index in range(1, len(bundles) + 1)]
    assert found == [bundle | place for bundle, place in zip(bundles, order, strict=True)]


@pytest.mark.parametrize(
    ("start", "repeats", "step", "numbers"),
    [("1", "3", "1", [1, 2, 3]), (5, 2, -10, [5, -5]), (0, 3, "0.5", [0, 0.5, 1]), (1, 0, 1, [])],
)
async def test_a_repeater_always_emits_as_many_bundles_as_it_is_told(start, repeats, step, numbers):
    found = await _outputs("builtin:BasicRepeater", {"start": start, "repeats": repeats, "step": step})
    assert found == [{"i": number} for number in numbers]


async def test_a_repeater_stops_at_ten_thousand():
    error = await _error("builtin:BasicRepeater", {"start": 1, "repeats": 10_001, "step": 1})
    assert "at most 10000" in error.message


async def test_a_variable_keeps_the_type_of_its_value():
    values = [1.5, True, None, "x", [1], {"a": 1}, datetime(2026, 1, 1, tzinfo=UTC), b"\x00"]
    for value in values:
        assert await _outputs(
            "util:SetVariable2", {"name": "v", "scope": "execution", "value": "{{1.v}}"}, {"v": value}
        ) == [{"v": value}]


async def test_variables_may_be_named_by_expressions_and_given_as_a_whole():
    assert await _outputs("util:SetVariable", {"name": "n-{{1.a}}", "value": "x"}, {"a": 1}) == [{"n-1": "x"}]
    rows = [{"name": "a", "value": 1}, {"name": "b"}]
    assert await _outputs("util:SetVariables", {"variables": "{{1.rows}}"}, {"rows": rows}) == [{"a": 1, "b": None}]


async def test_several_variables_are_read_at_once():
    result = await _run(
        module(2, "util:SetVariables", {"variables": [{"name": "a", "value": 1}]}),
        module(3, "util:GetVariables", {"variables": ["a", "b"]}),
        module(4, "util:GetVariable", {"name": "a"}),
    )
    assert [step.outputs for step in result.steps[2:]] == [[{"a": 1, "b": None}], [{"a": 1}]]


CASES = [{"pattern": "1", "output": "one"}, {"pattern": "^2", "output": "two"}, {"pattern": "2+", "output": "many"}]


@pytest.mark.parametrize(
    ("value", "regexp", "otherwise", "found"),
    [
        (1, False, "", "one"),
        ("^2", False, "", "two"),
        ("22", True, "", "two"),
        ("122", True, "", "one"),
        ("x", True, "else", "else"),
        ("x", False, "", None),
    ],
)
async def test_a_switch_gives_its_first_match(value, regexp, otherwise, found):
    mapper = {"input": "{{1.v}}", "useRegExpMatch": regexp, "casesTable": CASES, "elseOutput": otherwise}
    expected = [] if found is None else [{"output": found}]
    assert await _outputs("util:Switcher", mapper, {"v": value}) == expected


async def test_a_switch_with_a_pattern_that_cannot_be_read_is_wrongly_set_up():
    mapper = {"input": "x", "useRegExpMatch": True, "casesTable": [{"pattern": "(", "output": 1}]}
    assert (await _error("util:Switcher", mapper)).type == "InvalidConfigurationError"


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (None, ""), ([1, 2], "1, 2"), (True, "true")])
async def test_compose_makes_text_of_anything(value, text):
    assert await _outputs("util:ComposeTransformer", {"value": "{{1.v}}"}, {"v": value}) == [{"value": text}]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"rowSeparator": "\n"}, "a\n\nb"),
        ({"rowSeparator": ""}, "ab"),
        ({}, "ab"),
        ({"rowSeparator": "other", "otherRowSeparator": "--"}, "a----b"),
        ({"rowSeparator": "\t"}, "a\t\tb"),
    ],
)
async def test_texts_are_joined_and_null_is_an_empty_text(parameters, text):
    items = ["a", None, "b"]
    assert await _collected("util:TextAggregator", {"value": "{{2.value}}"}, items, **parameters) == {"text": text}


@pytest.mark.parametrize(
    ("fn", "result", "of_nothing"),
    [("sum", 6.5, 0), ("avg", 3.25, None), ("count", 3, 0), ("max", 5, None), ("min", 1.5, None)],
)
async def test_numbers_are_aggregated_and_gaps_left_out(fn, result, of_nothing):
    mapper = {"value": "{{2.value}}"}
    assert await _collected("util:FunctionAggregator2", mapper, ["1.5", None, 5], fn=fn) == {"result": result}
    assert await _collected("util:FunctionAggregator2", mapper, [], fn=fn) == {"result": of_nothing}


async def test_a_number_that_is_none_is_an_error():
    result = await _run(
        feeder(2, "{{1.items}}"),
        module(3, "util:FunctionAggregator2", {"value": "{{2.value}}"}, parameters={"feeder": 2, "fn": "sum"}),
        bundle={"items": ["nope"]},
    )
    assert (result.error.type, result.error.message) == ("BundleValidationError", "'nope' is not a number.")


async def test_an_unknown_aggregate_function_is_wrongly_set_up():
    result = await _run(module(3, "util:FunctionAggregator2", {"value": "1"}, parameters={"feeder": 1, "fn": "mode"}))
    assert result.error.type == "InvalidConfigurationError"


async def test_an_aggregator_without_fields_takes_whole_bundles():
    found = await _collected("builtin:BasicAggregator", {}, [{"a": 1}])
    assert found == {"array": [{"a": 1, "__IMTINDEX__": 1, "__IMTLENGTH__": 1}], "__IMTAGGLENGTH__": 1}


@pytest.mark.parametrize(
    ("text", "bundles"),
    [
        ('{"a": {"b": [1, 2.0]}}', [{"a": {"b": [1, 2]}}]),
        ('[{"a": 1}, 5, null]', [{"a": 1}, {"value": 5}, {"value": None}]),
        ("5", [{"value": 5}]),
        ("[]", []),
    ],
)
async def test_json_becomes_bundles(text, bundles):
    assert await _outputs("json:ParseJSON", {"json": "{{1.t}}"}, {"t": text}) == bundles
    assert await _outputs("json:ParseJSON", {"json": "{{1.t}}"}, {"t": text.encode()}) == bundles


@pytest.mark.parametrize("text", ["{", '{"a": NaN}', "[" * 300 + "]" * 300, "nothing", "{'a': 1}"])
async def test_what_is_not_json_is_a_data_error(text):
    error = await _error("json:ParseJSON", {"json": "{{1.t}}"}, {"t": text})
    assert error.type == "DataError"
    assert error.message.startswith("Source is n")


@pytest.mark.parametrize(
    ("space", "text"),
    [
        ("", '{"a":1,"l":["x"]}'),
        ("2", '{\n  "a": 1,\n  "l": [\n    "x"\n  ]\n}'),
        ("4", '{\n    "a": 1,\n    "l": [\n        "x"\n    ]\n}'),
        ("tab", '{\n\t"a": 1,\n\t"l": [\n\t\t"x"\n\t]\n}'),
    ],
)
async def test_json_is_written_with_the_indentation_asked_for(space, text):
    mapper = {"a": "{{1.n}}", "l": ["x"], "gap": "{{1.nothing}}", "out": "{{ignore}}"}
    assert await _outputs("json:CreateJSON", mapper, {"n": 1}, space=space) == [{"json": text}]


async def test_dates_and_any_value_become_json():
    day = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert await _outputs("json:TransformToJSON", {"object": "{{1.v}}"}, {"v": [day, "é\n"]}) == [
        {"json": '["2026-01-02T03:04:05.000Z","é\\n"]'}
    ]


async def test_items_are_collected_to_json():
    assert await _collected("json:AggregateToJSON", {"v": "{{2.value}}"}, [1, "a"], space="") == {
        "json": '[{"v":1},{"v":"a"}]'
    }
    assert await _collected("json:AggregateToJSON", {"v": "{{2.value}}"}, []) == {"json": "[]"}


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        ("text", b"text", "text/plain; charset=utf-8"),
        ({"a": "{{1.n}}"}, b'{"a":1}', "application/json; charset=utf-8"),
        (["{{1.n}}"], b"[1]", "application/json; charset=utf-8"),
        ("{{1.n}}", b"1", "text/plain; charset=utf-8"),
        ("{{1.raw}}", b"\x00\xff", "application/octet-stream"),
        ("", b"", None),
        (None, b"", None),
    ],
)
async def test_a_response_body_is_sent_by_its_kind(body, sent, content_type):
    result = await _run(
        module(2, "gateway:WebhookRespond", {"status": "200", "body": body}), bundle={"n": 1, "raw": b"\x00\xff"}
    )
    response = result.response
    assert (response.status, response.body, dict(response.headers).get("Content-Type")) == (200, sent, content_type)


async def test_a_response_keeps_the_authors_headers():
    rows = [
        {"key": "content-type", "value": "text/csv"},
        {"key": "X-A", "value": "1"},
        {"key": "Connection", "value": "x"},
    ]
    result = await _run(module(2, "gateway:WebhookRespond", {"status": 201, "body": "a,b", "headers": rows}))
    assert result.response.headers == (("content-type", "text/csv"), ("X-A", "1"))


async def test_a_response_without_content_has_no_body():
    result = await _run(module(2, "gateway:WebhookRespond", {"status": 204, "body": "ignored"}))
    assert (result.response.status, result.response.body) == (204, b"")


@pytest.mark.parametrize(
    ("mapper", "said"),
    [
        ({"status": 99}, "at least 100"),
        ({"status": "{{1.s}}"}, "600 is not an HTTP status"),
        ({"status": 200, "headers": [{"key": "A", "value": "1"}] * 17}, "at most 16"),
        ({"status": 200, "headers": [{"key": "A" * 257, "value": "1"}]}, "at most 256"),
        ({"status": 200, "headers": [{"key": "A", "value": "x" * 4097}]}, "at most 4096"),
        ({"status": 200, "headers": [{"key": "A", "value": "x\r\nB: 1"}]}, "control characters"),
        ({"status": 200, "headers": [{"key": "A b", "value": "1"}]}, "not a header name"),
        (
            {"status": 200, "headers": [{"key": "", "value": "1"}]},
            "Missing value of required parameter 'headers[1].key'",
        ),
    ],
)
async def test_a_response_out_of_bounds_is_refused(mapper, said):
    result = await _run(module(2, "gateway:WebhookRespond", mapper), bundle={"s": 600})
    assert result.error.type == "BundleValidationError"
    assert said in result.error.message
    assert result.response is None


async def test_a_trigger_reached_in_line_is_wrongly_set_up():
    assert (await _error("gateway:CustomWebHook", {}, hook=1)).type == "InvalidConfigurationError"


async def test_the_last_return_wins():
    result = await _run(returns(2, a="1", b="2"), returns(3, a="3"))
    assert result.outputs == {"a": "3"}


TEXT = "Order A-17 and order b-4"


@pytest.mark.parametrize(("sensitive", "groups"), [(False, ["Order A-17", "A", "17"]), (True, ["order b-4", "b", "4"])])
async def test_a_pattern_gives_its_groups(sensitive, groups):
    pattern = r"order ([a-z]+)-(?<number>\d+)"
    assert await _outputs("regexp:Parser", {"text": TEXT}, pattern=pattern, sensitive=sensitive) == [
        {"i": 1, "$1": groups[1], "$2": groups[2], "number": groups[2], "__IMTMATCH__": groups}
    ]


async def test_a_global_pattern_gives_a_bundle_per_match_and_none_gives_none():
    found = await _outputs("regexp:Parser", {"text": TEXT}, settings={"pattern": r"\d+", "global": True})
    assert [bundle["__IMTMATCH__"] for bundle in found] == [["17"], ["4"]]
    assert await _outputs("regexp:Parser", {"text": TEXT}, pattern="zzz") == []
    assert await _outputs("regexp:Parser", {"text": TEXT}, pattern="zzz", continueWhenNoRes=True) == [{}]
    mapped = {"text": TEXT, "pattern": "{{1.p}}"}
    assert len(await _outputs("regexp:AdvancedParser", mapped, {"p": "(o)"}, settings={"global": True})) == 2


@pytest.mark.parametrize(
    ("settings", "text"), [({}, "x-b-a"), ({"global": True}, "x-b-x"), ({"sensitive": True}, "a-b-a")]
)
async def test_matches_are_replaced(settings, text):
    mapper = {"pattern": "(A)", "value": "x", "text": "a-b-a", **settings}
    assert await _outputs("regexp:Replace", mapper) == [{"text": text}]


async def test_a_replacement_may_name_groups():
    mapper = {"pattern": r"(\w+) (\w+)", "value": "$2, $1", "text": "John Doe"}
    assert await _outputs("regexp:Replace", mapper) == [{"text": "Doe, John"}]


@pytest.mark.parametrize("name", ["regexp:Parser", "regexp:Replace"])
async def test_a_pattern_that_cannot_be_used_is_wrongly_set_up(name):
    pattern = "(?=a)(\\1"
    error = await _error(name, {"text": "a", "pattern": pattern}, pattern=pattern)
    assert error.type == "InvalidConfigurationError"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello <b>you</b> &amp; me</p><p>Next</p>", "Hello you & me\n\nNext"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ("<style>x{}</style><script>alert('<p>')</script>seen<!-- not > this -->", "seen"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<h1>Title</h1>text", "Title\n\ntext"),
        ("<tr><td>a</td><td>b</td></tr>", "a b"),
        ("a &lt;b&gt;", "a <b>"),
        ("broken <p", "broken <p"),
        ("", ""),
    ],
)
def test_html_becomes_readable_text(html, text):
    assert html_to_text(html) == text


def test_html_line_breaks_and_headings_are_as_asked():
    assert (
        html_to_text("<h2>Title &amp; more</h2>a", newline="\r\n", uppercase_headings=True) == "TITLE & MORE\r\n\r\na"
    )


def test_broken_html_costs_no_more_than_its_length():
    assert html_to_text("<a" * 200_000).startswith("<a")
    assert html_to_text("<!--" * 200_000).startswith("<!--")
    assert html_to_text("< " * 200_000).startswith("<")


async def test_the_html_module_reads_its_fields():
    mapper = {"html": "<h1>a</h1>b", "newline": "crlf", "uppercaseHeadings": True}
    assert await _outputs("regexp:HTMLToText", mapper) == [{"text": "A\r\n\r\nb"}]
