"""The journal of effects: what a run has done to the world, durable before anything follows from it.

Made for each run by the performer, asked by the engine. Per step with an effect it costs one write for the intent
(before a write is tried) and one for the result; concurrent runs share statement and commit through one writer per
shard. Nothing is read in a first attempt. A later one, told by its fence, reads everything back in one query.

Every write is bound to the run's lease: a worker that slept past it is refused (``LeaseLost``) and the run stops
there, so it cannot write into a run that somebody else has taken over. A database that is away for a moment stops no
run: the same write is tried again for a while, because a call that was made and not recorded is nobody's to repeat.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, cast

import msgspec

from make_bridge.domain.executions import journal_store
from make_bridge.domain.executions.journal_store import Entry
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.variables import BEFORE_MODULES
from make_bridge.engine.blueprint.model import Settings
from make_bridge.engine.packing import pack, unpack
from make_bridge.engine.ports import Intent, Journal, NullJournal, Record
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import InvalidInput, OrganizationMoved, Unavailable
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import Row
from make_bridge.platform.queue.group_commit import GroupCommit
from make_bridge.platform.security.sealing import SealBroken, Sealing
from make_bridge.platform.sharding.following import PerShard

_FIRST_FENCE: Final = 1
_LARGEST_BATCH: Final = 100
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
_PURPOSE: Final = "execution_journal"
Known = Mapping[str, Record | Intent]
_Home = Callable[[], Awaitable[GroupCommit[Entry, bool]]]


class LeaseLost(Unavailable):
    """This run was taken over by another worker; what it does from here on counts for nothing."""

    code = "lease_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """A larger result is not kept, only that there was one. ``patience`` is how long a write is tried, in seconds."""

    most_result_bytes: int = 1024 * 1024
    patience: float = 60.0


class Journals(Protocol):
    """Gives each run its journal."""

    async def of(self, run: NewRun, settings: Settings, fence: int) -> Journal:
        """Return the journal with what earlier attempts have left in it; raises Unavailable."""
        ...


class NoJournals:
    """No run has one: each starts over when it breaks."""

    async def of(self, run: NewRun, settings: Settings, fence: int) -> Journal:
        """Return one that forgets."""
        del run, settings, fence
        return NullJournal()


class StoredJournals:
    """``Journals`` of the organizations' shards."""

    def __init__(self, shards: Shards, sealing: Sealing, config: JournalConfig) -> None:
        """Begin with nothing written."""
        self._shards = shards
        self._sealing = sealing
        self._config = config
        self._writers = PerShard(_writer)

    async def of(self, run: NewRun, settings: Settings, fence: int) -> Journal:
        """Return the run's journal; only an attempt that may not be the first reads."""
        if settings.journal == "off":
            return NullJournal()
        shard = await self._shards.of(run.organization_id)
        box = _Box(self._sealing, run.organization_id, run.scenario_id, run.id) if settings.confidential else None
        known: Known = {}
        if fence > _FIRST_FENCE:
            known = await _read_back(await journal_store.read(shard, run.organization_id, run.id), box)
        return RunJournal(
            run=run,
            fence=fence,
            writer=self._writers[shard],
            home=partial(self._home, run.organization_id),
            known=known,
            box=box,
            config=self._config,
            writes_only=settings.journal == "writes",
        )

    async def _home(self, organization_id: OrganizationId) -> GroupCommit[Entry, bool]:
        """Return the writer of the shard that an organization lives on by now."""
        self._shards.forget(organization_id)
        return self._writers[await self._shards.of(organization_id)]

    async def close(self) -> None:
        """Write what still waits."""
        await self._writers.close(GroupCommit.close)


class RunJournal:
    """The journal of one attempt of one run."""

    def __init__(  # noqa: PLR0913  all that tells one run's journal from another's
        self, *, run: NewRun, fence: int, writer: GroupCommit[Entry, bool], home: _Home, known: Known,
        box: "_Box | None", config: JournalConfig, writes_only: bool,
    ) -> None:  # fmt: skip
        """Begin with what earlier attempts have left; ``home`` finds the writer of an organization that has moved."""
        self._home = home
        self._run = run
        self._fence = fence
        self._writer = writer
        self._known = known
        self._box = box
        self._config = config
        self._writes_only = writes_only
        self._intended: set[str] = set()

    def recall(self, key: str) -> Record | Intent | None:
        """Return what an earlier attempt wrote under this key."""
        return self._known.get(key)

    async def intend(self, intent: Intent) -> None:
        """Make the intent durable; raises LeaseLost and, after long patience, Unavailable."""
        if self._writes_only:
            self._intended.add(intent.key)
        await self._write(self._entry(intent.key, intent.module_id, intent.operation))

    async def record(self, record: Record) -> None:
        """Make the outcome durable; raises as `intend` does."""
        if self._writes_only and not self._belongs(record):
            return
        packed = _packed(record)
        if packed is None or len(packed) > self._config.most_result_bytes:
            await self._write(self._entry(record.key, record.module_id, record.operation, result=b"", is_cut=True))
            return
        await self._write(self._entry(record.key, record.module_id, record.operation, result=packed))

    def _belongs(self, record: Record) -> bool:
        """Say whether a journal of writes keeps it: what was intended, and what was read before any module."""
        return record.key in self._intended or record.key in self._known or record.module_id == BEFORE_MODULES

    def _entry(
        self, key: str, module_id: int, operation: int, *, result: bytes | None = None, is_cut: bool = False
    ) -> Entry:
        return Entry(
            id=self._run.id,
            fence=self._fence,
            organization_id=self._run.organization_id,
            module_id=module_id,
            operation=operation,
            key=key,
            result=result,
            is_sealed=bool(result) and self._box is not None,
            is_cut=is_cut,
        )

    async def _write(self, entry: Entry) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.patience
        pause = _FIRST_PAUSE
        while True:
            try:
                taken = await self._writer.submit(await self._sealed(entry))
            except OrganizationMoved:
                if loop.time() > deadline:
                    raise
                self._writer = await self._home()
            except Unavailable:
                if loop.time() > deadline:
                    raise
            else:
                if taken:
                    return
                # The row with this lease may have gone to another shard with its organization.
                before, self._writer = self._writer, await self._home()
                if self._writer is not before:
                    continue
                message = f"Execution {entry.id} was taken over by another worker."
                raise LeaseLost(message)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _sealed(self, entry: Entry) -> Entry:
        if self._box is None or not entry.result:
            return entry
        return msgspec.structs.replace(entry, result=await self._box.seal(entry.key, entry.result))


class Answered:
    """A run's journal in which a person has written how one step ended."""

    def __init__(self, journal: Journal, answer: Record) -> None:
        """``answer`` is recalled under its key; everything else is the journal's."""
        self._journal = journal
        self._answer = answer

    def recall(self, key: str) -> Record | Intent | None:
        """Return the answer, or what an earlier attempt wrote."""
        return self._answer if key == self._answer.key else self._journal.recall(key)

    async def intend(self, intent: Intent) -> None:
        """Hand on."""
        await self._journal.intend(intent)

    async def record(self, record: Record) -> None:
        """Hand on."""
        await self._journal.record(record)


@dataclass(frozen=True, slots=True)
class _Box:
    """Seals a confidential run's results: each opens for its run and step only."""

    sealing: Sealing
    organization_id: OrganizationId
    scenario_id: ScenarioId
    execution_id: ExecutionId

    async def seal(self, key: str, result: bytes) -> bytes:
        return (await self.sealing.seal(self.organization_id, self._purpose(key), result)).encode()

    async def open(self, key: str, sealed: bytes) -> bytes:
        return await self.sealing.open(self.organization_id, self._purpose(key), sealed.decode(errors="replace"))

    def _purpose(self, key: str) -> tuple[str, int, str]:
        return (_PURPOSE, self.scenario_id, f"{self.execution_id}:{key}")


def _writer(shard: Shard) -> GroupCommit[Entry, bool]:
    async def flush(entries: Sequence[Entry]) -> list[bool]:
        taken = await journal_store.write(shard, entries)
        return [number in taken for number in range(len(entries))]

    # Results may be large: a batch is bounded by what it may weigh.
    return GroupCommit(flush, largest=_LARGEST_BATCH, tenant=lambda entry: entry.organization_id)


async def _read_back(rows: Sequence[Row], box: _Box | None) -> Known:
    return {row["key"]: await _recalled(row, box) for row in rows}


async def _recalled(row: Row, box: _Box | None) -> Record | Intent:
    """Return a row as the engine knows it.

    A result that is not there is an intent: a write is then not repeated but put before a person.
    """
    key, module_id, operation = row["key"], row["module_id"], row["operation"]
    packed = row["result"]
    if not packed or row["is_cut"]:
        return Intent(key=key, module_id=module_id, module="", operation=operation)
    if not row["is_sealed"]:
        return _unpacked(bytes(packed), key, module_id, operation)
    if box is None:
        return Intent(key=key, module_id=module_id, module="", operation=operation)
    try:
        return _unpacked(await box.open(key, bytes(packed)), key, module_id, operation)
    except SealBroken:
        return Intent(key=key, module_id=module_id, module="", operation=operation)


def _packed(record: Record) -> bytes | None:
    """Return what has to be kept of a step; None for values that cannot be stored."""
    try:
        return pack(
            [
                list(record.outputs),
                record.error_type,
                record.error_message,
                record.error_detail,
                record.elapsed_us,
                record.transfer,
                record.state,
                record.remembered,
            ]
        )
    except (OverflowError, InvalidInput):
        return None


def _unpacked(packed: bytes, key: str, module_id: int, operation: int) -> Record:
    values = cast("list[Value]", unpack(packed))
    outputs, error_type, error_message, error_detail, elapsed_us, transfer, state, remembered = values
    return Record(
        key=key,
        module_id=module_id,
        operation=operation,
        outputs=tuple(cast("list[Value]", outputs)),
        error_type=cast("str | None", error_type),
        error_message=cast("str", error_message),
        error_detail=error_detail,
        elapsed_us=cast("int", elapsed_us),
        transfer=cast("int", transfer),
        state=state,
        remembered=remembered,
    )
