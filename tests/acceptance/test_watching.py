"""Watching a server: what its page of metrics says, and what a real Prometheus makes of it."""

import json
import os
import re
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from acceptance.conftest import Product
from make_bridge.platform.observability.metrics import Metrics
from support.integrator import Connected, import_template, new_organization
from support.manifests import DEPLOY
from support.network import send
from support.postgres_process import own_postgres
from support.prometheus_process import prometheus_of
from support.server import Installation, ServerProcess, installed, postgres_processes
from support.waiting import until

RULES = DEPLOY / "prometheus" / "alerts.yaml"
ORDERS = Path(__file__).with_name("orders.json")
PATIENCE = 60.0
# More than a page takes on a busy machine, and less than a database that does not answer would cost.
PROMPTLY = 1.0
Series = tuple[str, tuple[tuple[str, str], ...]]
HOOK = "/hook/{token}"


def page_of(server: ServerProcess) -> dict[Series, float]:
    text = server.get("/metrics").body.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_five_hundred_addresses_that_lead_nowhere_make_no_series(product: Product) -> None:
    def ask(number: int) -> None:
        path = f"/nowhere-{secrets.token_hex(8)}/{number}"
        assert send("GET", f"{product.url}{path}").status == 404
        send("GET", f"{product.url}/hook/{secrets.token_hex(8)}")
        send("POST", f"{product.url}/hook/{secrets.token_hex(8)}", json_body={})

    ask(0)
    # The page counts who reads it, and shows that from the second time on.
    page_of(product.server)
    before = set(page_of(product.server))
    counted = product.server.metric("http_requests_total", route="(no route)")
    for number in range(500):
        ask(number)
    assert {series for series in set(page_of(product.server)) - before if series[0].startswith("http_")} == set()
    assert product.server.metric("http_requests_total", route="(no route)") >= counted + 500


def test_every_request_is_counted_whichever_way_it_takes(connected: Connected, product: Product) -> None:
    def count(status: str, route: str = HOOK) -> float:
        return product.server.metric("http_requests_total", route=route, status=status)

    good, bad, refused = count("2xx"), count("4xx"), count("4xx", "(refused)")
    # Whole and plain it goes the short way, in pieces or as a GET the long one.
    assert connected.call_hook({"id": 1}).status == 201
    assert send("GET", f"{connected.hook_url}?id=2").status == 201
    assert send("POST", f"{product.url}/hook/{secrets.token_hex(8)}", json_body={}).status == 404
    assert send("GET", f"{product.url}/api/v2/scenarios?{'x' * 20_000}").status == 414
    assert (count("2xx") - good, count("4xx") - bad) == (2, 1)
    assert count("4xx", "(refused)") >= refused + 1
    spread = product.server.metric("http_request_duration_seconds_count", route=HOOK, status="2xx")
    assert spread == count("2xx")
    assert product.server.metric("http_request_duration_seconds_bucket", route=HOOK, status="2xx", le="+Inf") == spread


def test_calls_of_modules_are_counted_by_what_came_of_them(connected: Connected, product: Product) -> None:
    def count() -> float:
        return product.installation.metric("api_calls_total", kind="http", result="2xx")

    before = count()
    assert connected.call_hook({"id": 3}).status == 201
    until(lambda: count() > before, "the call to the shop is counted", within=PATIENCE)
    ran = product.installation.metric
    until(lambda: ran("execution_duration_seconds_count") >= 1, "the run is timed", within=PATIENCE)


def test_labels_have_the_values_that_were_declared(connected: Connected, product: Product) -> None:
    connected.call_hook({"id": 4})
    declared = {one.name: one for one in Metrics().declared}
    wrong: set[tuple[str, str, str]] = set()
    for server in product.installation.servers:
        for name, labels in page_of(server) if server.process is not None else ():
            one = declared.get(name) or declared[re.sub(r"_(bucket|sum|count)$", "", name)]
            closed = {label.name: label.values for label in one.labels if label.values}
            wrong |= {(name, key, value) for key, value in labels if key in closed and value not in closed[key]}
    assert wrong == set()


def test_the_page_asks_no_database(tmp_path: Path) -> None:
    with installed("embedded", tmp_path / "w", None, METRICS_LOOK_SECONDS="0.2", METRICS_WAIT_SECONDS="1") as alone:
        server = alone.server().start()
        connect(alone, server)
        until(lambda: server.metric("active_scenarios_total") == 1, "the scenario is counted", within=PATIENCE)
        hanging = list(postgres_processes(alone.data_dir))
        try:
            for pid in hanging:
                os.kill(pid, signal.SIGSTOP)
            until(lambda: age_of(server) > 3, "figures grow old", within=PATIENCE)
            began = time.monotonic()
            assert server.get("/metrics").status == 200
            assert time.monotonic() - began < PROMPTLY
            assert server.metric("active_scenarios_total") == 1
            assert server.metric("reading_failures_total", of="scenarios") >= 1
        finally:
            for pid in hanging:
                os.kill(pid, signal.SIGCONT)
        until(lambda: age_of(server) < 1, "figures are fresh again", within=PATIENCE)


@pytest.mark.requires_server("prometheus", "postgresql-15")
def test_a_prometheus_reads_the_servers_understands_the_dashboards_and_alerts(
    server: Callable[[str], Path], tmp_path: Path
) -> None:
    token = tmp_path / "metrics.token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    settings = {"METRICS_LOOK_SECONDS": "0.2", "METRICS_TOKEN_FILE": str(token)}
    # What is bad for minutes is bad at once here.
    rules = re.sub(r"^ +for: .*\n", "", RULES.read_text(), flags=re.MULTILINE)
    with (
        own_postgres(server("postgresql-15")) as postgres,
        installed("external-one", tmp_path / "w", postgres, **settings) as both,
    ):
        one, other = both.server("one").start(), both.server("other").start()
        connect(both, one)
        targets = [f"127.0.0.1:{one.port}", f"127.0.0.1:{other.port}"]
        with prometheus_of(server("prometheus"), tmp_path / "prometheus", targets, token, rules) as prometheus:

            def value(question: str) -> list[str]:
                return [series["value"][1] for series in prometheus.ask(question)]

            until(lambda: list(prometheus.targets().values()) == ["up", "up"], "both are read", within=PATIENCE)
            # Both see the same scenario: it is one.
            until(lambda: value("sum(active_scenarios_total)") == ["2"], "both have counted", within=PATIENCE)
            assert value("max(active_scenarios_total)") == ["1"]
            until(lambda: value("rate(http_requests_total[10s]) > 0"), "requests are counted", within=PATIENCE)
            for question in questions():
                prometheus.ask(question.replace("$__rate_interval", "10s"))
            assert "ServerAway" not in prometheus.firing()
            assert other.end() is None
            until(lambda: "ServerAway" in prometheus.firing(), "the alert fires", within=PATIENCE)


def connect(installation: Installation, server: ServerProcess) -> None:
    """Switch one scenario on."""
    integrator = new_organization(installation, server.url)
    orders = import_template(installation, integrator.organization_id, ORDERS)
    key = {"key": "k", "placement": "header", "name": "X-Api-Key"}
    answers = {"URL": "https://shop.example/orders", "Credentials": key}
    integrator.customer().connect(orders, answers, scenario={"name": "My orders", "enable": True})


def age_of(server: ServerProcess) -> float:
    return server.metric("reading_age_seconds", of="scenarios")


def questions() -> list[str]:
    """Every question of every dashboard."""
    boards = [json.loads(file.read_text()) for file in sorted((DEPLOY / "grafana").glob("*.json"))]
    return [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]
