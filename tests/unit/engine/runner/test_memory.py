"""What a scenario keeps from run to run, and triggers that ask the world: cursors, counters, cycles."""

import asyncio

import pytest

from make_bridge.engine.apps.catalogue import CATALOGUE, catalogue_of
from make_bridge.engine.apps.module import Effect, ErrorType, Kind, ModuleError, ModuleSpec
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.runner.run import run
from support.blueprints import blueprint, module, request
from support.scripted import MemoryJournal, make_world

FEED = [10, 11, 12, 13, 14]


async def _poll(call):
    """Give two articles newer than the cursor."""
    cursor = call.host.remembered(call.module_id) or 0
    found = [{"n": number} for number in FEED if number > cursor][:2]
    if found:
        call.host.remember(call.module_id, found[-1]["n"])
    return found


def _refuse(call):
    if call.input.get("n") == call.input.get("bad"):
        raise ModuleError(ErrorType.RUNTIME, "No.")
    return [{}]


MODULES = catalogue_of(
    CATALOGUE.values(),
    (
        ModuleSpec(
            name="test:Poll", label="Poll", kind=Kind.TRIGGER, perform=_poll, effect=Effect.READ, remembers=True
        ),
        ModuleSpec(name="test:Refuse", label="Refuse", kind=Kind.ACTION, run=_refuse, open_mapper=True),
    ),
)


def program(*flow, **settings):
    return compile_blueprint(parse_blueprint(blueprint(*flow, **settings)), MODULES)


def ran(made, journal=None, **asked):
    world = make_world(journal=journal)
    return asyncio.run(run(made, request(**asked), world.ports))


def polling(bad=None, **settings):
    return program(module(1, "test:Poll", {}), module(2, "test:Refuse", {"n": "{{1.n}}", "bad": bad}), **settings)


def test_a_polling_trigger_goes_on_where_the_run_before_ended():
    first = ran(polling())
    assert first.memory == {1: 11}
    second = ran(polling(), memory=first.memory)
    assert second.memory == {1: 13}
    assert [step.outputs for step in second.steps if step.module_id == 1] == [[{"n": 12}, {"n": 13}]]


def test_cycles_go_on_until_the_trigger_has_nothing_more():
    result = ran(polling(roundtrips=10))
    assert result.memory == {1: 14}
    assert result.cycles == 4
    assert result.operations == 4 + len(FEED)


def test_a_trigger_without_news_is_one_operation_and_a_success():
    result = ran(polling(roundtrips=10), memory={1: 14})
    assert (result.status, result.operations, result.cycles, result.memory) == ("success", 1, 1, {})


def test_an_action_that_gives_nothing_does_not_end_the_cycles():
    result = ran(program(module(1, "builtin:BasicFeeder", {"array": ""}), roundtrips=3))
    assert result.cycles == 3


def test_after_an_error_the_cursor_stands_where_the_last_whole_cycle_left_it():
    assert ran(polling(bad=11)).memory == {}
    failed = ran(polling(bad=13, roundtrips=10))
    assert (failed.status, failed.memory) == ("error", {1: 11})


def test_a_replayed_trigger_keeps_its_cursor_again():
    journal = MemoryJournal()
    first = ran(polling(), journal)
    again = ran(polling(), journal)
    assert again.memory == first.memory == {1: 11}


@pytest.mark.parametrize(("reset", "keeps"), [("scenario", True), ("execution", False), ("run", False)])
def test_only_a_counter_that_never_resets_makes_a_program_keep_memory(reset, keeps):
    made = program(module(1, "util:FunctionIncrement", {}, parameters={"reset": reset}))
    assert made.keeps_memory is keeps
    assert made.immediate is not keeps


def test_a_counter_that_never_resets_counts_on():
    made = program(module(1, "util:FunctionIncrement", {}, parameters={"reset": "scenario"}))
    result = ran(made, counters={1: 41})
    assert result.counters == {1: 42}
    assert result.steps[0].outputs == [{"i": 42}]
