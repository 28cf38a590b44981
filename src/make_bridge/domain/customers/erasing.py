"""Erasing a customer for good: ``make-bridge customer erase``, beside servers that run.

First its webhooks and scenarios are switched off and the audit says who is erased, by number. What processes remember
of them ends within seconds, which are waited for; then all that it left goes in one transaction. While a run of it is
under way, or an event was not told to everybody, nothing is erased and the command says so: it may be repeated.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from make_bridge.domain.customers import erasing_store, store
from make_bridge.domain.customers.messages import Customer
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import Conflict, NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import ReadTx

_OPERATOR: Final = Actor(kind=ActorKind.SYSTEM, reference="operator")
Erased = dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasing:
    """``owner_dsn`` is the address of the shard's owner; ``settle`` how long processes remember (seconds)."""

    shard: Shard
    owner_dsn: str
    root_team_id: int | None
    settle: float

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Erasing(shard={self.shard.number})"

    async def preview(self, organization_id: OrganizationId, external_id: str) -> Erased:
        """Return how many rows would go by table; raises NotFound, Conflict for a customer of a shared team."""
        customer = await self._find(organization_id, external_id)
        async with (
            await erasing_store.owner_of(self.owner_dsn) as connection,
            connection.transaction(force_rollback=True),
        ):
            await erasing_store.gather(connection, organization_id, customer.team_id)
            return await erasing_store.count(connection, organization_id, customer.team_id)

    async def erase(self, organization_id: OrganizationId, external_id: str) -> Erased:
        """Erase a customer with its team; raises what ``preview`` does, and Conflict while something is under way."""
        customer = await self._find(organization_id, external_id)
        await self._switch_off(customer)
        await asyncio.sleep(self.settle)
        team_id = customer.team_id
        async with await erasing_store.owner_of(self.owner_dsn) as connection, connection.transaction():
            await erasing_store.gather(connection, organization_id, team_id)
            if number := await erasing_store.under_way(connection, organization_id, team_id):
                message = f"{number} runs of this customer are under way; no new ones begin. Repeat this later."
                raise Conflict(message)
            if number := await erasing_store.untold(connection, organization_id, team_id):
                message = f"{number} events of this organization are still to be told to those who listen. Repeat this."
                raise Conflict(message)
            return await erasing_store.erase(connection, organization_id, team_id)

    async def _find(self, organization_id: OrganizationId, external_id: str) -> Customer:
        async with self.shard.read(organization_id) as tx:
            customer = await store.find(tx, organization_id, external_id)
            if customer is None:
                raise NotFound("There is no such customer.")
            await self._require_own_team(tx, customer)
        return customer

    async def _require_own_team(self, tx: ReadTx, customer: Customer) -> None:
        if customer.team_id == self.root_team_id or await store.shares_team(tx, customer):
            raise Conflict(
                "This customer has its team together with others, and what the team made cannot be told apart: delete "
                "its scenarios and connections, then the customer."
            )

    async def _switch_off(self, customer: Customer) -> None:
        context = Context(
            organization_id=customer.organization_id,
            actor=_OPERATOR,
            permissions=frozenset(),
            request_id="operator",
        )
        async with self.shard.write(customer.organization_id) as tx:
            await erasing_store.switch_off(tx, customer.organization_id, customer.team_id)
            work = UnitOfWork(tx, context)
            work.touch(f"customer/{customer.id}", team=customer.team_id)
            await work.write_record("shard", "customer.erase")
