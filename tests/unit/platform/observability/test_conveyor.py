"""A conveyor never keeps anybody waiting: what its sink does not take waits within bounds or is dropped, counted."""

import threading
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from make_bridge.kernel.clock import ManualClock
from make_bridge.platform.observability.sinks.conveyor import Conveyor, ConveyorLimits
from make_bridge.platform.observability.sinks.port import Taken
from support.waiting import until

LINE = b"x" * 99
ENOUGH = 20.0


class Gate:
    """A sink that takes lines when the test says so."""

    def __init__(self):
        self.lines = []
        self.open = threading.Event()
        self.entered = threading.Event()
        self.tries = 0
        self.answer = None
        self.is_closed = False

    def write(self, lines):
        self.tries += 1
        self.entered.set()
        self.open.wait(ENOUGH)
        answer = self.answer(lines) if self.answer else Taken()
        taken = [line for line in lines if line not in answer.left]
        self.lines += taken
        return answer

    def close(self):
        self.is_closed = True


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def conveyor(gate):
    limits = ConveyorLimits(queue_bytes=1000, batch_bytes=500, first_pause=0.01, longest_pause=0.02)
    made = Conveyor("test", gate, limits, ManualClock(datetime(2026, 11, 22, tzinfo=UTC)))
    yield made
    gate.open.set()
    made.close(ENOUGH)


def test_lines_arrive_in_their_order(gate, conveyor):
    gate.open.set()
    lines = [str(number).encode() for number in range(100)]
    for line in lines:
        conveyor.put(line)
        until(lambda: conveyor.standing().waiting_bytes < 500, "there is room", within=ENOUGH)
    conveyor.close(ENOUGH)
    assert gate.lines == lines
    assert gate.is_closed
    assert conveyor.standing().written == 100


def test_what_finds_no_room_is_dropped_and_counted_and_nobody_waits(gate, conveyor):
    for _ in range(500):
        conveyor.put(LINE)
    standing = conveyor.standing()
    assert standing.dropped["full"] == 490
    assert standing.waiting_bytes <= 1000
    gate.open.set()
    until(lambda: conveyor.standing().waiting_bytes == 0, "what waited is written", within=ENOUGH)
    assert len(gate.lines) == 10
    conveyor.put(b"after")
    until(lambda: b"after" in gate.lines, "there is room again", within=ENOUGH)


def test_a_sink_that_is_away_is_offered_the_same_lines_until_it_takes_them(gate, conveyor):
    gate.open.set()
    gate.answer = lambda lines: Taken(left=lines, reason="away")
    with capture_logs() as logged:
        conveyor.put(b"a")
        until(lambda: gate.tries >= 3, "it was tried again", within=ENOUGH)
        standing = conveyor.standing()
        assert (standing.is_up, standing.reason, standing.written) == (False, "away", 0)
        gate.answer = None
        until(lambda: conveyor.standing().is_up, "it is back", within=ENOUGH)
    assert gate.lines == [b"a"]
    # Once each, however long it lasts: a line for each try would feed itself.
    assert [entry["event"] for entry in logged] == ["log_sink_away", "log_sink_back"]


def test_lines_that_a_sink_gives_back_go_again_and_those_it_refuses_are_counted(gate, conveyor):
    answers = [Taken(left=[b"b"], rejected=1, reason="busy"), Taken()]
    gate.answer = lambda lines: answers.pop(0) if len(lines) > 1 or len(answers) == 1 else Taken()
    conveyor.put(b"0")
    assert gate.entered.wait(ENOUGH)
    for line in (b"a", b"b", b"c"):
        conveyor.put(line)
    gate.answer = lambda lines: answers.pop(0) if len(lines) == 3 or (lines == [b"b"] and answers) else Taken()
    gate.open.set()
    until(lambda: conveyor.standing().waiting_bytes == 0, "all are settled", within=ENOUGH)
    standing = conveyor.standing()
    assert standing.dropped["rejected"] == 1
    assert standing.written == 3
    assert gate.lines[-1] == b"b"


def test_an_error_in_a_sink_ends_nothing(gate, conveyor):
    gate.open.set()
    gate.answer = lambda lines: dict.fromkeys(lines)["missing"]
    conveyor.put(b"a")
    until(lambda: not conveyor.standing().is_up, "it is told", within=ENOUGH)
    assert "KeyError" in conveyor.standing().reason
    gate.answer = None
    until(lambda: gate.lines == [b"a"], "it goes on", within=ENOUGH)


def test_closing_ends_in_time_whatever_the_sink_does_and_counts_what_is_left(gate, conveyor):
    for _ in range(5):
        conveyor.put(LINE)
    assert gate.entered.wait(ENOUGH)
    conveyor.close(0.05)
    assert conveyor.standing().dropped["ended"] == 5
    conveyor.put(LINE)
    assert conveyor.standing().dropped["ended"] == 6


def test_closing_offers_a_sink_that_is_away_what_waits_once_more_and_waits_for_no_pause(gate):
    limits = ConveyorLimits(queue_bytes=1000, first_pause=3600.0, longest_pause=3600.0)
    conveyor = Conveyor("test", gate, limits, ManualClock(datetime(2026, 11, 22, tzinfo=UTC)))
    gate.open.set()
    gate.answer = lambda lines: Taken(left=lines, reason="away")
    conveyor.put(b"a")
    until(lambda: not conveyor.standing().is_up, "it is away", within=ENOUGH)
    conveyor.close(ENOUGH)
    assert gate.tries == 2
    assert conveyor.standing().dropped["ended"] == 1


def test_lines_from_many_threads_are_all_accounted_for(gate, conveyor):
    gate.open.set()
    threads = [threading.Thread(target=lambda: [conveyor.put(LINE) for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    conveyor.close(ENOUGH)
    standing = conveyor.standing()
    assert standing.written + sum(standing.dropped.values()) == 4000
    assert standing.waiting_bytes == 0
