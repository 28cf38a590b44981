"""Reports from the outside: executions run, both kinds are ordered, followed, downloaded and compared with the logs."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from acceptance.conftest import Product
from support.network import Reply, send
from support.waiting import until

# Starting a server for the first test is part of that test.
pytestmark = pytest.mark.timeout(300)
WITHIN = 20.0
RUNS = 7


class Desk:
    """What an operator does with reports."""

    def __init__(self, product: Product) -> None:
        self.integrator = product.integrator
        now = datetime.now(UTC).date()
        # A run may settle on the other side of midnight.
        self.days = {"from": (now - timedelta(days=1)).isoformat(), "to": now.isoformat()}

    def call(self, method: str, path: str, json_body: object = None) -> Reply:
        headers = {"Authorization": f"Token {self.integrator.api_token}"}
        return send(method, f"{self.integrator.url}/api/v2{path}", headers=headers, json_body=json_body)

    def finished(self, **order: object) -> tuple[dict[str, Any], bytes]:
        asked = self.call("POST", "/reports", self.days | order)
        assert asked.status == 202, asked
        path = asked.headers["location"].removeprefix("/api/v2")
        seen: list[int] = []

        def read():
            report = self.call("GET", path).json()["report"]
            seen.append(report["progress"])
            assert report["state"] in {"waiting", "running", "completed"}, report
            return report if report["state"] == "completed" else None

        report = until(read, "the report is finished", within=WITHIN)
        assert seen == sorted(seen)
        assert seen[-1] == 100
        content = self.call("GET", f"{path}/content")
        assert content.status == 200, content
        assert content.headers["cache-control"] == "no-store"
        assert "attachment" in content.headers["content-disposition"]
        assert len(content.body) == report["bytes"]
        return report, content.body


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def test_what_ran_is_told_by_both_reports(product):
    desk = Desk(product)
    connected = product.connect()
    for number in range(RUNS):
        assert connected.call_hook({"orderId": f"order of nobody else {number}", "total": number}).status == 201
    logs = until(lambda: ended(connected), "all executions have ended", within=WITHIN)
    report, content = desk.finished(kind="executions")
    rows = table(content)
    assert report["rows"] == len(rows)
    found = {row["id"]: row for row in rows if row["scenarioId"] == str(connected.id)}
    assert len(found) == RUNS
    assert set(found) == {log["id"] for log in logs}
    for log in logs:
        row = found[log["id"]]
        assert (row["status"], row["operations"]) == ("success", str(log["operations"]))
        assert (row["scenarioId"], row["scenario"]) == (str(connected.id), "My orders")
        assert row["customerExternalId"] == connected.portal.sub
    assert b"nobody else" not in content
    _, content = desk.finished(kind="usage", groupBy=["customer", "scenario"], format="json")
    [usage] = [row for row in json.loads(content)["rows"] if row["scenarioId"] == connected.id]
    assert usage["executions"] == RUNS
    assert usage["operations"] == sum(log["operations"] for log in logs)
    assert usage["customerExternalId"] == connected.portal.sub


def ended(connected):
    logs = connected.logs()
    logs = logs["scenarioLogs"] if isinstance(logs, dict) else logs
    return logs if len(logs) == RUNS and all(log["status"] for log in logs) else None


def test_the_command_line_makes_shows_downloads_and_deletes(product, tmp_path):
    installation, organization = product.installation, str(product.integrator.organization_id)
    desk = Desk(product)
    product.connect().call_hook({"orderId": "b", "total": 1})
    of = ("--organization", organization)
    days = ("--from", desk.days["from"], "--to", desk.days["to"])
    made = installation.ask("reports", "make", "usage", *days, "--group-by", "day", "--group-by", "scenario", *of)
    assert (made["state"], made["progress"], made["groupBy"]) == ("completed", 100, ["day", "scenario"])
    assert installation.ask("reports", "show", made["id"], *of) == made
    assert made["id"] in {report["id"] for report in installation.ask("reports", "list", *of)}
    file = tmp_path / "usage.csv"
    installation.command("reports", "download", made["id"], "--output", file, *of)
    assert len(file.read_bytes()) == made["bytes"]
    assert len(table(file.read_bytes())) == made["rows"] > 0
    assert installation.command("reports", "download", made["id"], "--output", "-", *of).stdout.startswith("day,")
    again = installation.command("reports", "download", made["id"], "--output", file, *of, check=False)
    assert (again.returncode, "cannot be written" in again.stderr) == (1, True)
    installation.command("reports", "delete", made["id"], *of)
    gone = installation.command("reports", "show", made["id"], *of, check=False)
    assert (gone.returncode, "There is no such report" in gone.stderr) == (1, True)
