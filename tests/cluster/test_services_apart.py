"""Services in processes of their own: what one of them does in its way is felt by nobody who calls the gateway.

Ends, kills and pauses come while others call; readings and changes with a key go elsewhere, a change without one is
never sent twice. And only the gateway speaks to the world: the others believe nobody else.
"""

import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from cluster.conftest import FORWARD_SECONDS, Cluster, calling
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.security.internal_context import HEADER, Forwarded, ForwardedCall, InternalContexts
from make_bridge.platform.security.root_key import RootKey
from support.network import Reply, send
from support.waiting import until

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(180)]

PATH = "/portal/api/bridge/scenarios"


def test_a_call_that_another_process_serves_looks_like_any_other(cluster: Cluster) -> None:
    reply = cluster.read()
    assert reply.status == 200, reply
    assert reply.json()["id"] == cluster.connected.id
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "server" not in reply.headers
    missing = cluster.customer.call("GET", "/scenarios/1024")
    assert missing.status == 404, missing
    # The whole way is one request with one id, whoever found the fault.
    assert missing.json()["requestId"] == missing.headers["x-request-id"]
    assert cluster.gateway.metric("upstream_requests_total", role="scenarios", result="answered") >= 2


def test_a_webhook_is_taken_by_the_gateway_and_carried_out_by_the_worker(cluster: Cluster) -> None:
    reply = cluster.connected.call_hook({"a": 4, "b": 5})
    assert (reply.status, reply.body) == (200, b"9"), reply
    [log] = cluster.connected.logs()
    assert log["status"] == 1
    assert cluster.gateway.metric("webhooks_accepted_total", path="queued") >= 1


def test_a_token_is_used_once_whoever_serves_the_call(cluster: Cluster) -> None:
    token = {"Authorization": f"Bearer {cluster.integrator.token(cluster.customer.sub)}"}
    answers = [send("GET", cluster.gateway.url + PATH, headers=token).status for _ in range(3)]
    assert answers == [200, 401, 401]


def test_the_work_is_shared(cluster: Cluster) -> None:
    before = {name: cluster.nodes[name].metric("process_cpu_seconds_total") for name in ("scenarios-1", "scenarios-2")}
    with calling(cluster.read) as load:
        load.await_more(200)
    spent = [cluster.nodes[name].metric("process_cpu_seconds_total") - used for name, used in before.items()]
    assert set(load.statuses) == {"200"}
    assert min(spent) > 0.2 * max(spent), spent


def test_a_process_that_is_killed_is_felt_by_no_reader(cluster: Cluster) -> None:
    victim = cluster.nodes["scenarios-1"]
    with calling(cluster.read) as load:
        load.await_more(50)
        victim.kill()
        load.await_more(200)
        victim.start()
        load.await_more(50)
    assert set(load.statuses) == {"200"}, load.statuses
    cluster.await_whole()


def test_a_process_that_ends_as_it_should_is_felt_by_nobody_whatever_they_do(cluster: Cluster) -> None:
    def change() -> Reply:
        name = f"My sums {uuid.uuid4()}"
        administrator = cluster.integrator.administrator()
        return administrator.call("PATCH", f"/scenarios/{cluster.connected.id}", json_body={"name": name})

    victim = cluster.nodes["scenarios-2"]
    with calling(change) as load:
        load.await_more(30)
        assert victim.end() is None
        load.await_more(50)
        victim.start()
        load.await_more(30)
    assert set(load.statuses) == {"200"}, load.statuses
    cluster.await_whole()


def test_a_change_is_sent_twice_only_where_that_is_harmless(cluster: Cluster) -> None:
    """Both processes sleep: whoever is asked may have seen the change, so the answer is that nobody knows."""
    path = f"/scenarios/{cluster.connected.id}"
    nodes = [cluster.nodes["scenarios-1"], cluster.nodes["scenarios-2"]]
    for node in nodes:
        node.pause()
    before = cluster.gateway.metric("upstream_retries_total", role="scenarios")
    begun = time.monotonic()
    try:
        reply = cluster.integrator.administrator().call("PATCH", path, json_body={"name": "Late"})
        took = time.monotonic() - begun
    finally:
        for node in nodes:
            node.resume()
    assert reply.status in {503, 504}, reply
    assert took < FORWARD_SECONDS + 2
    assert cluster.gateway.metric("upstream_retries_total", role="scenarios") == before
    cluster.await_whole()
    assert cluster.read().status == 200


def test_without_anybody_of_a_role_its_calls_are_told_so_and_webhooks_go_on(cluster: Cluster) -> None:
    nodes = [cluster.nodes["bridge-1"], cluster.nodes["bridge-2"]]
    for node in nodes:
        node.kill()
    refused = cluster.customer.call("POST", "/integrations/init/1024")
    assert refused.status == 503, refused
    assert "try again" in refused.json()["detail"]
    assert cluster.connected.call_hook({"a": 1, "b": 1}).body == b"2"
    assert cluster.read().status == 200
    for node in nodes:
        node.start()
    cluster.await_whole()


class Outsider:
    """Somebody who reaches a process that only gateways should call."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.path = f"{PATH}/{cluster.connected.id}"
        root = RootKey.load(Path(cluster.installation.environment["ROOT_KEY_FILE"]))
        self.contexts = InternalContexts(root)

    def written(self, *, contexts: InternalContexts | None = None, age: float = 0, **changes: object) -> str:
        now = SystemClock().now() - timedelta(seconds=age)
        context = Context(
            organization_id=OrganizationId(self.cluster.integrator.organization_id),
            actor=Actor(kind=ActorKind.ADMINISTRATOR, reference="*"),
            permissions=frozenset({"*"}),
            request_id="0" * 32,
        )
        handed = Forwarded(context=context, home=TeamId(1), deadline=now + timedelta(seconds=30))
        described = {"audience": "scenarios", "method": "GET", "target": self.path} | changes
        return (contexts or self.contexts).write(handed, ForwardedCall(**described), now)  # type: ignore[arg-type]

    def ask(self, **headers: str) -> int:
        return send("GET", self.cluster.nodes["scenarios-1"].url + self.path, headers=headers).status


@pytest.fixture
def outsider(cluster: Cluster) -> Outsider:
    return Outsider(cluster)


def test_a_service_believes_a_gateway_alone(cluster: Cluster, outsider: Outsider) -> None:
    assert outsider.ask(**{HEADER: outsider.written()}) == 200
    integrator = cluster.integrator
    assert outsider.ask() == 401
    assert outsider.ask(Authorization=f"Token {integrator.api_token}") == 401
    assert outsider.ask(Authorization=f"Bearer {integrator.token('*')}") == 401
    assert outsider.ask(**{"X-Organization-Id": str(integrator.organization_id), "X-Permissions": "*"}) == 401


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("another role", {"audience": "bridge"}),
        ("another method", {"method": "DELETE"}),
        ("another address", {"target": f"{PATH}/1024"}),
        ("another body", {"body": b"{}"}),
        ("long ago", {"age": 120}),
        ("another installation", {"contexts": InternalContexts(RootKey(bytes(range(32))))}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_written_for_something_else_opens_nothing(
    outsider: Outsider, name: str, changes: dict[str, object]
) -> None:
    assert outsider.ask(**{HEADER: outsider.written(**changes)}) == 401, name  # type: ignore[arg-type]


def test_the_gateway_takes_away_what_only_it_may_say(cluster: Cluster, outsider: Outsider) -> None:
    reply = send("GET", cluster.gateway.url + outsider.path, headers={HEADER: outsider.written()})
    assert reply.status == 401, reply


def test_services_serve_neither_webhooks_nor_pages(cluster: Cluster) -> None:
    path = "/" + cluster.connected.hook_url.split("/", 3)[3]
    for node in cluster.nodes.values():
        assert send("POST", node.url + path, json_body={"a": 1}).status == 404
        assert node.get("/console").status == 404
        assert node.get("/openapi.json").status == 404
        assert node.get("/live").status == 200


def test_services_apart_say_what_they_need(cluster: Cluster) -> None:
    """A start that cannot work ends with a sentence for each thing that is missing."""
    installation = cluster.installation
    for left_out in ("PUBLIC_URL", "ROOT_KEY_FILE"):
        kept = installation.environment.pop(left_out)
        try:
            done = installation.command("serve", "--roles", "bridge", check=False)
        finally:
            installation.environment[left_out] = kept
        assert done.returncode == 1
        assert left_out in done.stderr
    done = installation.command("serve", "--roles", "kitchen", check=False)
    assert done.returncode == 1
    assert "MAKE_BRIDGE_ROLES" in done.stderr
    until(lambda: cluster.read().status == 200, "the cluster serves as before", within=10)
