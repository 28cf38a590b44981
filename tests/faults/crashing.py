"""`make-bridge`, with a place in it where it is killed: `python -m faults.crashing POINT RUNS ARGUMENTS…`.

The product has no switch for this. The parts are wrapped here, from outside, before the command begins. So many runs
as were asked for gather at the point and wait for each other; when the last one is there, the process kills itself with
SIGKILL. So all of them are broken off at exactly that point, and none anywhere else.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from make_bridge.cli import app
from make_bridge.domain.executions.journal import RunJournal
from make_bridge.domain.executions.outbound import GuardedHttp
from make_bridge.domain.executions.worker import Worker

POINTS: dict[str, tuple[type, str, bool]] = {
    # The part, its method, and whether the point is behind it.
    "before the call": (GuardedHttp, "send", False),
    "after the call, before its record": (RunJournal, "record", False),
    "after the record": (RunJournal, "record", True),
    "before the outcome": (Worker, "_settle", False),
    "after the outcome": (Worker, "_settle", True),
}


class Gathering:
    """The end of a process, as soon as so many runs are here."""

    def __init__(self, runs: int) -> None:
        self._missing = runs

    async def arrive(self) -> NoReturn:
        self._missing -= 1
        if self._missing <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        while True:
            await asyncio.Event().wait()


def wrapped(whole: Callable[..., Any], gathering: Gathering, *, is_behind: bool) -> Callable[..., Any]:
    async def dies(*arguments: Any, **more: Any) -> Any:
        if is_behind:
            await whole(*arguments, **more)
        await gathering.arrive()

    return dies


def crash_at(point: str, runs: int) -> None:
    part, name, is_behind = POINTS[point]
    setattr(part, name, wrapped(getattr(part, name), Gathering(runs), is_behind=is_behind))


if __name__ == "__main__":
    crash_at(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["make-bridge", *sys.argv[3:]]
    app()
