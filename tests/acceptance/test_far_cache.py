"""Two servers, one PostgreSQL, one Redis: what one has read from the database the other finds in Redis."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from faults.scene import QUICK
from support.integrator import Connected, Integrator, new_organization
from support.network import send
from support.postgres_process import own_postgres
from support.redis_process import RedisProcess, own_redis
from support.server import Installation, ServerProcess, installed
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15", "redis-server"), pytest.mark.timeout(180)]
# Long, so that a Redis that answers does so in time on a busy machine, too.
SETTINGS = {"REDIS_SECONDS": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An installation of which one server serves, and its Redis."""

    installation: Installation
    redis: RedisProcess
    first: ServerProcess

    def second(self, **settings: str) -> ServerProcess:
        return self.installation.server("second", NODE_ID="second", **settings).start()


@pytest.fixture
def place(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Place]:
    with ExitStack() as exits:
        postgres = exits.enter_context(own_postgres(server("postgresql-15")))
        redis = exits.enter_context(own_redis(server("redis-server"), tmp_path / "redis"))
        settings = {"REDIS_URL": redis.url, **SETTINGS}
        installation = exits.enter_context(installed("external-one", tmp_path / "w", postgres, **settings))
        first = installation.server("first", NODE_ID="first").start()
        yield Place(installation=installation, redis=redis, first=first)


def _connected(integrator: Integrator) -> Connected:
    options: dict[str, Any] = {"autoActivate": True, "scenario": {"name": QUICK["name"], "enable": True}}
    return integrator.customer("dana@example.com").connect(integrator.publish(QUICK), {}, **options)


def _call(server: ServerProcess, scenario: Connected) -> int:
    address = f"{server.url}/hook/{scenario.hook_url.rpartition('/')[2]}"
    return send("POST", address, json_body={"op": "1"}).status


def test_the_first_webhook_at_a_second_server_finds_its_program_in_redis(place: Place) -> None:
    scenario = _connected(new_organization(place.installation, place.first.url))
    assert _call(place.first, scenario) == 200
    assert place.first.metric("far_cache_writes_total", cache="programs", result="stored") == 1
    second = place.second()
    assert _call(second, scenario) == 200
    assert second.metric("far_cache_reads_total", cache="programs", result="hit") == 1
    assert second.metric("near_cache_reads_total", cache="programs", result="miss") == 1
    assert _call(second, scenario) == 200
    assert second.metric("far_cache_reads_total", cache="programs") == 1, "it is remembered near by now"
    assert second.metric("near_cache_reads_total", cache="programs", result="hit") >= 1
    assert not any(b"done with" in place.redis.command("DUMP", key) for key in place.redis.all_keys())


def _public(server: ServerProcess, who: Integrator) -> list[str]:
    reply = send("GET", server.url + "/api/v2/templates/public", headers={"Authorization": f"Token {who.api_token}"})
    assert reply.status == 200, reply
    return [each["name"] for each in reply.json()["templatesPublic"]]


def test_public_templates_are_shared_and_a_new_one_is_seen_by_all(place: Place) -> None:
    who = new_organization(place.installation, place.first.url)
    second = place.second()
    shown = _public(place.first, who)
    assert _public(second, who) == shown
    assert second.metric("far_cache_reads_total", cache="public_templates", result="hit") == 1
    assert QUICK["name"] not in shown
    who.publish(QUICK)
    assert QUICK["name"] in _public(place.first, who), "who has changed something sees it at once"
    until(lambda: QUICK["name"] in _public(second, who), "the other server shows it, too", within=10)
    place.redis.kill()
    assert _public(second, who)
