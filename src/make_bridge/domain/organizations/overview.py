"""All organizations of the installation, in the order of their ids, with figures from their shards: for its operator.

The directory says who there is, a page at a time, and where each lives: so each is listed once, also while it moves,
and whatever does not answer. The shards of a page are asked at once, each within a deadline; of one that does not
answer the figures are missing, and it is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from make_bridge.domain.organizations import shard_store
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.sharding.scatter import scatter

MOST_LISTED: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What an organization has, and what it did today (UTC)."""

    teams: int
    executions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedOrganization:
    """One line; without figures where its shard did not answer."""

    id: OrganizationId
    name: str
    shard: int
    pin: int | None
    figures: Figures | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A page: ``after`` asks for the next one, None when there is none; ``silent`` says which shards are missing."""

    organizations: Sequence[ListedOrganization]
    after: OrganizationId | None
    silent: Mapping[int, str]


async def overview(shards: Shards, *, after: int = 0, limit: int = 100, shard: int | None = None) -> Overview:
    """Return a page of organizations, of one shard or of all; raises InvalidInput, and Unavailable of the directory."""
    if not 1 <= limit <= MOST_LISTED:
        raise InvalidInput(f"A page has 1 to {MOST_LISTED} organizations.")
    async with shards.directory.read() as tx:
        rows = await shard_store.page(tx, after, limit + 1, shard)
    page = rows[:limit]
    living: dict[int, list[OrganizationId]] = {}
    for row in page:
        living.setdefault(row["shard"], []).append(OrganizationId(row["id"]))

    async def ask(one: Shard) -> dict[OrganizationId, Figures]:
        return {organization_id: await _figures(one, organization_id) for organization_id in living[one.number]}

    found = await scatter([one for one in shards.all() if one.number in living], ask)
    figures = {id_: of_one for of_shard in found.answers.values() for id_, of_one in of_shard.items()}
    listed = [
        ListedOrganization(
            id=OrganizationId(row["id"]),
            name=row["name"],
            shard=row["shard"],
            pin=row["pin"],
            figures=figures.get(OrganizationId(row["id"])),
        )
        for row in page
    ]
    closed = {number: reason for number, reason in shards.away().items() if number in living}
    return Overview(
        organizations=listed,
        after=listed[-1].id if len(rows) > limit else None,
        silent=dict(sorted((closed | dict(found.silent)).items())),
    )


async def _figures(shard: Shard, organization_id: OrganizationId) -> Figures:
    row = await shard.ask(organization_id, lambda tx: shard_store.figures(tx, organization_id))
    return (
        Figures(teams=0, executions=0)
        if row is None
        else Figures(teams=row["teams"], executions=int(row["executions"]))
    )
