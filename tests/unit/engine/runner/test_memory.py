"""How much a run may hold at a time, and that what it lets go of is given back."""

import pytest

from make_bridge.engine.runner.holding import BUNDLE, LARGE, LIST, Holding
from make_bridge.engine.runner.request import RunLimits
from make_bridge.engine.runner.run import run
from support.blueprints import aggregator, call, feeder, module, program, request, webhook
from support.scripted import Answer, make_world

SHOP = "https://shop.example/"
BIG = {"text": "x" * 100_000}


async def end_of(compiled, *bundles, **limits):
    world = make_world([Answer.from_json({"json": BIG})])
    given = RunLimits(memory_bytes=350_000, **limits)
    return await run(compiled, request(*(bundles or ({},)), limits=given), world.ports)


def items(count):
    return {"items": list(range(count))}


def is_out_of_memory(result):
    return result.status == "error" and result.error.type == "MemoryLimitExceededError"


async def test_a_path_holds_the_bundles_of_all_its_modules():
    three = [call(number, "get", SHOP) for number in (2, 3, 4)]
    assert (await end_of(program(webhook(), *three))).status == "success"
    result = await end_of(program(webhook(), *three, call(5, "get", SHOP)))
    assert is_out_of_memory(result)
    assert (result.error.module_id, result.operations) == (5, 5)
    assert "350000 bytes" in result.error.message


async def test_a_loop_lets_go_of_each_bundle():
    compiled = program(webhook(), feeder(2, "{{1.items}}"), call(3, "get", SHOP))
    assert (await end_of(compiled, items(50))).status == "success"


async def test_a_loop_that_collects_holds_all_of_it():
    compiled = program(
        webhook(), feeder(2, "{{1.items}}"), call(3, "get", SHOP), aggregator(4, 2, {"text": "{{3.data.text}}"})
    )
    assert (await end_of(compiled, items(2))).status == "success"
    assert is_out_of_memory(await end_of(compiled, items(10)))


async def test_variables_are_held_until_they_are_set_again():
    def setting(name):
        variable = module(4, "util:SetVariable2", {"name": name, "value": "{{3.data}}", "scope": "execution"})
        return program(webhook(), feeder(2, "{{1.items}}"), call(3, "get", SHOP), variable)

    assert (await end_of(setting("same"), items(20))).status == "success"
    assert is_out_of_memory(await end_of(setting("{{2.value}}"), items(20)))


async def test_what_is_kept_for_a_retry_is_held():
    failing = module(4, "json:ParseJSON", {"json": "{"})
    compiled = program(webhook(), feeder(2, "{{1.items}}"), call(3, "get", SHOP), failing, dlq=True)
    kept = await end_of(compiled, items(2))
    assert (kept.status, len(kept.incomplete)) == ("warning", 2)
    assert is_out_of_memory(await end_of(compiled, items(10)))


async def test_no_handler_is_asked_and_nothing_is_kept_for_a_retry():
    handled = call(5, "get", SHOP, onerror=[module(9, "builtin:Ignore")])
    compiled = program(webhook(), *(call(number, "get", SHOP) for number in (2, 3, 4)), handled, dlq=True)
    result = await end_of(compiled)
    assert is_out_of_memory(result)
    assert result.incomplete == []


@pytest.mark.parametrize("limits", [{"logged_steps": 0}, {"logged_bytes": 0}, {"logged_bytes": 1000}])
async def test_what_the_log_has_not_measured_counts_as_well(limits):
    compiled = program(webhook(), *(call(number, "get", SHOP) for number in (2, 3, 4, 5)))
    assert is_out_of_memory(await end_of(compiled, **limits))


def test_a_place_is_charged_once_and_given_back():
    holding = Holding(10 * LARGE)
    holding.put((BUNDLE, 1), LARGE)
    assert holding.total == 0, "a small value is not counted"
    holding.put((BUNDLE, 1), 3 * LARGE)
    holding.put((BUNDLE, 1), 2 * LARGE)
    holding.add((LIST, 1), LARGE)
    holding.add((LIST, 1), LARGE)
    assert (holding.total, holding.on_path(), holding.is_full) == (4 * LARGE, 2 * LARGE, False)
    holding.drop((LIST, 1))
    holding.drop((LIST, 1))
    holding.drop_all(BUNDLE)
    assert holding.total == 0
