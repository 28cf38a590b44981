"""What every part of a process stands on once its databases are open: made by ``boot``, passed to whatever is wired."""

from dataclasses import dataclass, field

from make_bridge.domain.connections.opening import ComponentOpener
from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.domain.deliveries.telling import TellingEndpoints
from make_bridge.domain.oauth.consent import Consents
from make_bridge.domain.oauth.keeping import TokenKeeper
from make_bridge.domain.organizations.audit_key import AuditKey
from make_bridge.domain.organizations.keys import ApiTokens, DataKeys, OrganizationReader, PortalKeys, TokenLedger
from make_bridge.domain.organizations.service import OrganizationService
from make_bridge.domain.users.service import UserService
from make_bridge.kernel.clock import Clock
from make_bridge.platform.bus.commands import CommandBus, Listener
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.coordination.port import CandidacyOf
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.egress.client import EgressClient
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.tracing.tracer import Tracing
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.security.root_key import RootKeys
from make_bridge.platform.sharding.opening import ShardOpening
from make_bridge.platform.sharding.watching import ShardWatch
from make_bridge.wiring.caches import Catalogue
from make_bridge.wiring.javascript import JavaScript


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Everything below the faces, open and wired."""

    shards: Shards
    clock: Clock
    data_keys: DataKeys
    organizations: OrganizationReader
    roots: RootKeys
    audit_key: AuditKey
    service: OrganizationService
    users: UserService
    portal_keys: PortalKeys
    api_tokens: ApiTokens
    ledger: TokenLedger
    customers: CustomerDirectory
    opener: ComponentOpener
    tokens: TokenKeeper
    consents: Consents
    listeners: list[Listener]
    commands: CommandBus
    queries: QueryBus
    catalogue: Catalogue
    jobs: JobQueue
    egress: EgressClient
    metrics: Metrics
    telling: TellingEndpoints
    javascript: JavaScript
    candidacy_of: CandidacyOf
    """Who of all processes does what only one may."""
    shard_watch: ShardWatch
    shard_opening: ShardOpening
    tracing: Tracing = field(default_factory=Tracing)
    key_secret: bytes
    """What names things in Redis: the same in all processes, and over rotations of the root key."""
