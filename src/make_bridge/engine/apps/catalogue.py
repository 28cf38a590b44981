"""The catalogue: every module this server can run, and the names of their apps.

The one registry; `blueprint.validate` and `blueprint.compile` take it as an argument, so that a test or
a later release can run with another one.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from make_bridge.engine.apps import (
    archive,
    builtin,
    csv,
    datastore,
    email,
    encryptor,
    gateway,
    http,
    json,
    markdown,
    math,
    placeholder,
    regexp,
    rss,
    scenario_service,
    tools,
    xml,
)
from make_bridge.engine.apps.aliases import ALIASES
from make_bridge.engine.apps.module import ModuleSpec

APPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "archive": "Archive",
        "builtin": "Flow control",
        "csv": "CSV",
        "datastore": "Data store",
        "email": "Email",
        "encryptor": "Encryptor",
        "gateway": "Webhooks",
        "http": "HTTP",
        "json": "JSON",
        "markdown": "Markdown",
        "math": "Math",
        "placeholder": "Placeholder",
        "regexp": "Text parser",
        "rss": "RSS",
        "scenario-service": "Scenarios",
        "util": "Tools",
        "xml": "XML",
    }
)


class Catalogue(Mapping[str, ModuleSpec]):
    """Modules by name. An alias finds its module, but is not counted among the names."""

    def __init__(self, modules: Mapping[str, ModuleSpec], aliases: Mapping[str, str]) -> None:
        """`aliases` are other names; each must mean a module that is there."""
        self._modules = modules
        self._aliases = aliases
        for alias, name in aliases.items():
            if name not in modules or alias in modules:
                raise ValueError(f"The alias {alias} of {name} means no module, or is one itself.")

    def __getitem__(self, name: str) -> ModuleSpec:
        """Return the module of a name or an alias."""
        return self._modules[self._aliases.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._modules)

    def __len__(self) -> int:
        """Count the modules."""
        return len(self._modules)


def catalogue_of(*apps: Iterable[ModuleSpec], aliases: Mapping[str, str] | None = None) -> Mapping[str, ModuleSpec]:
    """Return the modules by name; the same name twice is a mistake of the program."""
    found: dict[str, ModuleSpec] = {}
    for spec in (spec for app in apps for spec in app):
        if spec.name in found:
            raise ValueError(f"The module {spec.name} is declared twice.")
        found[spec.name] = spec
    return Catalogue(found, aliases or {})


CATALOGUE: Final = catalogue_of(
    archive.MODULES,
    builtin.MODULES,
    csv.MODULES,
    datastore.MODULES,
    email.MODULES,
    encryptor.MODULES,
    gateway.MODULES,
    http.MODULES,
    json.MODULES,
    markdown.MODULES,
    math.MODULES,
    placeholder.MODULES,
    regexp.MODULES,
    rss.MODULES,
    scenario_service.MODULES,
    tools.MODULES,
    xml.MODULES,
    aliases=ALIASES,
)
