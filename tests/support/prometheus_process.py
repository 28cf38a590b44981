"""A real Prometheus beside a test: it scrapes what it is told to, weighs rules, and answers questions over HTTP."""

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support.network import free_port, send
from support.waiting import until

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """A Prometheus that runs."""

    url: str
    log: Path

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Ask a question and return the series of the answer; a question that it does not understand is a failure."""
        answer = self._get("query", query=question)
        assert answer["status"] == "success", (question, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = self._get("alerts")["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def targets(self) -> dict[str, str]:
        """Return the health of each target, by its address."""
        return {one["scrapeUrl"]: one["health"] for one in self._get("targets")["data"]["activeTargets"]}

    def _get(self, what: str, **parameters: str) -> Any:
        reply = send("GET", f"{self.url}/api/v1/{what}?{urlencode(parameters)}", patience=_PATIENCE)
        return json.loads(reply.body)


@contextmanager
def prometheus_of(program: Path, folder: Path, targets: Sequence[str], token: Path, rules: str) -> Iterator[Prometheus]:
    """Run one that scrapes these targets each second with a token, and weighs these rules as often."""
    folder.mkdir()
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yaml")],
        "scrape_configs": [
            {
                "job_name": "make-bridge",
                "authorization": {"type": "Bearer", "credentials_file": str(token)},
                "static_configs": [{"targets": list(targets)}],
            }
        ],
    }
    # Its YAML takes JSON as well.
    (folder / "prometheus.yml").write_text(json.dumps(configuration), encoding="utf-8")
    port, log = free_port(), folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    running = Prometheus(url=f"http://127.0.0.1:{port}", log=log)
    try:
        until(lambda: _is_ready(running), "Prometheus is ready", within=_PATIENCE)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE)


def _is_ready(running: Prometheus) -> bool:
    try:
        return send("GET", f"{running.url}/-/ready", patience=2.0).status == 200
    except OSError:
        return False
