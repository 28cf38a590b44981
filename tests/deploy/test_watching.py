"""Dashboards, alerts and pages name metrics: each exists, is asked for as it has to be, and is explained."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from make_bridge.platform.observability.metrics import Metrics
from support.manifests import DEPLOY, read_yaml

ROOT = DEPLOY.parent
DOCS = ROOT / "docs"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
BOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
DECLARED = {one.name: one for one in Metrics().declared}
SERIES = {
    f"{one.name}{end}": one
    for one in DECLARED.values()
    for end in (("_bucket", "_sum", "_count") if one.kind == "histogram" else ("",))
}
# Prometheus makes this one of every target.
ITS_OWN = {"up"}
WORDS = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
# Words of the language, which are no names of metrics wherever they stand.
LANGUAGE = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
RULES: list[dict[str, Any]] = [rule for group in read_yaml(ALERTS)["groups"] for rule in group["rules"]]
QUESTIONS = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{file.stem}: {panel['title']} {target['refId']}": target["expr"]
        for file in BOARDS
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]
        for target in panel["targets"]
    },
}
EACH = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())


def named(question: str) -> set[str]:
    """Return the names of metrics in a question: what is left without labels, groupings, ranges and functions."""
    # What stands in quotes may hold brackets of its own.
    bare = re.sub(r'"[^"]*"', "", question)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|without)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\b\d[\w.]*", " ", bare)
    bare = re.sub(rf"{WORDS.pattern}\s*(?=\()", " ", bare)
    return set(WORDS.findall(bare)) - LANGUAGE


def labels_in(question: str) -> list[tuple[str, str, str]]:
    """Return (metric, label, value) for every label that a question chooses by."""
    return [
        (metric, label, value)
        for metric, chosen in re.findall(
            rf"({WORDS.pattern})\{{([^}}]*)\}}", question.replace('"/hook/{token}"', '"/hook"')
        )
        for label, value in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', chosen)
    ]


@EACH
def test_every_question_asks_for_metrics_that_exist(question: str) -> None:
    found = named(question)
    assert found
    assert found - SERIES.keys() - ITS_OWN == set()


@EACH
def test_every_label_that_is_chosen_by_is_one_of_its_metric(question: str) -> None:
    for metric, label, values in labels_in(question):
        if metric in ITS_OWN or label in {"job", "instance", "le"}:
            continue
        [declared] = [one for one in SERIES[metric].labels if one.name == label]
        assert not declared.values or set(values.split("|")) <= set(declared.values), (metric, label, values)


@EACH
def test_what_all_processes_see_alike_is_asked_for_once(question: str) -> None:
    for name in named(question) - ITS_OWN:
        if SERIES[name].is_shared:
            asked = re.findall(rf"max(?:\s+by\s*\([^)]*\))?\s*\({name}\b", question)
            assert len(asked) == len(re.findall(rf"\b{name}\b", question)), f"max by, as {name} is shared"


def test_the_dashboards_are_what_their_script_makes(tmp_path: Path) -> None:
    script = tmp_path / "make.py"
    script.write_bytes((DEPLOY / "grafana" / "make.py").read_bytes())
    subprocess.run([sys.executable, script], check=True, timeout=60)
    assert {file.name: file.read_text() for file in BOARDS} == {
        file.name: file.read_text() for file in tmp_path.glob("*.json")
    }, "run python deploy/grafana/make.py"
    assert len(BOARDS) == 4


def test_panels_of_a_dashboard_do_not_lie_upon_each_other() -> None:
    for file in BOARDS:
        panels = json.loads(file.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken = [
            (panel["gridPos"]["x"] + across, panel["gridPos"]["y"] + down)
            for panel in panels
            for across in range(panel["gridPos"]["w"])
            for down in range(panel["gridPos"]["h"])
        ]
        assert len(set(taken)) == len(taken)
        assert max(x for x, _ in taken) < 24


def test_every_alert_says_how_urgent_it_is_and_where_it_is_explained() -> None:
    page = (DOCS / "how-to" / "alerts.md").read_text(encoding="utf-8")
    explained = re.findall(r"^### (\w+)$", page, flags=re.MULTILINE)
    assert explained == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook_url"] == f"docs/how-to/alerts.md#{rule['alert'].lower()}"
        said = page[page.index(f"### {rule['alert']}\n") :]
        assert f"`{rule['labels']['severity']}`" in said.splitlines()[2]
        assert ("for" in rule) == (f"`, for {rule.get('for')}." in said.splitlines()[2])


def test_every_metric_that_a_page_names_exists() -> None:
    # What has the form of a name of ours, and is none of a metric.
    endings = ("_total", "_seconds_bucket", "_seconds_count", "_seconds_sum")
    unknown = {
        (str(page.relative_to(ROOT)), name)
        for page in [*DOCS.rglob("*.md"), ROOT / "README.md"]
        for name in re.findall(r"`([a-z][a-z0-9_]*)(?:\{[^`]*\})?`", page.read_text(encoding="utf-8"))
        if name.endswith(endings) and name not in SERIES
    }
    assert unknown == set()


def test_every_metric_that_the_pages_of_watching_name_exists() -> None:
    for page in ("watch.md", "alerts.md"):
        text = re.sub(r"```.*?```", "", (DOCS / "how-to" / page).read_text(encoding="utf-8"), flags=re.DOTALL)
        for question in re.findall(r"`((?:sum|max|histogram_quantile|topk)\b[^`\n]*\([^`\n]*)`", text):
            assert named(question) - SERIES.keys() - ITS_OWN == set(), question


@pytest.mark.requires_server("promtool")
def test_the_real_promtool_takes_the_rules_and_sees_each_of_them_fire(server: Callable[[str], Path]) -> None:
    promtool = server("promtool")
    for arguments in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]):
        done = subprocess.run(
            [promtool, *arguments], cwd=ALERTS.parent, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
    tests = read_yaml(ALERTS.with_name("alerts.test.yaml"))["tests"]
    seen = {(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]}
    assert seen == {(rule["alert"], fires) for rule in RULES for fires in (True, False)}


@pytest.mark.requires_server("promtool")
def test_the_real_promtool_takes_the_configuration_of_compose(server: Callable[[str], Path]) -> None:
    file = DEPLOY / "compose" / "prometheus" / "prometheus.yml"
    done = subprocess.run(
        [server("promtool"), "check", "config", "--syntax-only", file],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_has_the_same_rules() -> None:
    chart = DEPLOY / "chart" / "make-bridge"
    assert (chart / "files" / "alerts.yaml").read_text() == ALERTS.read_text(), (
        "copy it: the chart reads no other folder"
    )
    assert '.Files.Get "files/alerts.yaml"' in (chart / "templates" / "prometheusrule.yaml").read_text()


def test_compose_gives_grafana_the_dashboards_and_the_prometheus_beside_it() -> None:
    compose = DEPLOY / "compose"
    [source] = read_yaml(compose / "grafana" / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = read_yaml(compose / "grafana" / "provisioning" / "dashboards" / "make-bridge.yaml")["providers"]
    services = read_yaml(compose / "compose.yaml")["services"]
    mounted = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"] if volume.startswith("."))
    assert mounted["../grafana"] == provider["options"]["path"]
    rules = dict(volume.split(":")[:2] for volume in services["prometheus"]["volumes"] if volume.startswith("."))
    configuration = read_yaml(compose / "prometheus" / "prometheus.yml")
    assert configuration["rule_files"] == [rules["../prometheus/alerts.yaml"]]
    [job] = configuration["scrape_configs"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{services['prometheus']['secrets'][0]}"
    assert all((compose / path).resolve().exists() for path in (*mounted, *rules))
