"""From an app to the credentials its modules need. Pure.

Modules of this server say it in their own descriptions (a field of the type ``keychain:apikeyauth``); of a few apps
that run elsewhere it stands in ``elsewhere``. Modules of one app that need the same type share one credential.
"""

from collections.abc import Sequence
from typing import Final, Literal

from make_bridge.domain.credential_requests.elsewhere import ELSEWHERE, AppElsewhere
from make_bridge.domain.credential_requests.messages import AppSelection, Wanted, Wanting
from make_bridge.engine.apps.catalogue import APPS, CATALOGUE
from make_bridge.engine.apps.module import Kind, ModuleSpec
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.messages import message

EVERYTHING: Final = "*"
LATEST: Final = 0
_COMPONENTS: Final[dict[str, Wanting]] = {"account": "account", "keychain": "keychain"}


@message
class AppModule:
    """A module's need of a credential; ``id`` names the field too where a module has several."""

    id: str
    name: str
    label: str
    component: Wanting
    type: str
    scope: tuple[str, ...] = ()
    is_hook: bool = False


def app_label(app: str) -> str:
    """Return what people call an app."""
    return ELSEWHERE[app].label if app in ELSEWHERE else APPS.get(app, app)


def modules_with_credentials(app: str, version: int) -> list[AppModule]:
    """Return what the modules of an app's version need; raises NotFound."""
    elsewhere = ELSEWHERE.get(app)
    if elsewhere is not None:
        return _of_elsewhere(elsewhere, _version(app, version, elsewhere.versions))
    specs = [spec for spec in CATALOGUE.values() if spec.app == app]
    if not specs:
        raise NotFound(f"There is no app '{app[:100]}'.")
    chosen = _version(app, version, frozenset(number for spec in specs for number in spec.versions))
    return [need for spec in specs if chosen in spec.versions for need in _needs(spec)]


def wanted_of(selection: AppSelection) -> list[Wanted]:
    """Return the credentials that a selection of modules and endpoints needs; raises InvalidInput, NotFound."""
    if not selection.modules and not selection.endpoints:
        raise InvalidInput(f"Name modules or endpoints of the app '{selection.app[:100]}'; '*' is all.")
    needs = _chosen(selection, modules_with_credentials(selection.app, selection.version))
    if not needs:
        raise InvalidInput(f"None of these modules of the app '{selection.app[:100]}' needs credentials.")
    types = dict.fromkeys((need.component, need.type) for need in needs)
    version = str(selection.version) if selection.version else ""
    return [
        Wanted(
            component=component,
            type=name,
            description=selection.description,
            name_override=selection.name_override,
            scope=tuple(dict.fromkeys(scope for need in needs if need.type == name for scope in need.scope)),
            app_name=selection.app,
            app_modules=tuple(dict.fromkeys(need.name for need in needs if need.type == name)),
            app_version=version,
        )
        for component, name in types
    ]


def _chosen(selection: AppSelection, needs: Sequence[AppModule]) -> list[AppModule]:
    """Return the needs that were meant. Endpoints are what an app's connection is for as a whole."""
    if EVERYTHING in selection.modules or (selection.endpoints and not selection.modules):
        return list(needs)
    wanted = [name.removeprefix(f"{selection.app}:") for name in selection.modules]
    by_name = {name for need in needs for name in (need.id, need.name)}
    found = [need for need in needs if need.id in wanted or need.name in wanted]
    unknown = [name for name in wanted if name not in by_name]
    if not unknown:
        return found
    elsewhere = ELSEWHERE.get(selection.app)
    if elsewhere is None:
        message = f"The app '{selection.app}' has no module '{unknown[0][:100]}' that needs credentials."
        raise InvalidInput(message, code="unknown_module")
    scope = elsewhere.scope(_version(selection.app, selection.version, elsewhere.versions))
    return [
        *found,
        *(
            AppModule(id=name, name=name, label=name, component="account", type=elsewhere.type, scope=scope)
            for name in unknown
        ),
    ]


def _version(app: str, version: int, there: frozenset[int]) -> int:
    if version == LATEST:
        return max(there)
    if version not in there:
        raise NotFound(f"The app '{app[:100]}' has no version {version}.")
    return version


def _of_elsewhere(app: AppElsewhere, version: int) -> list[AppModule]:
    return [
        AppModule(
            id=module.name,
            name=module.name,
            label=module.label,
            component="account",
            type=app.type,
            scope=module.scope,
            is_hook=module.is_hook,
        )
        for module in app.modules
        if version in module.versions
    ]


def _needs(spec: ModuleSpec) -> list[AppModule]:
    name = spec.name.partition(":")[2]
    found = [
        (field.name, *_split(field.type)) for field in spec.parameters if field.type.partition(":")[0] in _COMPONENTS
    ]
    is_hook = spec.kind is Kind.TRIGGER and spec.external
    return [
        AppModule(
            id=name if len(found) == 1 else f"{name}:{parameter}",
            name=name,
            label=spec.label,
            component=component,
            type=type_name,
            is_hook=is_hook,
        )
        for parameter, component, type_name in found
    ]


def _split(field_type: str) -> tuple[Literal["account", "keychain"], str]:
    component, _, name = field_type.partition(":")
    return _COMPONENTS[component], name
