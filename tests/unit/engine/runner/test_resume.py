"""A run that breaks anywhere and is taken up again ends exactly like one that never broke."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest

from make_bridge.engine.ports import Intent, Ports, Record
from make_bridge.engine.runner.request import ResumePoint
from make_bridge.engine.runner.result import Ending, RetryMode, RunResult
from make_bridge.engine.runner.run import run
from make_bridge.kernel.clock import ManualClock
from make_bridge.kernel.errors import NotFound
from support.blueprints import aggregator, call, feeder, module, program, request, returns, router, webhook, when
from support.scripted import STARTED_AT, Answer, MemoryJournal, ScriptedSleeper, ScriptedTarget, World, make_world

ANSWERS = [
    Answer.from_json({"method": "GET", "url": "https://api.example/items/2", "status": 500}),
    Answer.from_json({"method": "GET", "url": "https://api.example/items/", "json": {"stock": 5}}),
    Answer.from_json({"method": "POST", "url": "https://api.example/orders", "json": {"number": "A"}}),
    Answer.from_json({"method": "PUT", "url": "https://api.example/orders", "json": {"ok": True}}),
]
PROGRAM = program(
    webhook(),
    module(2, "util:SetVariable2", {"name": "lot", "scope": "roundtrip", "value": "{{uuid}}"}),
    router(
        3,
        [
            feeder(4, "{{1.ids}}"),
            call(5, "get", "https://api.example/items/{{4.value}}", onerror=[module(6, "builtin:Ignore")]),
            call(
                7,
                "post",
                "https://api.example/orders",
                '{"id": {{4.value}}, "chance": {{random}}, "at": "{{formatDate(now; "x")}}", "lot": "{{2.lot}}"}',
                filter=when("{{4.value}}", "number:less", "4"),
            ),
            call(8, "put", "https://api.example/orders/{{4.value}}", '{"trace": "{{uuid}}"}'),
            aggregator(9, 4, {"number": "{{7.data.number}}", "trace": "{{uuid}}", "at": '{{formatDate(now; "x")}}'}),
            module(10, "util:SetVariable2", {"name": "orders", "scope": "execution", "value": "{{9.array}}"}),
        ],
        [
            module(11, "util:FunctionSleep", {"duration": 3}),
            module(12, "util:GetVariable2", {"name": "orders"}),
            call(13, "post", "https://api.example/orders", '{"count": {{length(12.orders)}}, "chance": {{random}}}'),
            returns(14, orders="{{12.orders}}", chance="{{random}}", lot="{{2.lot}}", at='{{formatDate(now; "x")}}'),
        ],
    ),
)
REQUEST = request({"ids": [1, 2, 3, 4]})


class Interrupted(Exception):
    """The process died here."""


class InterruptingJournal(MemoryJournal):
    """Raises at one of its calls: before or after it has written."""

    def __init__(self, entries: dict[str, Record | Intent], at: int, *, after: bool) -> None:
        super().__init__(entries)
        self.calls: list[str] = []
        self.at = at
        self.after = after

    async def intend(self, intent: Intent) -> None:
        await self._maybe("intend", lambda: self.entries.__setitem__(intent.key, intent))

    async def record(self, record: Record) -> None:
        await self._maybe("record", lambda: self.entries.__setitem__(record.key, record))

    async def _maybe(self, name: str, write: Callable[[], None]) -> None:
        self.calls.append(name)
        stop = len(self.calls) == self.at
        if not stop or self.after:
            write()
        if stop:
            raise Interrupted


class InterruptingClock(ManualClock):
    """Raises when it is asked for the n-th time: every module boundary, pure ones too, asks."""

    def __init__(self, at: int) -> None:
        super().__init__(STARTED_AT)
        self.asked = 0
        self.at = at

    def monotonic(self) -> float:
        self.asked += 1
        if self.asked == self.at:
            raise Interrupted
        return super().monotonic()


@dataclass
class Attempt:
    world: World
    result: RunResult | None


async def _attempt(journal: MemoryJournal, clock: ManualClock | None = None) -> Attempt:
    world = make_world(ANSWERS, journal=journal)
    if clock is not None:
        world = World(ScriptedTarget(ANSWERS, clock), ScriptedSleeper(clock), world.keyring, journal, clock)
    try:
        return Attempt(world, await run(PROGRAM, REQUEST, world.ports))
    except Interrupted:
        return Attempt(world, None)


def _sent(*attempts: Attempt) -> list[tuple[str, str, str, bytes]]:
    """What the target was sent, in order, without repetitions of reads that were not recorded."""
    seen: dict[tuple[str, str, str, bytes], None] = {}
    for attempt in attempts:
        for sent in attempt.world.target.requests:
            key = dict(sent.headers).get("Idempotency-Key", "")
            seen[sent.method, sent.url, key, sent.body or b""] = None
    return list(seen)


def _essence(result: RunResult) -> dict[str, object]:
    return {
        "status": result.status,
        "outputs": result.outputs,
        "operations": result.operations,
        "steps": [(step.module_id, step.operation, step.input, step.outputs, step.error) for step in result.steps],
    }


async def test_a_run_interrupted_at_any_boundary_ends_like_one_that_was_not(record_property):
    clock = InterruptingClock(at=0)
    whole = await _attempt(MemoryJournal(), clock)
    assert whole.result is not None
    assert whole.result.status == "success"
    boundaries = unclear = 0
    for first in [await cut for cut in _cuts(calls=len(_journal_calls(whole)), asked=clock.asked)]:
        assert first.result is None
        journal = MemoryJournal(first.world.journal.entries)
        done = {key for key, entry in journal.entries.items() if isinstance(entry, Record)}
        doubtful = [entry for entry in journal.entries.values() if isinstance(entry, Intent) and entry.module_id != 8]
        second = await _attempt(journal)
        assert second.result is not None
        repeated = [sent for sent in second.world.target.requests if dict(sent.headers).get("Idempotency-Key") in done]
        assert repeated == []
        if doubtful:  # the process died between a POST's intent and its record
            unclear += 1
            assert second.result.status == "warning"
            assert [stored.step_key for stored in second.result.incomplete] == [doubtful[0].key]
            assert second.result.incomplete[0].possibly_done
            continue
        boundaries += 1
        assert _essence(second.result) == _essence(whole.result)
        assert journal.entries == whole.world.journal.entries
        assert _sent(first, second) == _sent(whole)
    record_property("boundaries", boundaries)
    record_property("unclear", unclear)
    assert (boundaries, unclear) == (76, 12)


def _cuts(*, calls: int, asked: int) -> Iterator[Awaitable[Attempt]]:
    """Every place to stop: before and after each journal call, and wherever the clock is asked."""
    for at in range(1, calls + 1):
        yield _attempt(InterruptingJournal({}, at, after=False))
        yield _attempt(InterruptingJournal({}, at, after=True))
    for at in range(1, asked + 1):
        yield _attempt(MemoryJournal(), InterruptingClock(at))


def _journal_calls(whole: Attempt) -> list[str]:
    """The journal's calls of a whole run, in order."""
    calls: list[str] = []
    for entry in whole.world.journal.entries.values():
        calls += ["intend", "record"] if entry.module_id in (7, 8, 13) else ["record"]
    return calls


async def test_a_repeatable_write_without_a_result_is_sent_again_with_the_same_key():
    puts = program(call(1, "put", "https://api.example/orders/1", "{}"))
    first = await _interrupted(puts, at=2)
    again = make_world(ANSWERS, journal=MemoryJournal(first.journal.entries))
    result = await run(puts, request(), again.ports)
    assert result.status == "success"
    assert [dict(sent.headers)["Idempotency-Key"] for sent in again.target.requests] == [
        dict(sent.headers)["Idempotency-Key"] for sent in first.target.requests
    ]


async def test_a_post_without_a_result_is_neither_sent_again_nor_handled_but_kept_for_a_person():
    posts = program(
        feeder(1, "{{var.input.ids}}"),
        call(2, "post", "https://api.example/orders", "{}", onerror=[module(3, "builtin:Ignore")]),
    )
    inputs = request(inputs={"ids": [1, 2]})
    first = await _interrupted(posts, at=2, asked=inputs)
    again = make_world(ANSWERS, journal=MemoryJournal(first.journal.entries))
    result = await run(posts, inputs, again.ports)
    assert len(again.target.requests) == 1
    stored = result.incomplete[0]
    assert (stored.possibly_done, stored.retry.mode, stored.error.type) == (True, RetryMode.NONE, "PossiblyDoneError")
    assert (result.status, result.ending) == ("warning", Ending.FINISHED)


async def _interrupted(compiled, *, at, asked=None):
    world = make_world(ANSWERS, journal=InterruptingJournal({}, at, after=False))
    with pytest.raises(Interrupted):
        await run(compiled, asked or request(), world.ports)
    return world


async def test_recorded_steps_say_that_they_were_replayed():
    gets = program(call(1, "get", "https://api.example/items/1"), returns(2, stock="{{1.data.stock}}"))
    world = make_world(ANSWERS)
    await run(gets, request(), world.ports)
    again = make_world([], journal=world.journal)
    result = await run(gets, request(), again.ports)
    assert result.outputs == {"stock": 5}
    assert [step.replayed for step in result.steps] == [True, False]
    assert again.target.requests == []


async def test_an_error_that_was_recorded_leads_the_same_way_again():
    handled = program(
        call(1, "get", "https://api.example/items/2", onerror=[module(2, "builtin:Resume", {"data": {"stock": 0}})]),
        returns(3, stock="{{1.data.stock}}"),
    )
    world = make_world(ANSWERS)
    await run(handled, request(), world.ports)
    again = make_world([], journal=world.journal)
    assert (await run(handled, request(), again.ports)).outputs == {"stock": 0}
    assert again.target.requests == []


NESTED = program(
    webhook(),
    feeder(2, "{{1.orders}}"),
    feeder(3, "{{2.lines}}"),
    call(4, "get", "https://flaky.example/{{3.value}}"),
    aggregator(5, 3, {"line": "{{4.data.ok}}"}),
    aggregator(6, 2, {"order": "{{2.id}}", "lines": "{{5.array}}"}),
    returns(7, all="{{6.array}}", lot="{{1.lot}}"),
    dlq=True,
)


async def test_a_stored_bundle_goes_on_at_its_module_and_its_loops_close_with_it_alone():
    bundle = {"lot": "L", "orders": [{"id": "A", "lines": ["x", "y"]}, {"id": "B", "lines": ["z"]}]}
    flaky = [
        Answer.from_json({"url": "https://flaky.example/y", "status": 503, "times": 1}),
        Answer.from_json({"url": "https://flaky.example/", "json": {"ok": True}}),
    ]
    world = make_world(flaky)
    first = await run(NESTED, request(bundle), world.ports)
    assert first.status == "warning"
    assert first.outputs == {
        "all": [{"order": "A", "lines": [{"line": True}]}, {"order": "B", "lines": [{"line": True}]}],
        "lot": "L",
    }
    stored = first.incomplete[0]
    point = ResumePoint(
        module_id=stored.module_id,
        bundles=stored.bundles,
        cycle_variables=stored.cycle_variables,
        run_variables=stored.run_variables,
        step_key=stored.step_key,
    )
    second = await run(NESTED, request(execution_id="f" * 32, resume=point), Ports(http=world.target))
    assert second.status == "success"
    assert [step.module_id for step in second.steps] == [4, 5, 6, 7]
    assert second.outputs == {"all": [{"order": "A", "lines": [{"line": True}]}], "lot": "L"}


def _merging(number, *flow):
    """An if-else whose only branch rejoins the path, and its merge."""
    branches = [{"type": "else", "label": "", "merge": True, "flow": list(flow)}]
    outputs = [{"name": "out", "mappings": [f"{{{{{flow[-1]['id']}.data.ok}}}}"]}]
    return (
        module(number, "builtin:BasicIfElse", branches=branches),
        {**module(number + 1, "builtin:BasicMerge"), "outputs": outputs},
    )


FLAKY = [
    Answer.from_json({"url": "https://flaky.example/b", "status": 503, "times": 1}),
    Answer.from_json({"url": "https://flaky.example/", "json": {"ok": True}}),
]


@pytest.mark.parametrize("place", ["branch", "handler"])
async def test_a_bundle_stored_in_a_branch_or_handler_still_closes_its_loop(place):
    get = call(10, "get", "https://flaky.example/{{2.value}}")
    inner = {
        "branch": _merging(4, get),
        "handler": (
            module(
                5,
                "builtin:ThrowError",
                {"message": "always"},
                onerror=[get, module(11, "builtin:Resume", {"out": "{{10.data.ok}}"})],
            ),
        ),
    }[place]
    compiled = program(
        webhook(),
        feeder(2, "{{1.ids}}"),
        *inner,
        aggregator(7, 2, {"out": "{{5.out}}"}),
        returns(8, all="{{7.array}}"),
        dlq=True,
    )
    world = make_world(FLAKY)
    first = await run(compiled, request({"ids": ["a", "b"]}), world.ports)
    assert first.outputs == {"all": [{"out": True}]}
    stored = first.incomplete[0]
    assert stored.module_id == 10
    point = ResumePoint(module_id=10, bundles=stored.bundles, step_key=stored.step_key)
    second = await run(compiled, request(execution_id="f" * 32, resume=point), Ports(http=world.target))
    assert second.outputs == {"all": [{"out": True}]}
    assert (second.status, second.incomplete) == ("success", [])


@pytest.mark.parametrize(("directive", "status"), [("builtin:Break", "warning"), ("builtin:Rollback", "error")])
async def test_a_directive_knows_the_error_of_a_run_that_was_stored_inside_its_handler(directive, status):
    handler = [call(3, "get", "https://flaky.example/b"), module(4, directive, {})]
    compiled = program(
        webhook(), module(2, "builtin:ThrowError", {"message": "the first error"}, onerror=handler), dlq=True
    )
    world = make_world(FLAKY)
    stored = (await run(compiled, request({}), world.ports)).incomplete[0]
    point = ResumePoint(module_id=3, bundles=stored.bundles)
    result = await run(compiled, request(execution_id="f" * 32, resume=point), Ports(http=world.target))
    assert result.status == status
    error = result.incomplete[0].error if result.incomplete else result.error
    assert error is not None
    assert (error.message, error.type, error.module_id) == ("the first error", "RuntimeError", 2)


async def test_a_stored_run_whose_module_is_gone_is_refused():
    point = ResumePoint(module_id=99, bundles=())
    with pytest.raises(NotFound, match="module 99"):
        await run(NESTED, request(resume=point), Ports())


async def test_a_resumed_write_offers_the_key_of_its_first_attempt():
    posting = program(webhook(), call(2, "post", "https://flaky.example/pay", "{}"), dlq=True)
    flaky = [
        Answer.from_json({"url": "https://flaky.example/", "fail": "timeout", "times": 1}),
        Answer.from_json({"url": "https://flaky.example/", "json": {}}),
    ]
    world = make_world(flaky)
    stored = (await run(posting, request({}), world.ports)).incomplete[0]
    point = ResumePoint(module_id=2, bundles=stored.bundles, step_key=stored.step_key)
    result = await run(posting, request(execution_id="f" * 32, resume=point), Ports(http=world.target))
    assert result.status == "success"
    keys = [dict(sent.headers)["Idempotency-Key"] for sent in world.target.requests]
    assert keys == [stored.step_key, stored.step_key]
