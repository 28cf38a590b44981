"""Which provider a type of connection names, and by which of the organization's applications people can agree there.

``google`` is asked for by that name although nobody's application has to be called so: it is known by where its consent
page is. Every other provider goes by the name of the organization's own application, in small letters with dashes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from make_bridge.domain.oauth.messages import OAuthApplication
from make_bridge.domain.oauth.model import CONNECTION_TYPE, origin_of

_OTHER: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider that is asked for by a name of its own."""

    label: str
    origins: frozenset[str]


PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {"google": Provider(label="Google", origins=frozenset({"https://accounts.google.com"}))}
)


def is_provider(name: str, applications: Sequence[OAuthApplication]) -> bool:
    """Say whether a type of connection names a provider that can be asked for."""
    return name in PROVIDERS or bool(offers(name, applications))


def offers(name: str, applications: Sequence[OAuthApplication]) -> tuple[OAuthApplication, ...]:
    """Return the applications by which people can agree to a type of connection."""
    usable = [application for application in applications if application.facts.authorize_url]
    if name == CONNECTION_TYPE:
        return tuple(usable)
    known = PROVIDERS.get(name)
    origins = frozenset[str]() if known is None else known.origins
    return tuple(
        application
        for application in usable
        if slug(application.facts.name) == name or origin_of(application.facts.authorize_url) in origins
    )


def label_of(name: str, applications: Sequence[OAuthApplication] = ()) -> str:
    """Return what people call a provider."""
    known = PROVIDERS.get(name)
    if known is not None:
        return known.label
    offered = offers(name, applications)
    return offered[0].facts.name if offered else name


def slug(name: str) -> str:
    """Return the name by which an application's provider is asked for."""
    return _OTHER.sub("-", name.casefold()).strip("-")
