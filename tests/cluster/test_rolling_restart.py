"""A new version everywhere, one process after the other, while nobody stops to call: no request may fail.

The whole cluster stands (``fleet``). Each process is asked to end and started again, round after round; then Redis,
ZooKeeper and the standby come and go. Beside the webhooks a customer reads with tokens that let in
once.

The short form restarts each process once; MAKE_BRIDGE_TEST_REQUESTS=20000 goes on until so many requests were answered,
and for three rounds at least. (F-55)
"""

import http.client
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.conftest import Load, calling
from cluster.fleet import Fleet, whole_fleet
from faults.oracle import LedgerProcess, Verdict
from faults.scene import new_seed, tell
from support.server import ServerProcess, installed
from support.waiting import until

REQUESTS = int(os.environ.get("MAKE_BRIDGE_TEST_REQUESTS", "0"))
ROUNDS = 3 if REQUESTS else 1
RATE = 200.0 if REQUESTS else 80.0

pytestmark = [
    pytest.mark.requires_server("postgresql-15", "nginx", "redis-server", "zookeeper"),
    pytest.mark.timeout(1200 if REQUESTS else 300),
]


def test_a_connection_that_was_idle_serves_once_more_when_no_new_one_is_taken(tmp_path: Path) -> None:
    """A proxy may be sending on it at that very moment, and would not know whether what it sent was done."""
    with installed("embedded", tmp_path / "w", None) as installation:
        server = installation.server().start()
        with connected(server) as kept, connected(server) as idle:
            for connection in (kept, idle):
                assert asked(connection) == (200, None)
            server.ask_to_end()
            until(lambda: is_refused(server.port), "no new connection is taken", within=20, pause=0.002)
            assert asked(kept) == (200, "close")
            # What stays idle does not hold up the end.
            assert server.end() is None


def test_who_got_in_is_answered_and_all_others_are_refused_at_the_door(tmp_path: Path) -> None:
    """F-55: a connection that is made, and broken before it was heard, is a request of which nobody knows anything."""
    with installed("embedded", tmp_path / "w", None) as installation:
        server = installation.server().start()
        knocking = [Knocking(server.port) for _ in range(8)]
        with ThreadPoolExecutor(len(knocking)) as callers:
            going = [callers.submit(one.go_on) for one in knocking]
            until(lambda: all(one.served >= 50 for one in knocking), "all are served", within=20)
            server.ask_to_end()
            broken = [error for one in going if (error := one.result()) is not None]
        assert server.end() is None
    assert broken == [], f"{len(broken)} of {len(knocking)} were let in and not answered"


@dataclass(slots=True)
class Knocking:
    """Calls over a new connection each time, until none is taken."""

    port: int
    served: int = 0

    def go_on(self) -> str | None:
        """Return what broke after the connection was made."""
        while True:
            try:
                line = socket.create_connection(("127.0.0.1", self.port), timeout=20)
            except OSError:
                return None
            try:
                with line:
                    line.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    head = line.recv(1024)
            except OSError as error:
                return repr(error)
            if not head.startswith(b"HTTP/1.1 200 "):
                return f"answered with {head[:40]!r}"
            self.served += 1


def connected(server: ServerProcess) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20))


def asked(connection: http.client.HTTPConnection) -> tuple[int, str | None]:
    connection.request("GET", "/live")
    with connection.getresponse() as response:
        response.read()
        return response.status, response.headers["connection"]


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return True
    return False


@pytest.fixture(scope="module")
def fleet(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with whole_fleet(server, tmp_path_factory.mktemp("fleet")) as whole:
        yield whole


def test_restarting_everything_in_turn_is_felt_by_nobody(
    fleet: Fleet, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed, rounds = new_seed(), 0
    with fleet.under_load(tmp_path, RATE, seed) as ledgers, calling(fleet.read, callers=1) as reading:
        while rounds < ROUNDS or sum(ledger.acked() for ledger in ledgers) + reading.count < REQUESTS:
            fleet.restart_each()
            rounds += 1
    verdicts = fleet.judge(ledgers)
    record_property("faults", told(f"seed {seed}; rounds {rounds}", ledgers, verdicts, reading))
    assert_nothing_failed(verdicts, reading)
    assert sum(verdict.operations for verdict in verdicts) > 100 * rounds, "hardly anything was sent"
    for verdict in verdicts:
        # Runs are carried out by whoever is there.
        assert {"worker-0", "worker-1"} <= set(verdict.nodes)


def test_what_stands_beside_comes_and_goes_and_is_felt_by_nobody(
    fleet: Fleet, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    with fleet.under_load(tmp_path, RATE, seed) as ledgers, calling(fleet.read, callers=1) as reading:
        fleet.redis.kill()
        reading.await_more(50)
        fleet.redis.start()
        reading.await_more(20)
        fleet.redis.flush()
        fleet.redis.pause()
        reading.await_more(50)
        fleet.redis.resume()
        fleet.zookeeper.kill()
        reading.await_more(50)
        fleet.standby.server.kill()
        reading.await_more(50)
        fleet.zookeeper.start()
        fleet.standby.server.start()
        until(lambda: fleet.installation.metric("leader", duty="relay") >= 2, "somebody leads again", within=30)
        reading.await_more(50)
    verdicts = fleet.judge(ledgers)
    record_property("faults", told(f"seed {seed}", ledgers, verdicts, reading))
    assert_nothing_failed(verdicts, reading)


def assert_nothing_failed(verdicts: list[Verdict], reading: Load) -> None:
    for verdict in verdicts:
        assert verdict.is_clean, f"the promises are broken: {verdict}"
        assert verdict.acked == verdict.operations, f"webhooks failed: {verdict}"
    assert set(reading.statuses) == {"200"}, reading.statuses


def told(head: str, ledgers: tuple[LedgerProcess, LedgerProcess], verdicts: list[Verdict], reading: Load) -> str:
    """Say the numbers of a run."""
    took = sorted(
        line.answered_at - line.sent_at for ledger in ledgers for line in ledger.lines() if line.answered_at is not None
    )
    text = f"{head}; webhooks {len(took)}, p99 {took[len(took) * 99 // 100]:.3f} s; read {dict(reading.statuses)}"
    text += "".join(f"\nshard {number}: {verdict}" for number, verdict in enumerate(verdicts))
    tell(text)
    return text
