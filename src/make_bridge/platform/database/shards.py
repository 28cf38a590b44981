"""Where an organization lives: the placement row in the directory, and nothing else, decides.

Every organization has a placement from its creation. Look-ups are cached for a few seconds; a
runner that meets a stale epoch resolves again (redistribution is the only writer of placements).
"""

from collections.abc import Callable

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Directory, Shard
from make_bridge.platform.database.transactions import Refusal

_FIND_PLACEMENT = "SELECT shard FROM directory.placements WHERE organization_id = %s"
_SIGN_OF_LIFE = "SELECT 1 AS alive"
_CACHE_SECONDS = 5.0
_CACHE_ENTRIES = 10_000


class Shards:
    """The open shards, and the way from an organization to its own."""

    def __init__(self, directory: Directory, shards: dict[int, Shard], clock: Clock) -> None:
        """``shards`` maps a shard's number to its open database."""
        self.directory = directory
        self._shards = shards
        self._clock = clock
        self._placements: dict[OrganizationId, tuple[int, float]] = {}

    def all(self) -> list[Shard]:
        """Return every shard this process has open."""
        return list(self._shards.values())

    def listen_for_refusals(self, refused: Callable[[Refusal], None]) -> None:
        """Tell each time why a database could not do something."""
        self.directory.listen_for_refusals(refused)
        for shard in self.all():
            shard.listen_for_refusals(refused)

    async def reach(self) -> None:
        """Ask every database for a sign of life; raises Unavailable."""
        async with self.directory.read() as tx:
            await tx.one(_SIGN_OF_LIFE)
        for shard in self.all():
            async with shard.engine_statement() as tx:
                await tx.one(_SIGN_OF_LIFE)

    def numbered(self, number: int) -> Shard:
        """Return a shard by its number."""
        shard = self._shards.get(number)
        if shard is None:
            message = "This object lives on a shard that this server does not know."
            raise NotFound(message)
        return shard

    async def of(self, organization_id: OrganizationId) -> Shard:
        """Return the organization's shard; raises NotFound for an unknown organization."""
        known = self._placements.get(organization_id)
        if known is not None and known[1] > self._clock.monotonic():
            return self.numbered(known[0])
        row = await self.directory.ask(lambda tx: tx.one(_FIND_PLACEMENT, (organization_id,)))
        if row is None:
            message = "There is no such organization."
            raise NotFound(message)
        if len(self._placements) >= _CACHE_ENTRIES:
            self._placements.clear()
        self._placements[organization_id] = (row["shard"], self._clock.monotonic() + _CACHE_SECONDS)
        return self.numbered(row["shard"])

    def propose(self) -> int:
        """Propose a shard for a new organization: with one shard there is nothing to weigh."""
        return min(self._shards)
