"""The whole cluster, every part of it real.

Three servers that answer and two workers behind nginx, with Redis, ZooKeeper, two shards on PostgreSQL servers of their
own, and a standby of the first that is read. nginx has the configuration that the program writes. A customer lives on
each shard; webhooks of both are written down by ledgers before they are sent, over connections that are kept.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from faults.oracle import LedgerProcess, Verdict, drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, scene_on
from support.network import Reply, free_port, send
from support.postgres_process import PostgresProcess, own_postgres
from support.redis_process import RedisProcess, own_redis
from support.server import Installation, ServerProcess, installed
from support.standby import Standby, standby_of
from support.target import Target, serving_target
from support.waiting import until
from support.zookeeper_process import SESSION_SECONDS, ZooKeeperProcess, own_zookeeper

SECOND = 1
_ANSWERING = "gateway,bridge,templates,scenarios"
_STOP_SECONDS = 10.0
_SETTINGS = {
    "EGRESS_ALLOW": "127.0.0.1",
    "DATABASE_CONNECTIONS": "2",
    "LEAVE_SECONDS": "1",
    "SERVERS_SECONDS": "0.2",
    "ZOOKEEPER_SESSION_SECONDS": str(SESSION_SECONDS),
}


@dataclass(slots=True, kw_only=True)
class NginxProcess:
    """nginx with the configuration that the command writes."""

    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(slots=True, kw_only=True)
class Fleet:
    """What can be taken away, what stands before it, and what is called."""

    installation: Installation
    shards: tuple[str, str]
    servers: list[ServerProcess]
    workers: list[ServerProcess]
    nginx: NginxProcess
    redis: RedisProcess
    zookeeper: ZooKeeperProcess
    second: PostgresProcess
    standby: Standby
    target: Target
    scenes: tuple[Scene, ...] = ()

    def new_scenes(self) -> tuple[Scene, Scene]:
        url = self.servers[0].url
        return scene_on(self.installation, url, 0), scene_on(self.installation, url, SECOND)

    def read(self) -> Reply:
        """Read as a customer, through nginx; each time with a token of its own."""
        scene = self.scenes[0]
        token = {"Authorization": f"Bearer {scene.integrator.token(scene.quick.portal.sub)}"}
        return send("GET", f"{self.nginx.url}/portal/api/bridge/scenarios/{scene.quick.id}", headers=token)

    def restart_each(self) -> None:
        for process in (*self.servers, *self.workers):
            complaint = process.end()
            assert complaint is None, complaint
            process.start()

    @contextmanager
    def under_load(self, folder: Path, rate: float, seed: int) -> Iterator[tuple[LedgerProcess, LedgerProcess]]:
        """Send webhooks to customers on both shards, whom nobody has sent any yet."""
        weights = {"slow": 1, "quick": 4}
        self.scenes = self.new_scenes()
        with ExitStack() as stack:
            first, second = (
                stack.enter_context(
                    keeping_ledger(
                        folder,
                        scene.plan(
                            name, self.target, url=self.nginx.url, weights=weights, rate=rate / 2, seed=seed,
                            patience=30.0,
                        ),
                    )
                )
                for name, scene in zip((f"first{seed}", f"second{seed}"), self.scenes, strict=True)
            )  # fmt: skip
            yield first, second

    def judge(self, ledgers: tuple[LedgerProcess, LedgerProcess]) -> list[Verdict]:
        """Hold what was told against what either shard has, once nothing waits."""
        verdicts = []
        for ledger, dsn, scene in zip(ledgers, self.shards, self.scenes, strict=True):
            drain(dsn, scene.scenario_ids)
            own = [
                call for call in self.target.calls if call.headers.get("x-op", "").startswith(f"{ledger.file.stem}-")
            ]
            verdicts.append(judge([ledger], dsn, scene.scenario_ids, own))
        return verdicts


@contextmanager
def nginx_of(
    program: Path, folder: Path, installation: Installation, servers: list[ServerProcess]
) -> Iterator[NginxProcess]:
    """Run nginx before these servers."""
    folder.mkdir()
    port = free_port()
    write_configuration(folder, port, installation, servers)
    arguments: list[str | Path] = [program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "nginx.log"]
    with subprocess.Popen([*arguments, "-g", "daemon off;"], stdin=subprocess.DEVNULL) as process:
        nginx = NginxProcess(port=port, process=process)
        try:
            until(lambda: _answers(nginx), "nginx answers", within=_STOP_SECONDS)
            yield nginx
        finally:
            nginx.process.terminate()
            nginx.process.wait(_STOP_SECONDS)


def write_configuration(folder: Path, port: int, installation: Installation, servers: list[ServerProcess]) -> None:
    """Have the command write what nginx reads, for these servers."""
    given = [argument for server in servers for argument in ("--server", f"127.0.0.1:{server.port}")]
    written = installation.command(
        "nginx", *given, "--listen", f"127.0.0.1:{port}", "--rate", "0", "--work", folder,
        "--requests", folder / "requests.log", "--errors", folder / "nginx.log",
    ).stdout  # fmt: skip
    # Its workers would be nobody's otherwise, who may not write below a test's folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(user + written, encoding="utf-8")


def _answers(nginx: NginxProcess) -> bool:
    with suppress(OSError):
        return send("GET", f"{nginx.url}/of-nginx").status == 204
    return False


@contextmanager
def whole_fleet(server: Callable[[str], Path], folder: Path) -> Iterator[Fleet]:
    """Start all of it."""
    with ExitStack() as stack:
        target = stack.enter_context(serving_target(TARGET_PORTS))
        first = stack.enter_context(own_postgres(server("postgresql-15")))
        second = stack.enter_context(own_postgres(server("postgresql-15")))
        redis = stack.enter_context(own_redis(server("redis-server"), folder / "redis"))
        zookeeper = stack.enter_context(own_zookeeper(folder / "zookeeper"))
        settings = _SETTINGS | {"REDIS_URL": redis.url, "ZOOKEEPER_HOSTS": zookeeper.address}
        installation = stack.enter_context(installed("external-two", folder / "w", first, **settings))
        shards = installation.shard_dsn, second.create("bridge_second")
        installation.environment["SHARD_URLS"] = f"0={shards[0]} {SECOND}={shards[1]}"
        installation.command("migrate")
        standby = stack.enter_context(standby_of(first))
        installation.environment["REPLICA_URLS"] = f"0={standby.address}"
        servers = [installation.server(f"api-{n}", NODE_ID=f"api-{n}", ROLES=_ANSWERING) for n in range(3)]
        workers = [installation.server(f"worker-{n}", NODE_ID=f"worker-{n}", ROLES="worker") for n in range(2)]
        nginx = stack.enter_context(nginx_of(server("nginx"), folder / "nginx", installation, servers))
        installation.environment["PUBLIC_URL"] = nginx.url
        for process in (*servers, *workers):
            process.start()
        yield Fleet(
            installation=installation, shards=shards, servers=servers, workers=workers, nginx=nginx, redis=redis,
            zookeeper=zookeeper, second=second, standby=standby, target=target,
        )  # fmt: skip
