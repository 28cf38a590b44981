"""All connections of a pool wait for a lock in PostgreSQL: what needs none goes on, the others are told in time.

Fifty requests read a table that somebody has locked. As many as the pool has connections wait for the lock, the rest
for a connection, and neither waits long: each answer is a 503 that says when to come again. (F-28)
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from faults.scene import build_scene
from support.integrator import Portal
from support.network import Reply, send
from support.server import Installation, installed
from support.target import serving_target
from support.waiting import until

HOLDERS = 50
CONNECTIONS = 8
WAIT = 2.0
# What a request costs beside its wait, on a machine that does other things too.
SLACK = 1.5
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE '%bridge_app'"
)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    # A request that has its connection waits for the lock for longer than this test.
    settings = {"LOCK_TIMEOUT_SECONDS": "60", "STATEMENT_TIMEOUT_SECONDS": "60"}
    with installed("embedded", tmp_path / "w", None, EGRESS_ALLOW="127.0.0.1", **settings) as one:
        yield one


def test_fifty_requests_that_wait_for_a_lock_leave_the_rest_of_the_server_alone(installation: Installation) -> None:
    server = installation.server().start()
    with (
        serving_target() as target,
        ThreadPoolExecutor(HOLDERS) as threads,
        psycopg.connect(installation.shard_dsn) as locking,
        psycopg.connect(installation.shard_dsn, autocommit=True) as watching,
    ):
        scene = build_scene(installation, server.url)
        customer = scene.slow.portal
        # Who this is, is remembered by now: the requests below need the shard for their reading only.
        assert customer.call("GET", "/integrations").status == 200
        assert target.calls == []
        locking.execute("LOCK TABLE shard.scenarios IN ACCESS EXCLUSIVE MODE")
        held = [threads.submit(timed, customer) for _ in range(HOLDERS)]
        until(
            lambda: watching.execute(_WAITING).fetchone() == (CONNECTIONS,),
            "all connections wait for the lock",
            within=10,
        )
        outside = [send("GET", f"{server.url}{path}", patience=WAIT) for path in ("/live", "/nothing", "/metrics")]
        refused = send("GET", f"{server.url}/portal/api/bridge/integrations", patience=WAIT)
        until(lambda: sum(call.done() for call in held) >= HOLDERS - CONNECTIONS, "the rest is answered", within=10)
        assert server.get("/live").status == 200
        early = [call.result() for call in held if call.done()]
        locking.rollback()
        freed = time.monotonic()
        replies = [call.result() for call in held]
        again = customer.call("GET", "/integrations")
        recovered = time.monotonic() - freed
    assert [reply.status for reply in outside] == [200, 404, 200]
    assert refused.status == 401
    assert {reply.status for reply, _ in early} == {503}
    assert all("retry-after" in reply.headers for reply, _ in early)
    assert max(seconds for _, seconds in early) <= WAIT + SLACK
    assert sorted({reply.status for reply, _ in replies}) == [200, 503]
    assert again.status == 200
    assert recovered <= 1.0


def timed(customer: Portal) -> tuple[Reply, float]:
    began = time.monotonic()
    return customer.call("GET", "/integrations"), time.monotonic() - began
