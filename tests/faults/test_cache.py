"""What servers remember is never older than was promised, whatever they did not hear of and whatever Redis does (F-33).

Rows are changed in the database alone: no event, no hint, no message of any kind tells a server, as if each had been
lost on the way. All the while both servers are asked, so nothing ends for being forgotten.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import pytest

from faults.scene import QUICK, build_scene, tell
from support.integrator import Integrator, new_organization
from support.network import send
from support.postgres_process import own_postgres
from support.redis_process import RedisProcess, own_redis
from support.server import Installation, ServerProcess, installed
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15", "redis-server"), pytest.mark.timeout(300)]
# Nothing that lets somebody in, or a call through, is older.
PROMISED = 5.0
SEEN_WITHIN = 15
CHANGES = {
    "token": "DELETE FROM directory.api_tokens",
    "hook": "UPDATE shard.scenarios SET state = 'inactive'",
}
REDIS = {"REDIS_SECONDS": "1", "REDIS_PROBE_SECONDS": "0.2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two servers, their database and their Redis."""

    installation: Installation
    redis: RedisProcess
    servers: tuple[ServerProcess, ServerProcess]


@pytest.fixture
def pair(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Pair]:
    with ExitStack() as exits:
        postgres = exits.enter_context(own_postgres(server("postgresql-15")))
        redis = exits.enter_context(own_redis(server("redis-server"), tmp_path / "redis"))
        settings = {"REDIS_URL": redis.url, **REDIS}
        installation = exits.enter_context(installed("external-one", tmp_path / "w", postgres, **settings))
        first, second = (installation.server(name, NODE_ID=name).start() for name in ("first", "second"))
        yield Pair(installation=installation, redis=redis, servers=(first, second))


@dataclass(slots=True, kw_only=True)
class Asking:
    """One who asks one server again and again, and remembers when what was let through had been sent."""

    ask: Callable[[], int]
    is_over: threading.Event
    last_let_in: float = 0.0
    refusals: int = 0
    wrong: list[int] = field(default_factory=list)

    def go_on(self) -> None:
        while not self.is_over.is_set():
            began = time.monotonic()
            status = self.ask()
            if status == 200:
                self.last_let_in = began
            elif status in {401, 409}:
                self.refusals += 1
            else:
                self.wrong.append(status)


def _templates(server: ServerProcess, who: Integrator) -> list[str]:
    headers = {"Authorization": f"Token {who.api_token}"}
    reply = send("GET", server.url + "/api/v2/templates/public", headers=headers, patience=30.0)
    assert reply.status == 200, reply
    return [each["name"] for each in reply.json()["templatesPublic"]]


def _show(servers: tuple[ServerProcess, ...], who: Integrator, name: str) -> bool:
    return all(name in _templates(server, who) for server in servers)


@pytest.mark.parametrize("changed", CHANGES)
def test_what_no_server_was_told_of_is_felt_by_each_within_five_seconds(pair: Pair, changed: str) -> None:
    scene = build_scene(pair.installation, pair.servers[0].url)
    path = f"/hook/{scene.quick.hook_url.rpartition('/')[2]}"
    headers = {"Authorization": f"Token {scene.integrator.api_token}"}

    def ask(server: ServerProcess) -> int:
        if changed == "hook":
            return send("POST", server.url + path, json_body={"op": "1"}, patience=30.0).status
        return send("GET", server.url + "/api/v2/templates", headers=headers, patience=30.0).status

    is_over = threading.Event()
    asking = [Asking(ask=partial(ask, server), is_over=is_over) for server in pair.servers]
    with ThreadPoolExecutor(len(asking)) as askers:
        going = [askers.submit(one.go_on) for one in asking]
        try:
            until(lambda: all(one.last_let_in for one in asking), "both servers let the caller in", within=30)
            with psycopg.connect(pair.installation.shard_dsn, autocommit=True) as database:
                database.execute(CHANGES[changed].encode())
            committed = time.monotonic()
            until(lambda: all(one.refusals >= 3 for one in asking), "both servers refuse", within=30)
        finally:
            is_over.set()
        for one in going:
            one.result()
    felt = [one.last_let_in - committed for one in asking]
    tell(f"{changed}: the last that was let in was sent {felt} s after the change")
    assert [one.wrong for one in asking] == [[], []]
    assert max(felt) <= PROMISED, "STALE"


def test_a_redis_that_forgets_in_any_way_costs_misses_and_shows_nothing_old(pair: Pair) -> None:
    who = new_organization(pair.installation, pair.servers[0].url)
    redis = pair.redis

    def start_again() -> None:
        redis.kill()
        redis.start()

    faults: dict[str, Callable[[], object]] = {
        "emptied": redis.flush,
        "lines cut": lambda: redis.command("CLIENT", "KILL", "TYPE", "normal"),
        "full": lambda: redis.command("CONFIG", "SET", "maxmemory", "1"),
        "no longer full": lambda: redis.command("CONFIG", "SET", "maxmemory", "0"),
        "killed and empty": start_again,
    }
    for fault, happens in faults.items():
        assert not _show(pair.servers, who, fault)
        happens()
        name = f"Made while it was {fault}"
        who.publish({**QUICK, "name": name})
        until(partial(_show, pair.servers, who, name), f"both servers show it: {fault}", within=SEEN_WITHIN)
        # Once shown it stays: nobody reads back what was there before.
        for _ in range(20):
            assert _show(pair.servers, who, name), f"STALE: {fault}"
