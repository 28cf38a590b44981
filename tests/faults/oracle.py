"""The oracle: compares what the ledger was told with what the product's database holds.

It runs after all faults are healed and the queue is empty, and reads the rows as the owner of the database, past
everything the product could get wrong about showing them. What the product shows is read over HTTP besides.
"""

import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import psycopg

from faults.ledger import REFUSED, SENT, UNKNOWN, Plan
from support.integrator import Connected, Portal
from support.network import Reply
from support.target import Call
from support.waiting import until

_LEDGER = Path(__file__).with_name("ledger.py")
_ACKED = "200"
_CLIENT_ERRORS = ("4",)
_DRAIN_SECONDS = 120.0
_READ_SECONDS = 10.0
_ERROR = 3
_ENDS = frozenset({1, 2, _ERROR})
_EXECUTIONS = """
SELECT e.id, p.body, count(o.id) AS ends, max(o.status) AS status, max(o.node) AS node
FROM shard.executions e
LEFT JOIN shard.payloads p ON p.retention = e.retention AND p.id = e.id
LEFT JOIN shard.outcomes o ON o.retention = e.retention AND o.id = e.id
WHERE e.scenario_id = ANY(%s)
GROUP BY e.id, p.body
"""
_LINES = "SELECT op, kind, status, execution_id, sent_at, answered_at FROM operations ORDER BY sent_at"
_WAITING = """
SELECT count(*) FROM shard.queue WHERE scenario_id = ANY(%s)
"""
_ENDED = "SELECT count(*) FROM shard.outcomes WHERE id = ANY(%s::uuid[])"
_USED = "SELECT coalesce(sum(executions), 0) FROM shard.usage_daily WHERE scenario_id = ANY(%s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One operation as the ledger has it."""

    op: str
    kind: str
    status: str
    execution_id: str | None
    sent_at: float
    answered_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One execution as the database has it; `ends` counts its outcomes.

    One whose body has gone, because its organization had too much of them, is named by the answer that it got; `op` is
    empty where nobody heard that answer.
    """

    id: str
    op: str
    ends: int
    status: int | None
    node: str | None


@dataclass(slots=True, kw_only=True)
class Verdict:
    """The numbers of the table in the fault tests' description; the lists hold what makes one wrong."""

    operations: int
    acked: int
    refused: int
    unknown: int
    unknown_executed: int
    other: dict[str, int]
    duplicate_effects: int
    nodes: dict[str, int]
    lost: list[str] = field(default_factory=list)
    multi: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    usage_off_by: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is lost, doubled, made up, left behind, failed, misnamed or counted wrongly."""
        wrong = (self.lost, self.multi, self.phantom, self.stuck, self.failed, self.misnamed, self.strangers)
        return not any(wrong) and self.usage_off_by == 0

    def __str__(self) -> str:
        """All numbers on one line, and the first names of what is wrong."""
        counts = {
            "operations": self.operations,
            "acked": self.acked,
            "LOST": len(self.lost),
            "MULTI": len(self.multi),
            "PHANTOM": len(self.phantom),
            "STUCK": len(self.stuck),
            "FAILED": len(self.failed),
            "MISNAMED": len(self.misnamed),
            "STRANGERS": len(self.strangers),
            "USAGE": self.usage_off_by,
            "UNKNOWN": f"{self.unknown} (of which executed {self.unknown_executed})",
            "refused": self.refused,
            "other answers": self.other,
            "DUP_EFFECT": self.duplicate_effects,
            "nodes": self.nodes,
        }
        text = ", ".join(f"{name} {count}" for name, count in counts.items())
        for name in ("lost", "multi", "phantom", "stuck", "failed", "misnamed", "strangers"):
            found: list[str] = getattr(self, name)
            text += f"\n  {name}: {found[:10]}" if found else ""
        return text


class LedgerProcess:
    """The ledger at work, and what it has written so far."""

    def __init__(self, file: Path, process: "Popen[bytes]") -> None:
        self.file = file
        self._process = process

    def lines(self) -> list[Line]:
        with closing(sqlite3.connect(self.file)) as rows:
            found = rows.execute(_LINES).fetchall()
        return [
            Line(op=op, kind=kind, status=status, execution_id=id_, sent_at=sent_at, answered_at=answered_at)
            for op, kind, status, id_, sent_at, answered_at in found
        ]

    def acked(self) -> int:
        with closing(sqlite3.connect(self.file)) as rows:
            (count,) = rows.execute("SELECT count(*) FROM operations WHERE status = ?", (_ACKED,)).fetchone()
        return int(count)

    def finish(self) -> None:
        """Let it send no more and wait for its last answers."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        assert self._process.wait(60) == 0, "the ledger itself failed"


@contextmanager
def keeping_ledger(folder: Path, plan: Plan) -> Iterator[LedgerProcess]:
    """Run the ledger; when the block ends it has finished."""
    file = folder / f"{plan.name}.sqlite"
    with Popen([sys.executable, _LEDGER, file, plan.text()], stdin=PIPE) as process:
        try:
            ledger = LedgerProcess(file, process)
            until(file.exists, "the ledger is open", within=20)
            until(lambda: _has_table(file), "the ledger has its table", within=20)
            yield ledger
            ledger.finish()
        finally:
            process.kill()


def drain(shard_dsn: str, scenario_ids: Sequence[int], *, within: float = _DRAIN_SECONDS) -> None:
    """Wait until nothing of these scenarios waits or runs."""
    with psycopg.connect(shard_dsn, autocommit=True) as connection:
        until(
            lambda: _number(connection, _WAITING, scenario_ids) == 0,
            "the queue is empty",
            within=within,
            pause=0.1,
        )


def count_ends(shard_dsn: str, lines: Sequence[Line]) -> int:
    """Count which of these acknowledged operations have their end."""
    with psycopg.connect(shard_dsn, autocommit=True) as connection:
        return _number(connection, _ENDED, [line.execution_id for line in lines])


def await_ends(shard_dsn: str, lines: Sequence[Line], *, within: float) -> None:
    """Wait until each of these acknowledged operations has its end."""
    until(lambda: count_ends(shard_dsn, lines) == len(lines), "all have ended", within=within, pause=0.1)


def judge(
    ledgers: Sequence[LedgerProcess], shard_dsn: str, scenario_ids: Sequence[int], calls: Sequence[Call]
) -> Verdict:
    """Compare."""
    lines = [line for ledger in ledgers for line in ledger.lines()]
    with psycopg.connect(shard_dsn, autocommit=True) as connection:
        named = {line.execution_id: line.op for line in lines if line.execution_id}
        stored = [_stored(row, named) for row in connection.execute(_EXECUTIONS, (list(scenario_ids),))]
        used = _number(connection, _USED, scenario_ids)
    by_op: dict[str, list[Stored]] = defaultdict(list)
    for execution in stored:
        by_op[execution.op].append(execution)
    statuses = Counter(line.status for line in lines)
    unknown = [line for line in lines if _is_unknown(line.status)]
    arrivals = Counter(call.headers["x-op"] for call in calls if "x-op" in call.headers)
    verdict = Verdict(
        operations=len(lines),
        acked=statuses[_ACKED],
        refused=statuses[REFUSED],
        unknown=len(unknown),
        unknown_executed=sum(line.op in by_op for line in unknown),
        other={status: count for status, count in statuses.items() if status not in {_ACKED, REFUSED}},
        duplicate_effects=sum(count - 1 for count in arrivals.values()),
        nodes=dict(Counter(execution.node or "none" for execution in stored)),
        usage_off_by=used - sum(execution.ends for execution in stored),
    )
    for line in lines:
        _weigh(verdict, line, by_op[line.op])
    known = {line.op for line in lines}
    verdict.strangers = [execution.id for execution in stored if execution.op and execution.op not in known]
    nameless = [execution.id for execution in stored if not execution.op]
    if len(nameless) > sum(not by_op[line.op] for line in unknown):
        verdict.strangers += nameless
    return verdict


def _weigh(verdict: Verdict, line: Line, executions: list[Stored]) -> None:
    """Hold one line against what is stored of it."""
    ended = [execution for execution in executions if execution.ends]
    if line.status == _ACKED and not ended:
        verdict.lost.append(line.op)
    if len(executions) > 1 or any(execution.ends > 1 for execution in executions):
        verdict.multi.append(line.op)
    if (line.status == REFUSED or line.status.startswith(_CLIENT_ERRORS)) and executions:
        verdict.phantom.append(f"{line.op} ({line.status})")
    verdict.stuck += [f"{line.op} {execution.id}" for execution in executions if not execution.ends]
    verdict.failed += [f"{line.op} {execution.id}" for execution in ended if execution.status == _ERROR]
    if line.execution_id and [execution.id for execution in executions] != [line.execution_id]:
        verdict.misnamed.append(f"{line.op}: told {line.execution_id}")


def unread(scenario: Connected, lines: Sequence[Line]) -> list[str]:
    """Read these executions as a customer does, and return those whose log does not tell their end."""
    wrong = []
    for line in lines:
        path = f"/scenarios/{scenario.id}/logs/{line.execution_id}"
        reply = until(partial(_read, scenario.portal, path), f"{path} can be read", within=_READ_SECONDS)
        log = reply.json()
        steps = log.get("steps") or [{"outputs": [{}]}]
        if log.get("status") not in _ENDS or steps[0]["outputs"][0].get("op") != line.op:
            wrong.append(f"{line.op}: {reply}")
    return wrong


def _read(portal: Portal, path: str) -> Reply | None:
    """Read, or nothing when the server says that it cannot now and one should come again."""
    reply = portal.call("GET", path)
    return None if "retry-after" in reply.headers else reply


def _is_unknown(status: str) -> bool:
    """A broken connection and a server's error leave it open whether the call was stored."""
    return status in {UNKNOWN, SENT} or status.startswith("5")


def _stored(row: Sequence[Any], named: Mapping[str, str]) -> Stored:
    id_, body, ends, status, node = row
    op = json.loads(bytes(body)).get("op", "") if body is not None else named.get(id_.hex, "")
    return Stored(id=id_.hex, op=op, ends=ends, status=status, node=node)


def _number(connection: "psycopg.Connection[Any]", statement: str, ids: Sequence[object]) -> int:
    row = connection.execute(statement.encode(), (list(ids),)).fetchone()
    return int(row[0]) if row else 0


def _has_table(file: Path) -> bool:
    with closing(sqlite3.connect(file)) as rows:
        return bool(rows.execute("SELECT 1 FROM sqlite_master WHERE name = 'operations'").fetchone())
