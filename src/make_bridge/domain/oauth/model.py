"""The rules of OAuth applications: what may be saved, and when tokens are renewed. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from make_bridge.domain.oauth.messages import ApplicationFacts
from make_bridge.kernel.errors import InvalidInput

CONNECTION_TYPE: Final = "oauth2"
MAX_NAME: Final = 120
MAX_CLIENT_ID: Final = 512
MAX_SECRET: Final = 8192
MAX_URL: Final = 2048
MAX_SCOPES: Final = 100
MAX_SCOPE: Final = 200
_JITTER: Final = 0.2
# RFC 6749: appendix A.1 and A.2 for clients, A.4 for scopes.
_VISIBLE: Final = re.compile(r"[\x20-\x7e]+")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# What an authorization request says for itself: an address that says it too could be read in two ways.
_OURS: Final = frozenset(
    {
        "client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "redirect_uri",
        "response_mode", "response_type", "scope", "state",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthLimits:
    """Every number of OAuth; settings name them ``oauth_…``."""

    applications: int = 50
    attempts: int = 1000
    attempt_seconds: int = 900
    call_seconds: float = 10.0
    answer_bytes: int = 65_536
    renew_ahead_seconds: float = 300.0
    renew_ahead_percent: float = 10.0
    refusal_pause_seconds: float = 30.0
    plain_http: bool = False

    @property
    def lease_seconds(self) -> float:
        """Return for how long nobody else asks for a connection's tokens: longer than a call can last."""
        return self.call_seconds + 5.0


def ahead_of_end(limits: OAuthLimits, life: float, luck: float) -> float:
    """Return how long before its end a token is renewed: the smaller of both settings, spread by a fifth."""
    return min(limits.renew_ahead_seconds, life * limits.renew_ahead_percent / 100) * (1 + _JITTER * luck)


def wrong_members(facts: ApplicationFacts) -> dict[str, str]:
    """Return a sentence for each member that cannot be, apart from addresses and hosts."""
    wrong: dict[str, str] = {}
    name = checked_name(facts.name)
    if not name or len(name) > MAX_NAME or not _is_plain(name):
        wrong["name"] = f"A name has 1 to {MAX_NAME} characters and no control characters."
    if len(facts.client_id) > MAX_CLIENT_ID or not _VISIBLE.fullmatch(facts.client_id):
        wrong["clientId"] = f"The client id has 1 to {MAX_CLIENT_ID} visible ASCII characters."
    if (why := _wrong_issuer(facts)) is not None:
        wrong["issuer"] = why
    if len(facts.scopes) > MAX_SCOPES or any(len(s) > MAX_SCOPE or not _SCOPE.fullmatch(s) for s in facts.scopes):
        wrong["scopes"] = f"There are at most {MAX_SCOPES} scopes of {MAX_SCOPE} characters, without blanks and quotes."
    if taken := _said_twice(facts.authorize_url):
        wrong["authorizeUrl"] = f"The authorization address must not hold {taken!r}: each request says it for itself."
    return wrong


def checked_name(text: str) -> str:
    """Return a name in one normal form, without surrounding space."""
    return unicodedata.normalize("NFC", text).strip()


def _said_twice(url: str) -> str | None:
    try:
        names = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    except ValueError:
        return None
    return next((name for name in names if name.lower() in _OURS), None)


def checked_secret(facts: ApplicationFacts, secret: str | None, *, has_one: bool) -> None:
    """Raise InvalidInput unless the secret fits to how the client shows who it is."""
    if secret is not None and (len(secret) > MAX_SECRET or not _VISIBLE.fullmatch(secret)):
        why = f"A client secret has 1 to {MAX_SECRET} visible ASCII characters."
    elif facts.authentication == "none" and secret is not None:
        why = "A client that authenticates by nothing has no secret: leave it out."
    elif facts.authentication != "none" and secret is None and not has_one:
        why = "Give the client secret, or choose the authentication 'none' for a public client."
    else:
        return
    raise InvalidInput(why, fields={"clientSecret": why})


def _wrong_issuer(facts: ApplicationFacts) -> str | None:
    if facts.sends_issuer and not facts.issuer:
        return "Name the issuer that the provider sends."
    if facts.issuer and (len(facts.issuer) > MAX_URL or not _is_issuer(facts.issuer)):
        return "The issuer is an address that begins with https://, without query and fragment."
    return None


def _is_issuer(text: str) -> bool:
    is_address = text.startswith(("https://", "http://"))
    return is_address and _VISIBLE.fullmatch(text) is not None and not set(text) & set("?# ")


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in text)


def origin_of(url: str) -> str:
    """Return the origin of an address as browsers write it, "" for what is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    is_plain = _VISIBLE.fullmatch(url) is not None and not set(url) & set(" \\") and "@" not in parts.netloc
    if parts.scheme not in _DEFAULT_PORTS or not host or not is_plain:
        return ""
    literal = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{literal}" + (f":{port}" if port not in {None, _DEFAULT_PORTS[parts.scheme]} else "")


def checked_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Return scopes that are asked for beside an application's own, each once; raises InvalidInput."""
    chosen = tuple(dict.fromkeys(scopes))
    if len(chosen) > MAX_SCOPES or any(len(scope) > MAX_SCOPE or not _SCOPE.fullmatch(scope) for scope in chosen):
        why = f"There are at most {MAX_SCOPES} scopes of {MAX_SCOPE} characters, without blanks and quotes."
        raise InvalidInput(why, fields={"scope": why})
    return chosen


def granted_scopes(granted: str, asked: Sequence[str]) -> tuple[str, ...]:
    """Return what a provider granted: where it says nothing, what it was asked for (RFC 6749 §5.1)."""
    return tuple(granted.split()) or tuple(asked)
