"""Which addresses an application may name, and to which hosts its tokens may go.

Asked when an application is saved, and for each call that a token would go along with. What a name leads to is only
known when it is dialled, and is judged there by the guard of all calls out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from make_bridge.domain.oauth.messages import ApplicationFacts
from make_bridge.domain.oauth.model import MAX_URL, checked_name, wrong_members
from make_bridge.kernel.errors import InvalidInput
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure
from make_bridge.platform.egress.urls import Target, read_target

MAX_HOSTS: Final = 50
_WILD: Final = "*."
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def checked_facts(facts: ApplicationFacts, policy: EgressPolicy, *, plain_http: bool) -> ApplicationFacts:
    """Return an application as it is kept; raises InvalidInput with a sentence per member."""
    wrong = wrong_members(facts) | _wrong_urls(facts, policy, plain_http=plain_http)
    hosts: tuple[str, ...] = ()
    try:
        hosts = checked_hosts(facts.hosts)
    except InvalidInput as error:
        wrong["hosts"] = error.message
    if wrong:
        raise InvalidInput("This application needs another look.", fields=wrong)
    scopes = tuple(dict.fromkeys(facts.scopes))
    return replace(facts, name=checked_name(facts.name), hosts=hosts, scopes=scopes)


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


def _wrong_urls(facts: ApplicationFacts, policy: EgressPolicy, *, plain_http: bool) -> dict[str, str]:
    """Judge what was given of the addresses; the token's is always needed."""
    named = [
        ("authorizeUrl", facts.authorize_url),
        ("revokeUrl", facts.revoke_url),
        ("userinfoUrl", facts.userinfo_url),
    ]
    given = [("tokenUrl", facts.token_url), *((member, url) for member, url in named if url)]
    closed = ((member, _why_closed(url, policy, plain_http=plain_http)) for member, url in given)
    return {member: why for member, why in closed if why is not None}


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
