"""One webhook, followed through all that watches a server by the one id that its caller was given.

The collector of traces and the bulk service of the logs are strict ones of the tests' own, since no registry that may
be asked has real ones; Prometheus is real. A figure has no ids: there the call is seen to be counted, under its route.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.bulk_service import serving_bulk
from support.collector import collecting
from support.integrator import new_organization
from support.postgres_process import own_postgres
from support.prometheus_process import prometheus_of
from support.server import installed
from support.target import serving_target
from support.waiting import until

pytestmark = pytest.mark.timeout(240)
WITHIN = 60.0
HOOK = "/hook/{token}"
CALLS: dict[str, Any] = {
    "name": "Calls",
    "flow": [
        {
            "id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 1}, "mapper": {},
            "metadata": {"interface": [{"name": "url", "type": "text"}]},
        },
        {
            "id": 2, "module": "http:ActionSendData", "version": 3, "parameters": {"handleErrors": True},
            "mapper": {"url": "{{1.url}}", "method": "put", "bodyType": "raw", "data": "done", "timeout": 20},
        },
    ],
    "metadata": {"version": 1},
}  # fmt: skip


@pytest.mark.requires_server("prometheus", "postgresql-15")
def test_one_webhook_is_found_in_traces_logs_figures_and_its_run_by_one_id(
    server: Callable[[str], Path], tmp_path: Path
) -> None:
    token = tmp_path / "metrics.token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    with (
        serving_target() as target,
        collecting() as collector,
        serving_bulk() as bulk,
        own_postgres(server("postgresql-15")) as postgres,
        installed(
            "external-one", tmp_path / "w", postgres,
            EGRESS_ALLOW="127.0.0.1", OTLP_ENDPOINT=collector.url, TRACE_SAMPLE="1", TRACE_EVERY_SECONDS="0.1",
            TRACE_HOSTS="127.0.0.1", ELASTICSEARCH_URL=bulk.url, LOG_REQUESTS="all", METRICS_TOKEN_FILE=str(token),
        ) as installation,
    ):  # fmt: skip
        process = installation.server().start()
        acme = new_organization(installation, process.url)
        done = acme.customer("dana@example.com").connect(
            acme.publish(CALLS), {}, autoActivate=True, scenario={"name": "Calls", "enable": True}
        )
        where = [f"127.0.0.1:{process.port}"]
        with prometheus_of(server("prometheus"), tmp_path / "prometheus", where, token, "groups: []") as prometheus:

            def counted() -> float:
                found = prometheus.ask(f'sum(http_requests_total{{route="{HOOK}",status="2xx"}})')
                return float(found[0]["value"][1]) if found else 0.0

            until(lambda: list(prometheus.targets().values()) == ["up"], "the server is read", within=WITHIN)
            before = counted()
            reply = done.call_hook({"url": f"{target.url}/shop"})
            assert reply.status == 200, reply
            one_id = reply.headers["x-request-id"]

            def names() -> set[str]:
                return {span.name for span in collector.of(one_id)}

            [call] = until(lambda: target.calls_to("/shop"), "the target is called", within=WITHIN)
            assert call.headers["traceparent"].split("-")[1] == one_id
            spans = {f"POST {HOOK}", "run scenario", "module http:ActionSendData", "PUT"}
            until(lambda: spans <= names(), "request, run, module and call have arrived as spans", within=WITHIN)

            def line() -> dict[str, Any] | None:
                found = [document for document in list(bulk.documents.values()) if document["event"] == "request"]
                return next((document for document in found if document["request_id"] == one_id), None)

            told = until(line, "the request's line has arrived", within=WITHIN)
            assert told["trace_id"] == one_id
            assert (told["route"], told["status"]) == (HOOK, 200)
            until(lambda: counted() == before + 1, "the call is counted", within=WITHIN)

            assert done.log(reply.headers["x-execution-id"])["traceId"] == one_id
