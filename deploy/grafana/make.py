"""Write the dashboards beside this file, from the tables below: `python deploy/grafana/make.py`.

A panel is a title, a unit of Grafana's and its questions with their legends; where it stands follows from its turn.
What all processes see alike (marked *shared* in docs/reference/metrics.md) is asked for with ``max``, what each counts
with ``sum``. A test compares the files with what this makes, and asks a real Prometheus every question.
"""

import json
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
_ACROSS: Final = 3
_WIDTH, _HEIGHT = 8, 8
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
Panel = tuple[str, str, dict[str, str]]


def rate(name: str, by: str = "", labels: str = "") -> str:
    """Ask how many a second, over all processes."""
    return f"sum{f' by ({by})' if by else ''} (rate({name}{f'{{{labels}}}' if labels else ''}[$__rate_interval]))"


def most(name: str, by: str = "") -> str:
    """Ask for what all processes see alike."""
    return f"max{f' by ({by})' if by else ''} ({name})"


def quantile(share: float, name: str, by: str = "", labels: str = "") -> str:
    """Ask below which bound so large a share of a histogram lies."""
    return f"histogram_quantile({share}, {rate(f'{name}_bucket', f'{by}, le' if by else 'le', labels)})"


def _ratio(part: str, whole: str) -> str:
    return f"{part} / {whole}"


_REQUESTS: Final = "http_requests_total"
_TIME: Final = "http_request_duration_seconds"
_HOOK: Final = 'route="/hook/{token}"'

DASHBOARDS: Final[dict[str, tuple[str, list[Panel]]]] = {
    "golden-signals": ("Golden signals", [
        ("Requests a second, by status", "reqps", {rate(_REQUESTS, "status"): "{{status}}"}),
        ("Requests that fail", "percentunit",
         {_ratio(rate(_REQUESTS, labels='status="5xx"'), rate(_REQUESTS)): "5xx"}),
        ("Time of requests", "s", {quantile(share, _TIME): f"p{share * 100:g}" for share in (0.5, 0.95, 0.99)}),
        ("Webhooks a second", "reqps", {rate("webhooks_accepted_total", "path"): "{{path}}"}),
        ("Time of webhooks", "s", {quantile(share, _TIME, labels=_HOOK): f"p{share * 100:g}" for share in (0.5, 0.99)}),
        ("The slowest routes", "s", {f"topk(5, {quantile(0.99, _TIME, 'route')})": "{{route}}"}),
        ("Runs a second, by result", "ops", {rate("executions_total", "status"): "{{status}}"}),
        ("Time of runs", "s", {quantile(share, "execution_duration_seconds"): f"p{share * 100:g}"
                               for share in (0.5, 0.99)}),
        ("Calls of modules a second", "ops", {rate("api_calls_total", "result"): "{{result}}"}),
        ("Lag of the event loop", "s", {quantile(0.99, "event_loop_lag_seconds", "instance"): "{{instance}}"}),
        ("Processors in use", "none", {rate("process_cpu_seconds_total", "instance"): "{{instance}}"}),
        ("Memory", "bytes", {most("process_resident_memory_bytes", "instance"): "{{instance}}"}),
    ]),
    "queue": ("Queue", [
        ("The oldest work that could begin", "s", {most("queue_oldest_seconds", "class"): "{{class}}"}),
        ("What waits", "none", {most("queue_depth", "class"): "{{class}}"}),
        ("Carried out at present", "none", {"sum by (instance) (executions_running)": "{{instance}}"}),
        ("Leases", "none", {most("leases_held"): "held", most("leases_overdue"): "overdue"}),
        ("Leases lost and freed a second", "ops", {rate("leases_lost_total"): "lost",
                                                  rate("leases_swept_total"): "freed by others"}),
        ("Refused by a fence, a second", "ops", {rate("settles_refused_total"): "outcomes",
                                                rate("journal_refused_total"): "journal"}),
        ("Begun again, a second", "ops", {rate("retries_total", "of"): "{{of}}"}),
        ("Given up", "none", {"sum (increase(dead_letters_total[1h]))": "within an hour"}),
        ("Jobs a second, by result", "ops", {rate("jobs_total", "type, result"): "{{type}} {{result}}"}),
        ("Schedules a second", "ops", {rate("schedule_ticks_total", "result"): "{{result}}"}),
        ("Promises broken: 0", "none", {"sum by (promise) (promises_broken_total)": "{{promise}}"}),
        ("Runs that outlived their lease: 0", "none", {"sum by (instance) (executions_beyond_lease)": "{{instance}}"}),
    ]),
    "tenants": ("Tenants", [
        ("Organizations", "none", {f"sum ({most('shard_organizations', 'shard')})": "organizations"}),
        ("Active scenarios", "none", {most("active_scenarios_total"): "scenarios"}),
        ("Operations a second", "ops", {rate("operations_total"): "operations"}),
        ("Limits of usage that are reached", "none", {most("usage_limits_reached"): "limits"}),
        ("Held up by limits of usage, a second", "ops", {rate("runs_deferred_total", "of"): "{{of}}",
                                                        rate("webhooks_refused_over_limit_total"): "refused"}),
        ("Refused by rate limits, a second", "reqps", {rate("rate_limited_total", "of"): "{{of}}"}),
        ("People signed in", "none", {most("sessions_live"): "sessions"}),
        ("Attempts to sign in, a second", "ops", {rate("sign_ins_total", "result"): "{{result}}"}),
        ("Signatures of webhooks refused, a second", "ops",
         {rate("webhook_signatures_refused_total", "reason"): "{{reason}}"}),
        ("Webhooks to organizations, a second", "ops", {rate("webhook_attempts_total", "result"): "{{result}}"}),
        ("Renewals of tokens, a second", "ops", {rate("oauth_renewals_total", "result"): "{{result}}"}),
        ("Circuit breakers", "none", {'sum by (state) (circuit_breakers{state!="closed"})': "{{state}}"}),
    ]),
    "shards": ("Shards and cluster", [
        ("Organizations on each shard", "none", {most("shard_organizations", "shard"): "{{shard}}"}),
        ("Load of each shard", "none", {most("shard_load", "shard"): "{{shard}}"}),
        ("How uneven", "none", {most("shard_imbalance"): "busiest over mean"}),
        ("Moves", "none", {most("shard_moves", "state"): "{{state}}"}),
        ("Who leads", "none", {"sum by (duty, shard) (leader)": "{{duty}} {{shard}}"}),
        ("Fences", "none", {most("leader_epoch", "duty, shard"): "{{duty}} {{shard}}"}),
        ("Events behind", "none", {most("events_behind", "consumer, shard"): "{{consumer}} {{shard}}"}),
        ("Connections in use", "percentunit",
         {_ratio('sum by (database, role) (database_connections{state="busy"})',
                 "sum by (database, role) (database_connections_most)"): "{{database}} {{role}}"}),
        ("Refusals of databases, a second", "ops", {rate("database_refusals_total", "reason"): "{{reason}}"}),
        ("Lag of replicas", "s", {most("replica_lag_seconds", "shard, replica"): "{{shard}} {{replica}}"}),
        ("Hits of caches in a process", "percentunit",
         {_ratio(rate("near_cache_reads_total", "cache", 'result=~"hit|absent"'),
                 rate("near_cache_reads_total", "cache")): "{{cache}}"}),
        ("Hits of the far cache", "percentunit",
         {_ratio(rate("far_cache_reads_total", "cache", 'result="hit"'),
                 rate("far_cache_reads_total", "cache")): "{{cache}}"}),
        ("Processes as gateways see them", "none", {most("upstream_nodes", "role, state"): "{{role}} {{state}}"}),
        ("Age of figures", "s", {most("reading_age_seconds", "of"): "{{of}}"}),
        ("Clocks", "s", {most("abs(clock_skew_seconds)", "instance"): "{{instance}}"}),
    ]),
}  # fmt: skip


def dashboard(name: str) -> dict[str, Any]:
    """Return a dashboard as Grafana reads it."""
    title, panels = DASHBOARDS[name]
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": f"make-bridge-{name}",
        "title": f"Make Bridge: {title}",
        "tags": ["make-bridge"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [source]},
        "links": [{"type": "dashboards", "tags": ["make-bridge"], "title": "Make Bridge", "asDropdown": True}],
        "panels": [_panel(number, *panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, title: str, unit: str, questions: dict[str, str]) -> dict[str, Any]:
    row, column = divmod(number, _ACROSS)
    return {
        "id": number + 1,
        "title": title,
        "type": "timeseries",
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": _SOURCE, "expr": question, "legendFormat": legend}
            for at, (question, legend) in enumerate(questions.items())
        ],
    }


def written(name: str) -> str:
    """Return the file of a dashboard."""
    return json.dumps(dashboard(name), indent=1) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (HERE / f"{each}.json").write_text(written(each), encoding="utf-8")
