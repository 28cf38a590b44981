"""Expressions that call functions of their team: where that waits, what they are given, and who has no part in it."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import pytest

from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.ports import Moment, Ports, WebhookResponse
from make_bridge.engine.runner.result import RunResult
from make_bridge.engine.runner.run import run
from make_bridge.engine.values import Value
from support.blueprints import aggregator, call, feeder, module, program, request, returns, router, webhook, when
from support.scripted import Answer, make_world

Result = TypeVar("Result")


@dataclass
class Doubling:
    """A team with two functions, which wait in a thread like the real ones."""

    threads: list[int] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    async def aside(self, work: Callable[[], Result]) -> Result:
        return await asyncio.to_thread(work)

    def call(self, name: str, arguments: Sequence[Value], moment: Moment) -> Value:
        self.threads.append(threading.get_ident())
        self.moments.append(moment)
        if name == "failing":
            raise ExpressionError("The function failed: Error: no.")
        if name != "double":
            raise ExpressionError(f"The function {name}() does not exist.")
        [number] = arguments
        assert isinstance(number, int | float)
        return number * 2


class OnTheLoop:
    """A caller of a webhook, who is told on the event loop's own thread."""

    def __init__(self) -> None:
        self.told: list[tuple[WebhookResponse, int]] = []

    def respond(self, response: WebhookResponse) -> None:
        self.told.append((response, threading.get_ident()))


async def carried_out(made: Program, team: Doubling | None, *bundles: Any, **ports: Any) -> RunResult:
    world = make_world()
    return await run(made, request(*bundles), msgspec.structs.replace(world.ports, functions=team, **ports))


def result(*, text: str) -> Program:
    return program(webhook(), returns(2, x=text))


async def test_a_call_gives_its_result_and_never_waits_on_the_loop():
    team = Doubling()
    ended = await carried_out(result(text="{{double(1.n + 1) + double(double(2))}}"), team, {"n": 1})
    assert ended.outputs == {"x": 12}
    assert len(team.threads) == 3
    assert threading.get_ident() not in team.threads


async def test_only_the_branch_that_is_needed_calls():
    team = Doubling()
    ended = await carried_out(result(text="{{if(1.n = 1; double(1); failing())}}"), team, {"n": 1})
    assert ended.outputs == {"x": 2}
    assert len(team.threads) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{failing(1)}}", "failing(), at 2: The function failed: Error: no."),
        ("{{nothing(1)}}", "nothing(), at 2: The function nothing() does not exist."),
        ("{{double(substring(1; 2; 3; 4; 5))}}", "substring()"),
    ],
    ids=["failing", "unknown", "argument"],
)
async def test_a_call_that_fails_is_the_modules_error(text, says):
    ended = await carried_out(result(text=text), Doubling(), {})
    assert ended.error is not None
    assert says in ended.error.message


async def test_an_error_of_a_call_can_be_handled():
    handler = [module(9, "builtin:Resume", {"x": "{{double(5)}}"}, filter=when("{{double(1)}}", "number:equal", "2"))]
    made = program(
        webhook(),
        module(2, "util:SetVariable2", {"name": "a", "scope": "roundtrip", "value": "{{failing()}}"}, onerror=handler),
        returns(3, x="{{2.x}}"),
    )
    team = Doubling()
    ended = await carried_out(made, team, {})
    assert ended.outputs == {"x": 10}
    assert threading.get_ident() not in team.threads


async def test_filters_routes_groups_and_calls_out_may_call():
    team = Doubling()
    made = program(
        webhook(),
        feeder(2, "{{1.items}}"),
        aggregator(3, 2, {"n": "{{double(2.n)}}"}, flags={"groupBy": "{{double(2.n) > 4}}"}),
        router(
            4,
            [
                call(
                    5, "post", "https://shop.example/{{double(3.i)}}", filter=when("{{double(1)}}", "number:equal", "3")
                )
            ],
            [
                call(
                    6, "post", "https://shop.example/{{double(4)}}", filter=when("{{double(1)}}", "number:equal", "2")
                ),
                module(
                    7,
                    "scenario-service:ReturnData",
                    {"x": "{{double(1)}}"},
                    filter=when("{{double(2)}}", "number:equal", "4"),
                ),
            ],
        ),
    )
    world = make_world([Answer()])
    ports = msgspec.structs.replace(world.ports, functions=team)
    ended = await run(made, request({"items": [{"n": 1}, {"n": 3}]}), ports)
    assert ended.error is None
    assert [asked.url for asked in world.target.requests] == ["https://shop.example/8"] * 2
    assert threading.get_ident() not in team.threads


async def test_the_caller_of_a_webhook_is_told_on_the_loop():
    made = program(webhook(), module(2, "gateway:WebhookRespond", {"status": "200", "body": "{{double(1.n)}}"}))
    responder = OnTheLoop()
    ended = await carried_out(made, Doubling(), {"n": 4}, responder=responder)
    assert ended.error is None
    [(response, thread)] = responder.told
    assert (response.body, thread) == (b"8", threading.get_ident())


async def test_each_call_has_the_runs_time_and_chances_of_its_own_that_come_again():
    first, again = Doubling(), Doubling()
    made = result(text="{{double(1) + double(1)}}")
    await carried_out(made, first, {})
    await carried_out(made, again, {})
    assert first.moments == again.moments
    assert len({moment.chance for moment in first.moments}) == 2


async def test_one_mapper_makes_no_more_calls_than_its_budget_holds():
    ended = await carried_out(result(text="{{" + " + ".join(["double(1)"] * 101) + "}}"), Doubling(), {})
    assert ended.error is not None
    assert "more operations than it may use" in ended.error.message


async def test_without_functions_of_a_team_there_are_none():
    ended = await carried_out(result(text="{{double(1)}}"), None, {})
    assert ended.error is not None
    assert ended.error.message == "double(), at 2: The function double() does not exist."


def test_a_program_knows_what_it_calls_and_where():
    made = program(
        webhook(),
        module(2, "util:SetVariable2", {"name": "a", "scope": "roundtrip", "value": "{{upper(1.a)}} and double(1)"}),
        router(
            3,
            [module(4, "scenario-service:ReturnData", {"x": "{{1.x}}"}, filter=when("{{double(1)}}", "exist"))],
            [returns(5, x="{{triple(1)}}")],
        ),
    )
    assert made.functions == {"double", "triple"}
    assert made.calling == {3, 4, 5}
    assert (made.pure, made.immediate, made.needs_ports) == (True, False, True)
    plain = program(webhook(), returns(2, x="{{upper(1.x)}}"))
    assert (plain.functions, plain.calling, plain.immediate, plain.needs_ports) == (
        frozenset(),
        frozenset(),
        True,
        False,
    )


def test_a_program_that_calls_nothing_runs_without_a_loop_even_where_a_team_has_functions():
    ports = Ports(functions=Doubling())
    running = run(program(webhook(), returns(2, x="{{upper(1.a)}}")), request({"a": "b"}), ports)
    with pytest.raises(StopIteration) as ended:
        running.send(None)
    assert ended.value.value.outputs == {"x": "B"}
