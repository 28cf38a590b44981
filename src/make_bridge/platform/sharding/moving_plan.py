"""Which organizations a rebalance moves where: pure, from where they live, their pins and the shard map."""

from collections.abc import Mapping
from dataclasses import dataclass

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sharding.map import ShardMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One organization to be moved."""

    organization_id: OrganizationId
    source: int
    target: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where an organization lives, and where somebody has said that it is to live."""

    shard: int
    pin: int | None = None


def plan(living: Mapping[OrganizationId, Home], shard_map: ShardMap) -> list[Step]:
    """Return what has to be moved, by organization: to its pin, else to where the ring proposes."""
    steps = []
    for organization_id, home in sorted(living.items()):
        target = shard_map.proposal(organization_id) if home.pin is None else home.pin
        if target is not None and target != home.shard:
            steps.append(Step(organization_id=organization_id, source=home.shard, target=target))
    return steps
