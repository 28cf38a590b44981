"""Metrics: each is declared once, with all its labels, and what the page shows is what was declared."""

import math
from itertools import pairwise

import pytest
from prometheus_client.parser import text_string_to_metric_families

from make_bridge.platform.observability.metrics import Declaration, Declarations, Label, Metrics
from make_bridge.platform.observability.metrics.database import PoolNumbers
from make_bridge.platform.observability.metrics.declaring import SECONDS
from make_bridge.platform.observability.metrics.requests import RequestNumbers

# Names that the design of the product fixed before the habit of naming counters alone ``_total``.
FIXED = {"active_scenarios_total"}


def page(metrics: Metrics) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Read the page as a scraper does: the value of each series, by name and labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def names_of(one: Declaration) -> set[str]:
    return {f"{one.name}{end}" for end in ("_bucket", "_sum", "_count")} if one.kind == "histogram" else {one.name}


def test_what_the_page_shows_is_declared() -> None:
    metrics = Metrics()
    metrics.requests.count("GET", "/live", 200, 0.002)
    declared = {name: one for one in metrics.declared for name in names_of(one)}
    shown = page(metrics)
    assert set(shown) - set(declared) == set()
    for name, series in shown.items():
        expected = {label.name for label in declared[name].labels} | ({"le"} if name.endswith("_bucket") else set())
        assert all({label for label, _ in labels} == expected for labels in series), name


def test_every_declaration_says_what_it_is() -> None:
    declared = Metrics().declared
    assert [one.name for one in declared if not one.meaning.endswith(".") or not one.subject] == []
    assert [one.name for one in declared if (one.kind == "counter") != one.name.endswith("_total")] == sorted(FIXED)
    for end, unit in (("_seconds", "seconds"), ("_bytes", "bytes")):
        named = [one for one in declared if one.name.removesuffix("_total").endswith(end)]
        assert [one.name for one in named if one.unit != unit] == []


def test_a_label_has_an_end() -> None:
    with pytest.raises(ValueError, match="needs either its values or what bounds them"):
        Label("path")
    with pytest.raises(ValueError, match="needs either its values or what bounds them"):
        Label("path", ("a",), bounded_by="the world")


def test_durations_are_told_apart_from_a_millisecond_on() -> None:
    assert SECONDS[0] == 0.001
    assert all(after / before <= 3 for before, after in pairwise(SECONDS))


def test_requests_are_spread_over_the_bounds() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.001, 0.002, 0.04, 60.0):
        metrics.requests.count("POST", "/hook/{token}", 200, seconds)
    shown = page(metrics)
    labels = (("method", "POST"), ("route", "/hook/{token}"), ("status", "2xx"))
    assert shown["http_requests_total"] == {labels: 5.0}
    up_to = {
        float(dict(series)["le"]): value for series, value in shown["http_request_duration_seconds_bucket"].items()
    }
    assert (up_to[0.001], up_to[0.0025], up_to[0.05], up_to[30.0], up_to[math.inf]) == (2, 3, 4, 4, 5)
    assert shown["http_request_duration_seconds_sum"][labels] == pytest.approx(60.0435)


def test_methods_and_statuses_that_nobody_knows_make_no_series_of_their_own() -> None:
    metrics = Metrics()
    for number in range(500):
        metrics.requests.count(f"M{number}", "(no route)", 999, 0.0)
    metrics.requests.count("GET", "(no route)", 0, 0.0)
    assert page(metrics)["http_requests_total"] == {
        (("method", "other"), ("route", "(no route)"), ("status", "5xx")): 500.0,
        (("method", "GET"), ("route", "(no route)"), ("status", "gone")): 1.0,
    }


def test_a_template_cannot_end_its_line() -> None:
    metrics = Metrics()
    metrics.requests.count("GET", 'a"b\\c\nd', 200, 0.0)
    [labels] = page(metrics)["http_requests_total"]
    assert dict(labels)["route"] == 'a"b\\c\nd'


def test_a_pool_that_is_gone_is_shown_no_more() -> None:
    declare = Declarations()
    pools = PoolNumbers(declare)
    told = {"pool_size": 5, "pool_available": 2, "pool_max": 8, "requests_wait_ms": 1500, "requests_errors": 3}
    pools.watch("1", {"app": lambda: told, "engine": dict})
    shown = {
        (sample.name, *sample.labels.values()): sample.value
        for family in pools.collect()
        for sample in family.samples
        if sample.labels["role"] == "app"
    }
    assert shown == {
        ("database_connections", "1", "app", "idle"): 2,
        ("database_connections", "1", "app", "busy"): 3,
        ("database_connections_most", "1", "app"): 8,
        ("database_connection_waiting", "1", "app"): 0,
        ("database_connection_wait_seconds_total", "1", "app"): 1.5,
        ("database_connection_failures_total", "1", "app"): 3,
    }
    pools.forget("1")
    assert [sample for family in pools.collect() for sample in family.samples] == []


def test_two_processes_of_one_test_do_not_share_their_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.queue.dead_letters.inc()
    assert page(one)["dead_letters_total"] != page(other)["dead_letters_total"]
    assert isinstance(one.requests, RequestNumbers)
