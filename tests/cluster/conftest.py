"""A cluster in small: a gateway, two processes of each service that answers, a worker, one database.

Everything is real and a process of its own. The tests end, pause and kill some of them while others call the gateway,
and bring back what they took away, because they share the cluster.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.integrator import Connected, Integrator, Portal, new_organization
from support.network import Reply
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed, show_logs
from support.waiting import until

TEAM = (
    ("bridge-1", "bridge"),
    ("bridge-2", "bridge"),
    ("scenarios-1", "scenarios,templates"),
    ("scenarios-2", "scenarios,templates"),
    ("worker", "worker"),
)
FORWARD_SECONDS = 3.0
SUM = {
    "name": "Sum",
    "flow": [
        {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": None}, "mapper": {}},
        {
            "id": 2, "module": "gateway:WebhookRespond", "version": 1, "parameters": {},
            "mapper": {"status": "200", "body": "{{1.a + 1.b}}"},
        },
    ],
    "metadata": {"version": 1},
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Cluster:
    """What serves, and an integrator with one customer who has a scenario."""

    installation: Installation
    gateway: ServerProcess
    nodes: dict[str, ServerProcess]
    integrator: Integrator
    connected: Connected

    @property
    def customer(self) -> Portal:
        return self.connected.portal

    def read(self) -> Reply:
        """Ask for the customer's scenario, which another process than the gateway has."""
        return self.customer.call("GET", f"/scenarios/{self.connected.id}")

    def seen(self, role: str, state: str) -> float:
        """How many processes of a role the gateway sees in a state."""
        return self.gateway.metric("upstream_nodes", role=role, state=state)

    def await_whole(self) -> None:
        """Wait until the gateway sees everybody well."""
        whole = {"bridge": 2, "scenarios": 2, "templates": 2}
        for role, count in whole.items():
            until(
                lambda role=role, count=count: self.seen(role, "up") == count,  # type: ignore[misc]
                f"the gateway sees {count} of the role {role}",
                within=60,
            )


@dataclass(slots=True)
class Load:
    """Callers that go on until they are told to stop, and what they were told; what is not 200 with its moment."""

    statuses: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str) -> None:
        with self._lock:
            self.statuses[what] += 1

    @property
    def count(self) -> int:
        with self._lock:
            return sum(self.statuses.values())

    def await_more(self, calls: int) -> None:
        """Wait until so many more calls were answered."""
        wanted = self.count + calls
        until(lambda: self.count >= wanted, f"{calls} more calls are answered", within=60)


@contextmanager
def calling(call: Callable[[], Reply], callers: int = 4) -> Iterator[Load]:
    """Have callers repeat a call for as long as the block lasts."""
    load, stopped, begun = Load(), threading.Event(), time.monotonic()

    def go_on() -> None:
        while not stopped.is_set():
            try:
                reply = call()
                load.note("200" if reply.status == 200 else f"{time.monotonic() - begun:.3f} s: {reply}")
            except OSError as error:
                load.note(type(error).__name__)

    threads = [threading.Thread(target=go_on) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def cluster(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    settings = {
        "FORWARD_SECONDS": str(FORWARD_SECONDS), "NODE_CHECK_SECONDS": "0.2", "SERVERS_SECONDS": "0.2",
        "LEAVE_SECONDS": "1",
    }  # fmt: skip
    with (
        own_postgres(server("postgresql-15")) as postgres,
        installed("external-one", folder / "w", postgres, **settings) as installation,
    ):
        gateway = installation.server("gateway", ROLES="gateway")
        installation.environment["PUBLIC_URL"] = gateway.url
        nodes = {name: installation.server(name, ROLES=roles, NODE_ID=name).start(wait=False) for name, roles in TEAM}
        for node in nodes.values():
            node.wait_ready()
        gateway.start()
        integrator = new_organization(installation, gateway.url)
        template = integrator.publish(SUM)
        connected = integrator.customer().connect(template, {}, scenario={"name": "My sums", "enable": True})
        yield Cluster(
            installation=installation, gateway=gateway, nodes=nodes, integrator=integrator, connected=connected
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes said beside what a failed test says."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and isinstance(cluster, Cluster):
        show_logs(report, cluster.installation.folder)
    return report
