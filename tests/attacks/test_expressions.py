"""Attacks on the language of scenarios: no text of a stranger becomes a program, and no program takes what is others'.

Whoever writes a blueprint may compute; these tests hold what that may never reach (Python, its objects, a second
evaluation) and what it may never cost. Single expressions are attacked in `tests/unit/engine/iml`; here are whole runs.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from make_bridge.engine.apps.module import ErrorType
from make_bridge.engine.blueprint.filters import compile_filter
from make_bridge.engine.blueprint.model import Condition, Filter
from make_bridge.engine.iml import Budget, ExpressionError, compile_template
from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.runner.run import run
from make_bridge.engine.values import Value
from make_bridge.platform.egress.messages import EgressFailure
from make_bridge.platform.egress.urls import read_target
from support.blueprints import module, program, request, returns, webhook, when
from support.scripted import Answer, make_world

HOSTILE = Path(__file__).with_name("hostile_runs.py")
SECRET = "hunter2-of-the-process"
# Processor time on a busy machine; a quiet one takes a few seconds and a twentieth of one.
SECONDS, WAIT, KIBIBYTES = 15.0, 0.5, 128 * 1024
FORMATS = (
    "{0.__init__.__globals__[SECRET]}",
    "{self.__class__.__mro__}",
    "{1!r:>500000000}",
    "%(SECRET)s %s %n %999999999d",
    "${SECRET} $SECRET `id` $(id)",
    "#{SECRET} <%= SECRET %> [[${SECRET}]]",
    "\\N{SNOWMAN} \\x41 \\u0041",
    "f'{SECRET}'",
    "__import__('os').system('id')",
)
# Well-formed calls and paths of other languages: here they are unknown functions, paths to nothing, or no expressions.
PROGRAMS = (
    "().__class__.__bases__[0].__subclasses__()",
    "1.constructor.constructor(1)",
    "`constructor`.`constructor`",
    "constructor[`constructor`]",
    "this.process.mainModule.require(1)",
    "globals()",
    "eval(1)",
    "exec(1)",
    "open(1)",
    "__import__(1)",
    "getattr(1; 2)",
    "now.__class__.__init__.__globals__",
    "upper.__globals__",
    "1.text.__class__",
    "get(1; `__class__`)",
    'get(1.text; "__class__.__init__")',
    'get(now; "__class__")',
    'map(1.list; "__class__")',
    "lambda x: x",
    "[x for x in 1.list]",
    "1.text.format(1)",
    "1 if 1 else 2",
    "1.list := 3",
)


@dataclass
class Scope:
    """A scope with a little of everything."""

    bundles: dict[int, Value]
    now: datetime = datetime(2026, 3, 31, tzinfo=UTC)
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    budget: Budget = field(default_factory=Budget)
    execution_id: str = ""

    def bundle(self, module_id: int) -> Value:
        return self.bundles.get(module_id)

    def variable(self, name: str) -> Value:
        return None

    def random(self) -> float:
        return 0.5

    def uuid(self) -> str:
        return ""


def evaluate(text, /, **bundle):
    return compile_template(text).evaluate(Scope(bundles={1: bundle}))


def is_of_the_language(value):
    if isinstance(value, dict):
        return all(type(key) is str and is_of_the_language(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_of_the_language, value))
    return type(value) in {type(None), bool, int, float, str, bytes, datetime}


@pytest.mark.attack("F02")
@pytest.mark.parametrize("text", FORMATS)
def test_what_other_languages_would_format_is_plain_text(text):
    assert evaluate(text) == text
    assert evaluate("{{1.t}}", t=text) == text
    assert evaluate("<{{1.t}}>", t=text) == f"<{text}>"
    assert evaluate('{{replace("x"; "x"; 1.t)}}', t=text.replace("$", "€")) == text.replace("$", "€")


@pytest.mark.attack("F02", "F03")
@pytest.mark.parametrize("text", FORMATS)
def test_no_function_formats_what_it_is_given(text):
    for name, function in FUNCTIONS.items():
        for count in range(function.required, min(function.most, 4) + 1):
            try:
                value = evaluate("{{" + f"{name}({'; '.join(['1.t'] * count)})" + "}}", t=text)
            except ExpressionError as error:
                shown = str(error)
            else:
                assert is_of_the_language(value), (name, value)
                shown = repr(value)
            assert "<class" not in shown, (name, shown)
            assert "<module" not in shown, (name, shown)


@pytest.mark.attack("F05")
@pytest.mark.parametrize("text", PROGRAMS)
def test_no_expression_reaches_what_python_is_made_of(text):
    try:
        value = evaluate("{{" + text + "}}", text="abc", list=[1, {"a": "b"}])
    except ExpressionError:
        return
    # Not an error: then a path to nothing, or text with something harmless in it.
    assert is_of_the_language(value), value
    assert value in (None, "", [], [None], [None, None]) or isinstance(value, str)


@pytest.mark.attack("F12")
@pytest.mark.parametrize("name", [name for name in dir(str) if name.startswith("_")] + ["constructor", "__proto__"])
def test_names_of_python_are_keys_like_any_other(name):
    assert evaluate(f"{{{{1.`{name}`}}}}", **{name: "mine"}) == "mine"
    for holder in ("1.text", "1.number", "1.list", "1.nothing", "now"):
        assert evaluate(f'{{{{get({holder}; "{name}")}}}}', text="t", number=1, list=[1]) is None


NESTED = ("{{1.secret}}", "{{{{1.secret}}}}", "{{", "}}", "{{nope(}}", '{{"', "{{1.t}}", "{{if(true; 1.secret; 2)}}")


@pytest.mark.attack("F06")
@pytest.mark.parametrize("text", NESTED)
async def test_data_that_looks_like_a_template_stays_data_through_a_whole_run(text):
    """Stored, mapped, joined, iterated, aggregated and returned; at no station is it read again."""
    flow = (
        webhook(),
        module(2, "util:SetVariable2", {"name": "kept", "scope": "roundtrip", "value": "{{1.t}}"}),
        module(3, "builtin:BasicFeeder", {"array": "{{add(emptyarray; 1.t; 2.kept)}}"}),
        module(4, "util:TextAggregator", {"value": "{{3.value}}"}, parameters={"feeder": 3, "rowSeparator": ""}),
        module(5, "json:ParseJSON", {"json": "{{1.json}}"}),
        returns(6, direct="{{1.t}}", text="{{4.text}}", parsed="{{5.t}}", key="{{get(1; 1.name)}}"),
    )
    bundle = {"t": text, "secret": SECRET, "json": json.dumps({"t": text}), "name": text}
    result = await run(program(*flow), request(bundle), make_world().ports)
    assert result.error is None, result.error
    assert result.outputs == {"direct": text, "text": text + text, "parsed": text, "key": None}


@pytest.mark.attack("F03")
async def test_what_a_handler_sees_of_an_error_is_its_kind_and_sentence():
    seen = returns(3, error="{{toString(2.error)}}", kind="{{2.error.type}}", obj="{{2.error.obj}}")
    broken = module(2, "json:ParseJSON", {"json": "{"}, onerror=[seen, module(9, "builtin:Ignore", {})])
    result = await run(program(webhook(), broken), request({}), make_world().ports)
    assert result.error is None, result.error
    assert result.outputs is not None
    assert set(json.loads(str(result.outputs["error"]))) <= {"type", "message", "detail"}
    assert (result.outputs["kind"], result.outputs["obj"]) == ("DataError", None)
    for inside in ("Traceback", "<class", "object at", ".py", "__"):
        assert inside not in json.dumps(result.outputs)


EVIL = ("x\r\nX-Evil: 1", "x\nHost: evil", "x\0y", "x y", "", "x:y", "é", "x\ud800")


@pytest.mark.attack("F15")
@pytest.mark.parametrize("name", ["http:MakeRequest", "http:ActionSendData"])
@pytest.mark.parametrize("value", EVIL)
async def test_a_header_s_name_out_of_data_is_checked_after_it_was_computed(name, value):
    mapper = {"url": "https://a.example/", "method": "get", "headers": [{"name": "{{1.v}}", "value": "1"}]}
    world = make_world([Answer()])
    result = await run(program(webhook(), module(2, name, mapper)), request({"v": value}), world.ports)
    names = [header for sent in world.target.requests for header, _ in sent.headers]
    assert value == "" or result.error is not None
    assert value not in names


@pytest.mark.attack("F15")
@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "GET\r\nX: y", "GET /evil HTTP/1.1", "\uff27ET", "{{1.v}}"])
async def test_a_method_out_of_data_is_one_of_the_few(method):
    mapper = {"url": "https://a.example/", "method": "{{1.v}}"}
    world = make_world([Answer()])
    result = await run(program(webhook(), module(2, "http:MakeRequest", mapper)), request({"v": method}), world.ports)
    assert (result.error and result.error.type, world.target.requests) == (ErrorType.BUNDLE_VALIDATION, [])


@pytest.mark.attack("F15")
@pytest.mark.parametrize(
    "host",
    [
        "evil.example/?",
        "user@evil.example",
        "a.example\r\nX: y",
        "a.example\\@evil.example",
        "%61.example",
        "a b",
        "\0",
    ],
)
async def test_an_address_out_of_data_is_read_once_and_after_it_was_computed(host):
    """Either it is refused, or what the guard reads is what was asked for; nothing is smuggled behind it."""
    mapper = {"url": "https://{{1.v}}.trusted.example/", "method": "get"}
    world = make_world([Answer()])
    await run(program(webhook(), module(2, "http:MakeRequest", mapper)), request({"v": host}), world.ports)
    for sent in world.target.requests:
        assert not set("\r\n\0 ") & set(sent.url)
        try:
            target = read_target(sent.url)
        except EgressFailure:
            continue
        # The author's mistake, not a trick: the guard sees the stranger's host, and vets that one.
        assert target.host == "evil.example"


@pytest.mark.attack("F15")
async def test_a_key_of_a_mapper_is_never_an_expression():
    flow = (webhook(), module(2, "util:ComposeTransformer", {"value": {"{{1.secret}}": "x", "a": "{{1.t}}"}}))
    result = await run(program(*flow), request({"secret": SECRET, "t": "y"}), make_world().ports)
    assert SECRET not in repr(result.steps[1])


@pytest.mark.attack("G04")
@pytest.mark.parametrize("text", ["%", "_", "%%%%%", "\\", ".*", "' OR 1=1 --"])
async def test_a_filter_s_text_has_no_wildcards(text):
    flow = (webhook(), returns(2, passed="yes", filter_="x") | {"filter": when("{{1.t}}", "text:contain", "{{1.w}}")})
    result = await run(program(*flow), request({"t": "any text", "w": text}), make_world().ports)
    assert result.outputs is None


@pytest.fixture(scope="module")
def report():
    done = subprocess.run([sys.executable, HOSTILE], check=True, capture_output=True, text=True, timeout=100)
    return json.loads(done.stdout)


@pytest.mark.attack("F08", "F13")
def test_no_hostile_run_takes_long_much_memory_or_its_neighbours_turn(report):
    slow = {name: fate["seconds"] for name, fate in report.items() if fate["seconds"] > SECONDS}
    selfish = {name: fate["longest_wait"] for name, fate in report.items() if fate["longest_wait"] > WAIT}
    large = {name: fate["grown_kib"] for name, fate in report.items() if fate["grown_kib"] > KIBIBYTES}
    assert (slow, selfish, large) == ({}, {}, {})


def test_a_hostile_run_ends_with_an_error_of_the_language(report):
    assert {name: fate["unexpected"] for name, fate in report.items() if fate["unexpected"]} == {}
    endless = {name: fate["error"] for name, fate in report.items() if name != "an aggregator that hoards"}
    assert all(error and ("more work" in error or "more data" in error or "more than" in error)
               for error in endless.values()), endless  # fmt: skip


@pytest.mark.parametrize("operator", ["text:pattern", "text:notpattern", "text:pattern:ci"])
@pytest.mark.parametrize("pattern", ["(a+)+$", "{{1.p}}"])
def test_a_filter_s_search_is_charged_like_any_other(operator, pattern):
    condition = Condition(a="{{1.t}}", operator=operator, b=pattern, position="")
    passes = compile_filter(Filter(name="", groups=((condition,),), position=""))
    assert passes is not None
    scope = Scope(bundles={1: {"t": "a" * 20_000, "p": "(a+)+$"}})
    passes(scope)
    read_only = 2 * (20_000 >> 8)
    assert Budget().steps - scope.budget.steps > 5 * read_only


@pytest.mark.attack("F13")
def test_long_expressions_are_charged_for_their_operators_and_short_ones_are_not():
    long, short = "{{1.n" + " + 1.n" * 1_000 + "}}", "{{1.n + 1.n}}"
    scope = Scope(bundles={1: {"n": 1}})
    assert compile_template(short).evaluate(scope) == 2
    assert scope.budget.steps == Budget().steps
    assert compile_template(long).evaluate(scope) == 1_001
    assert scope.budget.steps < Budget().steps - 500
    with pytest.raises(ExpressionError, match=r"at 0: .*more operations"):
        compile_template(long).evaluate(Scope(bundles={1: {"n": 1}}, budget=Budget(steps=500)))
