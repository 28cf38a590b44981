"""The rules of OAuth applications: what may be saved, where tokens may go, when they are renewed. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from make_bridge.domain.oauth.messages import ApplicationFacts
from make_bridge.kernel.errors import InvalidInput
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure
from make_bridge.platform.egress.urls import Target, read_target

CONNECTION_TYPE: Final = "oauth2"
MAX_NAME: Final = 120
MAX_CLIENT_ID: Final = 512
MAX_SECRET: Final = 8192
MAX_URL: Final = 2048
MAX_SCOPES: Final = 100
MAX_SCOPE: Final = 200
MAX_HOSTS: Final = 50
_JITTER: Final = 0.2
# RFC 6749: appendix A.1 and A.2 for clients, A.4 for scopes.
_VISIBLE: Final = re.compile(r"[\x20-\x7e]+")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_WILD: Final = "*."
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


def checked_facts(facts: ApplicationFacts, policy: EgressPolicy, *, plain_http: bool) -> ApplicationFacts:
    """Return an application as it is kept; raises InvalidInput with a sentence per member."""
    wrong: dict[str, str] = {}
    name = unicodedata.normalize("NFC", facts.name).strip()
    if not name or len(name) > MAX_NAME or not _is_plain(name):
        wrong["name"] = f"A name has 1 to {MAX_NAME} characters and no control characters."
    if len(facts.client_id) > MAX_CLIENT_ID or not _VISIBLE.fullmatch(facts.client_id):
        wrong["clientId"] = f"The client id has 1 to {MAX_CLIENT_ID} visible ASCII characters."
    wrong |= _wrong_urls(facts, policy, plain_http=plain_http)
    if (why := _wrong_issuer(facts)) is not None:
        wrong["issuer"] = why
    if len(facts.scopes) > MAX_SCOPES or any(len(s) > MAX_SCOPE or not _SCOPE.fullmatch(s) for s in facts.scopes):
        wrong["scopes"] = f"There are at most {MAX_SCOPES} scopes of {MAX_SCOPE} characters, without blanks and quotes."
    try:
        hosts = checked_hosts(facts.hosts)
    except InvalidInput as error:
        wrong["hosts"], hosts = error.message, ()
    if wrong:
        raise InvalidInput("This application needs another look.", fields=wrong)
    return replace(facts, name=name, hosts=hosts, scopes=tuple(dict.fromkeys(facts.scopes)))


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


def checked_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """Return hosts in one form (``api.example.com``, with a port if it is special, ``*.example.com`` for all below)."""
    if not 0 < len(hosts) <= MAX_HOSTS:
        raise InvalidInput(f"Name 1 to {MAX_HOSTS} hosts that tokens may be sent to.")
    return tuple(dict.fromkeys(_checked_host(host) for host in hosts))


def _checked_host(text: str) -> str:
    wild = _WILD if text.startswith(_WILD) else ""
    bare = text.removeprefix(_WILD)
    try:
        target = read_target(f"https://{bare}/")
    except EgressFailure:
        target = None
    if target is None or set(bare) & set("/?#@\\* \t\r\n") or (wild and ("." not in target.host or target.address)):
        raise InvalidInput(f"'{text[:100]}' is no host: write api.example.com, *.example.com or api.example.com:8443.")
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{wild}{host}" if target.port == _DEFAULT_PORTS["https"] else f"{wild}{host}:{target.port}"


def covers(hosts: Iterable[str], url: str, *, plain_http: bool) -> bool:
    """Say whether a token may go along to a URL."""
    try:
        target = read_target(url)
    except EgressFailure:
        return False
    if target.scheme != "https" and not plain_http:
        return False
    return any(_is_meant(entry, target) for entry in hosts)


def _is_meant(entry: str, target: Target) -> bool:
    named = read_target(f"https://{entry.removeprefix(_WILD)}/")
    has_port = named.port != _DEFAULT_PORTS["https"]
    if target.port != (named.port if has_port else _DEFAULT_PORTS[target.scheme]):
        return False
    if entry.startswith(_WILD):
        return target.host.endswith(f".{named.host}")
    return target.host == named.host


def why_not_plain(name: str) -> str | None:
    """Return why a text cannot be the name of a connection."""
    return None if name and _is_plain(name) else "A name has no control characters."


def _wrong_urls(facts: ApplicationFacts, policy: EgressPolicy, *, plain_http: bool) -> dict[str, str]:
    """Judge what was given of the addresses; the token's is always needed."""
    named = [
        ("authorizeUrl", facts.authorize_url),
        ("revokeUrl", facts.revoke_url),
        ("userinfoUrl", facts.userinfo_url),
    ]
    given = [("tokenUrl", facts.token_url), *((member, url) for member, url in named if url)]
    closed = ((member, _why_closed(url, policy, plain_http=plain_http)) for member, url in given)
    wrong = {member: why for member, why in closed if why is not None}
    if "authorizeUrl" not in wrong and (taken := _said_twice(facts.authorize_url)):
        wrong["authorizeUrl"] = f"The authorization address must not hold {taken!r}: each request says it for itself."
    return wrong


def _wrong_issuer(facts: ApplicationFacts) -> str | None:
    if facts.sends_issuer and not facts.issuer:
        return "Name the issuer that the provider sends."
    if facts.issuer and (len(facts.issuer) > MAX_URL or not _is_issuer(facts.issuer)):
        return "The issuer is an address that begins with https://, without query and fragment."
    return None


def _why_closed(url: str, policy: EgressPolicy, *, plain_http: bool) -> str | None:
    """Say why an address cannot be used; what a name leads to is judged when it is dialled."""
    try:
        target = read_target(url)
    except EgressFailure as failure:
        return failure.message
    if len(url) > MAX_URL or url != url.strip() or "#" in url:
        return f"An address has at most {MAX_URL} characters, and no fragment."
    if target.scheme != "https" and not plain_http:
        return "OAuth is spoken over https:// only; the setting oauth_plain_http allows http:// too."
    if not policy.opens_port(target.host, target.port):
        return f"Port {target.port} is not open to calls from here."
    if target.address is not None and not policy.opens_address(target.address, target.port):
        return f"The address {target.host} is not open to calls from here."
    return None


def _said_twice(url: str) -> str | None:
    names = (name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True))
    return next((name for name in names if name.lower() in _OURS), None)


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
