"""Rotating the root key while everything runs: every data key is wrapped anew, piece by piece.

``make-bridge keys rotate-root`` calls it, beside servers that serve. First the database is told which root is in force:
from then on new data keys are wrapped by the new one, and whoever has only the old one is refused. Then what is left is
wrapped anew, a piece in a transaction; who wraps a row is written in the row, so a rotation that was broken off goes on
where it was. When nothing is left under the old root it is forgotten: it opens nothing any more.

Of the secrets themselves nothing is touched; each is sealed by its organization's data key, which stays the same.
"""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.organizations import rotation_store, shard_store, store
from make_bridge.domain.organizations.audit_key import AUDIT_FACT, audit_key_place
from make_bridge.domain.organizations.facts import ROOT_BEFORE
from make_bridge.domain.organizations.keys import ROOT_IN_FORCE
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import ConfigurationError, Conflict
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.opening import ROLE_FACT
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.security.key_wrapping import data_key_place
from make_bridge.platform.security.root_key import ROLE_PURPOSE, RootKey, role_secret_place
from make_bridge.platform.security.sealing import KeyRing, SealBroken, Sealed
from make_bridge.platform.sharding.opening import address_place

PIECE: Final = 200
_OPERATOR: Final = Actor(kind=ActorKind.SYSTEM, reference="operator")
_INSTALLATION: Final = OrganizationId(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRotation:
    """One rotation; ``old`` and ``new`` are opened from their files by whoever began it."""

    directory: Directory
    old: RootKey
    new: RootKey

    async def begin(self) -> int:
        """Put the new root in force and return how many data keys are left; may be repeated. Raises Conflict."""
        async with self.directory.write() as tx:
            kept = await store.take_fact(tx, ROOT_IN_FORCE)
            if kept == self.old.check:
                await store.write_fact(tx, ROOT_IN_FORCE, self.new.check)
                await store.write_fact(tx, ROOT_BEFORE, self.old.check)
                await self._keep_role_secret(tx)
                await self._keep_audit_key(tx)
                await self._keep_shard_addresses(tx)
                await _record(tx, "installation.begin_root_rotation", self.new)
            elif kept != self.new.check:
                raise Conflict("The database knows neither of these keys: this is not the root key in force.")
            return await rotation_store.count_wrapped_by_others(tx, self.new.name)

    async def piece(self) -> int:
        """Wrap a few data keys anew; return how many. None are left after 0."""
        ring = KeyRing(self.new, older=(self.old,))
        async with self.directory.write() as tx:
            rows = await rotation_store.take_wrapped_by_others(tx, self.new.name, PIECE)
            for row in rows:
                place = data_key_place(row["organization_id"], row["version"])
                try:
                    wrapped = ring.reseal(place, Sealed(row["wrapped"])).text
                except SealBroken:
                    message = (
                        f"Version {row['version']} of the data key of organization {row['organization_id']} opens with "
                        "neither key. Nothing was changed in this step; the old key is still needed."
                    )
                    raise ConfigurationError(message) from None
                await rotation_store.wrap_anew(tx, row["organization_id"], row["version"], wrapped)
        return len(rows)

    async def finish(self) -> None:
        """Forget the old root; raises Conflict while anything is left under it. May be repeated."""
        async with self.directory.write() as tx:
            if await store.take_fact(tx, ROOT_IN_FORCE) != self.new.check:
                raise Conflict("Another root key is in force.")
            if await rotation_store.count_wrapped_by_others(tx, self.new.name):
                raise Conflict("Some data keys are still wrapped by the old root key: go on.")
            if await store.read_fact(tx, ROOT_BEFORE) is not None:
                await store.drop_fact(tx, ROOT_BEFORE)
                await _record(tx, "installation.rotate_root", self.new)

    async def _keep_role_secret(self, tx: WriteTx) -> None:
        """Keep what the password of the database's serving role is made of: processes that run go on using it."""
        kept = await store.read_fact(tx, ROLE_FACT)
        place = role_secret_place()
        secret = self.old.derive(ROLE_PURPOSE) if kept is None else self.old.open(place, Sealed(kept))
        await store.write_fact(tx, ROLE_FACT, self.new.seal(place, secret).text)

    async def _keep_audit_key(self, tx: WriteTx) -> None:
        """Wrap what signs the audit trail anew; it stays the same, so that old signatures hold."""
        kept = await store.read_fact(tx, AUDIT_FACT)
        if kept is not None:
            place = audit_key_place()
            await store.write_fact(tx, AUDIT_FACT, self.new.seal(place, self.old.open(place, Sealed(kept))).text)

    async def _keep_shard_addresses(self, tx: WriteTx) -> None:
        """Seal the addresses of shards that were added at run time anew: they are few."""
        for number, sealed in (await shard_store.addresses(tx)).items():
            place = address_place(number)
            opened = KeyRing(self.new, older=(self.old,)).reseal(place, Sealed(sealed))
            await shard_store.write_address(tx, number, opened.text)


async def _record(tx: WriteTx, action: str, root: RootKey) -> None:
    context = Context(organization_id=_INSTALLATION, actor=_OPERATOR, permissions=frozenset(), request_id="operator")
    work = UnitOfWork(tx, context)
    work.touch(f"root_key/{root.name}")
    await work.write_record("directory", action)
