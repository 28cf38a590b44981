"""Where attacks come in: nginx before two servers on one PostgreSQL, an organization that attacks and its victim.

Every attack of the files that use it goes through ``Scene.attack``, so that what must hold for all of them is checked
in one place: an answer in time, no fault of ours, nothing of the inside in it, nothing stored, nothing run.
"""

import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from support.integrator import Integrator, new_organization
from support.network import Reply, send
from support.nginx import Nginx, nginx_before
from support.postgres_process import PostgresProcess
from support.redis_process import RedisProcess
from support.server import Installation, ServerProcess, installed
from support.waiting import until

# The promise is a second on a machine of its own; tests share theirs with others.
SECONDS = float(os.environ.get("MAKE_BRIDGE_TEST_ATTACK_SECONDS", "5"))
LISTED = "/portal/api/bridge/integrations"
INSIDE = re.compile(
    rb"Traceback|File \"|psycopg|SELECT |INSERT |site-packages|/src/|make_bridge|uvicorn|starlette|fastapi|pydantic"
    rb"|postgresql|nginx/|Python/|/tmp/|errors\.py",
    re.IGNORECASE,
)
# What an attack could leave behind.
TABLES = {
    "directory": ("organizations", "portal_keys", "api_tokens", "origins", "used_tokens", "audit", "data_keys"),
    "shard": (
        *("audit", "blueprints", "connections", "customers", "data_store_records", "data_stores", "data_structures"),
        *("executions", "flows", "hooks", "idempotency", "jobs", "outbox", "queue", "reports", "scenarios", "teams"),
        *("scenario_folders", "template_versions", "templates", "webhook_endpoints"),
    ),
}
# What a job writes when it ends.
BY_THE_WAY = ("shard.queue", "shard.outbox", "shard.audit")
# Few enough to be reached by a test, on servers that nothing else uses.
LIMITS = {
    "RATES": "on",
    "RATE_GENERAL": "30",
    "RATE_GENERAL_SECONDS": "900",
    "RATE_STRANGERS": "10",
    "RATE_STRANGERS_SECONDS": "600",
    "RATE_API": "40",
    "RATE_API_SECONDS": "3600",
    "SERVERS_SECONDS": "0.2",
}


@dataclass
class Scene:
    """See the module."""

    installation: Installation
    postgres: PostgresProcess
    nginx: Nginx
    nodes: tuple[ServerProcess, ServerProcess]
    acme: Integrator
    rival: Integrator

    @property
    def url(self) -> str:
        return self.nginx.url

    @cached_property
    def _counting(self) -> sql.Composed:
        counts = [
            sql.SQL("SELECT {}, count(*) FROM {}").format(sql.Literal(f"{schema}.{name}"), sql.Identifier(schema, name))
            for schema, names in TABLES.items()
            for name in names
        ]
        return sql.SQL(" UNION ALL ").join(counts)

    def stored(self) -> dict[str, int]:
        """How many rows there are of whatever an attack could leave behind."""
        with psycopg.connect(self.installation.directory_dsn) as connection:
            return {str(name): int(count) for name, count in connection.execute(self._counting).fetchall()}

    @contextlib.contextmanager
    def leaving(self, *tables: str) -> Iterator[None]:
        """Hold that nothing is stored meanwhile, but in these tables."""
        before = self.stored()
        yield
        changed = {name: count for name, count in self.stored().items() if count != before[name]}
        if changed.get("shard.queue", before["shard.queue"]) < before["shard.queue"]:
            # What earlier tests left to be done was done meanwhile.
            changed = {name: count for name, count in changed.items() if name not in BY_THE_WAY}
        assert set(changed) <= set(tables), changed

    def attack(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, url: str = "", **options: Any
    ) -> Reply:
        """Send one request that must do no harm, and return the answer."""
        options.setdefault("patience", 3 * SECONDS)
        began = time.monotonic()
        reply = send(method, (url or self.url) + path, headers=headers, **options)
        self.check(reply, time.monotonic() - began)
        return reply

    def check(self, reply: Reply, seconds: float) -> None:
        """What holds for every answer to an attack."""
        assert reply.status < 500, reply
        assert seconds < SECONDS, (seconds, reply)
        shown = reply.body + b"\n".join(f"{name}: {value}".encode() for name, value in reply.headers.items())
        assert INSIDE.search(shown) is None, reply
        for secret in (self.acme.secret, self.acme.api_token, self.rival.secret, self.rival.api_token):
            assert secret.encode() not in shown, reply

    def opened(self, token: str, *, url: str = "", **headers: str) -> Reply:
        """Show a portal token."""
        return self.attack("GET", LISTED, headers={"Authorization": f"Bearer {token}", **headers}, url=url)

    def raw(self, request: bytes) -> tuple[int, bytes]:
        """Send bytes that ask for the end of their connection; return the status and all that comes back."""
        with socket.create_connection(("127.0.0.1", urlsplit(self.url).port or 0), timeout=SECONDS) as line:
            line.sendall(request)
            pieces = []
            with contextlib.suppress(ConnectionResetError):
                while piece := line.recv(65536):
                    pieces.append(piece)
        answer = b"".join(pieces)
        assert INSIDE.search(answer) is None, answer
        return int(answer.split(b" ", 2)[1]), answer

    def event(self, reply: Reply) -> dict[str, Any]:
        """Return the line of the log that says why a request was refused."""
        request_id = reply.headers["x-request-id"]

        def found() -> dict[str, Any] | None:
            for line in self.logged():
                if request_id in line and "_refused" in line:
                    told: dict[str, Any] = json.loads(line)
                    return told
            return None

        until(lambda: found() is not None, f"a log tells of {request_id}", within=5)
        told = found()
        assert told is not None
        return told

    def logged(self) -> Iterator[str]:
        for server in self.installation.servers:
            if server.log.exists():
                yield from server.log.read_text(errors="replace").splitlines()

    @contextlib.contextmanager
    def statements(self, mark: str) -> Iterator[list[str]]:
        """Collect the statements that hold a mark and reach the database meanwhile; filled when the block ends."""
        found: list[str] = []
        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET log_statement = 'all'")
            connection.execute("SELECT pg_reload_conf()")
            begin = self.postgres.log.stat().st_size
            until(lambda: self._is_logged(connection, begin), "PostgreSQL logs what it is asked", within=10)
            try:
                yield found
                found += [line for line in self._told_by_postgres(begin) if mark in line]
            finally:
                connection.execute("ALTER SYSTEM RESET log_statement")
                connection.execute("SELECT pg_reload_conf()")

    def _is_logged(self, connection: "psycopg.Connection[Any]", begin: int) -> bool:
        connection.execute("SELECT 'is this logged'")
        return any("is this logged" in line for line in self._told_by_postgres(begin))

    def _told_by_postgres(self, begin: int) -> list[str]:
        with self.postgres.log.open("rb") as log:
            log.seek(begin)
            return log.read().decode(errors="replace").splitlines()


@contextlib.contextmanager
def attacked(programs: Mapping[str, Path], folder: Path, postgres: PostgresProcess) -> Iterator[Scene]:
    """Serve the scene."""
    settings = {"TRUSTED_PROXIES": "127.0.0.1"}
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        # What is killed here are processes, not the machine: nothing has to wait for the disk.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    with installed("external-one", folder / "served", postgres, **settings) as installation:
        nodes = tuple(installation.server(name, NODE_ID=name) for name in ("first", "second"))
        ports = [node.port for node in nodes]
        with nginx_before(programs["nginx"], folder / "nginx", ports, says_who_calls=True) as nginx:
            installation.environment["PUBLIC_URL"] = nginx.url
            nodes[0].start()
            nodes[1].start(wait=False)
            acme = new_organization(installation, nginx.url, "Acme CRM")
            rival = new_organization(installation, nginx.url, "Rival CRM", origin="https://rival.example")
            nodes[1].wait_ready()
            yield Scene(installation, postgres, nginx, (nodes[0], nodes[1]), acme, rival)


@dataclass(slots=True)
class LimitedPair:
    """Two servers with small limits behind an nginx of their own that says who calls."""

    url: str
    nodes: list[ServerProcess]
    redis: RedisProcess | None = None

    def know_each_other(self, servers: int = 2) -> None:
        """Wait until each knows that so many hold its limits."""
        until(
            lambda: all(node.metric("rate_limit_servers", of="api") == servers for node in self.nodes),
            "the servers know each other",
            within=20,
        )


@contextlib.contextmanager
def limited_pair(scene: Scene, nginx: Path, folder: Path, name: str, **settings: str) -> Iterator[LimitedPair]:
    """Serve from two more servers of the scene."""
    given = LIMITS | settings
    nodes = [scene.installation.server(f"{name}-{one}", NODE_ID=f"{name}-{one}", **given) for one in ("one", "two")]
    with nginx_before(nginx, folder / "nginx", [node.port for node in nodes], says_who_calls=True) as before:
        for node in nodes:
            node.start(wait=False)
        for node in nodes:
            node.wait_ready()
        yield LimitedPair(before.url, nodes)
        for node in nodes:
            assert node.end() is None
