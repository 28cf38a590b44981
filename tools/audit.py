"""Known faults of the dependencies, and bills of materials. Started by ``tools/audit.sh``.

``check`` asks pip-audit about the locks of Python and npm about that of web/. What is found fails the check unless
``requirements/audit-allowed.toml`` names it with a reason and an end: an entry without either, one that is past its
end, and one that allows nothing any more fail too. Where the advisories cannot be reached the check says so and
passes, so that work without a network goes on; with ``--required`` it fails.

``sbom`` writes CycloneDX: ``dist/sbom/server.cdx.json`` and ``dist/sbom/web.cdx.json``.
"""

import argparse
import datetime as dt
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / ".venv/audit/bin"
ALLOWED = ROOT / "requirements/audit-allowed.toml"
LOCKS = ("runtime", "dev")
SBOM = ROOT / "dist/sbom"
SECONDS = 180


@dataclass(frozen=True)
class Finding:
    """A known fault in a version that a lock names."""

    id: str
    package: str
    title: str


@dataclass(frozen=True)
class Allowed:
    """A fault that is known and lived with, until a day."""

    id: str
    package: str
    reason: str
    until: dt.date


@dataclass
class Answer:
    """What one source of advisories said; ``silent``: why it said nothing."""

    asked: int = 0
    silent: str = ""
    findings: list[Finding] = field(default_factory=list)


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def read_allowed(text: str) -> list[Allowed]:
    """Read the list of what is allowed; raises ValueError for an entry without a reason or an end."""
    entries = []
    for entry in tomllib.loads(text).get("allowed", []):
        name, package, reason, until = (entry.get(key) for key in ("id", "package", "reason", "until"))
        if not (name and package and reason and isinstance(until, dt.date)):
            raise ValueError(f"An entry needs id, package, reason and until (a date): {entry}")
        entries.append(Allowed(name, package, reason, until))
    return entries


def from_pip_audit(report: dict[str, Any]) -> Answer:
    """Read pip-audit's JSON: a list of packages, each with its faults or with the reason why it was skipped."""
    packages = report.get("dependencies", [])
    asked = [package for package in packages if "skip_reason" not in package]
    if packages and not asked:
        return Answer(silent=str(packages[0]["skip_reason"]))
    findings = [
        Finding(fault["id"], package["name"], " ".join(fault.get("description", "").split())[:120])
        for package in asked
        for fault in package.get("vulns", [])
    ]
    return Answer(asked=len(asked), findings=findings)


def from_npm_audit(report: dict[str, Any]) -> Answer:
    """Read npm's JSON: packages with what reaches them, of which only the advisories themselves count."""
    if "vulnerabilities" not in report:
        said = report.get("message") or report.get("error", {}).get("summary") or "no answer"
        return Answer(silent=str(said))
    asked = report.get("metadata", {}).get("dependencies", {}).get("total", 0)
    found = {
        Finding(_advisory(via), package["name"], via.get("title", ""))
        for package in report["vulnerabilities"].values()
        for via in package.get("via", [])
        if isinstance(via, dict)
    }
    return Answer(asked=asked, findings=sorted(found, key=lambda finding: (finding.package, finding.id)))


def _advisory(via: dict[str, Any]) -> str:
    return str(via.get("url") or via.get("source")).rsplit("/", 1)[-1]


def judge(findings: Iterable[Finding], allowed: Iterable[Allowed], today: dt.date, *, whole: bool) -> list[str]:
    """Return what is wrong, a sentence each; ``whole``: every source was asked, so what allows nothing is stale."""
    found = {(finding.id, finding.package): finding for finding in findings}
    known = {(entry.id, entry.package): entry for entry in allowed}
    wrong = [
        f"{finding.package}: {finding.id} {finding.title}".rstrip()
        for key, finding in found.items()
        if key not in known
    ]
    for key, entry in known.items():
        if entry.until < today:
            wrong.append(f"{entry.package}: {entry.id} was allowed until {entry.until}; look at it again.")
        elif whole and key not in found:
            wrong.append(f"{entry.package}: {entry.id} is allowed and no longer found; take the entry out.")
    return wrong


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=ROOT)


def _ask_python() -> Answer:
    command = [str(PROGRAMS / "pip-audit"), "--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json"]
    for lock in LOCKS:
        command += ["--requirement", f"requirements/{lock}.txt"]
    return _read(command, from_pip_audit)


def _ask_web() -> Answer:
    return _read(["tools/npm.sh", "audit", "--json"], from_npm_audit)


def _read(command: list[str], reader: Callable[[dict[str, Any]], Answer]) -> Answer:
    try:
        done = _run(command)
    except subprocess.TimeoutExpired:
        return Answer(silent=f"no answer within {SECONDS} s")
    try:
        return reader(json.loads(done.stdout))
    except ValueError:
        return Answer(silent=" ".join(done.stderr.split())[-200:] or "no answer")


def check(*, required: bool) -> int:
    """Ask, say what came back, and return the exit code."""
    answers = {"Python": _ask_python(), "web": _ask_web()}
    for name, answer in answers.items():
        if answer.silent:
            say(f"! {name}: NOT audited, its advisories cannot be reached from here ({answer.silent[:160]})")
        else:
            say(f"· {name}: {answer.asked} packages asked about, {len(answer.findings)} known faults")
    try:
        allowed = read_allowed(ALLOWED.read_text("utf-8"))
    except ValueError as error:
        say(f"✗ {ALLOWED.relative_to(ROOT)}: {error}")
        return 1
    whole = not any(answer.silent for answer in answers.values())
    findings = [finding for answer in answers.values() for finding in answer.findings]
    wrong = judge(findings, allowed, dt.datetime.now(dt.UTC).date(), whole=whole)
    for sentence in wrong:
        say(f"✗ {sentence}")
    return 1 if wrong or (required and not whole) else 0


def write_sbom() -> int:
    """Write both bills of materials."""
    SBOM.mkdir(parents=True, exist_ok=True)
    server = SBOM / "server.cdx.json"
    command = ["requirements", "requirements/runtime.txt", "--pyproject", "pyproject.toml", "--output-reproducible"]
    done = _run([str(PROGRAMS / "cyclonedx-py"), *command, "--output-file", str(server)])
    if done.returncode:
        sys.stderr.write(done.stderr)
        return done.returncode
    flags = ["--sbom-format=cyclonedx", "--omit=dev", "--package-lock-only"]
    done = _run(["tools/npm.sh", "sbom", *flags])
    if done.returncode:
        sys.stderr.write(done.stderr)
        return done.returncode
    (SBOM / "web.cdx.json").write_text(done.stdout, "utf-8")
    for path in sorted(SBOM.glob("*.json")):
        count = len(json.loads(path.read_text("utf-8"))["components"])
        say(f"· {path.relative_to(ROOT)}: {count} components")
    return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("check", "sbom"))
    parser.add_argument("--required", action="store_true", help="fail when advisories cannot be reached")
    given = parser.parse_args()
    return write_sbom() if given.what == "sbom" else check(required=given.required)


if __name__ == "__main__":
    sys.exit(main())
