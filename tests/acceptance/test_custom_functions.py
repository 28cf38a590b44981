"""Custom functions from the outside: written through the API, called by scenarios, stopped where they go too far."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from acceptance.conftest import Product
from acceptance.test_data_stores import Desk, module, respond
from support.network import send
from support.waiting import until

# Starting a server for the first test is part of that test.
pytestmark = pytest.mark.timeout(300)
WITHIN = 15.0


class Team(Desk):
    """Somebody who writes functions."""

    def function(self, code: str, name: str | None = None) -> str:
        """Add a function, `NAME` in its code being its name, and return that."""
        name = name or f"f{uuid.uuid4().hex[:10]}"
        body = {"name": name, "description": "", "code": code.replace("NAME", name)}
        self.ask("POST", f"/functions?teamId={self.integrator.team_id}", body)
        return name

    def identifier(self, name: str) -> int:
        listed = self.ask("GET", f"/functions?teamId={self.integrator.team_id}")["functions"]
        [found] = [each["id"] for each in listed if each["name"] == name]
        return int(found)

    def logs(self, name: str) -> list[dict[str, Any]]:
        """Return the ended runs of the scenario that calls this function."""
        [use] = self.ask("GET", f"/functions/{self.identifier(name)}")["function"]["scenarios"]
        logs: list[dict[str, Any]] = self.ask("GET", f"/scenarios/{use['id']}/logs")["scenarioLogs"]
        return [log for log in logs if log.get("status") not in {None, "running"}]


@pytest.fixture
def team(product: Product) -> Team:
    return Team(product.integrator)


def called(address: str, body: dict[str, Any]) -> tuple[int, str]:
    reply = send("POST", address, json_body=body)
    return reply.status, reply.body.decode()


def test_a_webhook_is_answered_with_what_a_function_gives(team):
    name = team.function("function NAME(order, rate = 0.2) { return `${order.id}: ${order.total * (1 + rate)}`; }")
    address = team.scenario(respond(2, f"{{{{{name}(1.order)}}}} {{{{{name}(1.order; 0.5)}}}}"))
    assert called(address, {"order": {"id": "a-1", "total": 100}}) == (200, "a-1: 120 a-1: 150")


def test_dates_and_buffers_come_as_what_they_are(team):
    name = team.function(
        "function NAME(at, raw) { return [at.getUTCFullYear(), raw.length, at, raw.map(x => x + 1)]; }"
    )
    text = f'{{{{toString({name}(parseDate("2026-03-31"; "YYYY-MM-DD"); toBinary("0001"; "hex")))}}}}'
    assert called(team.scenario(respond(2, text)), {}) == (200, '[2026,2,"2026-03-31T00:00:00.000Z","\\u0001\\u0002"]')


def test_a_changed_function_is_the_next_runs(team):
    name = team.function("function NAME() { return 'before'; }")
    address = team.scenario(respond(2, f"{{{{{name}()}}}}"))
    assert called(address, {}) == (200, "before")
    code = f"function {name}() {{ return 'after'; }}"
    team.ask("PATCH", f"/functions/{team.identifier(name)}", {"code": code})
    assert called(address, {}) == (200, "after")
    team.ask("DELETE", f"/functions/{team.identifier(name)}")
    assert called(address, {})[0] == 500


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("function NAME() { while (true); }", "it took longer than a function may"),
        ("function NAME() { return [].concat(new Array(4e9)); }", "it took longer than a function may"),
        ("function NAME() { return 'x'.repeat(2e6); }", "its result is larger"),
        ("function NAME() { return 'x'.repeat(1e9); }", "out of memory"),
        ("function NAME() { return NAME(); }", "call stack"),
        ("function NAME() { return require('fs'); }", "require"),
        ("function NAME() { throw new Error('no such order'); }", "no such order"),
    ],
    ids=["endless", "native", "output", "memory", "recursion", "host", "own"],
)
def test_a_run_whose_function_goes_wrong_ends_with_a_clear_error_in_time(team, code, says):
    name = team.function(code)
    address = team.scenario(respond(2, f"{{{{{name}()}}}}"))
    began = time.monotonic()
    status, _ = called(address, {})
    assert (status, time.monotonic() - began < WITHIN) == (500, True)
    [log] = until(lambda: team.logs(name), "the run is in the log", within=WITHIN)
    assert says in str(team.ask("GET", f"/scenarios/{_scenario(team, name)}/executions/{log['id']}"))


def _scenario(team: Team, name: str) -> int:
    [use] = team.ask("GET", f"/functions/{team.identifier(name)}")["function"]["scenarios"]
    return int(use["id"])


def test_neighbours_go_on_while_hostile_functions_use_up_their_time(team):
    hostile = team.scenario(respond(2, f"{{{{{team.function('function NAME() { while (true); }')}()}}}}"))
    plain = team.scenario(respond(2, "{{upper(1.a)}}"))
    with ThreadPoolExecutor(8) as pool:
        suffering = [pool.submit(called, hostile, {}) for _ in range(8)]
        slowest = 0.0
        while not all(each.done() for each in suffering):
            began = time.monotonic()
            assert called(plain, {"a": "b"}) == (200, "B")
            slowest = max(slowest, time.monotonic() - began)
    assert {each.result()[0] for each in suffering} == {500}
    assert slowest < 2.0


def test_a_function_of_another_team_is_none_of_ones_own(team):
    name = team.function("function NAME() { return 'theirs'; }")
    other = team.ask("POST", "/teams", {"name": "Others", "organizationId": team.integrator.organization_id})["team"][
        "id"
    ]
    trigger = {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 1}, "mapper": {}}
    flow = [trigger, module(2, "gateway:WebhookRespond", {"status": "200", "body": f"{{{{{name}()}}}}"})]
    administrator = team.integrator.administrator()
    made = administrator.post(f"/scenarios?teamId={other}", {"blueprint": {"name": "Foreign", "flow": flow}})
    administrator.post(f"/scenarios/{made['scenario']['id']}/activate?teamId={other}")
    assert called(made["hookUrl"], {})[0] == 500
