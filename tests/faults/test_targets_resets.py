"""Targets that break a call off: what is tried again, how often its effect may have happened, and under which key.

The oracle counts what the target was asked. DUP_EFFECT is how often it was asked more than once for one step; that is
allowed for what may be repeated and for what is sent with a key, and all of a step's calls must carry the same one.
(F-42)
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import pytest

from acceptance.test_incomplete_executions import Scene, make_scene, post
from faults.scene import tell
from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest
from support.hostile import Connection, Hostile, misbehaving
from support.integrator import Integrator, new_organization
from support.server import Installation, installed
from support.target import Target, serving_target
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 60.0
TIMES = 2
METHODS = ("get", "put", "post")
MOMENTS = {
    "after the request": b"",
    "in the head": b"HTTP/1.1 200 OK\r\nContent-Type: appl",
    "in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf",
}
_SOON = (
    "UPDATE shard.queue SET ready_at = now() WHERE scenario_id = %s AND kind = 'incomplete.retry' AND ready_at > now()"
)
_RECORD = "SELECT attempts, resolved, retry, error_type FROM shard.incomplete_executions WHERE scenario_id = %s"
KEY = "idempotency-key"


async def break_off(connection: Connection, *, beginning: bytes) -> None:
    """Break the first calls to each path off after these bytes; answer the next."""
    request = await connection.request()
    if sum(earlier.path == request.path for earlier in connection.server.requests) <= TIMES:
        await connection.send(beginning)
        connection.reset()
        return
    await connection.answer(b"{}", "200 OK", "Connection: close")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A server, an integrator, and a target that works."""

    installation: Installation
    integrator: Integrator
    sound: Target

    def scene(self, method: str, url: str) -> Scene:
        call = post(3, url, "effect")
        call["mapper"] |= {"method": method, "followAllRedirects": True}
        return make_scene(self.integrator, self.sound, post(2, f"{self.sound.url}/before", "x"), call, dlq=True)

    def record(self, scene: Scene) -> tuple[int, bool, bool, str]:
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            rows: list[Any] = connection.execute(_RECORD, (scene.id,)).fetchall()
        return rows[0] if rows else (0, False, False, "")

    def pass_time(self, scene: Scene) -> None:
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            connection.execute(_SOON, (scene.id,))

    def run_out(self, scene: Scene) -> None:
        """Call the scenario once, and let time pass until what it left is resolved."""
        scene.call({})
        for attempts in range(TIMES):
            until(partial(self._has_tried, scene, attempts), f"attempt {attempts} has failed", within=WITHIN)
            self.pass_time(scene)
        until(lambda: self.record(scene)[1], "the record is resolved", within=WITHIN)

    def _has_tried(self, scene: Scene, attempts: int) -> bool:
        tried, _, retries, error = self.record(scene)
        return (tried, retries, error) == (attempts, True, "ConnectionError")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("resets") / "w"
    with serving_target() as target, installed("embedded", folder, None, EGRESS_ALLOW="127.0.0.1") as installation:
        server = installation.server().start()
        integrator = new_organization(installation, server.url)
        yield Stage(installation=installation, integrator=integrator, sound=target)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_call_that_is_broken_off_is_tried_again_by_itself_under_one_key(stage: Stage, moment: str) -> None:
    with misbehaving(partial(break_off, beginning=MOMENTS[moment])) as target:
        for method in METHODS:
            stage.run_out(stage.scene(method, target.url(f"/{method}")))
        for method in METHODS:
            judge(target, f"/{method}", f"{moment}, {method}", keyed=method != "get")


def test_a_call_that_is_broken_off_behind_a_redirect_keeps_its_key(stage: Stage) -> None:
    with misbehaving(partial(break_off, beginning=b"")) as target:

        async def point_there(connection: Connection) -> None:
            await connection.request()
            await connection.answer(
                b"", "307 Temporary Redirect", f"Location: {target.url('/post')}", "Connection: close"
            )

        with misbehaving(point_there) as first:
            stage.run_out(stage.scene("post", first.url()))
        judge(target, "/post", "behind a redirect, post", keyed=True)


def judge(target: Hostile, path: str, what: str, *, keyed: bool) -> None:
    """Hold what the target was asked against what it may be asked."""
    calls = [request for request in target.requests if request.path == path]
    keys = Counter(request.headers.get(KEY, "") for request in calls)
    tell(f"F-42 {what}: DUP_EFFECT {len(calls) - 1}, keys {len(keys)}, without a key {keys['']}")
    assert len(calls) == TIMES + 1
    assert len(keys) == 1
    assert (keys[""] == 0) is keyed


@pytest.mark.parametrize(("method", "arrivals"), [("GET", 3), ("PUT", 3), ("POST", 2)])
async def test_on_a_connection_that_was_kept_only_what_may_be_repeated_is_sent_again_unasked(
    method: str, arrivals: int
) -> None:
    async def answer_once(connection: Connection) -> None:
        await connection.request()
        await connection.answer()
        await connection.request()
        connection.reset()

    policy = EgressPolicy.parse(["127.0.0.1"])
    with misbehaving(answer_once) as target:
        async with EgressClient(EgressConfig(policy=policy)) as client:
            failure: EgressFailure | None = None
            for key in ("first", "second"):
                request = EgressRequest(url=target.url(), method=method, headers=[(KEY, key)], timeout=10)
                try:
                    await client.send(request)
                except EgressFailure as caught:
                    failure = caught
    keys = Counter(request.headers[KEY] for request in target.requests)
    tell(f"F-42 kept connection, {method}: arrived {dict(keys)}, ended {failure and failure.kind}")
    assert len(target.requests) == arrivals
    assert keys["second"] == arrivals - 1
    if method == "POST":
        assert failure is not None
        assert (failure.kind, failure.sent) == ("protocol", True)
