"""A hundred-odd blueprints with hand-written expectations, run through parse, compile and run.

Beside each `name.json` stands `name.expected.json`: what comes in, what the servers answer, and what
must come out. The expectations were written from the specification, never copied from a run.
"""

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.ports import Credential, HttpRequest
from make_bridge.engine.runner.memory_stores import MemoryStores
from make_bridge.engine.runner.request import RunRequest
from make_bridge.engine.runner.result import IncompleteRun, RunResult, Step
from make_bridge.engine.runner.run import run
from support.scripted import STARTED_AT, Answer, World, make_world

FOLDER = Path(__file__).parent
NAMES = sorted(path.name.removesuffix(".expected.json") for path in FOLDER.glob("*.expected.json"))


def test_there_are_at_least_a_hundred_scenarios():
    assert len(NAMES) >= 100


@pytest.mark.parametrize("name", NAMES)
async def test_a_scenario_does_what_its_author_expects(name: str) -> None:
    expected = json.loads((FOLDER / f"{name}.expected.json").read_text())
    program = compile_blueprint(parse_blueprint((FOLDER / f"{name}.json").read_bytes()), CATALOGUE)
    world = make_world(
        [Answer.from_json(raw) for raw in expected.get("http", [])],
        credentials={int(number): Credential(**raw) for number, raw in expected.get("credentials", {}).items()},
    )

    stores = _stores(expected)

    result = await run(program, _request(expected), replace(world.ports, stores=stores, structures=stores))

    assert result.unexpected == []
    _check_result(result, expected)
    _check_steps(result.steps, expected)
    _check_world(world, expected)
    if "stores_after" in expected:
        assert {str(number): records for number, records in stores.contents().items()} == expected["stores_after"]


def _stores(expected: dict[str, Any]) -> MemoryStores:
    stores = MemoryStores()
    for number, records in expected.get("stores", {}).items():
        stores.add_store(int(number), records)
    return stores


def _request(expected: dict[str, Any]) -> RunRequest:
    return RunRequest(
        execution_id="0" * 32,
        organization_id=1,
        team_id=2,
        scenario_id=3,
        scenario_name="scenario",
        started_at=STARTED_AT,
        seed=7,
        trigger_bundles=expected.get("trigger", []),
        inputs=expected.get("inputs", {}),
        counters={int(number): count for number, count in expected.get("counters", {}).items()},
        timezone=ZoneInfo(expected.get("timezone", "UTC")),
        team_variables=expected.get("team_variables", {}),
    )


def _check_result(result: RunResult, expected: dict[str, Any]) -> None:
    assert result.status == expected["status"]
    assert result.operations == expected["operations"]
    assert result.cycles == expected.get("cycles", 1)
    assert {str(number): count for number, count in result.blocked.items()} == expected.get("blocked", {})
    assert [warning.message for warning in result.warnings] == expected.get("warnings", [])
    assert len(result.incomplete) == len(expected.get("incomplete", []))
    for stored, wanted in zip(result.incomplete, expected.get("incomplete", []), strict=True):
        _check_incomplete(stored, wanted)
    if "ending" in expected:
        assert result.ending == expected["ending"]
    if "outputs" in expected:
        assert result.outputs == expected["outputs"]
    if "counters_after" in expected:
        assert {str(number): count for number, count in result.counters.items()} == expected["counters_after"]
    _check_error(result, expected.get("error"))
    if "response" in expected:
        _check_response(result, expected["response"])


def _check_error(result: RunResult, wanted: dict[str, Any] | None) -> None:
    if wanted is None:
        assert result.error is None
        return
    assert result.error is not None
    assert (result.error.type, result.error.module_id) == (wanted["type"], wanted["module_id"])
    assert result.error.message.splitlines()[0] == wanted["message"]


def _check_incomplete(stored: IncompleteRun, wanted: dict[str, Any]) -> None:
    assert (stored.module_id, stored.error.type) == (wanted["module_id"], wanted["error"])
    retry = stored.retry
    assert wanted["retry"] == {
        "mode": retry.mode.value,
        "attempts": retry.attempts,
        "interval_minutes": retry.interval_minutes,
    }
    if "bundles" in wanted:
        assert {str(module): bundle for module, bundle in stored.bundles} == wanted["bundles"]


def _check_response(result: RunResult, wanted: dict[str, Any] | None) -> None:
    response = result.response
    if wanted is None:
        assert response is None
        return
    assert response is not None
    assert response.status == wanted["status"]
    if "body" in wanted:
        assert response.body.decode() == wanted["body"]
    if "json" in wanted:
        assert json.loads(response.body) == wanted["json"]
    assert wanted.get("headers", {}).items() <= dict(response.headers).items()


def _check_steps(steps: list[Step], expected: dict[str, Any]) -> None:
    if "modules" in expected:
        assert [step.module_id for step in steps] == expected["modules"]
    found = {(step.module_id, step.operation): step for step in steps}
    for wanted in expected.get("steps", []):
        step = found[wanted["module_id"], wanted["operation"]]
        if "outputs" in wanted:
            assert step.outputs == wanted["outputs"]
        if "input" in wanted:
            assert isinstance(step.input, dict)
            assert wanted["input"].items() <= step.input.items()
        assert (step.error.type if step.error else None) == wanted.get("error")


def _check_world(world: World, expected: dict[str, Any]) -> None:
    if "slept" in expected:
        assert world.sleeper.slept == expected["slept"]
    if "requests" not in expected:
        return
    assert len(world.target.requests) == len(expected["requests"])
    for request, wanted in zip(world.target.requests, expected["requests"], strict=True):
        _check_request(request, wanted)


def _check_request(request: HttpRequest, wanted: dict[str, Any]) -> None:
    headers = dict(request.headers)
    assert request.method == wanted.get("method", request.method)
    assert request.url == wanted["url"]
    assert request.timeout == wanted.get("timeout", request.timeout)
    assert wanted.get("headers", {}).items() <= headers.items()
    if "idempotent" in wanted:
        assert ("Idempotency-Key" in headers) is wanted["idempotent"]
    if "body" in wanted:
        assert (request.body or b"").decode() == wanted["body"]
    if "json" in wanted:
        assert json.loads(request.body or b"") == wanted["json"]
