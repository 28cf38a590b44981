"""Reading a blueprint for the domain: facts, findings, compiled programs.

One place turns a stored blueprint into what the engine runs, so that a check at save time and the
run itself can never disagree.
"""

import msgspec

from make_bridge.domain.scenarios.model import JsonObject, interface_of
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.findings import Finding, Severity
from make_bridge.engine.blueprint.model import Blueprint
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.blueprint.validate import validate
from make_bridge.kernel.errors import TooLarge

_WITHOUT_PACKAGE = frozenset({"builtin", "placeholder"})
_CALLED = "scenario-service:StartSubscenario"
MAX_BLUEPRINT_BYTES = 4 * 1024 * 1024


class BlueprintFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a blueprint without running it; ``errors`` keep it from being switched on."""

    name: str
    used_packages: list[str]
    interface: JsonObject
    errors: list[str]
    document: JsonObject
    scheduling: JsonObject | None = None
    is_instant: bool = False
    takes_inputs: bool = False
    is_sequential: bool = False

    @property
    def raw(self) -> bytes:
        """Return the blueprint as it is stored."""
        return msgspec.json.encode(self.document)


def read_facts(document: JsonObject) -> BlueprintFacts:
    """Unwrap, parse and validate; raises InvalidInput when it is no blueprint at all."""
    if len(msgspec.json.encode(document)) > MAX_BLUEPRINT_BYTES:
        message = f"The blueprint is larger than {MAX_BLUEPRINT_BYTES} bytes."
        raise TooLarge(message)
    blueprint = parse_blueprint(document)
    errors = [_sentence(finding) for finding in validate(blueprint, CATALOGUE) if finding.severity is Severity.FATAL]
    apps = dict.fromkeys(module.app for module in blueprint.modules())
    return BlueprintFacts(
        name=blueprint.name,
        used_packages=[app for app in apps if app not in _WITHOUT_PACKAGE],
        interface=interface_of(blueprint.document),
        errors=errors,
        document=blueprint.document,
        scheduling=blueprint.scheduling,
        is_instant=_is_instant(blueprint),
        takes_inputs=bool(blueprint.inputs) or _first(blueprint) == _CALLED,
        is_sequential=blueprint.settings.sequential,
    )


def compile_stored(raw: bytes) -> Program:
    """Compile a stored blueprint; raises BlueprintInvalid with every fatal finding."""
    return compile_blueprint(parse_blueprint(raw), CATALOGUE)


def _first(blueprint: Blueprint) -> str | None:
    return next((node.module for node in blueprint.flow if not node.skipped), None)


def _is_instant(blueprint: Blueprint) -> bool:
    """Say whether the first module waits for something from outside."""
    spec = CATALOGUE.get(_first(blueprint) or "")
    return spec is not None and spec.external


def _sentence(finding: Finding) -> str:
    return str(finding)
