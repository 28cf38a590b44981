"""The rules of requests for credentials: what may be asked, and what state follows from what was done. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from make_bridge.domain.connections.model import MAX_NAME, checked_name, named
from make_bridge.domain.connections.types import ComponentType, type_of
from make_bridge.domain.credential_requests.messages import CredentialRequestId, RequestedId, Wanted, Wanting
from make_bridge.domain.credential_requests.providers import is_provider
from make_bridge.domain.oauth.messages import OAuthApplication
from make_bridge.domain.oauth.model import checked_scopes
from make_bridge.kernel.errors import InvalidInput, NotFound

DEFAULT_NAME: Final = "Request for credentials"
MAX_DESCRIPTION: Final = 1000
MAX_REASON: Final = 500
MAX_PROVIDER: Final = 255
MAX_MODULES: Final = 100
PENDING: Final = "pending"
AUTHORIZED: Final = "authorized"
DECLINED: Final = "declined"
EXPIRED: Final = "expired"
KINDS: Final[Mapping[Wanting, str]] = {"account": "connection", "keychain": "key"}
# Make's own examples write them without dashes too.
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)
_LINES: Final = "\r\n"
_NO_CHARACTERS: Final = frozenset({"Cc", "Cs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """How many requests a team keeps, how many credentials one asks for, and how long its link lives."""

    requests: int = 200
    credentials: int = 20
    days: int = 7


def checked_request_id(text: str) -> CredentialRequestId:
    """Return the id of a request; raises NotFound for what is none."""
    if not _UUID.fullmatch(text):
        raise NotFound("There is no such credential request: its id is a UUID.")
    return CredentialRequestId(str(UUID(text)))


def checked_credential_id(text: str) -> RequestedId:
    """Return the id of a credential of a request; raises NotFound for what is none."""
    if not _UUID.fullmatch(text):
        raise NotFound("There is no such credential: its id is a UUID.")
    return RequestedId(str(UUID(text)))


def request_name(text: str) -> str:
    """Return what a request is called; raises InvalidInput."""
    return checked_name(text) if text else DEFAULT_NAME


def checked_text(text: str, member: str, most: int) -> str:
    """Return a text that people read, which may have lines; raises InvalidInput."""
    plain = unicodedata.normalize("NFC", text).strip()
    bad = any(unicodedata.category(sign) in _NO_CHARACTERS for sign in plain if sign not in _LINES)
    if len(plain) > most or bad:
        why = f"The {member} has at most {most} characters, and no control characters."
        raise InvalidInput(why, fields={member: why})
    return plain


def checked_wanted(wanted: Sequence[Wanted], applications: Sequence[OAuthApplication], most: int) -> list[Wanted]:
    """Return what is asked for as it is kept; raises InvalidInput with what cannot be."""
    if not 0 < len(wanted) <= most:
        raise InvalidInput(f"A request asks for 1 to {most} credentials: name connections or keys.")
    return [_checked(one, applications) for one in wanted]


def _checked(one: Wanted, applications: Sequence[OAuthApplication]) -> Wanted:
    kind, name = KINDS[one.component], one.type.removeprefix(f"{one.component}:")
    found = type_of(kind, name)
    if found is None and not (kind == "connection" and is_provider(name, applications)):
        raise InvalidInput(f"This server has no {kind} of the type '{name[:100]}'.", code="unknown_type")
    if len(one.app_modules) > MAX_MODULES:
        raise InvalidInput(f"A credential is asked for at most {MAX_MODULES} modules of an app.")
    return replace(
        one,
        type=name,
        description=checked_text(one.description, "description", MAX_DESCRIPTION),
        name_override=checked_name(one.name_override) if one.name_override else "",
        scope=checked_scopes(one.scope),
        hard=_checked_prefill(found, one.hard),
        soft=_checked_prefill(found, one.soft),
    )


def _checked_prefill(component_type: ComponentType | None, given: Mapping[str, object]) -> dict[str, object]:
    """Return values under the type's own names. Where a provider gives the values there is nothing to fill in."""
    if component_type is None:
        return {}
    values = named(component_type, given)
    unknown = sorted(set(values) - {field.name for field in component_type.fields})
    if unknown:
        message = f"A {component_type.label} has no field '{unknown[0][:100]}' to fill in beforehand."
        raise InvalidInput(message, code="unknown_field")
    return {name: value if isinstance(value, str) else str(value) for name, value in values.items()}


def name_of_component(name_override: str, label: str, request_name: str) -> str:
    """Return what a connection or key is called that was handed over."""
    return name_override or f"{label} ({request_name})"[:MAX_NAME]


def state_of(*, is_declined: bool, component_state: str | None, missing: Iterable[str]) -> str:
    """Return where a credential stands; of one that extends a connection, ``missing`` scopes keep it open."""
    if is_declined:
        return DECLINED
    return AUTHORIZED if component_state == "active" and not list(missing) else PENDING


def status_of(states: Sequence[str], *, is_over: bool) -> str:
    """Return where a request stands: open until every credential was handed over or declined."""
    if PENDING in states:
        return EXPIRED if is_over else PENDING
    return AUTHORIZED if AUTHORIZED in states else DECLINED
