"""The sealer: gives committed audit rows their places in the chain, and lets go what is too old.

An act does not wait for it: rows are inserted unsealed by the act's own transaction, and chained within a second by one
process per shard, the leader. The leader of the lowest shard does the same in the directory. A chain inside the act
would put all acts of an organization in a row. On a shard each piece of work shows the leader's fence; in both homes
it locks the heads of the chains it lengthens, so that whoever slept past its term finds them moved on and goes on from
there. A leader that is killed is followed after its term; what it had not committed is unsealed and sealed then.

What somebody with rights on the database does to a row before it is sealed nobody can tell later; that is the second.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Final, Protocol

import msgspec
import structlog

from make_bridge.kernel.errors import BridgeError, NotFound, Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Home
from make_bridge.platform.audit import store
from make_bridge.platform.audit.chain import ChainedRow, link
from make_bridge.platform.audit.messages import AuditAnchored
from make_bridge.platform.audit.signing import Head, Signer
from make_bridge.platform.audit.store import KeptHead
from make_bridge.platform.bus import event_store
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.coordination.leadership import leases
from make_bridge.platform.coordination.port import CandidacyOf
from make_bridge.platform.coordination.tenure import Tenure
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import BAD_DATA, WriteTx
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.metrics.loops import LATE_AFTER

DUTY: Final = "audit"
LOOK_SECONDS: Final = 0.8
_ORGANIZATIONS: Final = 50
_ROWS_OF_EACH: Final = 20
_TIDY_SECONDS: Final = 600.0
_DROP_ROWS: Final = 2000
_DROP_TURNS: Final = 20
_MOST_BROKEN: Final = 1000
_log = structlog.get_logger(__name__)


class SignerOf(Protocol):
    """Where the installation's key is; asked once, when the first chain is sealed."""

    async def signer(self) -> Signer:
        """Return it; raises Unavailable, ConfigurationError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SealerConfig:
    """``node`` is unique among processes; a head is anchored after so many rows; rows are kept for days.

    Where ``candidacy_of`` gives no other way, a lease decides who leads.
    """

    node: str
    anchor_rows: int = 1000
    kept_days: int = 730
    candidacy_of: CandidacyOf | None = None


class Sealer:
    """The sealers of all shards of one process, and of the directory."""

    def __init__(self, shards: Shards, keys: SignerOf, metrics: Metrics, config: SealerConfig) -> None:
        """``keys`` holds the installation's signing key."""
        self._shards = shards
        self._make = partial(ShardSealer, shards=shards, keys=keys, metrics=metrics, config=config)
        self._loops: dict[Shard, ShardSealer] = {}

    async def start(self) -> None:
        """Begin looking."""
        await self._shards.follow(self)

    async def stop(self) -> None:
        """Stop, and let another process lead at once."""
        await self._shards.leave(self)

    async def begin(self, shard: Shard) -> None:
        """Begin looking on a shard; of those that are open now, the lowest has the directory in its care too.

        Where processes began with different shards, two may have it: the heads are locked, so neither seals what the
        other has.
        """
        lowest = min((one.number for one in self._shards.all()), default=shard.number)
        self._loops[shard] = loop = self._make(shard, with_directory=shard.number <= lowest)
        loop.start()

    async def end(self, shard: Shard) -> None:
        """Stop on one shard."""
        loop = self._loops.pop(shard, None)
        if loop is not None:
            await loop.stop()


class ShardSealer:
    """Seals one shard's trail while this process leads there."""

    def __init__(
        self, shard: Shard, shards: Shards, keys: SignerOf, metrics: Metrics, config: SealerConfig, *,
        with_directory: bool,
    ) -> None:  # fmt: skip
        """Begin without the lead."""
        self._shard = shard
        self._shards = shards
        self._keys = keys
        self._metrics = metrics
        self._config = config
        self._homes: tuple[Home, ...] = ("shard", "directory") if with_directory else ("shard",)
        self._tenure = Tenure((config.candidacy_of or leases(config.node))(shard, DUTY))
        metrics.coordination.watch(DUTY, shard, self._tenure)
        self._loops = metrics.loops
        self._lead: Lead | None = None
        self._signer: Signer | None = None
        self._after: dict[Home, int] = dict.fromkeys(self._homes, -1)
        self._organizations = _ORGANIZATIONS
        self._broken: set[int] = set()
        self._tidy_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin looking."""
        self._task = asyncio.create_task(self._keep(), name=f"audit {self._shard.number}")

    async def stop(self) -> None:
        """Stop in the middle of a piece of work: it is rolled back and done elsewhere."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._lead = None
        await self._tenure.end()

    async def _keep(self) -> None:
        with self._loops.turning("audit", self._shard.number, within=LATE_AFTER) as turned:
            while True:
                is_more = await self.turn()
                if is_more is not None:
                    turned()
                await asyncio.sleep(0.0 if is_more else LOOK_SECONDS)

    async def turn(self) -> bool | None:
        """Do what is to be done; return whether more waits, None where that went wrong."""
        try:
            return await self.step()
        except BridgeError as error:
            _log.warning("audit_sealing_failed", shard=self._shard.number, error=error.message)
        except BAD_DATA as error:
            # A chain that somebody has written into: until the round is over each goes by itself, so it fails alone.
            self._organizations = 1
            _log.warning("audit_sealing_failed", shard=self._shard.number, error=type(error).__name__)
        except Exception:  # noqa: BLE001
            # Whatever it is, the trails of every tenant hang on this loop: it tells and goes on.
            _log.exception("audit_sealing_failed", shard=self._shard.number)
        return None

    async def step(self) -> bool:
        """Seal if this process leads; return whether more waits."""
        self._lead = None
        fence = await self._tenure.fence()
        if fence is None:
            return False
        self._lead = Lead(name=DUTY, owner=self._tenure.owner, fence=fence)
        async with self._tenure.acting():
            return await self._act()

    async def _act(self) -> bool:
        """Do the leader's work; return whether more waits."""
        now = asyncio.get_running_loop().time()
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDY_SECONDS
            for home in self._homes:
                await self._tidy(home)
        await self._key()
        return any([await self._seal(home) for home in self._homes])

    async def _seal(self, home: Home) -> bool:
        """Seal a piece of what waits; return whether there may be more."""
        if not await self._is_any_waiting(home):
            self._end_round(home)
            return False
        sealed = 0
        anchored: list[Head] = []
        async with self._write(home) as tx:
            found, is_round_over = await self._waiting(home, tx)
            if found and await self._leads(home, tx):
                heads = await store.lock_heads(tx, home, found)
                rows = await store.unsealed(tx, home, found, _ROWS_OF_EACH)
                sealed, anchored = await self._lengthen(tx, home, rows, heads)
        self._metrics.audit.sealed.inc(sealed)
        await self._tell(anchored)
        return sealed > 0 or not is_round_over

    async def _waiting(self, home: Home, tx: WriteTx) -> tuple[list[int], bool]:
        """Return the next organizations that have unsealed rows, and whether they were the last of a round."""
        most = self._organizations
        found = await store.waiting_organizations(tx, home, self._after[home], most)
        is_round_over = len(found) < most
        if is_round_over:
            self._end_round(home)
        else:
            self._after[home] = found[-1]
        return found, is_round_over

    async def _is_any_waiting(self, home: Home) -> bool:
        """Look by a single statement: hardly ever is there anything, and a transaction costs three round trips."""
        directory = self._shards.directory
        async with self._shard.engine_statement() if home == "shard" else directory.statement() as tx:
            return await store.is_any_waiting(tx, home)

    def _end_round(self, home: Home) -> None:
        self._after[home] = -1
        self._organizations = _ORGANIZATIONS

    async def _lengthen(
        self, tx: WriteTx, home: Home, rows: Sequence[ChainedRow], heads: Mapping[int, KeptHead]
    ) -> tuple[int, list[Head]]:
        """Chain rows to their heads; return how many, and the heads that were anchored."""
        signer = await self._key()
        sealed: list[tuple[int, int, bytes]] = []
        anchored: list[Head] = []
        for organization_id, own in groupby(rows, key=lambda row: row.organization_id):
            kept = heads[organization_id]
            head = kept.head
            if not await self._is_whole(tx, kept):
                continue
            for row in own:
                sequence = head.sequence + 1
                head = msgspec.structs.replace(head, sequence=sequence, hash=link(head.hash, home, sequence, row))
                sealed.append((row.id, sequence, head.hash))
            await store.move_head(tx, head, signer.sign("head", head))
            if kept.is_due or head.sequence - kept.anchored >= self._config.anchor_rows:
                await _anchor(tx, head, signer)
                anchored.append(head)
        if sealed and await store.seal(tx, home, sealed) != len(sealed):
            raise Unavailable("Audit rows were sealed by somebody else meanwhile.")
        return len(sealed), anchored

    async def _is_whole(self, tx: WriteTx, kept: KeptHead) -> bool:
        """Say whether a head is ours to go on from: going on from another would sign what somebody else has written."""
        head = kept.head
        if head.sequence:
            is_whole = (await self._key()).accepts("head", head, kept.signature)
        else:
            is_whole = not (await store.standing(tx, head.home, head.organization_id))[1]
        if not is_whole and head.organization_id not in self._broken and len(self._broken) < _MOST_BROKEN:
            self._broken.add(head.organization_id)
            self._metrics.audit.broken.inc()
            _log.error("audit_head_broken", organization_id=head.organization_id, home=head.home)
        return is_whole

    async def _tidy(self, home: Home) -> None:
        """Anchor what grew and was not anchored for a day; let go what is too old, a bounded number at a time."""
        anchored: list[Head] = []
        async with self._write(home) as tx:
            due = await store.unanchored(tx, home, _ORGANIZATIONS)
            if due and await self._leads(home, tx):
                signer = await self._key()
                for kept in (await store.lock_heads(tx, home, due)).values():
                    if await self._is_whole(tx, kept):
                        await _anchor(tx, kept.head, signer)
                        anchored.append(kept.head)
        await self._tell(anchored)
        for _ in range(_DROP_TURNS):
            if not await self._drop(home):
                break

    async def _drop(self, home: Home) -> int:
        """Drop the oldest rows behind a checkpoint; return how many."""
        gone = 0
        async with self._write(home) as tx:
            organizations = await store.expired(tx, home, self._config.kept_days, 1)
            if not organizations or not await self._leads(home, tx):
                return 0
            signer = await self._key()
            await store.lock_heads(tx, home, organizations)
            for organization_id in organizations:
                head = await store.last_old(tx, home, organization_id, self._config.kept_days, _DROP_ROWS)
                if head is not None:
                    await store.add_checkpoint(tx, "dropped", head, signer.sign("dropped", head))
                    gone += await store.drop(tx, head)
        if gone:
            _log.info("audit_dropped", home=home, organization_id=organizations[0], count=gone)
        return gone

    async def _key(self) -> Signer:
        if self._signer is None:
            self._signer = await self._keys.signer()
        return self._signer

    def _write(self, home: Home) -> AbstractAsyncContextManager[WriteTx]:
        return self._shard.engine_write() if home == "shard" else self._shards.directory.write()

    async def _leads(self, home: Home, tx: WriteTx) -> bool:
        """Say whether the fence holds; the directory knows no leaders, there the heads' lock alone decides."""
        return home == "directory" or (self._lead is not None and await store.leads(tx, self._lead))

    async def _tell(self, anchored: Sequence[Head]) -> None:
        """Write anchors into the log and tell the organization, so that they stand elsewhere too."""
        for head in anchored:
            facts = {"home": head.home, "sequence": head.sequence, "hash": head.hash.hex()}
            _log.info("audit_anchored", organization_id=head.organization_id, **facts)
            event = AuditAnchored(home=head.home, sequence=head.sequence, hash=head.hash.hex())
            try:
                shard = await self._shards.of(OrganizationId(head.organization_id))
                async with shard.engine_statement() as tx:
                    await event_store.add(tx, OrganizationId(head.organization_id), event, "audit")
            except (NotFound, Unavailable):
                # The installation itself lives on no shard; the log and the checkpoint have it in any case.
                _log.debug("audit_anchor_untold", organization_id=head.organization_id)


async def _anchor(tx: WriteTx, head: Head, signer: Signer) -> None:
    await store.add_checkpoint(tx, "anchor", head, signer.sign("anchor", head))
    await store.note_anchor(tx, head)
