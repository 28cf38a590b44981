"""The catalogue: every module this server can run, and the names of their apps.

The one registry; `blueprint.validate` and `blueprint.compile` take it as an argument, so that a test or
a later release can run with another one.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from make_bridge.engine.apps import builtin, gateway, http, json, placeholder, regexp, scenario_service, tools
from make_bridge.engine.apps.module import ModuleSpec

APPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "builtin": "Flow control",
        "gateway": "Webhooks",
        "http": "HTTP",
        "json": "JSON",
        "placeholder": "Placeholder",
        "regexp": "Text parser",
        "scenario-service": "Scenarios",
        "util": "Tools",
    }
)


def catalogue_of(*apps: Iterable[ModuleSpec]) -> Mapping[str, ModuleSpec]:
    """Return the modules by name; the same name twice is a mistake of the program."""
    found: dict[str, ModuleSpec] = {}
    for spec in (spec for app in apps for spec in app):
        if spec.name in found:
            raise ValueError(f"The module {spec.name} is declared twice.")
        found[spec.name] = spec
    return MappingProxyType(found)


CATALOGUE: Final = catalogue_of(
    builtin.MODULES,
    gateway.MODULES,
    http.MODULES,
    json.MODULES,
    placeholder.MODULES,
    regexp.MODULES,
    scenario_service.MODULES,
    tools.MODULES,
)
