"""Statements that took too long, by fingerprint: which, how often, how long, and by which plan.

``transactions`` measures every statement of a pool that somebody watches and tells here those that took ``seconds`` or
failed after as long; ``boot`` watches the pools of a server. Statements are literal SQL whose values travel apart, so
their text holds none; parameters are kept for the one plan that is asked for and shown to nobody.

A plan comes from plain EXPLAIN, which carries nothing out, in a read-only transaction beside all requests: once an hour
for a fingerprint, for as many organizations as there are under the number 0. Of it the kinds of its nodes, relations,
indexes and costs are kept; conditions, which hold values, are not.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import psycopg
import structlog

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.fingerprints import fingerprint_of, one_line
from make_bridge.platform.database.transactions import Params, Pool, begin

_log = structlog.get_logger(__name__)
_TEXT: Final = 2000
_WAITING_PLANS: Final = 4
_PLAN_SECONDS: Final = 2.0
_PLAN_EVERY: Final = 3600.0
_TOLD_EVERY: Final = 60.0
_MOST_NODES: Final = 60
_EXPLAINED: Final = ("select", "insert", "update", "delete", "with")
_FRAME: Final = "BEGIN READ ONLY; SET LOCAL app.organization_id = '0'; SET LOCAL lock_timeout = 100"


class PlanNode(NamedTuple):
    """One node of a plan, without anything that a caller sent."""

    depth: int
    kind: str
    relation: str
    by: str
    cost: float
    rows: int


@dataclass(slots=True, kw_only=True)
class SlowStatement:
    """One fingerprint."""

    fingerprint: str
    statement: str
    count: int = 0
    failed: int = 0
    total: float = 0.0
    worst: float = 0.0
    plan: tuple[PlanNode, ...] = ()
    planned_at: float = field(default=float("-inf"))
    told_at: float = field(default=float("-inf"))

    def shown(self) -> dict[str, object]:
        """Return it as operators read it."""
        plan = [
            {"depth": node.depth, "node": node.kind, "relation": node.relation, "index": node.by,
             "cost": node.cost, "rows": node.rows}
            for node in self.plan
        ]  # fmt: skip
        return {
            "fingerprint": self.fingerprint,
            "statement": self.statement,
            "count": self.count,
            "failed": self.failed,
            "worstSeconds": round(self.worst, 3),
            "meanSeconds": round(self.total / self.count, 3),
            "plan": plan,
        }


class SlowStatements:
    """The slow statements of one process; the least recent goes when there are too many."""

    def __init__(self, *, seconds: float, most: int, clock: Clock, counted: Callable[[], None] = lambda: None) -> None:
        """``most`` fingerprints are kept; ``counted`` is called for each slow statement."""
        self.seconds = seconds
        self.monotonic = clock.monotonic
        self._most = most
        self._counted = counted
        self._known: OrderedDict[str, SlowStatement] = OrderedDict()
        self._wanted: asyncio.Queue[tuple[Pool, SlowStatement, str, Params]] = asyncio.Queue(_WAITING_PLANS)

    def all(self) -> list[SlowStatement]:
        """Return what is known, the worst first."""
        return sorted(self._known.values(), key=lambda entry: entry.worst, reverse=True)

    def took(self, pool: Pool, statement: str, params: Params, seconds: float, *, failed: bool) -> None:
        """Take note of a statement that took too long."""
        text = one_line(statement)
        fingerprint = fingerprint_of(text)
        entry = self._known.get(fingerprint)
        if entry is None:
            entry = self._known[fingerprint] = SlowStatement(fingerprint=fingerprint, statement=text[:_TEXT])
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        self._known.move_to_end(fingerprint)
        entry.count += 1
        entry.failed += failed
        entry.total += seconds
        entry.worst = max(entry.worst, seconds)
        self._counted()
        now = self.monotonic()
        if now - entry.told_at >= _TOLD_EVERY:
            entry.told_at = now
            _log.warning(
                "slow_statement", fingerprint=fingerprint, seconds=round(seconds, 3), failed=failed, count=entry.count,
                statement=entry.statement,
            )  # fmt: skip
        if now - entry.planned_at >= _PLAN_EVERY and text.lower().startswith(_EXPLAINED):
            with suppress(asyncio.QueueFull):
                self._wanted.put_nowait((pool, entry, statement, params))
                entry.planned_at = now

    @asynccontextmanager
    async def planning(self) -> AsyncIterator[None]:
        """Ask for plans until the block ends."""
        task = asyncio.create_task(self._keep_planning(), name="plans of slow statements")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_planning(self) -> None:
        while True:
            pool, entry, statement, params = await self._wanted.get()
            try:
                async with asyncio.timeout(_PLAN_SECONDS):
                    entry.plan = await _plan_of(pool, statement, params)
            except (Unavailable, psycopg.Error, TimeoutError) as error:
                _log.debug("plan_not_made", fingerprint=entry.fingerprint, error=type(error).__name__)
                continue
            _log.info(
                "slow_statement_plan", fingerprint=entry.fingerprint,
                plan=[f"{node.kind} {node.relation} {node.by}".strip() for node in entry.plan],
            )  # fmt: skip


async def _plan_of(pool: Pool, statement: str, params: Params) -> tuple[PlanNode, ...]:
    async with begin(pool, _FRAME) as tx:
        row = await tx.explain(statement, params)
    tree = next(iter(row.values()))[0]["Plan"] if row else {}
    return tuple(node for node, _ in zip(_nodes(tree, 0), range(_MOST_NODES), strict=False))


def _nodes(tree: Mapping[str, Any], depth: int) -> Iterator[PlanNode]:
    yield PlanNode(
        depth=depth,
        kind=str(tree.get("Node Type", "")),
        relation=str(tree.get("Relation Name", "")),
        by=str(tree.get("Index Name", "")),
        cost=float(tree.get("Total Cost", 0.0)),
        rows=int(tree.get("Plan Rows", 0)),
    )
    below: Sequence[Mapping[str, Any]] = tree.get("Plans", ())
    for inner in below:
        yield from _nodes(inner, depth + 1)
