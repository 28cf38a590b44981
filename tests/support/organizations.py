"""Organizations to test with, and the contexts of who acts in them."""

import secrets

from make_bridge.domain.organizations.keys import DataKeys, OrganizationReader
from make_bridge.domain.organizations.messages import NewOrganization, OrganizationCreated
from make_bridge.domain.organizations.model import EVERYTHING, permissions_of
from make_bridge.domain.organizations.service import OrganizationService
from make_bridge.kernel.clock import Clock, SystemClock
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.security.root_key import RootKey, RootKeys

ROOTS = RootKeys(RootKey(bytes(range(32))))


def service_of(shards: Shards, clock: Clock | None = None) -> OrganizationService:
    """Return what the operator's command line uses."""
    return OrganizationService(shards.directory, shards, ROOTS, clock or SystemClock())


def data_keys_of(shards: Shards, clock: Clock | None = None) -> DataKeys:
    """Return a node's way to sealed secrets."""
    return DataKeys(shards.directory, ROOTS, clock or SystemClock())


def organizations_of(shards: Shards, clock: Clock | None = None) -> OrganizationReader:
    """Return a node's way to the facts of organizations."""
    return OrganizationReader(shards.directory, clock or SystemClock())


async def make_organization(shards: Shards, name: str = "Acme CRM") -> OrganizationCreated:
    """Make an organization as the operator does."""
    return await service_of(shards).create(NewOrganization(name=name, origins=("https://acme.example",)))


def administrator(organization_id: OrganizationId, *, team_id: TeamId | None = None) -> Context:
    """Act as the integrator's own backend."""
    return _context(organization_id, ActorKind.ADMINISTRATOR, "*", team_id)


def customer(organization_id: OrganizationId, sub: str, team_id: TeamId | None = None) -> Context:
    """Act as one end user."""
    return _context(organization_id, ActorKind.CUSTOMER, sub, team_id)


def _context(organization_id: OrganizationId, kind: ActorKind, sub: str, team_id: TeamId | None) -> Context:
    return Context(
        organization_id=organization_id,
        actor=Actor(kind=kind, reference=sub),
        permissions=permissions_of(EVERYTHING, sub),
        request_id=secrets.token_hex(8),
        team_id=team_id,
    )
