"""From the ``sub`` of a portal token to the customer it speaks for.

The edge asks this once for every portal request, before the command or query is known. The first
request of an unknown ``sub`` makes the customer with a team of its own: integrators need not announce
their users. Two first requests at the same moment end at one customer.
"""

from typing import Final

from make_bridge.domain.customers import store
from make_bridge.domain.customers.messages import Customer
from make_bridge.domain.customers.model import NewCustomer, checked_external_id, new_customer
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.cache.near import CacheNumbers, NearLookUp
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx

_SECONDS: Final = 5.0
_MOST: Final = 50_000


class CustomerDirectory:
    """Finds, or makes, the customer behind a ``sub``; knows an organization's teams."""

    def __init__(self, shards: Shards, clock: Clock) -> None:
        """Remember each customer for a few seconds, at most ``_MOST`` of them."""
        self._shards = shards
        self._finder = NearLookUp(clock, self._look_up, seconds=_SECONDS, most=_MOST)

    async def resolve(self, organization_id: OrganizationId, sub: str, *, request_id: str = "") -> Customer:
        """Return the customer; raises InvalidInput for a ``sub`` that cannot name one."""
        key = (organization_id, sub)
        customer = await self._finder.find(key)
        if customer is None:
            made = await self._make(organization_id, checked_external_id(sub), request_id)
            self._finder.forget(key)
            return await self._finder.find(key) or made
        return customer

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads of customers."""
        return self._finder.numbers()

    async def has_team(self, organization_id: OrganizationId, team_id: TeamId) -> bool:
        """Say whether the organization has this team."""
        shard = await self._shards.of(organization_id)
        return await shard.ask(organization_id, lambda tx: store.has_team(tx, organization_id, team_id))

    def forget(self, customer: Customer) -> None:
        """Drop a customer that was removed here."""
        self._finder.forget((customer.organization_id, customer.external_id))

    async def _look_up(self, key: tuple[OrganizationId, str]) -> Customer | None:
        organization_id, external_id = key[0], checked_external_id(key[1])
        shard = await self._shards.of(organization_id)
        return await shard.ask(organization_id, lambda tx: store.find(tx, organization_id, external_id))

    async def _make(self, organization_id: OrganizationId, external_id: str, request_id: str) -> Customer:
        """Make a customer; that somebody else was first is seen here, however long nobody was there."""
        new = new_customer(external_id, external_id)

        async def make(tx: WriteTx) -> Customer:
            made = await make_with_team(tx, organization_id, new)
            if made is None:
                return await _made_by_another(tx, organization_id, external_id)
            await _record_first_sight(tx, made, request_id)
            return made

        return await self._shards.write(organization_id, make)


async def make_with_team(tx: WriteTx, organization_id: OrganizationId, new: NewCustomer) -> Customer | None:
    """Add a customer with a team of its own; None, and no team, when the external id is taken."""
    team_id = await store.insert_team(tx, organization_id, new.name)
    customer = await store.insert(tx, organization_id, new, team_id)
    if customer is None:
        await store.delete_team(tx, organization_id, team_id)
    return customer


async def _made_by_another(tx: WriteTx, organization_id: OrganizationId, external_id: str) -> Customer:
    customer = await store.find(tx, organization_id, external_id)
    if customer is None:
        raise Unavailable("This customer is being removed: try again in a moment.")
    return customer


async def _record_first_sight(tx: WriteTx, customer: Customer, request_id: str) -> None:
    work = UnitOfWork(
        tx,
        Context(
            organization_id=customer.organization_id,
            actor=Actor(kind=ActorKind.CUSTOMER, reference=customer.external_id),
            permissions=frozenset(),
            request_id=request_id,
        ),
    )
    work.touch(f"customer/{customer.id}", team=customer.team_id)
    await work.write_record("shard", "customer.first_seen")
