"""The rules of customers: what a valid one is, and who may see which.

Pure; used by this slice's handlers, views and directory, and by the slices above that keep things of
a team (``require_sight``). A customer is known by the ``sub`` of the integrator's portal tokens, taken
as it is: two subs that look alike but differ in one byte are two customers.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final

from make_bridge.kernel.context import ActorKind, Context
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import MAX_ID, TeamId

ADMINISTRATOR_SUB: Final = "*"
MAX_EXTERNAL_ID: Final = 255
MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCustomer:
    """A customer that may be made: every part is valid."""

    external_id: str
    name: str
    operations_limit: int | None = None


def new_customer(external_id: str, name: str, operations_limit: int | None = None) -> NewCustomer:
    """Return a valid new customer, or raise InvalidInput with what is wrong."""
    return NewCustomer(
        external_id=checked_external_id(external_id),
        name=checked_name(name),
        operations_limit=checked_operations_limit(operations_limit),
    )


def checked_external_id(text: str) -> str:
    """Return a ``sub`` that can name a customer, or raise InvalidInput."""
    if text == ADMINISTRATOR_SUB:
        raise InvalidInput("The external id '*' stands for the administrator and cannot name a customer.")
    if not text or len(text) > MAX_EXTERNAL_ID:
        raise InvalidInput(f"An external id has 1 to {MAX_EXTERNAL_ID} characters.")
    if not _is_plain(text):
        raise InvalidInput("An external id has no control characters.")
    return text


def checked_name(text: str) -> str:
    """Return a display name without surrounding space, in one normal form, or raise InvalidInput."""
    name = unicodedata.normalize("NFC", text).strip() if _is_plain(text) else ""
    if not name or len(name) > MAX_NAME:
        raise InvalidInput(f"A name has 1 to {MAX_NAME} characters and no control characters.")
    return name


def checked_operations_limit(limit: int | None) -> int | None:
    """Return a limit of operations per period, or raise InvalidInput; None is no limit."""
    if limit is not None and not 0 <= limit <= MAX_ID:
        raise InvalidInput("The operations limit is a whole number from 0.")
    return limit


def only_external_id(context: Context, asked: str | None) -> str | None:
    """Return the external id a list is narrowed to: a customer sees itself, whatever it asks for."""
    return context.actor.reference if context.actor.kind is ActorKind.CUSTOMER else asked


def require_sight(context: Context, team_id: TeamId) -> None:
    """Raise NotFound when the caller acts for one team and this is another."""
    if context.team_id is not None and context.team_id != team_id:
        raise NotFound("There is no such team.")


def _is_plain(text: str) -> bool:
    """Say whether PostgreSQL and a terminal can show the text: no control characters, no half pairs."""
    return not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
