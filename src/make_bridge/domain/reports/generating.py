"""Making a report: the work of the job ``report.generate``.

Rows are read page by page, rendered, and written as parts while they come, so memory holds a page and a part, however
long the report is. A second attempt begins anew without the parts of the first: that costs what was written, and needs
no account of how far it was; ``store`` sees to it that an attempt that was overtaken writes nothing more.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from make_bridge.domain.reports import store
from make_bridge.domain.reports.model import PART_BYTES, ReportLimits, ReportOrder
from make_bridge.domain.reports.rendering import rendering_of
from make_bridge.domain.reports.rows import columns_of, pages_of
from make_bridge.domain.reports.sources_store import Scope
from make_bridge.kernel.errors import BridgeError, NotFound
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.queue.jobs import Done, Failed, JobType, RunningJob
from make_bridge.platform.queue.leases import LOW

GENERATE: Final = "report.generate"
_SECONDS: Final = 1800.0
_CLEAR_SECONDS: Final = 3.0
_OVERTAKEN: Final = "The report was deleted, or another attempt makes it."
_FORGOTTEN_AT_A_TIME: Final = 10
_MOST_ROUNDS: Final = 100


class _Overtaken(BridgeError):
    """The report was deleted, or another attempt makes it."""


class _TooLarge(BridgeError):
    """The report is too large."""


@dataclass(slots=True, kw_only=True)
class _Paper:
    """What one attempt has written, and what of it is not stored yet."""

    shard: Shard
    job: RunningJob
    attempt: int
    most_bytes: int
    rows: int = 0
    size: int = 0
    pending: bytearray = field(default_factory=bytearray)

    async def write(self, content: bytes, *, rows: int = 0) -> None:
        """Take content; whole parts of it are stored. Raises _TooLarge, _Overtaken."""
        self.rows += rows
        self.size += len(content)
        if self.size > self.most_bytes:
            raise _TooLarge(
                f"The report is larger than {self.most_bytes} bytes: order fewer days, or group them more coarsely."
            )
        self.pending += content
        while len(self.pending) >= PART_BYTES:
            await self._store(bytes(self.pending[:PART_BYTES]))
            del self.pending[:PART_BYTES]

    async def finish(self) -> None:
        """Store what is left and say that the report is whole. Raises _Overtaken."""
        if self.pending:
            await self._store(bytes(self.pending))
        organization_id = self.job.organization_id
        async with self.shard.write(organization_id) as tx:
            if not await store.finish(tx, organization_id, self.job.id, self.attempt, self.rows):
                raise _Overtaken

    async def clear(self) -> None:
        """Take the parts back; best effort, the hourly care takes what stays."""
        organization_id = self.job.organization_id
        with suppress(BridgeError, TimeoutError):
            async with asyncio.timeout(_CLEAR_SECONDS), self.shard.write(organization_id) as tx:
                await store.empty(tx, organization_id, self.job.id, self.attempt)

    async def _store(self, content: bytes) -> None:
        organization_id = self.job.organization_id
        async with self.shard.write(organization_id) as tx:
            if not await store.add_part(tx, organization_id, self.job.id, self.attempt, content, rows=self.rows):
                raise _Overtaken


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratingReports:
    """The work of the job."""

    shards: Shards
    limits: ReportLimits = field(default_factory=ReportLimits)

    def type(self) -> JobType:
        """Return the type for the composition root."""
        return JobType(name=GENERATE, run=self.run, queue_class=LOW, seconds=_SECONDS, tells=True)

    async def run(self, job: RunningJob) -> Done | Failed:
        """Make the report; one that an attempt before this has finished is left as it is."""
        shard = await self.shards.of(job.organization_id)
        async with shard.write(job.organization_id) as tx:
            attempt = await store.begin(tx, job.organization_id, job.id)
        if attempt is None:
            return await self._finished_before(shard, job)
        paper = _Paper(shard=shard, job=job, attempt=attempt, most_bytes=self.limits.bytes)
        try:
            await self._write(paper, msgspec.json.decode(job.payload, type=ReportOrder))
        except _Overtaken:
            return Failed(why=_OVERTAKEN)
        except _TooLarge as error:
            await paper.clear()
            return Failed(why=error.message)
        except asyncio.CancelledError:
            await paper.clear()
            raise
        return _done(paper.rows, paper.size)

    async def _write(self, paper: _Paper, order: ReportOrder) -> None:
        job = paper.job
        scope = Scope(organization_id=job.organization_id, team_id=job.team_id)
        rendering = rendering_of(order, columns_of(order))
        await paper.write(rendering.head())
        async for page in pages_of(paper.shard, scope, order):
            for row in page.rows:
                await paper.write(rendering.row(row), rows=1)
            await job.progress(min(int(page.share * 100), 99), f"{paper.rows} rows")
            # A page without rows of its own awaits little: others get their turn.
            await asyncio.sleep(0)
        await paper.write(rendering.tail())
        await paper.finish()

    async def _finished_before(self, shard: Shard, job: RunningJob) -> Done | Failed:
        try:
            async with shard.read(job.organization_id) as tx:
                report = await store.get(tx, job.organization_id, None, job.id)
        except NotFound:
            return Failed(why=_OVERTAKEN)
        return _done(report.rows, report.bytes)


def _done(rows: int, size: int) -> Done:
    return Done(result=msgspec.json.encode({"rows": rows, "bytes": size}))


async def forget_reports(shards: Shards, days: int) -> int:
    """Drop reports that are so many days old, and parts that nobody needs, on every shard; return how many reports."""

    async def forget(shard: Shard) -> int:
        gone = 0
        for _ in range(_MOST_ROUNDS):
            async with shard.engine_write() as tx:
                forgotten = await store.forget(tx, days, _FORGOTTEN_AT_A_TIME)
                cleared = await store.clear_left_behind(tx, _FORGOTTEN_AT_A_TIME)
            gone += forgotten
            if max(forgotten, cleared) < _FORGOTTEN_AT_A_TIME:
                break
        return gone

    return await shards.everywhere("reports_forgotten", forget)
