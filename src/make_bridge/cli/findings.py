"""Blueprints from files, and what is wrong with them, for the commands that take one.

Light like `options`: ``blueprint validate`` loads it. A finding is shown as a block and not as a row: positions,
sentences and fixes are long, and columns of a terminal would break each of them into pieces.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from make_bridge.cli.output import as_json, say
from make_bridge.engine.blueprint.findings import Finding, Severity
from make_bridge.engine.blueprint.model import Blueprint
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.kernel.errors import InvalidInput

_STYLES: Final = {Severity.FATAL: "bold red", Severity.ERROR: "red", Severity.WARNING: "yellow"}
_PLURALS: Final = {Severity.FATAL: "fatal", Severity.ERROR: "errors", Severity.WARNING: "warnings"}
_MARGIN: Final = " " * 9


def read_blueprint(file: Path) -> Blueprint:
    """Read a blueprint; raises BlueprintInvalid with all findings, or InvalidInput that names the file."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}."
        raise InvalidInput(message) from error
    return parse_blueprint(raw)


def serious(findings: Sequence[Finding]) -> list[Finding]:
    """Return those that are more than warnings."""
    return [finding for finding in findings if finding.severity is not Severity.WARNING]


def show_findings(findings: Sequence[Finding], *, as_json_: bool) -> None:
    """Print all findings."""
    if as_json_:
        as_json({"valid": not serious(findings), "findings": findings})
        return
    if not findings:
        say("No findings: the blueprint can be switched on.")
        return
    for finding in findings:
        module = "" if finding.module_id is None else f"  (module {finding.module_id})"
        say(f"{finding.severity.value:<8} {finding.position or 'blueprint'}{module}", style=_STYLES[finding.severity])
        say(_MARGIN + finding.message)
        if finding.fix:
            say(_MARGIN + finding.fix)
    say(f"\n{_counted(findings)}")


def _counted(findings: Sequence[Finding]) -> str:
    counts = {level: sum(finding.severity is level for finding in findings) for level in Severity}
    words = [f"{count} {_PLURALS[level] if count > 1 else level.value}" for level, count in counts.items() if count]
    run = "" if serious(findings) else "; the blueprint can be switched on"
    return f"{', '.join(words)}{run}."
