"""What a server says of its health while the servers behind it are killed and come back.

Alive is who runs; ready is who can serve, by looks that are believed after a few in a row; `/health` tells an operator
what is up or down since when, and whether the loops beside requests turn.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.network import Reply, send
from support.postgres_process import PostgresProcess, own_postgres
from support.redis_process import RedisProcess, own_redis
from support.server import ServerProcess, installed
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15", "redis-server"), pytest.mark.timeout(300)]
TOKEN = secrets.token_hex(32)
LOOPS = {
    *("claims", "heartbeats", "sweeps", "schedules", "limits of usage", "relay", "audit", "upkeep", "clock"),
    *("shard map", "membership"),
}
WITHIN = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Two servers on one database and one Redis: one that believes two bad looks, one that waits for very many."""

    postgres: PostgresProcess
    redis: RedisProcess
    quick: ServerProcess
    patient: ServerProcess


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, server: Callable[[str], Path]) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("health")
    token = folder / "token"
    token.write_text(TOKEN)
    with ExitStack() as exits:
        postgres = exits.enter_context(own_postgres(server("postgresql-15")))
        redis = exits.enter_context(own_redis(server("redis-server"), folder / "redis"))
        settings = {"REDIS_URL": redis.url, "METRICS_TOKEN_FILE": str(token), "REDIS_PROBE_SECONDS": "0.2"}
        installation = exits.enter_context(installed("external-one", folder / "w", postgres, **settings))
        quick = installation.server("quick", NODE_ID="quick").start()
        patient = installation.server("patient", NODE_ID="patient", HEALTH_FALL="100").start()
        yield Place(postgres=postgres, redis=redis, quick=quick, patient=patient)


def health(server: ServerProcess) -> dict[str, Any]:
    told: dict[str, Any] = server.get("/health").json()
    return told


def state(server: ServerProcess, name: str) -> str:
    return str(health(server)["dependencies"][name]["state"])


def since(server: ServerProcess, name: str) -> datetime:
    return datetime.fromisoformat(health(server)["dependencies"][name]["since"])


def test_a_server_tells_what_it_depends_on_and_that_its_loops_turn(place: Place) -> None:
    told = health(place.quick)
    assert (told["status"], told["reasons"], told["degraded"], told["node"]) == ("ready", [], [], "quick")
    assert {name: found["state"] for name, found in told["dependencies"].items()} == {
        "directory": "up", "shard 0": "up", "clock": "up", "redis": "up",
    }  # fmt: skip
    assert all(found["milliseconds"] < 1000 for found in told["dependencies"].values())
    assert {loop["loop"] for loop in told["loops"]} >= LOOPS
    assert {loop["state"] for loop in told["loops"]} == {"turning"}
    assert {name: sink["state"] for name, sink in told["logs"].items()} == {"output": "up"}


def test_a_database_that_is_killed_ends_readiness_after_a_few_looks_and_never_life(place: Place) -> None:
    began = datetime.now(UTC)
    place.postgres.kill()
    until(lambda: place.quick.get("/ready").status == 503, "it is not ready", within=WITHIN)
    ready = place.quick.get("/ready").json()
    assert ready["status"] == "unready"
    assert any("database" in reason for reason in ready["reasons"]), ready
    assert place.quick.get("/live").status == 200
    # Who waits for a hundred bad looks in a row has not believed the few that there were.
    assert place.patient.get("/ready").status == 200
    told = place.quick.get("/health")
    assert (told.status, told.json()["status"]) == (503, "unready")
    directory = told.json()["dependencies"]["directory"]
    assert (directory["state"], directory["reason"] != "") == ("down", True)
    assert began < datetime.fromisoformat(directory["since"]) < datetime.now(UTC)
    # A loop that cannot claim is not one that found nothing to claim.
    until(lambda: age(place.quick, "claims") > 2, "claims grow old", within=WITHIN)
    place.postgres.start()
    until(place.quick.is_ready, "it is ready again", within=WITHIN)
    assert since(place.quick, "directory") > datetime.fromisoformat(directory["since"])
    until(lambda: age(place.quick, "claims") < 2, "it claims again", within=WITHIN)
    until(lambda: health(place.quick)["status"] == "ready", "nothing is missing", within=WITHIN)


def age(server: ServerProcess, loop: str) -> float:
    return max(float(found["secondsAgo"]) for found in health(server)["loops"] if found["loop"] == loop)


def test_a_redis_that_is_killed_is_told_and_keeps_nobody_from_being_served(place: Place) -> None:
    place.redis.kill()
    until(lambda: state(place.quick, "redis") == "down", "it knows", within=WITHIN)
    ready = place.quick.get("/ready")
    assert (ready.status, ready.json()["status"]) == (200, "ready")
    assert any("Redis" in sentence for sentence in ready.json()["degraded"])
    assert health(place.quick)["status"] == "degraded"
    place.redis.start()
    until(lambda: state(place.quick, "redis") == "up", "it knows that it is back", within=WITHIN)
    until(lambda: "degraded" not in place.quick.get("/ready").json(), "nothing is missing", within=WITHIN)


def ask(place: Place, **headers: str) -> Reply:
    return send("GET", f"{place.quick.url}/health", headers=headers)


def test_another_machine_needs_the_operator_s_token(place: Place) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    assert ask(place, **forwarded).status == 404
    assert ask(place, **forwarded, Authorization=f"Bearer {'0' * 64}").status == 404
    allowed = ask(place, **forwarded, Authorization=f"Bearer {TOKEN}")
    assert (allowed.status, allowed.json()["node"]) == (200, "quick")
    assert TOKEN not in allowed.body.decode()
    assert place.quick.get("/live").json() == {"status": "live"}
