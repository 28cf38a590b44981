"""Every connection to PostgreSQL is ended again and again, under load: readers do not feel it, writers learn the truth.

The product reads once more when a connection breaks under a reading. A writing is never sent again by itself: whether
it was committed is not known, and a second one would be a second execution. The test of that holds back the answer to
a commit, and then breaks the line. The short form ends all sessions four times, MAKE_BRIDGE_TEST_KILLS=20 twenty.
(F-05)
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from faults.oracle import drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.network import Reply, send
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.slow_line import SlowLine, slow_line
from support.target import Target, serving_target
from support.waiting import until

ROUNDS = int(os.environ.get("MAKE_BRIDGE_TEST_KILLS", "4"))
ROUND_SECONDS = 2.0
READERS = 2
# A machine that does much else takes its time to connect again, and that is not what this is about.
SETTINGS = {"EGRESS_ALLOW": "127.0.0.1", "DATABASE_WAIT_SECONDS": "10"}
_END_ALL = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name LIKE 'make-bridge%' AND datname = current_database()
"""
_STORED = "SELECT count(*) FROM shard.executions WHERE scenario_id = %s"

pytestmark = pytest.mark.timeout(180 + 5 * ROUNDS)


@dataclass(slots=True, kw_only=True)
class Readers:
    """Reads as a customer and over the management API, one after the other, until told to stop."""

    scene: Scene
    replies: "Counter[tuple[str, int]]"
    stopped: threading.Event
    wrong: list[str] = field(default_factory=list)

    def read(self) -> None:
        integrator = self.scene.integrator
        tokened = {"Authorization": f"Token {integrator.api_token}"}
        path = f"{integrator.url}/api/v2/dlqs?scenarioId={self.scene.slow.id}"
        while not self.stopped.is_set():
            self.note("portal", self.scene.slow.portal.call("GET", "/integrations"))
            self.note("management", send("GET", path, headers=tokened))

    def note(self, kind: str, reply: Reply) -> None:
        self.replies[kind, reply.status] += 1
        if reply.status != 200:
            self.wrong.append(f"{kind}: {reply}")


@contextmanager
def reading(scene: Scene) -> Iterator[Readers]:
    readers = Readers(scene=scene, replies=Counter(), stopped=threading.Event())
    threads = [threading.Thread(target=readers.read, daemon=True) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield readers
    finally:
        readers.stopped.set()
        for thread in threads:
            thread.join(20)


def test_readers_feel_nothing_when_every_connection_is_ended_again_and_again(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    with ExitStack() as stack:
        target = stack.enter_context(serving_target(TARGET_PORTS))
        installation = stack.enter_context(installed("embedded", tmp_path / "w", None, **SETTINGS))
        server = installation.server().start()
        scene = build_scene(installation, server.url)
        target.linger = 0.2
        ended = 0
        with (
            keeping_ledger(tmp_path, scene.plan("load", target, seed=seed, rate=25.0)) as ledger,
            reading(scene) as readers,
        ):
            for _ in range(ROUNDS):
                mark, until_then = readers.replies.total() + 20, time.monotonic() + ROUND_SECONDS
                until(
                    lambda: readers.replies.total() >= mark and time.monotonic() >= until_then,  # noqa: B023
                    "there was reading",
                    within=90,
                )
                ended += end_all(installation)
        target.linger = 0.0
        drain(installation.shard_dsn, scene.scenario_ids)
        verdict = judge([ledger], installation.shard_dsn, scene.scenario_ids, target.calls)
        lost = server.metric("database_refusals_total", reason="lost")
        busy = server.metric("database_refusals_total", reason="busy")
    counted = f"{lost:g} lost, {busy:g} busy"
    numbers = (
        f"seed {seed}; {counted}; {ended} sessions ended in {ROUNDS} rounds; reads {dict(readers.replies)}; {verdict}"
    )
    tell(numbers)
    record_property("faults", numbers)
    assert ended >= 3 * ROUNDS, "hardly a session was ended: the test does not bite"
    assert readers.wrong == [], numbers
    assert {kind for kind, _ in readers.replies} == {"portal", "management"}
    assert verdict.is_clean, f"the promises are broken: {verdict}"


def end_all(installation: Installation) -> int:
    with psycopg.connect(installation.shard_dsn, autocommit=True) as connection:
        [count] = connection.execute(_END_ALL).fetchone() or (0,)
    return int(count)


@dataclass(slots=True, kw_only=True)
class Lined:
    """A server whose way to the database is a line that can be broken."""

    installation: Installation
    server: ServerProcess
    line: SlowLine
    scene: Scene
    target: Target

    def stored(self) -> int:
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            [count] = connection.execute(_STORED, [self.scene.slow.id]).fetchone() or (0,)
        return int(count)


@pytest.fixture
def lined(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Lined]:
    with (
        serving_target(TARGET_PORTS) as target,
        own_postgres(server("postgresql-15")) as postgres,
        slow_line(postgres.port) as line,
        installed("external-one", tmp_path / "w", postgres, EGRESS_ALLOW="127.0.0.1") as installation,
    ):
        over_the_line = installation.environment["DATABASE_URL"].replace(f":{postgres.port}/", f":{line.port}/")
        serving = installation.server(DATABASE_URL=over_the_line).start()
        scene = build_scene(installation, serving.url)
        yield Lined(installation=installation, server=serving, line=line, scene=scene, target=target)


@pytest.mark.requires_server("postgresql-15")
def test_a_webhook_whose_commit_was_never_confirmed_is_refused_and_runs_once_at_most(
    lined: Lined, record_property: Callable[[str, object], None]
) -> None:
    webhook = {"op": "the-one", "url": lined.target.url}
    # What leads to the scenario is remembered for two seconds: the next call meets the database only with its row.
    assert lined.scene.slow.call_hook({**webhook, "op": "before"}).status == 200
    drain(lined.installation.shard_dsn, lined.scene.scenario_ids)
    assert lined.scene.slow.call_hook({**webhook, "op": "just before"}).status == 200
    lined.line.hold_answers()
    replies: list[Reply] = []
    caller = threading.Thread(target=lambda: replies.append(lined.scene.slow.call_hook(webhook)), daemon=True)
    caller.start()
    until(lambda: lined.stored() == 3, "the row is committed", within=20)
    assert replies == [], "the webhook was answered before its commit was confirmed"
    lined.line.cut()
    caller.join(20)
    drain(lined.installation.shard_dsn, lined.scene.scenario_ids)
    arrived = Counter(call.headers["x-op"] for call in lined.target.calls)
    record_property("faults", f"answered {replies[0].status}, stored {lined.stored()}, at the target {dict(arrived)}")
    tell(f"answered {replies[0].status}, stored {lined.stored()}, at the target {dict(arrived)}")
    assert replies[0].status == 503
    assert "retry-after" in replies[0].headers
    assert lined.stored() == 3, "MULTI: an acceptance was sent again although the first was committed"
    assert arrived["the-one"] == 1
