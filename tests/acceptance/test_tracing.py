"""One trace, from the call of a webhook to what an endpoint hears of its run; from outside, and by a collector's eyes.

The server exports to a strict collector of the tests' own (`support/collector.py`): no registry that may be asked has
a real one. Everything is sampled unless a test says otherwise. In the split layout the gateway stores the call and the
worker carries it out, so that the trace passes through the database.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support.collector import Collector, Told, collecting, shown
from support.integrator import Connected, Integrator, new_organization
from support.network import Reply, send
from support.postgres_process import PostgresProcess, own_postgres
from support.server import Installation, Layout, ServerProcess, installed
from support.target import Call, Target, serving_target
from support.waiting import until

pytestmark = pytest.mark.timeout(240)
WITHIN = 30.0
FOREIGN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_HOOK: dict[str, Any] = {
    "id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": 1}, "mapper": {},
    "metadata": {"interface": [{"name": name, "type": "text"} for name in ("url", "secret")]},
}  # fmt: skip
_CALL: dict[str, Any] = {
    "id": 2, "module": "http:ActionSendData", "version": 3, "parameters": {"handleErrors": True},
    "mapper": {
        "url": "{{1.url}}", "method": "put", "bodyType": "raw", "contentType": "text/plain", "data": "{{1.secret}}",
        "headers": [{"name": "Authorization", "value": "Bearer {{1.secret}}"}], "timeout": 20,
    },
}  # fmt: skip
_FAIL: dict[str, Any] = {
    "id": 3, "module": "builtin:ThrowError", "version": 1, "parameters": {}, "mapper": {"message": "{{1.secret}}"},
}  # fmt: skip
CALLS = {"name": "Calls", "flow": [_HOOK, _CALL], "metadata": {"version": 1}}
# Its first failure switches it off, so each test that wants it has one of its own.
FAILS = {"name": "Calls and fails", "flow": [_HOOK, _CALL, _FAIL], "metadata": {"version": 1}}
QUICK = {
    "name": "Calls nobody",
    "flow": [
        _HOOK,
        {"id": 2, "module": "util:ComposeTransformer", "version": 1, "mapper": {"value": "got {{1.secret}}"}},
    ],
    "metadata": {"version": 1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A server that exports, an integrator with both scenarios, and who they call."""

    installation: Installation
    server: ServerProcess
    integrator: Integrator
    calls: Connected
    quick: Connected
    target: Target
    collector: Collector

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        headers = {"Authorization": f"Token {self.integrator.api_token}"}
        return send(method, f"{self.server.url}/api/v2{path}", headers=headers, json_body=body)

    def trace(self, trace_id: str, *names: str) -> list[Told]:
        """A trace, once spans of these names have arrived."""

        def is_there() -> bool:
            return set(names) <= {span.name for span in self.collector.of(trace_id)}

        try:
            until(is_there, f"{', '.join(names)} in the trace", within=WITHIN)
        finally:
            found = self.collector.of(trace_id)
        return found


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with serving_target() as found:
        yield found


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def connected(integrator: Integrator, blueprint: dict[str, Any], sub: str = "dana@example.com") -> Connected:
    options: dict[str, Any] = {"autoActivate": True, "scenario": {"name": blueprint["name"], "enable": True}}
    return integrator.customer(sub).connect(integrator.publish(blueprint), {}, **options)


@pytest.fixture(scope="module")
def stage_in(
    target: Target, collector: Collector, server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Layout], Stage]]:
    """Give a stage in one layout; it is served from the first question on."""
    with ExitStack() as exits:

        @cache
        def database() -> PostgresProcess:
            return exits.enter_context(own_postgres(server("postgresql-15")))

        @cache
        def serve(layout: Layout) -> Stage:
            postgres = None if layout == "embedded" else database()
            folder = tmp_path_factory.mktemp("tracing") / layout
            installation = exits.enter_context(installed(layout, folder, postgres, **settings_for(collector)))
            process = installation.serve()
            integrator = new_organization(installation, process.url)
            return Stage(
                installation=installation,
                server=process,
                integrator=integrator,
                calls=connected(integrator, CALLS),
                quick=connected(integrator, QUICK),
                target=target,
                collector=collector,
            )

        yield serve


def settings_for(collector: Collector, **more: str) -> dict[str, str]:
    return {
        "EGRESS_ALLOW": "127.0.0.1",
        "WEBHOOK_PLAIN_HTTP": "true",
        "OTLP_ENDPOINT": collector.url,
        "TRACE_SAMPLE": "1",
        "TRACE_EVERY_SECONDS": "0.1",
        "TRACE_HOSTS": "127.0.0.1",
        **more,
    }


@pytest.fixture(params=["embedded", "apart"])
def stage(request: pytest.FixtureRequest, stage_in: Callable[[Layout], Stage]) -> Stage:
    return stage_in(request.param)


@pytest.fixture
def single(stage_in: Callable[[Layout], Stage]) -> Stage:
    return stage_in("embedded")


def the(spans: Sequence[Told], name: str) -> Told:
    """The one span of a name."""
    found = [span for span in spans if span.name == name]
    assert len(found) == 1, f"{name}: {len(found)} of\n{shown(list(spans))}"
    return found[0]


def parent_in(call: Call) -> tuple[str, str]:
    """Trace and span that a call names."""
    version, trace_id, span_id, flags = call.headers["traceparent"].split("-")
    assert (version, flags) == ("00", "01")
    return trace_id, span_id


def test_one_trace_leads_from_a_webhook_through_its_run_to_what_an_endpoint_hears(stage: Stage) -> None:
    path = f"/events-{stage.installation.layout}"
    wanted = {"url": f"{stage.target.url}{path}", "events": ["execution.failed"]}
    endpoint = stage.ask("POST", "/webhook-endpoints", wanted)
    assert endpoint.status == 200, endpoint
    reply = connected(stage.integrator, FAILS).call_hook({"url": f"{stage.target.url}/shop", "secret": "x"})
    assert reply.status == 200, reply
    trace_id = reply.headers["x-request-id"]
    told = until(lambda: stage.target.calls_to(path), "the endpoint is called", within=WITHIN)
    spans = stage.trace(trace_id, "POST /hook/{token}", "run scenario", "process webhook.send", "POST")

    root, run = the(spans, "POST /hook/{token}"), the(spans, "run scenario")
    assert (root.parent_id, root.kind, root.is_error) == ("", "server", False)
    assert root.attributes["http.route"] == "/hook/{token}"
    assert root.attributes["http.response.status_code"] == 200
    assert (run.parent_id, run.kind, run.is_error) == (root.span_id, "consumer", True)
    assert run.attributes["make_bridge.execution.id"] == reply.headers["x-execution-id"]
    assert run.attributes["make_bridge.organization.id"] == stage.integrator.organization_id

    modules = {span.attributes["make_bridge.module.name"]: span for span in spans if span.name.startswith("module ")}
    assert set(modules) == {"gateway:CustomWebHook", "http:ActionSendData", "builtin:ThrowError"}
    assert {span.parent_id for span in modules.values()} == {run.span_id}
    assert {name for name, span in modules.items() if span.is_error} == {"builtin:ThrowError"}

    call = the(spans, "PUT")
    assert (call.parent_id, call.kind) == (modules["http:ActionSendData"].span_id, "client")
    assert call.attributes["server.address"] == "127.0.0.1"
    assert parent_in(stage.target.calls_to("/shop")[-1]) == (trace_id, call.span_id)

    job, delivery = the(spans, "process webhook.send"), the(spans, "POST")
    assert (job.parent_id, job.kind, delivery.parent_id) == (run.span_id, "consumer", job.span_id)
    assert parent_in(told[-1]) == (trace_id, delivery.span_id)
    assert b"traceparent" not in told[-1].body
    assert trace_id.encode() not in told[-1].body

    statements = [span for span in spans if span.attributes.get("db.system.name") == "postgresql"]
    assert statements
    assert all(span.kind == "client" and len(span.attributes["db.query.summary"]) == 12 for span in statements)
    known = {span.span_id for span in spans} | {""}
    assert [span.name for span in spans if span.parent_id not in known] == []


def test_the_wait_for_a_worker_of_another_process_is_in_the_trace(stage_in: Callable[[Layout], Stage]) -> None:
    stage = stage_in("apart")
    reply = stage.calls.call_hook({"url": f"{stage.target.url}/shop", "secret": "x"})
    spans = stage.trace(reply.headers["x-request-id"], "POST /hook/{token}", "wait in queue", "run scenario")
    root, wait, run = (the(spans, name) for name in ("POST /hook/{token}", "wait in queue", "run scenario"))
    assert wait.parent_id == root.span_id
    # An id holds whole milliseconds.
    assert root.start - 2_000_000 <= wait.start <= wait.end <= run.end
    assert wait.end - run.start < 50_000_000
    instances = {span.name: span.resource["service.instance.id"] for span in (root, wait, run)}
    assert instances["wait in queue"] == instances["run scenario"] != instances["POST /hook/{token}"]


def test_a_request_that_a_gateway_hands_on_is_one_trace(stage_in: Callable[[Layout], Stage]) -> None:
    stage = stage_in("apart")
    reply = stage.ask("GET", f"/scenarios/{stage.calls.id}")
    assert reply.status == 200, reply
    trace_id = reply.headers["x-request-id"]
    name = "GET /api/v2/scenarios/{scenario_id}"
    until(lambda: len([s for s in stage.collector.of(trace_id) if s.name == name]) == 2, "both sides", within=WITHIN)
    spans = stage.trace(trace_id, "hand on to scenarios")
    outer, inner = sorted((span for span in spans if span.name == name), key=lambda span: span.start)
    handed = the(spans, "hand on to scenarios")
    assert (outer.parent_id, handed.parent_id, inner.parent_id) == ("", outer.span_id, handed.span_id)
    assert outer.resource["service.instance.id"] != inner.resource["service.instance.id"]


def test_an_execution_names_its_trace(stage: Stage) -> None:
    reply = stage.quick.call_hook({"secret": "x"})
    trace_id, execution_id = reply.headers["x-request-id"], reply.headers["x-execution-id"]
    spans = stage.trace(trace_id, "POST /hook/{token}", "run scenario")
    assert the(spans, "run scenario").parent_id == the(spans, "POST /hook/{token}").span_id
    until(lambda: any(log["id"] == execution_id for log in stage.quick.logs()), "it is logged", within=WITHIN)
    assert stage.quick.log(execution_id)["traceId"] == trace_id


def test_a_strangers_trace_is_linked_to_and_neither_obeyed_nor_taken_over(single: Stage) -> None:
    headers = {"traceparent": f"00-{FOREIGN}-{PARENT}-01", "tracestate": "stranger=1"}
    reply = single.quick.call_hook({"secret": "x"}, headers=headers)
    root = the(single.trace(reply.headers["x-request-id"], "POST /hook/{token}"), "POST /hook/{token}")
    assert (root.parent_id, root.links, root.state) == ("", [(FOREIGN, PARENT)], "")
    assert single.collector.of(FOREIGN) == []


def test_only_named_hosts_are_told_of_the_trace(single: Stage) -> None:
    url = single.target.url.replace("127.0.0.1", "localhost")
    reply = single.calls.call_hook({"url": f"{url}/elsewhere", "secret": "x"})
    call = until(lambda: single.target.calls_to("/elsewhere"), "the target is called", within=WITHIN)[-1]
    assert "traceparent" not in call.headers
    assert the(single.trace(reply.headers["x-request-id"], "PUT"), "PUT").attributes["server.address"] == "localhost"


def test_probes_files_and_unknown_paths_begin_no_trace(single: Stage) -> None:
    for path in ("/live", "/ready", "/metrics", "/nothing/here", "/portal/static/js/portal-integrations.js"):
        single.server.get(path)
    unknown = single.server.get("/api/v2/nothing/at/all")
    assert unknown.status == 404
    spans = single.trace(unknown.headers["x-request-id"], "GET")
    assert "http.route" not in the(spans, "GET").attributes
    assert [span.name for span in single.collector.spans if "live" in span.name or "nothing" in span.name] == []


@pytest.mark.attack("H09")
def test_no_secret_is_in_anything_that_was_exported(single: Stage) -> None:
    canaries = [f"canary-{name}-7c1d0e" for name in ("body", "query", "header", "cookie", "key", "target")]
    body, query, header, cookie, key, in_target = canaries
    fails, url = connected(single.integrator, FAILS), f"{single.target.url}/shop?token={in_target}"
    reply = send(
        "POST",
        f"{fails.hook_url}?token={query}",
        headers={"Authorization": f"Bearer {header}", "Cookie": f"session={cookie}", "X-Make-ApiKey": key},
        json_body={"url": url, "secret": body},
    )
    assert reply.status == 200, reply
    single.trace(reply.headers["x-request-id"], "PUT", "module builtin:ThrowError")
    single.ask("GET", f"/scenarios?teamId={single.integrator.team_id}&q={query}")
    until(lambda: single.server.metric("trace_spans_waiting") == 0, "everything is exported", within=WITHIN)
    own = (single.integrator.secret, single.integrator.api_token, fails.hook_url.rpartition("/")[2])
    exported = b"".join(single.collector.bodies)
    assert len(exported) > 10_000
    assert [canary for canary in (*canaries, *own, "Calls and fails") if canary.encode() in exported] == []


def test_an_organization_has_a_share_of_its_own(collector: Collector, target: Target, tmp_path: Path) -> None:
    settings = settings_for(collector, TRACE_SAMPLE="0")
    with installed("embedded", tmp_path / "installation", None, **settings) as installation:
        first = installation.server("first").start()
        watched, other = (new_organization(installation, first.url) for _ in range(2))
        hooks = {each.organization_id: connected(each, CALLS).hook_url for each in (watched, other)}
        assert first.end() is None
        shares = {"TRACE_SAMPLE_ORGANIZATIONS": f"{watched.organization_id}=1"}
        second = installation.server("second", **shares).start()
        replies = {}
        for organization, hook in hooks.items():
            url = f"{second.url}/hook/{hook.rpartition('/')[2]}"
            replies[organization] = send("POST", url, json_body={"url": f"{target.url}/share", "secret": "x"})
        until(lambda: len(target.calls_to("/share")) == 2, "both have called", within=WITHIN)
        kept = replies[watched.organization_id].headers["x-request-id"]
        until(lambda: len(collector.of(kept)) >= 5, "the trace arrives", within=WITHIN)
        assert second.end() is None
    assert collector.of(replies[other.organization_id].headers["x-request-id"]) == []
    calls = sorted("traceparent" in call.headers for call in target.calls_to("/share"))
    assert calls == [False, True]


def test_a_schedule_begins_a_trace_of_its_own(single: Stage) -> None:
    blueprint = {"name": "Now and then", "flow": [{**_CALL, "id": 1, "mapper": {
        **_CALL["mapper"], "url": f"{single.target.url}/tick", "data": "", "headers": []}}],
        "metadata": {"version": 1}}  # fmt: skip
    wanted = {
        "teamId": single.integrator.team_id,
        "blueprint": json.dumps(blueprint),
        "scheduling": json.dumps({"type": "indefinitely", "interval": 60}),
    }
    made = single.ask("POST", "/scenarios?confirmed=true", wanted)
    assert made.status == 200, made
    scenario = made.json()["scenario"]["id"]
    assert single.ask("POST", f"/scenarios/{scenario}/start").status == 200
    call = until(lambda: single.target.calls_to("/tick"), "the schedule has come", within=WITHIN)[0]
    trace_id, _ = parent_in(call)
    spans = single.trace(trace_id, "schedule", "run scenario", "PUT")
    root = the(spans, "schedule")
    assert (root.parent_id, root.kind, the(spans, "run scenario").parent_id) == ("", "producer", root.span_id)
    assert single.ask("POST", f"/scenarios/{scenario}/stop").status == 200


def test_what_happens_is_on_the_clock(single: Stage) -> None:
    before = time.time_ns()
    reply = single.quick.call_hook({"secret": "x"})
    after = time.time_ns()
    for span in single.trace(reply.headers["x-request-id"], "POST /hook/{token}"):
        assert before - 5_000_000 <= span.start <= span.end <= after + 5_000_000
