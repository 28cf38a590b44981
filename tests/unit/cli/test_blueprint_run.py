"""``blueprint run`` and ``blueprint validate`` as a person meets them, by the commands themselves."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from make_bridge.cli.application import app
from make_bridge.cli.watching import WatchedHttp, WatchedSleeper
from make_bridge.engine.ports import HttpRequest
from support.blueprints import aggregator, blueprint, feeder, module, returns, webhook, when
from support.scripted import Answer, make_world

RUN = CliRunner()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def invoke(*flow: Any, data: Any = None, options: tuple[str, ...] = (), verb: str = "run", **top: Any) -> Result:
        (tmp_path / "blueprint.json").write_text(
            json.dumps({**blueprint(*flow, dlq=True), **top}), encoding="utf-8-sig"
        )
        given: list[str] = []
        if data is not None:
            (tmp_path / "data.json").write_text(data if isinstance(data, str) else json.dumps(data))
            given = ["--data", str(tmp_path / "data.json")]
        return RUN.invoke(app, ["blueprint", verb, str(tmp_path / "blueprint.json"), *given, *options])

    return invoke


def test_each_operation_is_a_block_with_its_bundles(run):
    flow = [webhook(), feeder(2, "{{1.n}}"), aggregator(3, 2, {"v": "{{2.value * 2}}"}), returns(4, all="{{3.array}}")]
    told = run(*flow, data={"n": [1, 2]})
    assert told.exit_code == 0, told.output
    assert '  2 builtin:BasicFeeder\n    in    {"array":[1,2]}\n    out   {"value":1,' in told.output
    assert "success: 4 operations in 1 cycle" in told.output
    assert 'outputs {"all":[{"v":2},{"v":4}]}' in told.output


def test_an_array_of_bundles_is_as_many_cycles(run):
    told = run(webhook(), returns(2, n="{{1.n}}"), data=[{"n": 1}, {"n": 2}])
    assert "4 operations in 2 cycles" in told.output
    assert 'outputs {"n":2}' in told.output


def test_wide_values_are_whole_unless_very_wide(run):
    wide, very_wide = "w" * 700, "v" * 3000
    flow = (webhook(), module(2, "util:ComposeTransformer", {"value": "{{1.text}}"}))
    assert wide in run(*flow, data={"text": wide}).output
    cut = run(*flow, data={"text": very_wide}).output
    assert very_wide not in cut
    assert "… (3012 characters; --full shows them)" in cut
    assert very_wide in run(*flow, data={"text": very_wide}, options=("--full",)).output


def test_many_bundles_and_operations_are_counted_not_printed(run):
    repeater = module(1, "builtin:BasicRepeater", {"start": 1, "repeats": 400, "step": 1})
    flow = (repeater, module(2, "util:ComposeTransformer", {"value": "{{1.i}}"}))
    told = run(*flow).output
    assert "380 more bundles" in told
    assert "… 101 more operations; --full shows them." in told
    assert 'out   {"value":"400"}' in run(*flow, options=("--full",)).output


def test_warnings_incomplete_runs_and_filters_are_told(run):
    broken = module(3, "json:ParseJSON", {"json": "{{2.value}}"}, onerror=[module(4, "builtin:Break", {"count": "5"})])
    warns = module(6, "builtin:ThrowWarning", {"message": "look here"})
    filtered = module(5, "util:ComposeTransformer", {"value": "x"}, filter=when("{{2.value}}", "text:equal", "no"))
    flow = (webhook(), warns, feeder(2, "{{1.a}}"), broken, filtered)
    told = run(*flow, data={"a": ["1", "{"]})
    assert told.exit_code == 0, told.output
    assert "warning: 4 operations" in told.output
    assert "warning of module 6: look here" in told.output
    assert "incomplete at module 3 (json:ParseJSON): DataError: Source is not valid JSON." in told.output
    assert "A server would try again up to 5 times, every 15 minutes." in told.output
    assert "the filter of module 5 stopped 1 bundle\n" in told.output
    document = json.loads(run(*flow, data={"a": ["1", "{"]}, options=("--json",)).stdout)
    assert document["status"] == "warning"
    assert document["warnings"] == [{"moduleId": 6, "message": "look here"}]
    assert document["incomplete"][0]["retry"] == {"mode": "fixed", "attempts": 5, "interval": 15}
    assert document["blocked"] == {"5": 1}
    assert [step["moduleId"] for step in document["steps"]] == [1, 6, 2, 3, 3, 4]


def test_a_failed_run_says_where_why_and_ends_with_1(run):
    told = run(webhook(), module(2, "util:FunctionSleep", {"duration": "{{1.n}}"}), data={"n": "soon"})
    assert told.exit_code == 1
    assert (
        "    error BundleValidationError: Validation failed for 1 parameter(s).\n           - Invalid value"
        in told.output
    )
    assert "error: 2 operations" in told.output
    assert "BundleValidationError in module 2 (util:FunctionSleep)" in told.output


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("{bad", "data.json: The JSON text is not valid at byte 1"),
        ("5", "data.json holds neither a JSON object nor an array of objects."),
        ("[1]", "data.json holds neither a JSON object nor an array of objects."),
    ],
)
def test_data_that_cannot_be_used_is_named_with_its_file(run, data, sentence):
    told = run(webhook(), data=data)
    assert told.exit_code == 1
    assert sentence in told.output.replace("\n", "")


def test_data_for_a_blueprint_that_takes_none_is_refused(run):
    told = run(module(1, "util:ComposeTransformer", {"value": "x"}), data={"a": 1})
    assert told.exit_code == 1
    assert "begins with util:ComposeTransformer and declares no inputs" in told.output


def test_data_are_the_inputs_of_a_scenario_that_declares_some(run):
    declared = {"interface": {"input": [{"name": "age", "type": "number", "required": True}], "output": None}}
    flow = (module(1, "scenario-service:StartSubscenario", {}, version=2), returns(2, next="{{1.age + 1}}"))
    assert 'outputs {"next":41}' in run(*flow, data={"age": "40"}, **declared).output
    assert "Missing value of required parameter 'age'." in run(*flow, data={}, **declared).output
    assert "The inputs of a scenario are one JSON object." in run(*flow, data=[{}, {}], **declared).output


def test_without_data_a_webhook_says_what_it_gives(run):
    told = run(webhook(), returns(2, n="{{1.n}}"))
    assert "No --data: the trigger gives one empty bundle." in told.stderr
    assert json.loads(run(webhook(), options=("--json",)).stdout)["status"] == "success"


def test_a_blueprint_that_cannot_run_is_told_as_validate_tells_it(run):
    for verb in ("run", "validate"):
        told = run(webhook(), module(2, "http:MakeARequest"), verb=verb)
        assert told.exit_code == 1
        assert "fatal    flow[1].module  (module 2)\n" in told.output
        assert "         Did you mean http:MakeRequest?\n" in told.output
        assert "1 fatal." in told.output


def test_what_is_no_blueprint_is_a_finding_too(tmp_path):
    file = tmp_path / "broken.json"
    file.write_text('{"flow": [5]}')
    told = RUN.invoke(app, ["blueprint", "validate", str(file), "--json"])
    assert told.exit_code == 1
    document = json.loads(told.stdout)
    assert (document["valid"], document["findings"][0]["position"]) == (False, "flow[0]")


def test_warnings_alone_do_not_keep_a_blueprint_off(run):
    told = run(webhook(), module(2, "util:ComposeTransformer", {"value": "{{9.x}}"}), verb="validate")
    assert told.exit_code == 0
    assert "1 warning; the blueprint can be switched on." in told.output
    assert "No findings" in run(webhook(), verb="validate").output


async def test_a_run_says_what_it_waits_for_and_no_secrets_of_addresses():
    said: list[str] = []
    world = make_world([Answer(body=b"ok")])
    http, sleeper = WatchedHttp(world.target, said.append), WatchedSleeper(world.sleeper, said.append)
    await http.send(HttpRequest(method="GET", url="https://user:pw@api.example/x?key=secret"))
    await sleeper.sleep(30)
    await sleeper.sleep(0)
    assert said == ["Call 1: GET api.example …", "Running …", "Sleeping 30 s …", "Running …"]
    assert world.sleeper.slept == [30, 0]
