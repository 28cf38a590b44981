"""Verifying a trail: walk each chain from its beginning to its signed head, a page at a time, beside what runs.

Called by ``make-bridge audit verify``. What it holds is a page of rows, whatever the trail's length. It names the first
place where a chain does not hold: a row that was changed, is missing or stands elsewhere, a tail that was cut off, a
head, anchor or checkpoint that this installation has not signed. Rows that were sealed meanwhile are behind the head it
began with, and rows that retention drops meanwhile are passed over by the checkpoint that replaces them.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec

from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Home
from make_bridge.platform.audit import store
from make_bridge.platform.audit.chain import GENESIS, ChainedRow, link
from make_bridge.platform.audit.signing import Head, Kind, Signer
from make_bridge.platform.audit.store import KeptHead
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import ReadTx

_PAGE: Final = 500
_ORGANIZATIONS: Final = 500


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one chain: ``broken`` is a sentence about the first place that does not hold, None if all does."""

    organization_id: int
    home: Home
    rows: int
    last: int
    waiting: int
    broken: str | None = None
    sequence: int | None = None


class _Broken(Exception):
    """A place that does not hold."""

    def __init__(self, sequence: int, sentence: str) -> None:
        super().__init__(sentence)
        self.sequence = sequence
        self.sentence = sentence


class Verification:
    """Verifies the trails of an installation; ``elsewhere`` are anchors that somebody has kept outside of it."""

    def __init__(self, shards: Shards, signer: Signer, elsewhere: Iterable[Head] = (), *, page: int = _PAGE) -> None:
        """``page`` is how many rows are held at a time."""
        self._shards = shards
        self._signer = signer
        self._elsewhere = tuple(elsewhere)
        self._page = page

    async def everything(self) -> AsyncIterator[Verdict]:
        """Verify all chains there are, and see that no organization is without one."""
        books: list[tuple[Home, Shard | None]] = [("directory", None), *(("shard", one) for one in self._shards.all())]
        for home, shard in books:
            after, found = -1, [OrganizationId(0)]
            while found:
                async with self._read(shard) as tx:
                    found = await store.organizations(tx, home, after, _ORGANIZATIONS)
                for organization_id in found:
                    yield await self._one(organization_id, home, shard)
                    after = organization_id

    async def organization(self, organization_id: OrganizationId) -> AsyncIterator[Verdict]:
        """Verify the two chains of one organization."""
        yield await self._one(organization_id, "directory", None)
        yield await self._one(organization_id, "shard", await self._shards.of(organization_id))

    def _read(self, shard: Shard | None) -> AbstractAsyncContextManager[ReadTx]:
        return self._shards.directory.read() if shard is None else shard.engine_statement()

    async def _one(self, organization_id: OrganizationId, home: Home, shard: Shard | None) -> Verdict:
        walk = _Walk(organization_id, home, lambda: self._read(shard), self._signer, self._page)
        verdict = Verdict(organization_id=organization_id, home=home, rows=0, last=0, waiting=0)
        try:
            await walk.through([head for head in self._elsewhere if walk.concerns(head)])
        except _Broken as broken:
            verdict = msgspec.structs.replace(verdict, broken=broken.sentence, sequence=broken.sequence)
        return msgspec.structs.replace(verdict, rows=walk.rows, last=walk.sequence, waiting=walk.waiting)


class _Walk:
    """One chain, walked from its beginning."""

    def __init__(
        self, organization_id: OrganizationId, home: Home, read: Callable[[], AbstractAsyncContextManager[ReadTx]],
        signer: Signer, page: int,
    ) -> None:  # fmt: skip
        self.rows = 0
        self.waiting = 0
        self.sequence = 0
        self._hash = GENESIS
        self._organization_id = organization_id
        self._home: Home = home
        self._read = read
        self._signer = signer
        self._page = page

    def concerns(self, head: Head) -> bool:
        """Say whether a head is one of this chain."""
        return head.home == self._home and head.organization_id == self._organization_id

    async def through(self, elsewhere: Sequence[Head]) -> None:
        """Walk to the head; raises _Broken at the first place that does not hold."""
        async with self._read() as tx:
            # Anchors before the head: whatever is anchored by then, the head is not behind it.
            anchor = await store.last_checkpoint(tx, self._home, self._organization_id, "anchor")
        async with self._read() as tx:
            kept = await store.head_of(tx, self._home, self._organization_id)
        async with self._read() as tx:
            self.waiting, has_sealed = await store.standing(tx, self._home, self._organization_id)
        if kept is None:
            self._require_nothing(has_sealed=has_sealed, elsewhere=elsewhere)
            return
        head = kept.head
        if head.sequence or has_sealed:
            self._require_signed("head", kept, "The chain's head was changed: this installation has not signed it.")
        for known in [*([anchor.head] if anchor else []), *elsewhere]:
            if known.sequence > head.sequence:
                raise _Broken(
                    head.sequence + 1,
                    f"The tail is cut off: the chain ends with row {head.sequence}, row {known.sequence} was anchored.",
                )
        await self._pass_dropped()
        await self._walk_to(head, elsewhere)
        if self._hash != head.hash:
            raise _Broken(self.sequence, f"The chain does not lead to its signed head (row {head.sequence}).")

    def _require_nothing(self, *, has_sealed: bool, elsewhere: Sequence[Head]) -> None:
        if has_sealed or elsewhere:
            raise _Broken(0, "The chain's head is gone.")
        if self._home == "directory" and not self.waiting:
            raise _Broken(0, "The whole trail is gone: every organization has one from its creation on.")

    async def _pass_dropped(self) -> bool:
        """Begin behind what retention has dropped; return whether that is ahead of here."""
        async with self._read() as tx:
            dropped = await store.last_checkpoint(tx, self._home, self._organization_id, "dropped")
        if dropped is None or dropped.head.sequence <= self.sequence:
            return False
        self._require_signed("dropped", dropped, "The checkpoint of dropped rows was not signed by this installation.")
        self.sequence, self._hash = dropped.head.sequence, dropped.head.hash
        return True

    async def _walk_to(self, head: Head, elsewhere: Sequence[Head]) -> None:
        while self.sequence < head.sequence:
            async with self._read() as tx:
                rows = await store.page(tx, head, self.sequence, self._page)
            if (not rows or rows[0].sequence != self.sequence + 1) and await self._pass_dropped():
                continue
            if not rows:
                raise self._missing(head)
            async with self._read() as tx:
                anchors = await store.checkpoints(
                    tx, self._home, self._organization_id, "anchor", after=self.sequence, most=self._page
                )
            known = {one.head.sequence: one.head.hash for one in anchors} | {
                one.sequence: one.hash for one in elsewhere
            }
            for anchor in anchors:
                self._require_signed("anchor", anchor, "An anchor was not signed by this installation.")
            for row in rows:
                self._step(row, known, head)

    def _step(self, row: ChainedRow, known: Mapping[int, bytes], head: Head) -> None:
        sequence = self.sequence + 1
        if row.sequence != sequence:
            raise self._missing(head)
        self._hash = link(self._hash, self._home, sequence, row)
        if self._hash != row.seal:
            raise _Broken(
                sequence, f"Row {sequence} (id {row.id}) was changed, or is not the one that was sealed there."
            )
        if sequence in known and known[sequence] != self._hash:
            raise _Broken(sequence, f"Row {sequence} (id {row.id}) is not what was anchored there.")
        self.sequence = sequence
        self.rows += 1

    def _missing(self, head: Head) -> _Broken:
        """Return what is wrong where no row follows: one is missing, or all from here to the head."""
        sequence = self.sequence + 1
        return _Broken(sequence, f"Row {sequence} is missing; the signed head is row {head.sequence}.")

    def _require_signed(self, kind: Kind, kept: KeptHead, sentence: str) -> None:
        if not self._signer.accepts(kind, kept.head, kept.signature):
            raise _Broken(kept.head.sequence, sentence)
