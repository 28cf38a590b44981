"""The audit of dependencies: what it makes of the answers of pip-audit and npm, and of the list of what is allowed.

The answers here have the shapes that pip-audit 2.10 and npm 11 print; whether the advisories can be reached is a matter
of the network, so no test asks them.
"""

import datetime as dt
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TODAY = dt.date(2026, 11, 22)


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit_of_dependencies", ROOT / "tools/audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def _pip(*vulns, **more):
    return {"dependencies": [{"name": "aiohttp", "version": "3.0", "vulns": list(vulns)} | more], "fixes": []}


def _entry(audit, days=1, **more):
    entry = {"id": "GHSA-1", "package": "aiohttp", "reason": "not reached", "until": TODAY + dt.timedelta(days)}
    return audit.Allowed(**(entry | more))


def test_a_known_fault_is_wrong_and_an_allowed_one_is_not(audit):
    answer = audit.from_pip_audit(_pip({"id": "GHSA-1", "fix_versions": ["3.1"], "description": "smuggles\nrequests"}))
    assert answer.asked == 1
    assert audit.judge(answer.findings, [], TODAY, whole=True) == ["aiohttp: GHSA-1 smuggles requests"]
    assert audit.judge(answer.findings, [_entry(audit)], TODAY, whole=True) == []


def test_an_allowance_ends_with_its_day_and_with_its_fault(audit):
    finding = audit.Finding("GHSA-1", "aiohttp", "")
    assert "look at it again" in audit.judge([finding], [_entry(audit, -1)], TODAY, whole=True)[0]
    assert "take the entry out" in audit.judge([], [_entry(audit)], TODAY, whole=True)[0]
    assert audit.judge([], [_entry(audit)], TODAY, whole=False) == []


def test_an_allowance_is_for_one_package(audit):
    finding = audit.Finding("GHSA-1", "starlette", "")
    assert audit.judge([finding], [_entry(audit)], TODAY, whole=False) == ["starlette: GHSA-1"]


def test_who_could_not_be_asked_has_not_said_that_all_is_well(audit):
    skipped = {"dependencies": [{"name": "aiohttp", "skip_reason": "not found on PyPI"}]}
    assert audit.from_pip_audit(skipped).silent == "not found on PyPI"
    assert audit.from_npm_audit({"message": "405 Method Not Allowed"}).silent == "405 Method Not Allowed"
    assert audit.from_npm_audit({"error": {"summary": "offline"}}).silent == "offline"


def test_of_npm_s_tree_only_the_advisories_count(audit):
    advisory = {"source": 7, "name": "vite", "title": "reads files", "url": "https://advisories.example/GHSA-2"}
    report = {
        "vulnerabilities": {
            "vite": {"name": "vite", "via": [advisory]},
            "plugin": {"name": "plugin", "via": ["vite"]},
        },
        "metadata": {"dependencies": {"total": 80}},
    }
    answer = audit.from_npm_audit(report)
    assert (answer.asked, answer.findings) == (80, [audit.Finding("GHSA-2", "vite", "reads files")])


@pytest.mark.parametrize("missing", ["reason", "until", "package", "id"])
def test_an_entry_says_what_why_and_until_when(audit, missing):
    lines = {"id": '"GHSA-1"', "package": '"aiohttp"', "reason": '"not reached"', "until": "2026-12-31"}
    text = "[[allowed]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if key != missing)
    with pytest.raises(ValueError, match="An entry needs"):
        audit.read_allowed(text)


def test_the_list_of_the_project_can_be_read(audit):
    audit.read_allowed((ROOT / "requirements/audit-allowed.toml").read_text("utf-8"))
