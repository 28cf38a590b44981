"""kill -9 between sending a webhook and writing that down: it is delivered again, as the same message.

The receiver holds its answers, so every process is killed with calls on their way. Afterwards each event has been
delivered at least once (LOST otherwise), every delivery of an event has one id (DUP_EFFECT otherwise: a receiver that
knows an id would act twice), and nothing is left waiting (STUCK). (F-02)
"""

import json
import os
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from faults.scene import new_seed, tell
from support.integrator import new_organization
from support.network import send
from support.server import installed
from support.target import Target, serving_target
from support.waiting import until
from support.webhooks import verify

pytestmark = pytest.mark.timeout(400)
WITHIN = 60.0
PINGS = 4
KILLS = int(os.environ.get("MAKE_BRIDGE_TEST_KILLS", "1"))
_TIME_PASSES = (
    "UPDATE shard.queue SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL",
    "UPDATE shard.webhook_messages SET sending_until = now() WHERE sending_until IS NOT NULL",
    "UPDATE shard.queue SET ready_at = now() WHERE ready_at > now()",
)


def test_a_webhook_that_was_sent_and_not_settled_is_delivered_again_under_its_id(tmp_path: Path) -> None:
    seed = new_seed()
    with (
        serving_target() as ears,
        installed(
            "embedded", tmp_path / "installation", None, EGRESS_ALLOW="127.0.0.1", WEBHOOK_PLAIN_HTTP="true"
        ) as installation,
    ):
        server = installation.server()
        server.start()
        integrator = new_organization(installation, server.url)

        def ask(method: str, path: str, body: object = None) -> Any:
            headers = {"Authorization": f"Token {integrator.api_token}"}
            reply = send(method, f"{server.url}/api/v2{path}", headers=headers, json_body=body)
            assert reply.status == 200, f"seed {seed}: {method} {path}: {reply}"
            return reply.json()

        endpoint = ask("POST", "/webhook-endpoints", {"url": f"{ears.url}/events"})["webhookEndpoint"]
        one = f"/webhook-endpoints/{endpoint['id']}"
        hold = ears.hold()
        wanted = {ask("POST", f"{one}/ping")["message"]["id"] for _ in range(PINGS)}
        for turn in range(1, KILLS + 1):
            arrived = PINGS * turn
            until(partial(_have_arrived, ears, arrived), f"seed {seed}: {arrived} calls", within=WITHIN)
            server.kill()
            server.start()
            if turn < KILLS:
                _let_time_pass(installation.shard_dsn)
        hold.release()

        def are_done() -> bool:
            _let_time_pass(installation.shard_dsn)
            return len(ask("GET", f"{one}/messages?state=delivered")["messages"]) == PINGS

        until(are_done, f"seed {seed}: STUCK: messages wait for ever", within=WITHIN, pause=0.5)
        server.end()
        ids: dict[str, set[str]] = defaultdict(set)
        for call in ears.calls:
            shown = verify(endpoint["secret"], call.headers, call.body, time.time())
            ids[json.loads(call.body)["id"]].add(shown)
        tell(f"seed {seed}: {len(ears.calls)} calls for {PINGS} messages after {KILLS} kills")
        assert {shown for found in ids.values() for shown in found} >= wanted, f"seed {seed}: LOST"
        assert all(len(found) == 1 for found in ids.values()), f"seed {seed}: DUP_EFFECT: {dict(ids)}"
        assert len(ears.calls) > PINGS, f"seed {seed}: nothing was broken off"


def _have_arrived(ears: Target, calls: int) -> bool:
    return len(ears.calls) >= calls


def _let_time_pass(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _TIME_PASSES:
            connection.execute(statement.encode())
