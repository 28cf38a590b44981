"""What is wrong with a blueprint, in words for its author.

Made by parsing and validation, shown by the command line, the wizard's editor and the API. A position
is written as in `flow[2].routes[0].flow[1].mapper.url`, so that a person and an editor both find it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from make_bridge.engine.blueprint.model import Module
from make_bridge.kernel.errors import InvalidInput


class Severity(StrEnum):
    """How bad a finding is."""

    FATAL = "fatal"
    """The blueprint cannot be run at all: compiling refuses it."""
    ERROR = "error"
    """It can be run, and the run will fail when it gets there."""
    WARNING = "warning"
    """It runs, and probably does not do what its author thinks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to repair. `fix` says how, when that is known."""

    severity: Severity
    position: str
    message: str
    module_id: int | None = None
    fix: str | None = None

    def __str__(self) -> str:
        """Return one line for a terminal."""
        where = self.position or "blueprint"
        return f"{where}: {self.message}" + (f" {self.fix}" if self.fix else "")


class Sayer:
    """Makes findings about one module; `where` is what follows the module's own position."""

    def __init__(self, node: Module) -> None:
        """Speak of `node`."""
        self.node = node

    def fatal(self, where: str, message: str, fix: str | None = None) -> Finding:
        """Return a finding that keeps the blueprint from running."""
        return self._finding(Severity.FATAL, where, message, fix)

    def error(self, where: str, message: str, fix: str | None = None) -> Finding:
        """Return a finding that fails a run."""
        return self._finding(Severity.ERROR, where, message, fix)

    def warning(self, where: str, message: str, fix: str | None = None) -> Finding:
        """Return a finding that is probably not meant."""
        return self._finding(Severity.WARNING, where, message, fix)

    def _finding(self, severity: Severity, where: str, message: str, fix: str | None) -> Finding:
        return Finding(
            severity=severity,
            position=f"{self.node.position}{where}",
            message=message,
            module_id=self.node.id or None,
            fix=fix,
        )


class BlueprintInvalid(InvalidInput):
    """The blueprint cannot be used."""

    code = "blueprint_invalid"

    def __init__(self, findings: Sequence[Finding]) -> None:
        """Keep all findings; the message tells the first and how many follow."""
        self.findings = tuple(findings)
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(
            f"{findings[0]}{more}" if findings else None,
            fields={finding.position: finding.message for finding in findings},
        )
