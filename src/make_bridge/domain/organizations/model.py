"""The rules of organizations: names, origins, and what a key lets its holder do. Pure."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import AddressValueError, IPv6Address
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.kernel.errors import InvalidInput, PermissionDenied
from make_bridge.kernel.ids import OrganizationId

EVERYTHING: Final = frozenset({"*"})
ADMINISTRATOR_SUB: Final = "*"
# What a portal token of a customer may do; its key may allow less, never more.
CUSTOMER_PERMISSIONS: Final = frozenset(
    {
        "integrations:read",
        "integrations:write",
        "scenarios:read",
        "scenarios:write",
        "scenarios:run",
        "connections:read",
        "connections:write",
        "templates:read",
        "customers:read",
    }
)
# Everything a route, command or query asks for; what is not here is no scope, and a test compares.
SCOPES: Final = frozenset(
    {
        "audit:read",
        "connections:read",
        "connections:write",
        "customers:read",
        "customers:write",
        "datastores:read",
        "datastores:write",
        "datastructures:read",
        "datastructures:write",
        "events:read",
        "events:replay",
        "functions:read",
        "functions:write",
        "integrations:read",
        "integrations:write",
        "jobs:read",
        "jobs:write",
        "oauth:read",
        "oauth:write",
        "organizations:read",
        "organizations:write",
        "reports:read",
        "reports:write",
        "scenarios:read",
        "scenarios:run",
        "scenarios:write",
        "teams:read",
        "teams:write",
        "templates:read",
        "templates:write",
        "usage:read",
        "variables:read",
        "variables:write",
        "webhooks:read",
        "webhooks:write",
    }
)
OWN_IDENTITY: Final = "user:read"
"""To ask who one is: everybody's who has a token, and no scope."""
LONGEST_OVERLAP: Final = 90 * 86_400
MAX_NAME: Final = 120
MAX_ORIGINS: Final = 50
_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_MAX_PORT: Final = 65535
_MAX_HOST: Final = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A portal key that was just made; the secret is shown this once."""

    organization_id: OrganizationId
    key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token of the management API, found by its digest; the token itself is kept nowhere."""

    id: int
    organization_id: OrganizationId
    permissions: frozenset[str]
    label: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialLimits:
    """How long a rotated key goes on by default, in seconds, and how many API tokens an organization has at most."""

    overlap_seconds: int = 86_400
    api_tokens: int = 100


def checked_scopes(asked: Iterable[str], held: frozenset[str]) -> frozenset[str]:
    """Return scopes to grant; raises InvalidInput for unknown ones, PermissionDenied for more than the giver has."""
    scopes = frozenset(asked)
    unknown = sorted(scopes - SCOPES - EVERYTHING)
    if unknown:
        sentence = f"There is no scope '{unknown[0][:64]}'. The scopes are * and {', '.join(sorted(SCOPES))}."
        raise InvalidInput(sentence, fields={"permissions": sentence})
    if not scopes:
        raise InvalidInput("Name at least one scope.", fields={"permissions": "Name at least one scope."})
    if not held & EVERYTHING and not scopes <= held:
        raise PermissionDenied("Nobody can grant more than they may do themselves.")
    return scopes


def checked_label(text: str) -> str:
    """Return the label of an API token, or raise InvalidInput."""
    label = unicodedata.normalize("NFC", text).strip()
    plain = not any(unicodedata.category(character) in {"Cc", "Cs"} for character in label)
    if not label or len(label) > MAX_NAME or not plain:
        sentence = f"A label has 1 to {MAX_NAME} characters and no control characters."
        raise InvalidInput(sentence, fields={"label": sentence})
    return label


def checked_overlap(seconds: int) -> int:
    """Return for how long a key goes on beside its successor, or raise InvalidInput."""
    if not 0 <= seconds <= LONGEST_OVERLAP:
        sentence = f"The overlap is 0 to {LONGEST_OVERLAP} seconds."
        raise InvalidInput(sentence, fields={"overlapSeconds": sentence})
    return seconds


def permissions_of(key_permissions: frozenset[str], sub: str) -> frozenset[str]:
    """Return what a portal token may do: an administrator all its key allows, a customer a customer's part of it."""
    if sub == ADMINISTRATOR_SUB:
        return key_permissions
    return CUSTOMER_PERMISSIONS if key_permissions >= EVERYTHING else CUSTOMER_PERMISSIONS & key_permissions


def checked_name(text: str) -> str:
    """Return an organization's name, or raise InvalidInput."""
    name = unicodedata.normalize("NFC", text).strip()
    plain = not any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)
    if not name or len(name) > MAX_NAME or not plain:
        raise InvalidInput(f"An organization's name has 1 to {MAX_NAME} characters and no control characters.")
    return name


def checked_timezone(name: str) -> str:
    """Return the name of a time zone, or raise InvalidInput."""
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError) as error:
        raise InvalidInput("The time zone is a name such as Europe/Prague.") from error


def checked_origins(origins: Iterable[str]) -> tuple[str, ...]:
    """Return origins without repetition, or raise InvalidInput that names the first wrong one."""
    checked = tuple(dict.fromkeys(checked_origin(origin) for origin in origins))
    if len(checked) > MAX_ORIGINS:
        raise InvalidInput(f"An organization has at most {MAX_ORIGINS} origins.")
    return checked


def checked_origin(origin: str) -> str:
    """Return an origin exactly as browsers send it: ``https://app.example`` or ``http://localhost:3000``.

    Comparing is by equality, so whatever a browser would never send (a path, a capital, a default port)
    is refused here instead of never matching.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None or not _is_host(match["host"]):
        raise InvalidInput(f"'{origin[:100]}' is not an origin. Write scheme://host[:port] in small letters, no path.")
    port = match["port"]
    if port is not None and (int(port) > _MAX_PORT or port == _DEFAULT_PORTS[match["scheme"]]):
        raise InvalidInput(f"'{origin}' has a port that browsers do not send: leave out {port}.")
    return origin


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1])) == host[1:-1]
        except AddressValueError:
            return False
    return len(host) <= _MAX_HOST and all(_LABEL.fullmatch(label) for label in host.split("."))
