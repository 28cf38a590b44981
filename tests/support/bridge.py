"""The whole bridge in this process: every route of both APIs, the composition root's own domain, a real database.

No loop runs and nobody works, so nothing changes but by what a test asks: whoever compares rows compares acts.
"""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from starlette.routing import BaseRoute

from make_bridge.boot import open_domain
from make_bridge.domain.organizations.messages import NewOrganization, OrganizationCreated
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.edge.authentication import Authenticator
from make_bridge.faces.edge.witness import Witness
from make_bridge.faces.portal.dependencies import PortalConfig, PortalDependencies
from make_bridge.faces.portal.routes import PORTAL_ALIASES, describe
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.audit.refusals import Refusals
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.roles import serving_role
from make_bridge.platform.egress.circuits import Circuits, CircuitsConfig
from make_bridge.platform.security.portal_tokens import mint_portal_token
from make_bridge.services.bridge import bridge_routes
from make_bridge.settings import load_settings
from make_bridge.wiring.domain import Domain
from support.asgi import Answer, Client
from support.edge import LIMITS, client_of
from support.portal import PUBLIC_URL, Waiter
from support.postgres import PostgresServer

PORTAL, API = "/portal/api/bridge", "/api/v2"
# Kept of requests as such: who came, and who was refused.
OF_REQUESTS = frozenset({"directory.used_tokens", "directory.audit", "shard.audit"})
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id'
WHERE n.nspname IN ('directory', 'shard') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY 1, 2
"""
_ROWS = (
    "SELECT '{0}.{1}', count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '')"
    " FROM {0}.{1} t WHERE organization_id = {2}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of the description, and what it says about itself."""

    method: str
    path: str
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The operation's id."""
        name: str = self.facts["operationId"]
        return name

    @property
    def permission(self) -> str:
        permission: str = self.facts["x-permission"]
        return permission

    @property
    def is_for_administrators(self) -> bool:
        """Whether no customer's token passes."""
        return self.path.startswith(API) or bool(self.facts["x-administrators-only"])

    def takes(self, scheme: str) -> bool:
        """Whether it takes a kind of credentials."""
        return {scheme: []} in self.facts["security"]

    @property
    def body(self) -> Mapping[str, Any]:
        """The members of its body, by name; {} where it takes none."""
        described = self.facts.get("requestBody", {"content": {"application/json": {"schema": {}}}})
        members: Mapping[str, Any] = described["content"]["application/json"]["schema"].get("properties", {})
        return members

    def parameters(self, place: str) -> list[str]:
        """The names of its parameters in a place (path, query)."""
        return [told["name"] for told in self.facts.get("parameters", ()) if told["in"] == place]


@dataclass(frozen=True, slots=True)
class Bridge:
    """The bridge, ready to be asked."""

    domain: Domain
    routes: list[BaseRoute]
    client: Client
    document: Mapping[str, Any]
    owner_dsn: str

    @property
    def table(self) -> list[Route]:
        """Every operation that is described."""
        return [
            Route(method=method.upper(), path=path, facts=facts)
            for path, methods in self.document["paths"].items()
            for method, facts in methods.items()
        ]

    async def organization(self, name: str) -> "Party":
        """Make an organization."""
        made = await self.domain.service.create(NewOrganization(name=name, origins=("https://acme.example",)))
        return Party(bridge=self, facts=made)

    async def shard(self, organization_id: int) -> Shard:
        return await self.domain.shards.of(OrganizationId(organization_id))

    async def rows(self, organization_id: int) -> dict[str, str]:
        """Every table with a digest of the organization's rows in it."""
        async with await psycopg.AsyncConnection.connect(self.owner_dsn, autocommit=True) as connection:
            tables = await (await connection.execute(_TABLES)).fetchall()
            asked = " UNION ALL ".join(_ROWS.format(schema, name, int(organization_id)) for schema, name in tables)
            return dict(await (await connection.execute(asked.encode())).fetchall())

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Do something as the database's owner: what no route does."""
        async with await psycopg.AsyncConnection.connect(self.owner_dsn, autocommit=True) as connection:
            done = await connection.execute(statement.encode(), values)
            return await done.fetchall() if done.description else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One organization with its credentials."""

    bridge: Bridge
    facts: OrganizationCreated

    @property
    def id(self) -> int:
        return self.facts.organization_id

    def token(self, sub: str, **more: Any) -> str:
        """Sign a fresh portal token."""
        return mint_portal_token(self.facts.key_id, self.facts.secret, sub, self.bridge.domain.clock.now(), **more)

    async def send(
        self, method: str, target: str, body: object = None, *, sub: str | None = None, credential: str | None = None
    ) -> Answer:
        """Ask as a ``sub`` of the portal ('*' is the administrator), or (None) with the API token."""
        shown = credential or (f"Token {self.facts.api_token}" if sub is None else f"Bearer {self.token(sub)}")
        headers, raw = [("Authorization", shown)], b""
        if body is not None:
            headers.append(("Content-Type", "application/json"))
            raw = json.dumps(body).encode()
        return await self.bridge.client.send(method, target, headers=headers, body=raw)

    async def ask(self, method: str, target: str, body: object = None, *, sub: str | None = None) -> Any:
        """Ask for what is allowed, and return the answer's JSON."""
        answer = await self.send(method, target, body, sub=sub)
        assert 200 <= answer.status < 300, (method, target, answer.status, answer.body)
        return answer.json()


@asynccontextmanager
async def open_bridge(postgres: PostgresServer, folder: Path) -> AsyncIterator[Bridge]:
    """Open a bridge over a fresh database."""
    database = await postgres.clone(("directory", "shard"), 0)
    key = folder / "root.key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    given = {
        "database_url": _url(postgres.dsn(database)),
        "root_key_file": key,
        "data_dir": folder,
        "database_connections": 6,
    }
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_clear, postgres, database)
        domain = await open_domain(stack, load_settings(None, given), lambda _line: None)
        routes = bridge_routes(*_dependencies(domain))
        yield Bridge(
            domain=domain,
            routes=routes,
            client=client_of(routes, aliases=PORTAL_ALIASES),
            document=describe(routes, PUBLIC_URL),
            owner_dsn=postgres.dsn(database),
        )


async def _clear(postgres: PostgresServer, database: str) -> None:
    """Remove the database with the role that served it; a server of our own goes as a whole."""
    if postgres.is_shared:
        await postgres.drop(database)
        role = sql.Identifier(serving_role(database, b"").name)
        async with await psycopg.AsyncConnection.connect(postgres.owner_dsn, autocommit=True) as connection:
            await connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))


def _url(dsn: str) -> str:
    """Write a connection string as the address that settings take."""
    return "postgresql:///?" + urlencode(conninfo_to_dict(dsn), quote_via=quote)


def _dependencies(domain: Domain) -> tuple[PortalDependencies, ApiDependencies]:
    settings = load_settings().settings
    witness = Witness(refusals=Refusals(domain.shards))
    authenticator = Authenticator(
        portal_keys=domain.portal_keys,
        api_tokens=domain.api_tokens,
        ledger=domain.ledger,
        customers=domain.customers,
        clock=domain.clock,
        max_token_bytes=LIMITS.token_bytes,
        expected=settings.tokens(),
    )
    portal = PortalDependencies(
        commands=domain.commands,
        queries=domain.queries,
        authenticator=authenticator,
        organizations=domain.organizations,
        teams=domain.customers,
        waiter=Waiter(),
        witness=witness,
        config=PortalConfig(
            public_url=PUBLIC_URL, responsive_run_seconds=1.0, json_depth=LIMITS.json_depth, bodies=LIMITS.bodies
        ),
    )
    api = ApiDependencies(
        commands=domain.commands,
        queries=domain.queries,
        authenticator=authenticator,
        organizations=domain.organizations,
        teams=domain.customers,
        circuits=Circuits(CircuitsConfig(), domain.clock),
        witness=witness,
        json_depth=LIMITS.json_depth,
        public_url=PUBLIC_URL,
        bodies=LIMITS.bodies,
        code_checks=domain.javascript.checks(),
    )
    return portal, api
