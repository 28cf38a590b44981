"""F-61: a sender that tells one event a hundred times at once, at two servers on one database.

It stands for every sender that tries again before it has its answer, through a load balancer that sends each try
elsewhere. One execution comes of it, every copy is answered with its id, and its call out is made once. Both ways of
being stored are told the same way: a scenario that calls somebody, and one that is carried out before it is stored.
"""

import os
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any, LiteralString

import psycopg
import pytest

from faults.oracle import drain
from faults.scene import Scene, build_scene, new_seed, tell
from support.integrator import Connected
from support.network import Reply, send
from support.postgres_process import own_postgres
from support.server import Installation, Layout, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

COPIES = 100
EVENTS = int(os.environ.get("MAKE_BRIDGE_TEST_KILLS") or 2)
WINDOW = 3600
FELT_WITHIN = 5.0
_HOOK = "SELECT id FROM shard.hooks WHERE scenario_id = %s"
_STORED = """
SELECT replace(e.id::text, '-', ''), count(o.id) FROM shard.executions e
LEFT JOIN shard.outcomes o ON o.retention = e.retention AND o.id = e.id
WHERE e.scenario_id = %s GROUP BY e.id
"""
_SHIFT = "UPDATE shard.webhook_events SET received_at = received_at - make_interval(secs => %s) WHERE hook_id = %s"

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True, slots=True)
class Place:
    """One or two servers on one database, and the scene they share."""

    installation: Installation
    servers: tuple[ServerProcess, ...]
    scene: Scene
    target: Target

    def rows(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            return connection.execute(statement, parameters).fetchall()

    def execute(self, statement: LiteralString, *parameters: object) -> None:
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            connection.execute(statement, parameters)

    def hook_id(self, scenario: Connected) -> int:
        [(number,)] = self.rows(_HOOK, scenario.id)
        return int(number)

    def name_events(self, scenario: Connected) -> None:
        """Let the hook know its events by a header, and wait until every server does."""
        headers = {"Authorization": f"Token {self.scene.integrator.api_token}"}
        body = {"dedupe": {"header": "X-Event-Id", "windowSeconds": WINDOW}}
        url = f"{self.servers[0].url}/api/v2/hooks/{self.hook_id(scenario)}"
        reply = send("PATCH", url, headers=headers, json_body=body)
        assert reply.status == 200, reply
        for number, server in enumerate(self.servers):
            self._await_names(scenario, server, f"felt-{number}")

    def _await_names(self, scenario: Connected, server: ServerProcess, event: str) -> None:
        until(
            lambda: "x-duplicate" in self.tell(scenario, server, event).headers,
            f"{server.name} knows that events are named",
            within=FELT_WITHIN,
        )

    def tell(self, scenario: Connected, server: ServerProcess, event: str) -> Reply:
        """Tell one event once."""
        address = f"{server.url}/hook/{scenario.hook_url.rpartition('/')[2]}"
        body = {"op": event, "url": f"http://127.0.0.1:{self.target.ports[0]}/"}
        return send("POST", address, headers={"X-Event-Id": event}, json_body=body)

    def tell_copies(self, scenario: Connected, event: str, chance: random.Random) -> list[Reply]:
        """Tell one event many times at the same moment, each copy at one of the servers."""
        at = [self.servers[number % len(self.servers)] for number in range(COPIES)]
        chance.shuffle(at)
        together = Barrier(COPIES)

        def copy(server: ServerProcess) -> Reply:
            together.wait(30)
            return self.tell(scenario, server, event)

        with ThreadPoolExecutor(COPIES) as senders:
            return list(senders.map(copy, at))


@pytest.fixture(params=[pytest.param("external-one", marks=pytest.mark.requires_server("postgresql-15")), "embedded"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Two servers where a database can be shared; one with the database that it brings."""
    layout: Layout = request.param
    with ExitStack() as exits:
        target = exits.enter_context(serving_target(1))
        names, postgres = ["first"], None
        if layout != "embedded":
            server: Callable[[str], Path] = request.getfixturevalue("server")
            names, postgres = ["first", "second"], exits.enter_context(own_postgres(server("postgresql-15")))
        installation = exits.enter_context(installed(layout, tmp_path / "w", postgres, EGRESS_ALLOW="127.0.0.1"))
        servers = tuple(installation.server(name, NODE_ID=name).start() for name in names)
        yield Place(installation, servers, build_scene(installation, servers[0].url), target)


def test_an_event_told_a_hundred_times_at_once_begins_one_execution(
    place: Place, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    chance = random.Random(seed)  # noqa: S311 - which copy goes where can be repeated
    scenarios = {"slow": place.scene.slow, "quick": place.scene.quick}
    for scenario in scenarios.values():
        place.name_events(scenario)
    drain(place.installation.shard_dsn, place.scene.scenario_ids)
    verdict = {}
    for number in range(EVENTS):
        for kind, scenario in scenarios.items():
            verdict[f"{kind}-{number}"] = _of_one(place, scenario, f"{kind}-{seed}-{number}", chance)
    told = f"seed {seed}; {COPIES} copies, {len(place.servers)} servers: {verdict}"
    tell(told)
    record_property("faults", told)
    assert not any(verdict.values()), told


def _of_one(place: Place, scenario: Connected, event: str, chance: random.Random) -> dict[str, object]:
    """Tell one event in its window, at once and again, then after it; return what is wrong."""
    known = _stored(place, scenario).keys()
    replies = place.tell_copies(scenario, event, chance)
    replies += [place.tell(scenario, server, event) for server in place.servers]
    inside = _weigh(place, scenario, known, replies)
    known = _stored(place, scenario).keys()
    place.execute(_SHIFT, WINDOW + 1, place.hook_id(scenario))
    after = _weigh(place, scenario, known, place.tell_copies(scenario, event, chance))
    # The target has seen it once in each window.
    repeated = sum(call.headers.get("x-op") == event for call in list(place.target.calls)) - 2
    effects = {"DUP_EFFECT": repeated} if scenario is place.scene.slow and repeated else {}
    return inside | {f"{name} later": wrong for name, wrong in after.items()} | effects


def _stored(place: Place, scenario: Connected) -> dict[str, int]:
    """Every execution of a scenario with how many ends it has, when none is under way any more."""
    drain(place.installation.shard_dsn, [scenario.id])
    return dict(place.rows(_STORED, scenario.id))


def _weigh(place: Place, scenario: Connected, known: Collection[str], replies: Sequence[Reply]) -> dict[str, object]:
    stored = {one: ends for one, ends in _stored(place, scenario).items() if one not in known}
    named = {reply.headers.get("x-execution-id", "none") for reply in replies}
    wrong: dict[str, object] = {
        "LOST": 0 if stored else 1,
        "MULTI": max(0, len(stored) - 1),
        "STUCK": sum(ends != 1 for ends in stored.values()),
        "MISNAMED": sorted(named ^ stored.keys()),
        "REFUSED": [str(reply) for reply in replies if reply.status // 100 != 2][:5],
        "FIRSTS": sum("x-duplicate" not in reply.headers for reply in replies) - 1,
    }
    return {name: value for name, value in wrong.items() if value}
