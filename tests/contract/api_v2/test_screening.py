"""Screening: words of attacks are told to the operator and to the organization, and change nothing else."""

import dataclasses
import json

import pytest
import structlog

from make_bridge.faces.api_v2.routes import api_routes
from make_bridge.faces.edge.doors import OpenDoors
from make_bridge.faces.edge.screening import Screening
from make_bridge.faces.edge.witness import Witness
from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.audit.refusals import Refusals
from make_bridge.services.bridge import token_gates
from support.edge import client_of

ATTACK = "x'; DROP TABLE users; --"


@pytest.fixture
def client(api):
    screening = Screening(api.shards, SystemClock(), rows_per_hour=2)
    witness = Witness(refusals=Refusals(api.shards), screening=screening)
    dependencies = dataclasses.replace(api.dependencies, witness=witness)
    return client_of(api_routes(dependencies, OpenDoors(token_gates(dependencies))))


@pytest.fixture
def send(client, acme):
    async def send(method, path, body=None):
        headers = [("Authorization", f"Token {acme.facts.api_token}"), ("Content-Type", "application/json")]
        return await client.send(method, f"/api/v2{path}", headers=headers, body=json.dumps(body).encode())

    return send


@pytest.fixture
def probes(acme):
    async def probes():
        trail = await acme.ask("GET", f"/organizations/{acme.facts.organization_id}/audit?action=probe.seen")
        return [(act["object"], act["detail"]) for act in trail["audit"]]

    return probes


def structure(acme, name):
    return {"name": name, "teamId": acme.facts.team_id, "strict": False, "spec": []}


async def test_words_of_an_attack_are_stored_as_data_and_told(acme, send, probes):
    with structlog.testing.capture_logs() as logs:
        made = await send("POST", "/data-structures", structure(acme, ATTACK))
    assert made.status < 300, made.body
    assert made.json()["dataStructure"]["name"] == ATTACK
    assert await probes() == [("POST /api/v2/data-structures", {"body": ["sql"]})]
    [line] = [line for line in logs if line["event"] == "probe_seen"]
    assert line["organization_id"] == acme.facts.organization_id
    assert ATTACK not in json.dumps(line)


async def test_the_address_is_looked_at_too(acme, send, probes):
    answer = await send("GET", f"/data-structures?teamId={acme.facts.team_id}&q=%3Cscript%3Ealert(1)%3C/script%3E")
    assert answer.status == 200
    assert await probes() == [("GET /api/v2/data-structures", {"address": ["script"]})]


async def test_an_honest_request_has_no_row(acme, send, probes):
    await send("POST", "/data-structures", structure(acme, "Please update your address; Trade Union Congress"))
    assert await probes() == []


async def test_rows_are_bounded_and_the_log_goes_on(acme, send, probes):
    with structlog.testing.capture_logs() as logs:
        for number in range(5):
            await send("POST", "/data-structures", structure(acme, f"{number} {ATTACK}"))
    assert len(await probes()) == 2
    assert sum(line["event"] == "probe_seen" for line in logs) == 5


async def test_nobody_looks_unless_it_is_switched_on(acme, probes):
    answer = await acme.send("POST", "/data-structures", structure(acme, ATTACK))
    assert answer.status < 300
    assert await probes() == []
