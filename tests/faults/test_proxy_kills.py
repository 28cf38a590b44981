"""F-03: one of two servers behind nginx is killed, again and again, and only what it was at work on is in doubt.

Before each kill the victim's line to the database is frozen while webhooks are sent: they arrive, and are not stored.
The line is cut with the kill, so that what it held never arrives. A webhook that was acknowledged all the same would be
lost. Each request that fails must be one of those that were open at that moment; whatever had not been sent to the
victim is carried by the other server, without anybody but nginx having to know.

The short form kills three times; MAKE_BRIDGE_TEST_KILLS says how often else. A run is repeated with
MAKE_BRIDGE_TEST_SEED.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from faults.oracle import LedgerProcess, Verdict, drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.nginx import EJECTED_SECONDS, Nginx, Told, nginx_before, wall_clock
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.slow_line import SlowLine, slow_line
from support.target import Target, serving_target
from support.waiting import until

KILLS = int(os.environ.get("MAKE_BRIDGE_TEST_KILLS", "3"))
# So many are sent to both before a kill; nearly half of them hang at the one that dies.
SENT = 16
OPEN = 6
EJECTED_WITHIN = 1.0
# What nginx wrote into a connection that was gone before it was told so: it has been sent.
_UNSEEN_SECONDS = 0.25
_MOST_IN_FLIGHT = 32

pytestmark = [
    pytest.mark.requires_server("postgresql-15", "nginx"),
    pytest.mark.timeout(120 + 30 * KILLS),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill: when it began, when the victim was gone, when it was started again, and what it was at work on."""

    port: int
    began: float
    gone: float
    back: float
    open: frozenset[str]


@dataclass(slots=True)
class Stage:
    """Two servers behind nginx, each with its own line to the database."""

    installation: Installation
    servers: list[tuple[ServerProcess, SlowLine]]
    nginx: Nginx
    scene: Scene
    target: Target
    kills: list[Kill] = field(default_factory=list)

    def kill_at_work(self, number: int, ledger: LedgerProcess) -> None:
        """Kill one server with requests open, start it again, and wait until nginx has taken it back."""
        victim, line = self.servers[number % len(self.servers)]
        frozen = wall_clock()
        line.freeze()
        # Not until they hang: a server that answers what it has not stored has none that do.
        until(lambda: sent_since(ledger, frozen) >= SENT, f"{SENT} webhooks are sent", within=20, pause=0.005)
        began = wall_clock()
        victim.kill()
        gone = wall_clock()
        line.cut()
        line.thaw()
        hung = frozenset(open_at(ledger, began, gone))
        # For longer than the ejection lasts, so that nginx meets a dead server again.
        until(lambda: turned_away(self.nginx, victim.port, gone), "nginx has met the dead one again", within=20)
        victim.start(wait=False)
        back = wall_clock()
        self.kills.append(Kill(port=victim.port, began=began, gone=gone, back=back, open=hung))
        victim.wait_ready()
        until(lambda: self.nginx.serves_from(victim.port, back), "nginx has taken it back", within=30, pause=0.1)


@pytest.fixture
def behind(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Stage]:
    with ExitStack() as stack:
        target = stack.enter_context(serving_target(TARGET_PORTS))
        postgres = stack.enter_context(own_postgres(server("postgresql-15")))
        lines = [stack.enter_context(slow_line(postgres.port)) for _ in range(2)]
        installation = stack.enter_context(
            installed("external-one", tmp_path / "w", postgres, EGRESS_ALLOW="127.0.0.1")
        )
        servers = []
        for name, line in zip(("first", "second"), lines, strict=True):
            url = installation.environment["DATABASE_URL"].replace(f":{postgres.port}/", f":{line.port}/")
            servers.append((installation.server(name, NODE_ID=name, DATABASE_URL=url).start(), line))
        ports = [started.port for started, _ in servers]
        nginx = stack.enter_context(nginx_before(server("nginx"), tmp_path / "nginx", ports))
        yield Stage(installation, servers, nginx, build_scene(installation, servers[0][0].url), target)


def test_killing_a_server_behind_nginx_leaves_only_its_open_requests_in_doubt(
    behind: Stage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    load = {"weights": {"slow": 1, "quick": 3}, "rate": 60.0, "in_flight": _MOST_IN_FLIGHT, "seed": seed}
    with keeping_ledger(tmp_path, behind.scene.plan("load", behind.target, url=behind.nginx.url, **load)) as ledger:
        for number in range(KILLS):
            behind.kill_at_work(number, ledger)
    drain(behind.installation.shard_dsn, behind.scene.scenario_ids)
    verdict = judge([ledger], behind.installation.shard_dsn, behind.scene.scenario_ids, behind.target.calls)
    doubtful = {line.op for line in ledger.lines() if line.status != "200"}
    hung = frozenset().union(*(kill.open for kill in behind.kills))
    ejections = [ejected_after(behind.nginx, kill) for kill in behind.kills]
    numbers = (
        f"seed {seed}; kills {KILLS}; open at them {[len(kill.open) for kill in behind.kills]}, failed {len(doubtful)};"
        f" ejected after at most {max(ejections):.3f} s"
    )
    tell(f"{numbers}\n{verdict}")
    record_property("faults", f"{numbers}; {verdict}")
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert doubtful <= hung, f"requests failed that were not open at a server that died: {doubtful - hung}"
    assert unsent_failures(behind) == [], "requests failed that had not been sent to the one that died"
    assert max(ejections) <= EJECTED_WITHIN
    assert_bites(behind, verdict)


def assert_bites(behind: Stage, verdict: Verdict) -> None:
    """Say so where the test could not have failed, and where nginx did not do its part."""
    assert verdict.unknown >= KILLS * OPEN // 2, "hardly a request was open at a kill"
    assert verdict.refused == 0, "nginx itself was away"
    for kill in behind.kills:
        met = turned_away(behind.nginx, kill.port, kill.gone, kill.back)
        assert len(met) <= (kill.back - kill.gone) / EJECTED_SECONDS + 1, "nginx went on trying the dead server"


def turned_away(nginx: Nginx, port: int, since: float, until_: float = float("inf")) -> list[Told]:
    """Give the requests that found the server on this port dead, and were carried by the other."""
    return [
        told
        for told in nginx.told()
        if since + EJECTED_WITHIN < told.began < until_ and len(told.tried) > 1 and told.tried[0].endswith(f":{port}")
    ]


def sent_since(ledger: LedgerProcess, moment: float) -> int:
    return sum(line.sent_at > moment for line in ledger.lines())


def open_at(ledger: LedgerProcess, began: float, gone: float) -> set[str]:
    """The operations on their way between these moments: open at the victim, or at most at the other one."""
    return {
        line.op
        for line in ledger.lines()
        if line.sent_at <= gone + _UNSEEN_SECONDS and (line.answered_at is None or line.answered_at >= began)
    }


def unsent_failures(behind: Stage) -> list[str]:
    """What nginx answered with an error though nothing of it had gone to a server that then died."""
    ports = {kill.port for kill in behind.kills}
    return [
        str(told)
        for told in behind.nginx.told()
        if told.status != 200 and not any(told.has_sent_to(port) for port in ports)
    ]


def ejected_after(nginx: Nginx, kill: Kill) -> float:
    """How long after its death the last request that failed began at the victim; 0 when all had begun before."""
    failed = [told for told in nginx.told() if kill.began <= told.ended < kill.back and told.status != 200]
    return max((told.began - kill.gone for told in failed if told.began > kill.gone), default=0.0)
