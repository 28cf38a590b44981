"""The shard map: which shards there are, in which state, with which weight; a version that rises with each change.

The directory keeps it (``directory.shards``, counted by ``directory.shard_map``); a process holds the newest it has
read as one immutable value and replaces it whole. It says where a new organization is proposed to go. Where one lives
only its placement says, so two processes with different maps never disagree about that.

A shard that is ``joining`` is opened by every process before anybody is placed there. From a ``draining`` one
organizations move away. One that was removed is in no map, and its number is never given again: ids that were born on
it live on elsewhere.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.transactions import ReadTx
from make_bridge.platform.sharding.ring import FULL_WEIGHT, Ring

State = Literal["joining", "active", "draining"]
MOST_WEIGHT: Final = 1000

_READ: Final = """
SELECT m.version, s.number, s.name, s.state, s.weight
FROM directory.shard_map m LEFT JOIN directory.shards s ON s.state <> 'removed' ORDER BY s.number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedShard:
    """One shard as the directory describes it."""

    number: int
    name: str
    state: State = "active"
    weight: int = FULL_WEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMap:
    """See the module."""

    version: int
    shards: Mapping[int, MappedShard]
    ring: Ring = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Lay the ring of the active shards."""
        object.__setattr__(self, "ring", self._ring(self.shards))

    @classmethod
    def of_numbers(cls, numbers: Collection[int]) -> "ShardMap":
        """Return a map of equal shards that nobody has written down; its version is below every other."""
        return cls(version=0, shards={number: MappedShard(number=number, name=f"shard-{number}") for number in numbers})

    def proposal(self, organization_id: OrganizationId, among: Collection[int] | None = None) -> int | None:
        """Return where the organization should live; with ``among`` only these shards count. None where none does."""
        proposed = self.ring.of(organization_id)
        if among is None or proposed is None or proposed in among:
            return proposed
        return self._ring(among).of(organization_id)

    def without(self, number: int) -> "ShardMap":
        """Return the map as it would be if one shard took nobody any more."""
        others = {one: shard for one, shard in self.shards.items() if one != number}
        return ShardMap(version=self.version, shards=others)

    def shares(self) -> dict[int, float]:
        """Return which part of the organizations the ring gives each active shard."""
        return self.ring.shares()

    def _ring(self, among: Collection[int]) -> Ring:
        chosen = [shard for number, shard in self.shards.items() if number in among and shard.state == "active"]
        return Ring({shard.number: shard.weight for shard in chosen})


async def read_map(tx: ReadTx) -> ShardMap:
    """Read the map from the directory."""
    rows = await tx.all(_READ)
    shards = {
        row["number"]: MappedShard(number=row["number"], name=row["name"], state=row["state"], weight=row["weight"])
        for row in rows
        if row["number"] is not None
    }
    return ShardMap(version=rows[0]["version"], shards=shards)
