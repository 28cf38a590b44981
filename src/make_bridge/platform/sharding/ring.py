"""The ring: which shard a new organization is proposed to, so that a shard more moves as few of the others as can be.

``ShardMap`` makes one of its active shards, never changes it, and asks it. It only proposes: where an organization
lives its placement says. Whoever computes it anywhere, in any version of the program, has to find the same, so what it
is made of is stated here and held by a test:

* A position is the first eight bytes (big endian) of BLAKE2b, person ``make-bridge ring``, over UTF-8 text.
* A shard stands at ``VIRTUAL_NODES`` positions for a weight of ``FULL_WEIGHT`` and at proportionally many for another,
  those of ``"<number>-0"``, ``"<number>-1"`` and so on: another weight moves only the difference.
* An organization belongs to the first position after that of its id in decimal; behind the last comes the first.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from uhashring import HashRing

from make_bridge.kernel.ids import OrganizationId

VIRTUAL_NODES: Final = 150
FULL_WEIGHT: Final = 100
_CIRCLE: Final = 2**64
_PERSON: Final = b"make-bridge ring"


class Ring:
    """Shards by weight; a weight of 0 is left out."""

    __slots__ = ("_ring", "_weights")

    def __init__(self, weights: Mapping[int, int]) -> None:
        """``weights`` are by shard number. In their order, so that two shards at one position fall out alike."""
        self._weights = {number: weight for number, weight in sorted(weights.items()) if weight > 0}
        nodes = {str(number): {"vnodes": _virtual_nodes(weight)} for number, weight in self._weights.items()}
        self._ring = HashRing(nodes, hash_fn=position)

    def of(self, organization_id: OrganizationId) -> int | None:
        """Return the shard of an organization; None on an empty ring."""
        node = self._ring.get_node(str(int(organization_id)))
        return None if node is None else int(node)

    def shares(self) -> dict[int, float]:
        """Return which part of all organizations each shard has, as the ring is, not as it was meant."""
        shares = dict.fromkeys(self._weights, 0.0)
        points = self._ring.get_points()
        if points:
            before = points[-1][0] - _CIRCLE
            for point, node in points:
                shares[int(node)] += (point - before) / _CIRCLE
                before = point
        return shares


def position(text: str) -> int:
    """Return where a text stands on the circle."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8, person=_PERSON).digest(), "big")


def _virtual_nodes(weight: int) -> int:
    return max(round(VIRTUAL_NODES * weight / FULL_WEIGHT), 1)
