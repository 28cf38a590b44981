"""F-06, F-08, F-58: servers are added behind nginx and taken away, and nginx and Redis die, while everybody calls.

Two servers that answer for everything stand behind nginx with the configuration that the program writes, on one
PostgreSQL and one Redis. nginx reads its configuration again with each change; its workers and its master are killed,
and so is Redis, which comes back empty. Webhooks go on all the while, over connections that are kept and over new ones.

The short form goes from 2 to 4 servers and back; with MAKE_BRIDGE_TEST_KILLS to 6, and each kill comes more often.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from cluster.conftest import Load, calling
from cluster.fleet import NginxProcess, nginx_of, write_configuration
from faults.ledger import Plan
from faults.oracle import LedgerProcess, Verdict, drain, judge, keeping_ledger
from faults.scene import QUICK, TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.embedded import children_of
from support.integrator import Connected, Integrator, new_organization
from support.network import Reply, send
from support.postgres_process import own_postgres
from support.redis_process import RedisProcess, own_redis
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

IS_LONG = "MAKE_BRIDGE_TEST_KILLS" in os.environ
FEW, MANY = 2, 6 if IS_LONG else 4
KILLS = 10 if IS_LONG else 2
TOKENS = 50 if IS_LONG else 8
RATE = 30.0
LIMIT = 40
TOLERANCE = 0.1
# What nginx may be at work on when one of its workers dies: what the callers have open.
CALLERS = 4
IN_FLIGHT = 16
PASSWORD = "correct horse battery"
LISTED = "/portal/api/bridge/integrations"
_BETWEEN_CALLS = 0.02
_CONNECTIONS = (
    "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity WHERE usename IS NOT NULL"
)

pytestmark = [pytest.mark.requires_server("postgresql-15", "nginx", "redis-server"), pytest.mark.timeout(600)]


@dataclass(slots=True, kw_only=True)
class Ground:
    """What stands behind nginx, and who calls."""

    installation: Installation
    program: Path
    folder: Path
    servers: list[ServerProcess]
    nginx: NginxProcess
    redis: RedisProcess
    scene: Scene
    fresh: Connected
    target: Target
    ledgers: list[LedgerProcess] = field(default_factory=list)

    def call(self) -> Reply:
        """Call a webhook over a connection of its own, now and then: callers shall be there, and not be the load."""
        time.sleep(_BETWEEN_CALLS)
        return send(
            "POST", f"{self.nginx.url}/hook/{self.fresh.hook_url.rpartition('/')[2]}", json_body={"op": "fresh"}
        )

    def workers(self) -> list[int]:
        return list(children_of(self.nginx.process.pid))

    def read_anew(self, servers: list[ServerProcess]) -> None:
        """Have nginx read a configuration for these servers, and wait until new workers have it."""
        before = set(self.workers())
        write_configuration(self.folder, self.nginx.port, self.installation, servers)
        self.nginx.process.send_signal(signal.SIGHUP)
        until(lambda: set(self.workers()) - before, "new workers have it", within=30)

    def live_servers(self) -> list[ServerProcess]:
        return [server for server in self.servers if server.process is not None]

    def scale(self, count: int) -> None:
        """Start or end servers; nginx hears of a new one when it is ready, and of an old one before it ends."""
        for server in self.servers[:count]:
            if server.process is None:
                server.start(wait=False)
        for server in self.servers[:count]:
            server.wait_ready()
        self.read_anew(self.servers[:count])
        for server in self.servers[count:]:
            assert server.end() is None
        until(self._all_know, f"each of {count} servers knows of the others", within=30)

    def _all_know(self) -> bool:
        live = self.live_servers()
        return all(server.metric("rate_limit_servers", of="api") == len(live) for server in live)

    def connections(self) -> tuple[int, int]:
        """How many the database has open, and how many it takes."""
        with psycopg.connect(self.installation.shard_dsn) as connection:
            row = connection.execute(_CONNECTIONS).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    def judge(self, ledger: LedgerProcess) -> Verdict:
        self.ledgers.append(ledger)
        drain(self.installation.shard_dsn, self.scene.scenario_ids)
        return judge(self.ledgers, self.installation.shard_dsn, self.scene.scenario_ids, self.target.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """What calls over new connections were told so far, and how many over kept ones failed."""

    fresh: dict[str, int]
    kept: int


@pytest.fixture(scope="module")
def ground(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("nodes")
    settings = {
        "EGRESS_ALLOW": "127.0.0.1", "DATABASE_CONNECTIONS": "3", "LEAVE_SECONDS": "1", "SERVERS_SECONDS": "0.2",
        "RATE_API": str(LIMIT), "RATE_API_SECONDS": "3600", "REDIS_PROBE_SECONDS": "0.2", "REDIS_SECONDS": "1",
    }  # fmt: skip
    with ExitStack() as stack:
        target = stack.enter_context(serving_target(TARGET_PORTS))
        postgres = stack.enter_context(own_postgres(server("postgresql-15")))
        redis = stack.enter_context(own_redis(server("redis-server"), folder / "redis"))
        settings["REDIS_URL"] = redis.url
        installation = stack.enter_context(installed("external-one", folder / "w", postgres, **settings))
        installation.command("migrate")
        servers = [installation.server(f"api-{number}", NODE_ID=f"api-{number}") for number in range(MANY)]
        nginx = stack.enter_context(nginx_of(server("nginx"), folder / "nginx", installation, servers[:FEW]))
        installation.environment["PUBLIC_URL"] = nginx.url
        for started in servers[:FEW]:
            started.start(wait=False)
        for started in servers[:FEW]:
            started.wait_ready()
        scene = build_scene(installation, servers[0].url)
        options = {"autoActivate": True, "scenario": {"name": "Fresh", "enable": True}}
        integrator = new_organization(installation, servers[0].url)
        fresh = integrator.customer().connect(integrator.publish(QUICK), {}, **options)
        yield Ground(
            installation=installation, program=server("nginx"), folder=folder / "nginx", servers=servers, nginx=nginx,
            redis=redis, scene=scene, fresh=fresh, target=target,
        )  # fmt: skip


def test_servers_come_and_go_and_sessions_and_limits_stay_what_they_are(
    ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    cookie = signed_in(ground, tmp_path)
    passed, connections, refused = [], [], 0
    with keeping_ledger(tmp_path, plan(ground, "scaled", seed)) as ledger, calling(ground.call, callers=1) as fresh:
        fresh.await_more(20)
        for count in (FEW, MANY, FEW):
            ground.scale(count)
            fresh.await_more(20)
            passed.append(let_through(ground))
            refused += sum(not is_in(ground, cookie) for _ in range(2 * MANY))
            connections.append(ground.connections())
    verdict = ground.judge(ledger)
    nodes = {server.name for server in ground.servers} & verdict.nodes.keys()
    text = numbers(f"seed {seed}; limit {LIMIT}, passed {passed}; sessions refused {refused}", fresh, verdict)
    text += f"; connections, of at most {connections}; ran on {sorted(nodes)}"
    tell(text)
    record_property("faults", text)
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert_nothing_failed(fresh, verdict)
    assert refused == 0, "a session was lost"
    assert all(abs(one - LIMIT) <= LIMIT * TOLERANCE for one in passed), "the limit is not one for all servers"
    assert all(used <= most - 10 for used, most in connections)
    assert len(nodes) == MANY, "some server did nothing: the test does not bite"


def test_nginx_that_reads_its_configuration_anew_or_loses_a_worker_is_felt_by_what_was_open_alone(
    ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """F-08."""
    seed, killed, halves = new_seed(), 0, []
    with keeping_ledger(tmp_path, plan(ground, "proxied", seed)) as ledger, calling(ground.call, CALLERS) as fresh:
        fresh.await_more(20)
        for _ in range(KILLS):
            with half_sent(ground) as finish:
                ground.read_anew(ground.servers[:FEW])
                fresh.await_more(20)
                halves.append(finish())
        read_anew = Felt(fresh=dict(fresh.statuses), kept=failed(ledger))
        for _ in range(KILLS):
            before = ground.workers()
            # The youngest: an older one may be about to end, and is not replaced.
            os.kill(max(before), signal.SIGKILL)
            killed += 1
            until(lambda before=before: set(ground.workers()) - set(before), "it has a new worker", within=30)  # type: ignore[misc]
            fresh.await_more(20)
        lost_workers = Felt(fresh=dict(fresh.statuses), kept=failed(ledger))
        kill_master(ground)
        fresh.await_more(20)
    verdict = ground.judge(ledger)
    text = numbers(f"seed {seed}; after reading anew {read_anew}, after {killed} kills {lost_workers}", fresh, verdict)
    tell(text)
    record_property("faults", text)
    assert (verdict.lost, verdict.multi, verdict.phantom, verdict.stuck) == ([], [], [], []), verdict
    assert read_anew.fresh.keys() == {"200"}, "reading anew was felt"
    assert halves == ["HTTP/1.1 200 OK"] * KILLS, "what a worker had half of was not carried out"
    assert verdict.other.keys() <= {"unknown"}, "nginx answered with an error"
    # A worker that dies takes along what it has open, and nothing else.
    assert sum(count for status, count in lost_workers.fresh.items() if status != "200") <= killed * CALLERS
    assert lost_workers.kept - read_anew.kept <= killed * IN_FLIGHT
    # Its idle connections are closed by this version of nginx; who was just about to use one cannot know.
    assert read_anew.kept <= KILLS


def test_a_token_that_was_used_is_refused_by_all_when_redis_was_killed_and_is_back_empty(
    ground: Ground, record_property: Callable[[str, object], None]
) -> None:
    seed, who = new_seed(), new_organization(ground.installation, ground.servers[0].url)
    tokens = [who.token("dana") for _ in range(TOKENS)]
    first = [shown(ground.servers[number % FEW], token) for number, token in enumerate(tokens)]
    ground.redis.kill()
    away = [shown(server, token) for token in tokens[: TOKENS // 2] for server in ground.servers[:FEW]]
    ground.redis.start()
    until(lambda: all(one.metric("redis_up") == 1 for one in ground.servers[:FEW]), "Redis is back", within=30)
    assert not [key for key in ground.redis.all_keys() if "jti" in key], "Redis is not empty"
    back = [shown(server, token) for token in tokens for server in ground.servers[:FEW]]
    text = f"seed {seed}; MULTI {(away + back).count(200)}, LOST {TOKENS - first.count(200)} of {TOKENS} tokens"
    tell(text)
    record_property("faults", text)
    assert first == [200] * TOKENS
    assert set(away + back) == {401}, "a token entered twice"


@contextmanager
def half_sent(ground: Ground) -> Iterator[Callable[[], str]]:
    """Send half a webhook, so that a worker of nginx surely has it open; yield what sends the rest and reads on."""
    address = urlsplit(ground.nginx.url)
    body = b'{"op": "half"}'
    head = (
        f"POST /hook/{ground.fresh.hook_url.rpartition('/')[2]} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body[:5])

        def finish() -> str:
            try:
                connection.sendall(body[5:])
                return connection.recv(10_000).partition(b"\r\n")[0].decode() or "closed"
            except OSError as error:
                return type(error).__name__

        yield finish


def plan(ground: Ground, name: str, seed: int) -> Plan:
    weights = {"slow": 1, "quick": 4}
    return ground.scene.plan(
        name, ground.target, url=ground.nginx.url, weights=weights, seed=seed, rate=RATE, in_flight=IN_FLIGHT,
        patience=30.0,
    )  # fmt: skip


def signed_in(ground: Ground, folder: Path) -> str:
    """Sign in at the console through nginx, and return the session's cookie."""
    file = folder / "password"
    file.write_text(PASSWORD + "\n")
    organization = str(ground.scene.integrator.organization_id)
    email = f"dana-{organization}@acme.example"
    ground.installation.ask(
        "user", "create", email, "--organization", organization, "--role", "owner", "--password-file", file
    )
    reply = send(
        "POST", f"{ground.nginx.url}/console/api/sign-in", headers={"Origin": ground.nginx.url},
        json_body={"email": email, "password": PASSWORD},
    )  # fmt: skip
    assert reply.status == 200, reply
    return reply.headers["set-cookie"].partition(";")[0]


def is_in(ground: Ground, cookie: str) -> bool:
    headers = {"Cookie": cookie, "Origin": ground.nginx.url}
    return send("GET", f"{ground.nginx.url}/console/api/sessions", headers=headers).status == 200


def let_through(ground: Ground) -> int:
    """Call for a new key more often than its limit, through nginx; return how often it was let through."""
    who = new_organization(ground.installation, ground.servers[0].url)
    at = Integrator(
        url=ground.nginx.url, organization_id=who.organization_id, team_id=who.team_id, key_id=who.key_id,
        secret=who.secret, api_token=who.api_token,
    )  # fmt: skip
    return sum(at.customer("dana").call("GET", "/integrations").status == 200 for _ in range(LIMIT + 3 * MANY))


def shown(server: ServerProcess, token: str) -> int:
    return send("GET", server.url + LISTED, headers={"Authorization": f"Bearer {token}"}).status


def kill_master(ground: Ground) -> None:
    """Kill nginx's master: its workers go on; who starts it again has to end them first."""
    orphans = ground.workers()
    nginx = ground.nginx
    nginx.process.kill()
    nginx.process.wait(10)
    assert ground.call().status == 200, "without a master nobody answers"
    for pid in orphans:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not any(is_there(pid) for pid in orphans), "the workers are gone", within=30)
    arguments: list[str | Path] = [
        ground.program, "-p", ground.folder, "-c", ground.folder / "nginx.conf", "-e", ground.folder / "nginx.log",
    ]  # fmt: skip
    nginx.process = subprocess.Popen([*arguments, "-g", "daemon off;"], stdin=subprocess.DEVNULL)


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() != b""


def failed(ledger: LedgerProcess) -> int:
    return sum(line.status not in {"200", "sent"} for line in ledger.lines())


def numbers(head: str, fresh: Load, verdict: Verdict) -> str:
    return f"{head}; over new connections {dict(fresh.statuses)}\n{verdict}"


def assert_nothing_failed(fresh: Load, verdict: Verdict) -> None:
    assert set(fresh.statuses) == {"200"}, fresh.statuses
    assert verdict.unknown <= FEW, f"webhooks over kept connections failed: {verdict}"
