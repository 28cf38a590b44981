"""Apps whose modules this server does not run, but for which people may be asked for credentials already.

A part of their modules, so that whoever asks sees the type and the scopes. Modules that are not here are asked for with
all scopes of their app.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_MAIL: Final = ("https://mail.google.com/",)
_SEND: Final = ("https://www.googleapis.com/auth/gmail.send",)
_SHEETS: Final = ("https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleElsewhere:
    """A module of such an app."""

    name: str
    label: str
    versions: tuple[int, ...]
    scope: tuple[str, ...]
    is_hook: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppElsewhere:
    """Such an app; ``type`` is the connection that all of its modules use."""

    name: str
    label: str
    type: str
    modules: tuple[ModuleElsewhere, ...]

    @property
    def versions(self) -> frozenset[int]:
        """Return its versions."""
        return frozenset(version for module in self.modules for version in module.versions)

    def scope(self, version: int) -> tuple[str, ...]:
        """Return all scopes of a version."""
        return tuple(
            dict.fromkeys(scope for module in self.modules if version in module.versions for scope in module.scope)
        )


def _apps(*apps: AppElsewhere) -> Mapping[str, AppElsewhere]:
    return MappingProxyType({app.name: app for app in apps})


def _modules(
    versions: tuple[int, ...], scope: tuple[str, ...], named: Iterable[tuple[str, str]]
) -> tuple[ModuleElsewhere, ...]:
    return tuple(ModuleElsewhere(name=name, label=label, versions=versions, scope=scope) for name, label in named)


ELSEWHERE: Final = _apps(
    AppElsewhere(
        name="google-email",
        label="Gmail",
        type="google",
        modules=(
            *_modules((2,), _MAIL, (("ActionSendEmail", "Send an email"), ("TriggerNewEmail", "Watch emails"))),
            *_modules((4,), _SEND, (("sendAnEmail", "Send an email"),)),
            *_modules((4,), _MAIL, (("makeAnApiCall", "Make an API call"), ("watchEmails", "Watch emails"))),
        ),
    ),
    AppElsewhere(
        name="google-sheets",
        label="Google Sheets",
        type="google",
        modules=_modules(
            (2,),
            _SHEETS,
            (
                ("addRow", "Add a row"),
                ("filterRows", "Search rows"),
                ("getSheetContent", "Get range values"),
                ("updateRow", "Update a row"),
                ("watchRows", "Watch new rows"),
            ),
        ),
    ),
)
