"""kill -9 at named points of a call: what its target sees, counted, and what becomes of the run.

Three runs are broken off at each point: one that reads (GET), one whose call may be repeated (PUT), one whose call may
not (POST). Only a call that was answered and not yet recorded is made twice, and then with the same key; a POST whose
fate nobody knows is not made again but put before a person, and their answer decides. (F-02)
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from faults.crashing import POINTS
from support.integrator import Integrator, new_organization
from support.network import send
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

METHODS = ("get", "put", "post")
WITHIN = 60.0
SUCCESS, WARNING = 1, 2
_REST = "SELECT count(*) FROM shard.queue WHERE kind <> 'incomplete.retry'"
_TIME_PASSES = "UPDATE shard.queue SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL"
_STATUSES = "SELECT status FROM shard.outcomes WHERE scenario_id = %s"
_PARKED = "SELECT id, error_type FROM shard.incomplete_executions WHERE scenario_id = %s"

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How often the target is called, and how the run ends."""

    calls: dict[str, int]
    in_doubt: bool = False


ONCE = dict.fromkeys(METHODS, 1)
TABLE = {
    "before the call": Expected(calls=ONCE | {"post": 0}, in_doubt=True),
    "after the call, before its record": Expected(calls={"get": 2, "put": 2, "post": 1}, in_doubt=True),
    "after the record": Expected(calls=ONCE),
    "before the outcome": Expected(calls=ONCE),
    "after the outcome": Expected(calls=ONCE),
}


def blueprint(method: str, url: str) -> dict[str, Any]:
    trigger = {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 1}, "mapper": {}}
    mapper = {"url": url, "method": method, "headers": [], "parseResponse": True}
    return {
        "name": method,
        "flow": [trigger, {"id": 2, "module": "http:ActionSendData", "version": 3, "parameters": {}, "mapper": mapper}],
        "metadata": {"version": 1, "scenario": {}},
    }


@dataclass(slots=True, kw_only=True)
class Stage:
    """A server that is to be killed, and one scenario for each method."""

    installation: Installation
    server: ServerProcess
    integrator: Integrator
    target: Target
    scenarios: dict[str, tuple[int, str]]

    def ask(self, statement: Any, *values: object) -> list[Any]:
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()

    def break_off(self, point: str) -> None:
        """Start three runs and lose them at the point; then let time pass and an ordinary server take them up."""
        self.server.end()
        start_crashing(self.server, point, len(METHODS))
        for _, hook in self.scenarios.values():
            assert send("POST", hook, json_body={"order": "a-17"}).status == 200
        process = self.server.process
        assert process is not None
        until(lambda: process.poll() is not None, f"the server is killed {point}", within=WITHIN)
        self.server.process = None
        self.server.start()
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            connection.execute(_TIME_PASSES)
        self.rest()

    def rest(self) -> None:
        until(lambda: self.ask(_REST) == [(0,)], "nothing is in the queue", within=WITHIN)

    def calls(self, method: str) -> list[str]:
        """The keys of the calls of a method that arrived."""
        return [call.headers.get("idempotency-key", "") for call in self.target.calls_to(f"/{method}")]

    def api(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Token {self.integrator.api_token}"}
        reply = send(method, f"{self.server.url}/api/v2{path}", headers=headers, json_body=body)
        assert reply.status == 200, reply
        return reply.json()


def start_crashing(server: ServerProcess, point: str, runs: int) -> None:
    """Start the server with the point built in: only the program it is started as differs."""
    program = server.installation.folder / "crashing"
    tests = Path(__file__).parents[1]
    program.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="{tests}:$PYTHONPATH"\n'
        f'exec "{sys.executable}" -m faults.crashing "{point}" {runs} "$@"\n'
    )
    program.chmod(0o700)
    server.start(program=program)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server without scenarios; each test brings its own."""
    folder = tmp_path_factory.mktemp("crash") / "w"
    with serving_target() as target, installed("embedded", folder, None, EGRESS_ALLOW="127.0.0.1") as installation:
        server = installation.server().start()
        integrator = new_organization(installation, server.url)
        yield Stage(installation=installation, server=server, integrator=integrator, target=target, scenarios={})


@pytest.fixture
def stage(lasting: Stage) -> Stage:
    administrator = lasting.integrator.administrator()
    lasting.target.calls.clear()
    for method in METHODS:
        made = administrator.post("/scenarios", {"blueprint": blueprint(method, f"{lasting.target.url}/{method}")})
        administrator.post(f"/scenarios/{made['scenario']['id']}/activate")
        lasting.scenarios[method] = (made["scenario"]["id"], made["hookUrl"])
    return lasting


@pytest.mark.parametrize("point", TABLE)
def test_a_kill_at_this_point_repeats_exactly_what_may_be_repeated(stage: Stage, point: str) -> None:
    stage.break_off(point)
    expected = TABLE[point]
    assert {method: len(stage.calls(method)) for method in METHODS} == expected.calls
    for method in ("put", "post"):
        assert "" not in stage.calls(method)
        assert len(set(stage.calls(method))) <= 1, "a call that is made again has the key of the first"
    for method, (scenario, _) in stage.scenarios.items():
        doubtful = expected.in_doubt and method == "post"
        assert stage.ask(_STATUSES, scenario) == [(WARNING if doubtful else SUCCESS,)], method
        assert len(stage.ask(_PARKED, scenario)) == doubtful, method


@pytest.mark.parametrize("done", [True, False])
def test_a_person_s_answer_decides_whether_a_call_in_doubt_is_made_again(stage: Stage, done: bool) -> None:
    stage.break_off("after the call, before its record")
    scenario, _ = stage.scenarios["post"]
    [record] = stage.api("GET", f"/dlqs?scenarioId={scenario}")["dlqs"]
    assert record["possiblyDone"]
    stage.api("POST", f"/dlqs/{record['id']}/answer", {"done": done})
    until(lambda: stage.api("GET", f"/dlqs/{record['id']}")["dlq"]["resolved"], "the record is resolved", within=WITHIN)
    keys = stage.calls("post")
    assert len(keys) == (1 if done else 2)
    assert len(set(keys)) == 1


def test_every_named_point_is_in_the_table() -> None:
    assert TABLE.keys() == POINTS.keys()
