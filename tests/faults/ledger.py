"""The ledger: a client that writes down what it is about to send, sends it, and writes down what it was told.

Run as a process of its own (`python ledger.py FILE PLAN`), so that no fault of the server or of the test can make it
forget: every line is in the file before its request is on the wire, and every answer before the next line. It sends at
a rate with a bounded number of requests in flight, until its standard input ends; then it waits for the last answers.

A row's `status` is the answer's, or `sent` (no answer yet), `unknown` (the connection broke: it may have arrived) or
`refused` (there was no connection: it cannot have arrived).
"""

import asyncio
import contextlib
import hashlib
import json
import random
import sqlite3
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp

REFUSED, UNKNOWN, SENT = "refused", "unknown", "sent"
_TABLE = """
CREATE TABLE operations (
    op TEXT PRIMARY KEY, kind TEXT NOT NULL, body_hash TEXT NOT NULL, sent_at REAL NOT NULL, answered_at REAL,
    status TEXT NOT NULL, execution_id TEXT
)
"""
_SEND = "INSERT INTO operations (op, kind, body_hash, sent_at, status) VALUES (?, ?, ?, ?, 'sent')"
_ANSWER = "UPDATE operations SET status = ?, execution_id = ?, answered_at = ? WHERE op = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send: `hooks` maps a kind to its address, `targets` are what a scenario is told to call."""

    name: str
    hooks: Mapping[str, str]
    weights: Mapping[str, int]
    targets: tuple[str, ...]
    rate: float
    in_flight: int
    seed: int
    most: int = 1_000_000
    patience: float = 8.0
    padding: int = 2000

    def text(self) -> str:
        return json.dumps(asdict(self))


class Ledger:
    """One run over a plan."""

    def __init__(self, file: Path, plan: Plan) -> None:
        self._plan = plan
        self._chance = random.Random(plan.seed)  # noqa: S311 - a load that can be sent again, not a secret
        # What a process wrote is with the kernel: killing it loses nothing, so no row has to wait for the disk.
        self._rows = sqlite3.connect(file, isolation_level=None)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", _TABLE):
            self._rows.execute(statement)

    async def run(self, stopped: asyncio.Event) -> None:
        """Send until `stopped`, or until the plan is done."""
        plan = self._plan
        free = asyncio.Semaphore(plan.in_flight)
        timeout = aiohttp.ClientTimeout(total=plan.patience)
        connector = aiohttp.TCPConnector(limit=plan.in_flight)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as sending,
        ):
            for number in range(plan.most):
                await free.acquire()
                if stopped.is_set():
                    break
                sending.create_task(self._send(session, number)).add_done_callback(lambda _: free.release())
                await _pause(stopped, 1 / plan.rate)
        self._rows.close()

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        op = f"{self._plan.name}-{number}"
        kind = self._chance.choices(list(self._plan.weights), weights=list(self._plan.weights.values()))[0]
        padding = "x" * self._chance.randrange(self._plan.padding + 1)
        message = {"op": op, "url": self._chance.choice(self._plan.targets), "padding": padding}
        body = json.dumps(message).encode()
        self._rows.execute(_SEND, (op, kind, hashlib.sha256(body).hexdigest(), time.time()))
        status, execution_id = await self._answer(session, self._plan.hooks[kind], body)
        self._rows.execute(_ANSWER, (status, execution_id, time.time(), op))

    async def _answer(self, session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[str, str | None]:
        headers = {"Content-Type": "application/json"}
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                await response.read()
                return str(response.status), response.headers.get("x-execution-id")
        except aiohttp.ClientConnectorError:
            return REFUSED, None
        except (aiohttp.ClientError, TimeoutError):
            return UNKNOWN, None


async def _pause(stopped: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopped.wait(), seconds)


async def main(file: Path, plan: Plan) -> None:
    stopped = asyncio.Event()

    async def listen() -> None:
        await asyncio.to_thread(sys.stdin.read)
        stopped.set()

    listening = asyncio.create_task(listen())
    await Ledger(file, plan).run(stopped)
    await listening


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Plan(**json.loads(sys.argv[2]))))
