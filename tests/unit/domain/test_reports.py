"""What a report can be, and how its rows become bytes."""

import csv
import io
import json
from datetime import date
from typing import Any

import pytest

from make_bridge.domain.reports.model import (
    Grouping,
    ReportForm,
    ReportKind,
    ReportLimits,
    ReportOrder,
    check,
    file_name,
    grouped,
    media_type,
)
from make_bridge.domain.reports.rendering import FORMULA_SIGNS, LONGEST_CELL, rendering_of
from make_bridge.domain.reports.rows import columns_of, says_confidential
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import TeamId
from make_bridge.settings import load_settings

TODAY = date(2026, 3, 31)
LIMITS = ReportLimits(days=31)


def order(kind=ReportKind.USAGE, form=ReportForm.CSV, **changes):
    values: dict[str, Any] = {"first": date(2026, 3, 1), "last": TODAY, "group_by": tuple(Grouping)} | changes
    return ReportOrder(kind=kind, form=form, **values)


def written(wanted, columns, *rows):
    rendering = rendering_of(wanted, columns)
    return rendering.head() + b"".join(rendering.row(row) for row in rows) + rendering.tail()


def table(content):
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


def test_csv_is_what_the_standard_says_and_reads_back():
    text = 'Käthe "K", Söhne\nund Töchter'
    content = written(order(), ["a", "b", "c"], [text, 7, None])
    assert content == b'a,b,c\r\n"K\xc3\xa4the ""K"", S\xc3\xb6hne\nund T\xc3\xb6chter",7,\r\n'
    assert table(content) == [["a", "b", "c"], [text, "7", ""]]


@pytest.mark.parametrize("sign", FORMULA_SIGNS, ids=repr)
def test_no_cell_begins_like_a_formula(sign):
    attack = f'{sign}cmd|"/C calc"!A1,\r\n{sign}2'
    [_, [cell, inside]] = table(written(order(), ["a", "b"], [attack, f"1{attack}"]))
    assert cell == "'" + attack
    assert inside == "1" + attack


def test_numbers_are_never_touched():
    assert written(order(), ["a"], [-1]) == b"a\r\n-1\r\n"


def test_usage_as_json_is_one_document():
    content = written(order(form=ReportForm.JSON, group_by=(Grouping.TEAM,)), ["a", "b"], ["=x", 1], [None, 2])
    assert json.loads(content) == {
        "kind": "usage",
        "from": "2026-03-01",
        "to": "2026-03-31",
        "groupBy": ["team"],
        "rows": [{"a": "=x", "b": 1}, {"a": None, "b": 2}],
    }
    assert json.loads(written(order(form=ReportForm.JSON), ["a"]))["rows"] == []


def test_executions_as_json_are_lines():
    wanted = order(ReportKind.EXECUTIONS, ReportForm.JSON, group_by=())
    content = written(wanted, ["a"], ["x\ny"], [2])
    assert [json.loads(line) for line in content.splitlines()] == [{"a": "x\ny"}, {"a": 2}]
    assert content.endswith(b"\n")


def test_a_long_text_is_cut():
    assert table(written(order(), ["a"], ["x" * 5000]))[1] == ["x" * LONGEST_CELL]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2026, 3, 2), date(2026, 3, 1)),
        (date(2026, 3, 31), date(2026, 4, 1)),
        (date(2026, 2, 28), date(2026, 3, 31)),
        (date(1999, 12, 31), date(2000, 1, 2)),
        (date.min, date.min),
        (date.max, date.max),
    ],
    ids=["turned round", "in the future", "too many days", "too early", "the first day", "the last day"],
)
def test_days_that_make_no_report_are_refused(first, last):
    with pytest.raises(InvalidInput):
        check(order(first=first, last=last), LIMITS, TODAY)


def test_the_longest_range_and_a_single_day_are_taken():
    check(order(), LIMITS, TODAY)
    check(order(first=TODAY), LIMITS, TODAY)
    assert len(order().days) == 31


def test_usage_is_grouped_in_one_order_and_executions_are_not():
    assert grouped(ReportKind.USAGE, None) == tuple(Grouping)
    assert grouped(ReportKind.USAGE, [Grouping.SCENARIO, Grouping.DAY]) == (Grouping.DAY, Grouping.SCENARIO)
    assert grouped(ReportKind.USAGE, []) == ()
    assert grouped(ReportKind.EXECUTIONS, []) == ()
    with pytest.raises(InvalidInput):
        grouped(ReportKind.EXECUTIONS, [Grouping.DAY])


def test_each_grouping_brings_its_columns():
    assert columns_of(order(group_by=())) == ("executions", "operations", "dataTransfer")
    assert columns_of(order(group_by=(Grouping.DAY, Grouping.TEAM)))[:3] == ("day", "teamId", "team")


def test_orders_that_differ_have_different_keys():
    wanted = [
        order(),
        order(form=ReportForm.JSON),
        order(kind=ReportKind.EXECUTIONS),
        order(first=date(2026, 3, 2)),
        order(last=date(2026, 3, 30)),
        order(group_by=(Grouping.DAY,)),
    ]
    keys = {one.key(None) for one in wanted} | {order().key(TeamId(5))}
    assert len(keys) == 7
    assert max(map(len, keys)) < 200
    assert order().key(None) == order().key(None)


def test_files_are_named_and_typed_by_what_they_are():
    lines = order(ReportKind.EXECUTIONS, ReportForm.JSON)
    assert file_name(order()) == "usage-2026-03-01-2026-03-31.csv"
    assert file_name(lines) == "executions-2026-03-01-2026-03-31.jsonl"
    assert (media_type(lines), media_type(order(form=ReportForm.JSON))) == ("application/x-ndjson", "application/json")
    assert media_type(order()).startswith("text/csv; charset=utf-8")


@pytest.mark.parametrize(
    ("blueprint", "is_confidential"),
    [
        (b'{"flow":[],"metadata":{"scenario":{"confidential":true}}}', True),
        (b'{"flow":[],"metadata":{"scenario":{"confidential":false}}}', False),
        (b'{"flow":[],"metadata":{"scenario":{}}}', False),
        (b'{"flow":[],"metadata":{}}', False),
        (b'{"flow":[]}', False),
        (b'{"metadata":{"scenario":{"confidential":null}}}', False),
        (b'{"metadata":{"scenario":{"confidential":"yes"}}}', True),
        (b'{"metadata":[]}', True),
        (b"broken", True),
        (None, True),
    ],
    ids=["yes", "no", "not said", "no settings", "no metadata", "null", "odd", "odd metadata", "broken", "gone"],
)
def test_what_is_not_surely_open_counts_as_confidential(blueprint, is_confidential):
    assert says_confidential(blueprint) is is_confidential


def test_the_limits_are_settings(monkeypatch):
    assert load_settings().settings.report_limits() == ReportLimits()
    for name, value in (("DAYS", "7"), ("BYTES", "2048"), ("DOWNLOAD_SECONDS", "5"), ("RETENTION_DAYS", "3")):
        monkeypatch.setenv(f"MAKE_BRIDGE_REPORT_{name}", value)
    monkeypatch.setenv("MAKE_BRIDGE_REPORTS", "2")
    settings = load_settings().settings
    assert settings.report_limits() == ReportLimits(days=7, bytes=2048, reports=2)
    assert (settings.report_download_seconds, settings.report_retention_days) == (5.0, 3)
