"""What a claim costs as work piles up: a curve from a thousand waiting rows to a million, beside ten million finished.

The queue holds only what waits or runs, so neither number may be felt. Each point is the median of claims of fifty rows
that are handed back at once, as a worker would take them; a tenth of the rows is work in order, five hundred teams
wait. Goal: the dearest point costs at most one and a half times the cheapest. The plan behind it is held by a test
(``tests/integration/queue/test_claim_cost.py``).
"""

import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import uvloop

from benchmarks.report import Report
from make_bridge.boot import open_domain
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.queue import leases
from make_bridge.settings import load_settings

_FINISHED = 10_000_000
_WAITING = (1_000, 10_000, 100_000, 1_000_000)
_CLAIMS = 60
_BATCH = 50
_FILL = """
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, class, ordering_key)
SELECT lpad(to_hex(n), 32, '0')::uuid, 1, 1 + n %% 500, 1 + n %% 5000, 'scenario.execute', 1 + n %% 2,
       CASE WHEN n %% 10 = 0 THEN '' END
FROM generate_series(%s::integer, %s::integer) n
"""
_HISTORY = """
INSERT INTO shard.executions (retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed)
SELECT 1, (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '1' || lpad(to_hex(n), 19, '0'))::uuid,
       1, 1, 1 + n %% 5000, 1, 'webhook', 1
FROM generate_series(%s::integer, %s::integer) n
"""


def run(report: Report) -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="make-bridge-bench-") as folder:
        curve = uvloop.run(_measure(Path(folder) / "data", report))
    report.goal("dearest claim / cheapest", max(curve) / min(curve), at_most=1.5)


async def _measure(data_dir: Path, report: Report) -> list[float]:
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, load_settings(None, {"data_dir": data_dir}), lambda _: None)
        shard = domain.shards.all()[0]
        for first in range(1, _FINISHED, 500_000):
            await _fill(shard, _HISTORY, first, first + 499_999)
        report.line("finished executions", f"{_FINISHED:,}")
        curve, filled = [], 0
        for waiting in _WAITING:
            await _fill(shard, _FILL, filled + 1, waiting)
            filled = waiting
            curve.append(await _claim_cost(shard))
            report.line(f"claim of {_BATCH} from {waiting:,} waiting", f"{curve[-1] * 1000:.2f} ms")
        return curve


async def _fill(shard: Shard, statement: str, first: int, last: int) -> None:
    async with shard.engine_write() as tx:
        await tx.execute("SET LOCAL statement_timeout = 0")
        await tx.execute(statement, (first, last))


async def _claim_cost(shard: Shard) -> float:
    times = []
    for _ in range(_CLAIMS):
        began = time.perf_counter()
        claimed = await leases.claim(shard, "benchmark", _BATCH)
        times.append(time.perf_counter() - began)
        assert len(claimed) == _BATCH
        await leases.hand_back(shard, [(lease.id, lease.fence) for lease in claimed], timedelta(0))
    return statistics.median(times[10:])
