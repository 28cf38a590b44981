"""What a thousand million executions a day need, on 1, 10 and 100 shards: unit costs measured, the rest simulated.

Measured in this run, on the machine it runs on: processor time of the server and of PostgreSQL for one execution, what
it writes ahead and keeps, how long a commit takes that waits for nothing, memory of a process. Simulated from them:
organizations of very different size, laid on the shards by the ring that lays them there in earnest; a day whose
busiest hour has twice the mean; of the busiest shard in that hour every arrival and every commit. What follows from it
stands, with what it leaves out, in docs/explanation/scale.md. No goal: it is a sum, and says what it was added up from.
"""

import asyncio
import math
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Report
from benchmarks.subject import ROUTED, Subject, serving
from make_bridge.boot import open_domain
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sharding.ring import Ring
from make_bridge.settings import load_settings

_REQUESTS = 12_000
_CONNECTIONS = 64
_SEED = 20

EXECUTIONS_A_DAY = 1_000_000_000
SHARDS = (1, 10, 100)
PEAK = 2.0
"""The busiest hour over the mean."""
ORGANIZATIONS = 20_000
SKEW = 0.8
"""The n-th largest organization has n to the power of minus this of the largest's load: 0 would be all alike."""
KEPT_DAYS = 7
BUSY_SERVER, BUSY_DATABASE = 0.6, 0.5
"""How busy a core may be in the busiest hour."""
MOST_CORES = 64
"""Of a machine that one can have for a database."""
_ARRIVALS = 60_000
_LARGEST_BATCH = 500
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What one execution costs: seconds of a core, bytes, and the seconds of a commit that waits for nothing."""

    server: float
    database: float
    written: float
    kept: float
    commit: float
    process_megabytes: float
    connections: int
    """Of one process to one shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one number of shards comes to in the busiest hour; per shard means the busiest one."""

    shards: int
    imbalance: float
    largest_organization: float
    """Its part of the busiest shard's load."""
    per_shard: float
    database_cores: float
    written_megabytes: float
    kept_terabytes: float
    servers: int
    connections: int
    commit_p99: float

    @property
    def fits(self) -> bool:
        """Whether there is a machine for the busiest shard."""
        return self.database_cores <= MOST_CORES


def run(report: Report) -> None:
    """Measure and report."""
    with serving() as subject:
        units = measure(subject)
    report.line("server, CPU per execution", f"{units.server * 1e6:.0f} µs")
    report.line("PostgreSQL, CPU per execution", f"{units.database * 1e6:.0f} µs")
    report.line("written ahead, kept, per execution", f"{units.written:.0f} B, {units.kept:.0f} B")
    report.line("a commit that waits for nothing", f"{units.commit * 1e3:.1f} ms")
    mean = EXECUTIONS_A_DAY / _SECONDS_A_DAY
    report.line("executions a second, mean and peak", f"{mean:,.0f}, {mean * PEAK:,.0f}")
    for shards in SHARDS:
        report.line(f"{shards} shards", told(simulate(units, shards)))


def told(plan: Plan) -> str:
    """Say a plan in one line."""
    return (
        f"busiest {plan.per_shard:,.0f}/s (max/mean {plan.imbalance:.2f}, largest organization "
        f"{plan.largest_organization:.0%} of it), {plan.database_cores:.1f} database cores"
        f"{'' if plan.fits else ' (no such machine)'}, WAL {plan.written_megabytes:.0f} MB/s, "
        f"{plan.kept_terabytes:.2f} TB in {KEPT_DAYS} days, commit p99 {plan.commit_p99 * 1e3:.1f} ms; "
        f"{plan.servers} server cores, {plan.connections:,} connections to each shard"
    )


def measure(subject: Subject) -> Units:
    """Measure what one execution costs; what runs beside it on the machine is in the times of a commit alone."""
    path = subject.hook(ROUTED)
    subject.load(path, requests=2_000, connections=_CONNECTIONS)
    database = _postmaster(subject.process.pid)
    before = asyncio.run(_written(subject.data_dir))
    server_cpu, database_cpu = subject.cpu_seconds(), _cpu_of_family(database)
    result = subject.load(path, requests=_REQUESTS, connections=_CONNECTIONS)
    assert result.failed == 0, result
    server_cpu, database_cpu = subject.cpu_seconds() - server_cpu, _cpu_of_family(database) - database_cpu
    after = asyncio.run(_written(subject.data_dir))
    alone = subject.load(path, requests=400, connections=1, rate=50)
    settings = load_settings(None, {"data_dir": subject.data_dir}).settings
    return Units(
        server=server_cpu / _REQUESTS,
        database=database_cpu / _REQUESTS,
        written=(after[0] - before[0]) / _REQUESTS,
        kept=(after[1] - before[1]) / _REQUESTS,
        commit=alone.p50 / 1e3,
        process_megabytes=subject.pss_megabytes(),
        # Two pools, of bridge_app and bridge_engine, and one that listens.
        connections=2 * settings.database_connections + 1,
    )


def simulate(units: Units, shards: int) -> Plan:
    """Lay the load on so many shards, and let an hour's peak arrive at the busiest."""
    chance = random.Random(_SEED)  # noqa: S311 - the same organizations each time
    ring = Ring(dict.fromkeys(range(shards), 100))
    loads: dict[int, float] = dict.fromkeys(range(shards), 0.0)
    largest: dict[int, float] = dict.fromkeys(range(shards), 0.0)
    for weight in _sizes():
        number = ring.of(OrganizationId(chance.randrange(1, 2**43) * 1024))
        assert number is not None
        loads[number] += weight
        largest[number] = max(largest[number], weight)
    peak = EXECUTIONS_A_DAY / _SECONDS_A_DAY * PEAK
    busiest = max(loads, key=loads.__getitem__)
    rate = peak * loads[busiest]
    cores = rate * units.database / BUSY_DATABASE
    servers = math.ceil(peak * units.server / BUSY_SERVER)
    return Plan(
        shards=shards,
        imbalance=loads[busiest] * shards,
        largest_organization=largest[busiest] / loads[busiest],
        per_shard=rate,
        database_cores=cores,
        written_megabytes=rate * units.written / 1e6,
        kept_terabytes=EXECUTIONS_A_DAY * KEPT_DAYS * loads[busiest] * units.kept / 1e12,
        servers=servers,
        connections=servers * units.connections,
        commit_p99=_commits(units, rate, max(math.ceil(cores), 1), chance),
    )


def _sizes() -> Iterator[float]:
    """Give each organization's part of all executions, the largest first."""
    weights = [n**-SKEW for n in range(1, ORGANIZATIONS + 1)]
    total = sum(weights)
    return (weight / total for weight in weights)


def _commits(units: Units, rate: float, cores: int, chance: random.Random) -> float:
    """Return the p99 of an arrival's way to its commit.

    Arrivals come as they come (exponential pauses). A flush takes all that waits, at most a batch, and is busy for a
    commit and for the work of its rows, spread over the cores; the next begins when it ends.
    """
    arrivals, now = [], 0.0
    for _ in range(_ARRIVALS):
        now += chance.expovariate(rate)
        arrivals.append(now)
    waited, next_, free = [], 0, 0.0
    while next_ < len(arrivals):
        begin = max(free, arrivals[next_])
        end = next_
        while end < len(arrivals) and end - next_ < _LARGEST_BATCH and arrivals[end] <= begin:
            end += 1
        free = begin + units.commit + (end - next_) * units.database / cores
        waited += [free - arrivals[index] for index in range(next_, end)]
        next_ = end
    return sorted(waited)[len(waited) * 99 // 100]


async def _written(data_dir: Path) -> tuple[int, int]:
    """Return how much was ever written ahead, and how large the database is, in bytes."""
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, load_settings(None, {"data_dir": data_dir}), lambda _: None, join=True)
        async with domain.shards.all()[0].engine_statement() as tx:
            row = await tx.one(
                "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS written,"
                " pg_database_size(current_database()) AS kept"
            )
        assert row is not None
        return int(row["written"]), int(row["kept"])


def _postmaster(server: int) -> int:
    """Find the database among the server's children."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _fields(int(entry.name))
            if fields is not None and int(fields[1]) == server and _name(int(entry.name)) == "postgres":
                return int(entry.name)
    raise RuntimeError("the server has no database among its children")


def _cpu_of_family(postmaster: int) -> float:
    """Return the processor time of a postmaster with its children, those included that have ended."""
    total = 0
    parents: Mapping[int, list[str]] = {
        int(entry.name): fields
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (fields := _fields(int(entry.name))) is not None
    }
    for pid, fields in parents.items():
        if pid == postmaster:
            total += sum(int(field) for field in fields[11:15])
        elif int(fields[1]) == postmaster:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
