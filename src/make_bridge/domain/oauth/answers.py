"""What providers answer: tokens, or why there are none. Pure; everything here was written by a stranger.

An answer that is not what the standard says is no answer: it is not guessed at. What a provider says beside its error's
code is never shown, because it may hold what it was sent.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from make_bridge.kernel.errors import BridgeError

LONGEST_TOKEN: Final = 16_384
LONGEST_LIFE: Final = 10 * 365 * 86_400
LONGEST_SUBJECT: Final = 255
_OK: Final = 200
_REFUSALS: Final = range(400, 500)
# The provider wants to be asked later; RFC 6749 has no word for either.
_LATER: Final = frozenset({408, 425, 429})
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_CODE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_BUSY: Final = frozenset({"temporarily_unavailable", "server_error"})
_PARTS_OF_ID_TOKEN: Final = 3
INVALID_GRANT: Final = "invalid_grant"


class ProviderRefused(BridgeError):
    """The provider gives no token."""

    code = "oauth_refused"

    def __init__(self, error: str) -> None:
        """``error`` is the provider's word, of the few letters such words have."""
        super().__init__(f"The provider gives no token: it says '{error}'.")
        self.error = error


class ProviderUnclear(BridgeError):
    """The provider did not give an answer that can be used: try again in a while."""

    code = "oauth_unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What was given; ``life`` in seconds is None where the provider says nothing, ``subject`` names the account."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    life: float | None = None
    scope: str | None = None
    subject: str = ""


def read_tokens(status: int, body: bytes, *, issuer: str = "", client_id: str = "") -> Tokens:
    """Return the tokens of an answer; raises ProviderRefused, ProviderUnclear."""
    answer = read_object(status, body)
    kind = answer.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise ProviderUnclear("The provider gives tokens of a type that is not 'Bearer': they cannot be used.")
    scope = answer.get("scope")
    return Tokens(
        access=_token(answer.get("access_token"), "access token"),
        refresh=None if answer.get("refresh_token") in (None, "") else _token(answer["refresh_token"], "refresh token"),
        life=_life(answer.get("expires_in")),
        scope=" ".join(scope.split())[:4096] if isinstance(scope, str) and _is_line(scope) else None,
        subject=_subject_of_id_token(answer.get("id_token"), issuer=issuer, client_id=client_id),
    )


def read_object(status: int, body: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer that says yes; raises ProviderRefused, ProviderUnclear."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        found = None
    answer = found if isinstance(found, dict) else None
    if status not in _REFUSALS and status != _OK:
        raise ProviderUnclear(f"The provider answered with status {status} instead of a token.")
    said = answer.get("error") if answer is not None else None
    if said is not None and status not in _LATER:
        error = said if isinstance(said, str) and _CODE.fullmatch(said) else "an unknown error"
        if error in _BUSY:
            raise ProviderUnclear("The provider cannot give a token now: try again in a while.")
        raise ProviderRefused(error)
    if status != _OK:
        raise ProviderUnclear(f"The provider answered with status {status} and no reason that can be read.")
    if answer is None:
        raise ProviderUnclear("The provider's answer is not the JSON object that holds a token.")
    return answer


def read_subject(answer: dict[str, Any]) -> str:
    """Return whose account an answer speaks of, "" where it does not say."""
    subject = answer.get("sub")
    return subject if isinstance(subject, str) and len(subject) <= LONGEST_SUBJECT and _is_line(subject) else ""


def _token(value: object, what: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TOKEN or not _TOKEN.fullmatch(value):
        raise ProviderUnclear(f"The provider's answer holds no {what} that can be used.")
    return value


def _life(value: object) -> float | None:
    """Read ``expires_in``; some write it as text, and 0 where nothing runs out."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:12])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        return None
    return float(min(value, LONGEST_LIFE))


def _subject_of_id_token(token: object, *, issuer: str, client_id: str) -> str:
    """Read the account out of an ID token.

    It came straight from the provider over TLS, so its signature need not be checked (OpenID Connect Core 3.1.3.7);
    that it is for this client, and of this issuer, is.
    """
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != _PARTS_OF_ID_TOKEN:
        return ""
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
        return ""
    if not isinstance(claims, dict):
        return ""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences or (issuer and claims.get("iss") != issuer):
        raise ProviderUnclear("The provider's answer holds an ID token for somebody else: it is not used.")
    return read_subject(claims)


def _is_line(text: str) -> bool:
    return text.isprintable()
