"""Which code a run calls: that of its team when it began, also in a second attempt."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from make_bridge.domain.executions.lending import LentSlots
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.team_functions import FunctionsOff, SandboxedFunctions
from make_bridge.domain.functions.checking import FunctionsOff as FunctionsOffError
from make_bridge.domain.functions.checking import NoChecks
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.ports import Moment, NullJournal
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId, new_execution_id
from make_bridge.platform.observability.metrics import Metrics
from support.blueprints import program, returns, webhook
from support.scripted import MemoryJournal

CALLS = program(webhook(), returns(2, x="{{which()}}"))
NOW = Moment(now=datetime(2026, 3, 31, tzinfo=UTC), chance=0.5)


def code(answer: str) -> dict[str, str]:
    return {"name": "which", "description": "", "code": f"function which() {{ return '{answer}'; }}"}


@pytest.fixture
def functions(api):
    return SandboxedFunctions(
        shards=api.shards, sandbox=api.sandbox, aside=api.aside, lent=LentSlots(), metrics=Metrics()
    )


@pytest.fixture
def run(acme):
    return NewRun(
        id=new_execution_id(shard=0), organization_id=acme.facts.organization_id, team_id=TeamId(acme.facts.team_id),
        scenario_id=ScenarioId(1), blueprint_version=1, origin="webhook", seed=1, head=b"{}", body=b"",
    )  # fmt: skip


async def answer_of(functions, run, journal, made=CALLS):
    own = await functions.of(run, made, journal)
    return await own.aside(lambda: own.call("which", [], NOW))


@pytest.mark.parametrize("kept", ["on", "writes"])
async def test_a_second_attempt_calls_the_code_that_the_first_began_with(acme, functions, run, kept):
    made = replace(CALLS, settings=replace(CALLS.settings, journal=kept))
    target = f"/functions?teamId={acme.facts.team_id}"
    number = (await acme.ask("POST", target, code("first")))["function"]["id"]
    journal = MemoryJournal()
    assert await answer_of(functions, run, journal, made) == "first"
    await acme.ask("PATCH", f"/functions/{number}", {"code": code("second")["code"]})
    assert await answer_of(functions, run, journal, made) == "first"
    assert await answer_of(functions, run, NullJournal(), made) == "second"
    await acme.ask("DELETE", f"/functions/{number}")
    assert await answer_of(functions, run, journal, made) == "first"
    with pytest.raises(ExpressionError, match="does not exist"):
        await answer_of(functions, run, NullJournal(), made)


async def test_a_run_knows_its_own_teams_functions_only(acme, api, functions, run):
    other, rival = await acme.another_team("dana"), await api.integrator("Rival")
    await acme.ask("POST", f"/functions?teamId={other}", code("another team"))
    await rival.ask("POST", f"/functions?teamId={rival.facts.team_id}", code("another organization"))
    with pytest.raises(ExpressionError, match="does not exist"):
        await answer_of(functions, run, NullJournal())
    await acme.ask("POST", f"/functions?teamId={acme.facts.team_id}", code("own"))
    assert await answer_of(functions, run, NullJournal()) == "own"


async def test_a_function_is_given_no_more_than_it_may_be(acme, functions, run):
    await acme.ask("POST", f"/functions?teamId={acme.facts.team_id}", code("own"))
    own = await functions.of(run, CALLS, NullJournal())
    with pytest.raises(ExpressionError, match="more than 4194304 bytes"):
        await own.aside(lambda: own.call("which", ["x" * 5_000_000], NOW))
    assert await own.aside(lambda: own.call("which", ["x" * 3_000_000], NOW)) == "own"


async def test_where_functions_are_switched_off_a_call_says_so(run):
    own = await FunctionsOff().of(run, CALLS, NullJournal())
    assert own is not None
    with pytest.raises(ExpressionError, match="switched off on this server"):
        await own.aside(lambda: own.call("which", [], NOW))


async def test_where_functions_are_switched_off_none_is_taken():
    with pytest.raises(FunctionsOffError):
        await NoChecks().check(OrganizationId(1), code("x")["code"])
