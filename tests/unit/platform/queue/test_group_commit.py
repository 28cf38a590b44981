"""Group commit: one flush in flight, shared fate split, nobody left waiting."""

import asyncio

import pytest

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.queue.group_commit import GroupCommit


class BadItem(Exception):
    """This item's data cannot be written."""


class Recorder:
    """A flush that records its batches; the first waits until it is let go."""

    def __init__(self):
        self.batches = []
        self.go = asyncio.Event()

    async def flush(self, items):
        self.batches.append(list(items))
        await self.go.wait()
        if "bad" in items:
            raise BadItem
        return [item.upper() for item in items]


@pytest.fixture
def recorder():
    return Recorder()


def writer_over(recorder, **numbers):
    return GroupCommit(recorder.flush, splits=(BadItem,), **numbers)


async def submit_all(writer, items):
    tasks = [asyncio.create_task(writer.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_what_comes_during_a_flush_shares_the_next(recorder):
    writer = writer_over(recorder)
    first = await submit_all(writer, ["a"])
    await asyncio.sleep(0)
    rest = await submit_all(writer, ["b", "c", "d"])
    recorder.go.set()
    assert await asyncio.gather(*first, *rest) == ["A", "B", "C", "D"]
    assert recorder.batches == [["a"], ["b", "c", "d"]]


async def test_who_was_answered_and_asks_again_at_once_is_in_one_batch_with_who_waited(recorder):
    writer = writer_over(recorder)

    async def ask_twice(item):
        await writer.submit(item)
        await writer.submit(item)

    tasks = [asyncio.create_task(ask_twice(item)) for item in "abc"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = await submit_all(writer, ["x"])
    recorder.go.set()
    await asyncio.gather(*tasks, *late)
    assert recorder.batches == [["a", "b", "c"], ["x", "a", "b", "c"]]


async def test_a_batch_has_a_largest_size(recorder):
    recorder.go.set()
    writer = writer_over(recorder, largest=2)
    tasks = await submit_all(writer, list("abcde"))
    assert await asyncio.gather(*tasks) == list("ABCDE")
    assert max(len(batch) for batch in recorder.batches) == 2


async def test_one_bad_item_fails_alone(recorder):
    recorder.go.set()
    writer = writer_over(recorder)
    tasks = await submit_all(writer, ["a", "b", "bad", "c", "d"])
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [str, str, BadItem, str, str]


async def test_an_error_of_the_database_reaches_every_caller():
    async def flush(items):
        raise Unavailable("down")

    writer = GroupCommit(flush, splits=(BadItem,))
    results = await asyncio.gather(*(writer.submit(item) for item in "ab"), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable]


async def test_after_an_error_the_writer_goes_on():
    answers = iter([Unavailable("down"), ["x"]])

    async def flush(items):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    writer = GroupCommit(flush, splits=(BadItem,))
    with pytest.raises(Unavailable):
        await writer.submit("a")
    assert await writer.submit("b") == "x"


async def test_too_many_waiting_are_refused(recorder):
    writer = writer_over(recorder, waiting_limit=2, largest=1)
    tasks = await submit_all(writer, ["a"])
    await asyncio.sleep(0)
    tasks += await submit_all(writer, ["b", "c"])
    with pytest.raises(Unavailable, match="as fast as it can"):
        await writer.submit("d")
    recorder.go.set()
    await asyncio.gather(*tasks)


async def test_closing_writes_what_waits_and_refuses_the_rest(recorder):
    writer = writer_over(recorder)
    tasks = await submit_all(writer, ["a", "b"])
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await writer.submit("c")
    recorder.go.set()
    await closing
    assert await asyncio.gather(*tasks) == ["A", "B"]


async def test_a_caller_that_gave_up_disturbs_nobody(recorder):
    writer = writer_over(recorder)
    first, second = await submit_all(writer, ["a", "b"])
    first.cancel()
    recorder.go.set()
    assert await second == "B"
