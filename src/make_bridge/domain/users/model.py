"""The rules of people and their sessions: e-mail addresses, passwords, life times. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from make_bridge.domain.users.roles import Role
from make_bridge.kernel.errors import InvalidInput

_LONGEST_EMAIL: Final = 254
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
_LONGEST_USER_AGENT: Final = 200
_LONGEST_ADDRESS: Final = 64
_SEEN_SECONDS: Final = 60.0
_SESSION: Final = re.compile(r"[A-Za-z0-9]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How long a session lives, in seconds: unused, and in all; how many a person has before the oldest goes."""

    idle_seconds: float = 1800.0
    life_seconds: float = 43_200.0
    most: int = 20

    @property
    def seen_seconds(self) -> float:
        """Return how often a session's use is noted at most."""
        return min(_SEEN_SECONDS, self.idle_seconds / 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLimits:
    """Attempts within ``seconds``, of one e-mail from one address and of one address in all; then it is blocked."""

    attempts: int = 5
    address_attempts: int = 50
    seconds: float = 900.0
    block_seconds: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLimits:
    """How many people an organization has at most, as far as its own people add them."""

    most: int = 1000


def normalized_email(text: str) -> str:
    """Return an address in the one form it is kept and looked up in; whatever is no address stays none."""
    once = unicodedata.normalize("NFKC", text.strip()).casefold()
    return unicodedata.normalize("NFKC", once)


def checked_email(text: str) -> str:
    """Return an e-mail address as it is kept, or raise InvalidInput."""
    email = normalized_email(text)
    if len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email) or not email.isprintable():
        sentence = f"An e-mail address has the form name@example.com and at most {_LONGEST_EMAIL} characters."
        raise InvalidInput(sentence, fields={"email": sentence})
    return email


def normalized_password(text: str) -> str:
    """Return a password in the form that is hashed: keyboards write one letter in several ways."""
    return unicodedata.normalize("NFKC", text)


def checked_password(text: str, email: str) -> str:
    """Return a new password as it is hashed, or raise InvalidInput."""
    password = normalized_password(text)
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        sentence = f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters."
        raise InvalidInput(sentence, fields={"password": sentence})
    if not password.isprintable() or password.casefold() in {email, email.partition("@")[0]}:
        sentence = "A password is not the e-mail address and has no control characters."
        raise InvalidInput(sentence, fields={"password": sentence})
    return password


def checked_role(text: str) -> Role:
    """Return a role by its name, or raise InvalidInput."""
    try:
        return Role(text)
    except ValueError:
        sentence = f"The role is one of {', '.join(Role)}."
        raise InvalidInput(sentence, fields={"role": sentence}) from None


def shown_user_agent(text: str) -> str:
    """Return what is kept of a browser's name for itself: so much, without control characters."""
    return "".join(character for character in text[:_LONGEST_USER_AGENT] if character.isprintable())


def shown_address(text: str) -> str:
    """Return what is kept of the address somebody came from."""
    return text[:_LONGEST_ADDRESS]


def is_session_secret(text: str) -> bool:
    """Say whether a text has the form of a session's secret; what has not needs no look-up."""
    return _SESSION.fullmatch(text) is not None
