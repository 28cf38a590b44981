"""ORDER: runs of one key reach their target in the order they were sent in, over a kill -9; a poisoned key waits alone.

Fifty customers each send one webhook after the other, the next when the last is acknowledged; the server is killed in
the middle. One customer's first run fails and is kept as an incomplete execution: nothing of that key may be called
before it is tried again, and nobody else may wait for it. The seed decides when the kill falls. (F-62)
"""

import random
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from faults.scene import new_seed, tell
from support.integrator import Connected, Integrator, new_organization
from support.network import send
from support.server import Installation, ServerProcess, installed
from support.target import Call, Target, serving_target
from support.waiting import until

KEYS = 50
RUNS_OF_KEY = 8
POISONED = "customer-00"
_WAITING = "SELECT ordering_key, count(*) FROM shard.queue WHERE scenario_id = %s GROUP BY ordering_key"
_BLUEPRINT: dict[str, Any] = {
    "name": "Calls a shop in order",
    "flow": [
        {
            "id": 1,
            "module": "gateway:CustomWebHook",
            "version": 1,
            "parameters": {"hook": None, "maxResults": 1},
            "mapper": {},
            "metadata": {"interface": [{"name": name, "type": "text"} for name in ("key", "seq", "url")]},
        },
        {
            "id": 2,
            "module": "http:ActionSendData",
            "version": 3,
            "parameters": {"handleErrors": True},
            "mapper": {
                "url": "{{1.url}}",
                "method": "put",
                "headers": [{"name": "X-Key", "value": "{{1.key}}"}, {"name": "X-Seq", "value": "{{1.seq}}"}],
                "bodyType": "raw",
                "contentType": "text/plain",
                "data": "{{1.seq}}",
                "timeout": 60,
            },
        },
    ],
    "metadata": {"version": 1, "scenario": {"dlq": True}},
}

pytestmark = pytest.mark.timeout(240)


@dataclass(slots=True, kw_only=True)
class Senders:
    """Fifty customers, each with its own line of webhooks."""

    scenario: Connected
    target: Target
    acked: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send_all(self, key: str) -> None:
        for seq in range(RUNS_OF_KEY):
            path = "poison" if key == POISONED else "orders"
            body = {"key": key, "seq": str(seq), "url": f"{self.target.url}/{path}"}
            until(partial(self._is_taken, body), f"{key} {seq} is acknowledged", within=60, pause=0.05)
            with self.lock:
                self.acked += 1

    def _is_taken(self, body: dict[str, str]) -> bool:
        try:
            return self.scenario.call_hook(body).status == 200
        except OSError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    installation: Installation
    server: ServerProcess
    integrator: Integrator
    scenario: Connected
    target: Target

    def api(self, method: str, path: str, json_body: object = None) -> Any:
        headers = {"Authorization": f"Token {self.integrator.api_token}"}
        reply = send(method, f"{self.server.url}/api/v2{path}", headers=headers, json_body=json_body)
        assert reply.status == 200, reply
        return reply.json()

    def waiting(self) -> dict[str | None, int]:
        """How many runs the queue holds, by key."""
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            return dict(connection.execute(_WAITING, (self.scenario.id,)).fetchall())


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    with serving_target() as target, installed("embedded", folder, None, EGRESS_ALLOW="127.0.0.1") as installation:
        server = installation.server().start()
        integrator = new_organization(installation, server.url)
        version_id = integrator.publish(_BLUEPRINT)
        options = {"autoActivate": True, "scenario": {"name": "Orders", "enable": True}}
        scenario = integrator.customer("dana@example.com").connect(version_id, {}, **options)
        staged = Stage(
            installation=installation, server=server, integrator=integrator, scenario=scenario, target=target
        )
        staged.api("PUT", f"/scenarios/{scenario.id}/ordering", {"orderingKey": "{{1.key}}"})
        target.linger = 0.02
        target.statuses["/poison"] = 404
        yield staged


def inversions(calls: Sequence[Call]) -> list[str]:
    """Each call that came after a later one of its key; one that a kill interrupted may come again, before the next."""
    highest: dict[str, int] = defaultdict(lambda: -1)
    found = []
    for call in calls:
        key, seq = call.headers["x-key"], int(call.headers["x-seq"])
        if seq < highest[key]:
            found.append(f"{key}: {seq} after {highest[key]}")
        highest[key] = max(highest[key], seq)
    return found


def lost(calls: Sequence[Call], keys: Sequence[str]) -> list[str]:
    arrived = {(call.headers["x-key"], int(call.headers["x-seq"])) for call in calls}
    return [f"{key}: {seq}" for key in keys for seq in range(RUNS_OF_KEY) if (key, seq) not in arrived]


def test_runs_of_a_key_stay_in_order_and_a_poisoned_key_waits_alone(tmp_path: Path) -> None:
    seed = new_seed()
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    keys = [f"customer-{number:02}" for number in range(KEYS)]
    with stage(tmp_path / "w") as scene:
        senders = Senders(scenario=scene.scenario, target=scene.target)
        mark = chance.randrange(KEYS * RUNS_OF_KEY // 4, KEYS * RUNS_OF_KEY * 3 // 4)
        with ThreadPoolExecutor(KEYS) as threads:
            sending = [threads.submit(senders.send_all, key) for key in keys]
            until(lambda: senders.acked >= mark, f"{mark} webhooks are acknowledged", within=60, pause=0.002)
            scene.server.kill()
            scene.server.start()
            for sender in sending:
                sender.result()
        until(lambda: scene.waiting().keys() <= {POISONED}, "all other keys are through", within=90, pause=0.1)
        calls = list(scene.target.calls)
        [record] = scene.api("GET", f"/dlqs?scenarioId={scene.scenario.id}")["dlqs"]
        behind = scene.waiting()[POISONED]
        poisoned = {call.headers["x-seq"] for call in calls if call.headers["x-key"] == POISONED}
        tell(
            f"seed {seed}; killed after {mark} acknowledgements; {len(calls)} calls;"
            f" ORDER {len(inversions(calls))}, LOST {len(lost(calls, keys[1:]))}, behind the poisoned key {behind}"
        )
        assert inversions(calls) == []
        assert lost(calls, keys[1:]) == []
        assert poisoned == {"0"}, "runs of the poisoned key went on although its first waits"
        assert (record["orderingKey"], record["runsBehind"]) == (POISONED, behind)
        assert behind >= RUNS_OF_KEY - 1

        scene.target.statuses.clear()
        scene.api("POST", f"/dlqs/{record['id']}/retry")
        until(lambda: scene.waiting() == {}, "the poisoned key is through as well", within=60, pause=0.1)
        calls = list(scene.target.calls)
        tell(f"after the retry: ORDER {len(inversions(calls))}, LOST {len(lost(calls, keys))}")
        assert inversions(calls) == []
        assert lost(calls, keys) == []
