"""Somebody holds a table of PostgreSQL for a minute, as a careless change of it does: whoever needs it is told in time.

Requests on the table are given up by the database's own time-out for locks and answered with 503; what needs another
table goes on; and when the lock goes nothing has piled up behind it. (F-29)
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from faults.scene import build_scene, tell
from support.integrator import Portal
from support.network import Reply
from support.server import Installation, installed
from support.waiting import until

# In its long form the database's time-out is the product's own.
IS_LONG = os.environ.get("MAKE_BRIDGE_TEST_LONG") == "1"
LOCK_SECONDS = 5.0 if IS_LONG else 1.0
CALLERS = 6
SLACK = 1.5
# Of requests: the server's own loops look again by themselves, one at a time.
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE '%bridge_app'"
)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    settings = {} if IS_LONG else {"LOCK_TIMEOUT_SECONDS": str(LOCK_SECONDS)}
    with installed("embedded", tmp_path / "w", None, EGRESS_ALLOW="127.0.0.1", **settings) as one:
        yield one


def test_a_long_lock_costs_those_who_need_it_a_503_in_time_and_nobody_else_anything(
    installation: Installation,
) -> None:
    server = installation.server().start()
    with (
        ThreadPoolExecutor(CALLERS) as threads,
        psycopg.connect(installation.shard_dsn) as locking,
        psycopg.connect(installation.shard_dsn, autocommit=True) as watching,
    ):
        customer = build_scene(installation, server.url).slow.portal
        administrator = customer.integrator.administrator()
        assert customer.call("GET", "/integrations").status == 200
        busy = server.metric("database_refusals_total", reason="busy")
        locking.execute("LOCK TABLE shard.scenarios IN ACCESS EXCLUSIVE MODE")
        held = [threads.submit(timed, customer) for _ in range(CALLERS)]
        until(lambda: watching.execute(_WAITING).fetchone() != (0,), "somebody waits for the lock", within=10)
        beside = administrator.call("GET", "/templates")
        answers = [call.result() for call in held]
        # The plan of what was slow is asked for once, and waits for a tenth of a second.
        until(lambda: watching.execute(_WAITING).fetchone() == (0,), "PILED_UP: nobody waits any more", within=1)
        assert server.is_ready()
        refused = server.metric("database_refusals_total", reason="busy") - busy
        locking.rollback()
        freed = time.monotonic()
        again = customer.call("GET", "/integrations")
        recovered = time.monotonic() - freed
    longest = max(seconds for _, seconds in answers)
    tell(f"longest wait {longest:.2f} s, recovered in {recovered:.2f} s")
    assert beside.status == 200
    assert {reply.status for reply, _ in answers} == {503}
    assert all("retry-after" in reply.headers for reply, _ in answers)
    assert longest <= LOCK_SECONDS + SLACK
    assert refused >= CALLERS
    assert again.status == 200
    assert recovered <= 1.0


def timed(customer: Portal) -> tuple[Reply, float]:
    began = time.monotonic()
    return customer.call("GET", "/integrations"), time.monotonic() - began
