"""Reading a URL the strict way, so that what was checked is what is dialled.

Used by ``client`` for the first URL and for every redirect. Most ways around a guard live in the
difference between two readings of one text: userinfo, backslashes, wide digits, numbers with dots
left out. Here the host ends in one form (lower-case ASCII, or an address in canonical form), and the
``URL`` that is dialled is made from that form, never from the text.
"""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

from yarl import URL

from make_bridge.platform.egress.addresses import Address
from make_bridge.platform.egress.messages import refused

MAX_URL_LENGTH: Final = 8192
_MAX_HOST_LENGTH: Final = 253
_MAX_PORT: Final = 65535
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_PARTS: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?:#.*)?", re.DOTALL
)
_AUTHORITY: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{0,5}))?")
_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")
_OCTETS: Final = 4
# What a path and a query may hold; it stays as written, byte for byte, because signatures depend on it.
_KEPT: Final = "!$&'()*+,;=:@/?%-._~[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a request goes: ``host`` is canonical, ``address`` set when it is an address itself."""

    scheme: str
    host: str
    port: int
    address: Address | None
    url: URL

    @property
    def authority(self) -> str:
        """Return host and port as people know them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Return what two URLs must share for credentials to pass between them."""
        return self.scheme, self.host, self.port


def read_target(text: str) -> Target:
    """Return the target of a URL, or raise ``EgressFailure("refused")`` with a sentence."""
    text = text.strip(" \t\r\n")
    if len(text) > MAX_URL_LENGTH:
        raise refused(f"The URL is longer than {MAX_URL_LENGTH} characters.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise refused("The URL holds a control character.")
    parts = _PARTS.fullmatch(text)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in _DEFAULT_PORTS:
        raise refused("Only absolute URLs that begin with http:// or https:// can be called.")
    if "@" in parts["authority"]:
        raise refused("The URL holds a user name or password; send them as a header or through a connection.")
    if not parts["rest"].startswith("/") and "@" in text:
        raise refused("The URL can be read in two ways: put a / behind its host.")
    host, port, address = _read_authority(parts["authority"], _DEFAULT_PORTS[scheme])
    return Target(scheme=scheme, host=host, port=port, address=address, url=_url(scheme, host, port, parts["rest"]))


def _read_authority(authority: str, default_port: int) -> tuple[str, int, Address | None]:
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise refused("The URL has no valid host and port.")
    port = int(found["port"]) if found["port"] else default_port
    if not 0 < port <= _MAX_PORT:
        raise refused("The port of the URL is not between 1 and 65535.")
    if found["v6"]:
        v6 = _read_v6(found["v6"])
        return str(v6), port, v6
    host = _read_host(found["name"])
    v4 = _read_v4(host)
    return (str(v4), port, v4) if v4 is not None else (host, port, None)


def _read_host(name: str) -> str:
    """Return a host name in lower-case ASCII without the dot at its end."""
    folded = unicodedata.normalize("NFKC", name).lower().removesuffix(".")
    try:
        host = folded if folded.isascii() else (URL.build(scheme="http", host=folded).raw_host or "")
    except ValueError:
        host = ""
    if len(host) > _MAX_HOST_LENGTH or not _HOST.fullmatch(host):
        raise refused("The host of the URL is not a valid name.")
    return host


def _read_v6(text: str) -> IPv6Address:
    try:
        return IPv6Address(text)
    except ValueError:
        raise refused("The host of the URL is not a valid IPv6 address.") from None


def _read_v4(host: str) -> IPv4Address | None:
    """Read an IPv4 address in every form the C library reads: parts left out, octal, hexadecimal."""
    numbers = host.split(".")
    if not _NUMBER.fullmatch(numbers[-1]):
        return None
    try:
        *leading, last = [_read_number(number) for number in numbers]
        prefix = bytes(leading)
        rest = last.to_bytes(_OCTETS - len(prefix), "big")
    except (ValueError, OverflowError):
        raise refused("The host of the URL is not a valid IPv4 address.") from None
    return IPv4Address(prefix + rest)


def _read_number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if len(text) > 1 and text.startswith("0") else 10)


def _url(scheme: str, host: str, port: int, rest: str) -> URL:
    """Build the URL that is dialled; path and query stay as written but for what no URL may hold."""
    literal = f"[{host}]" if ":" in host else host
    authority = literal if port == _DEFAULT_PORTS[scheme] else f"{literal}:{port}"
    path = quote(rest, safe=_KEPT)
    url = URL(f"{scheme}://{authority}{path if path.startswith('/') else '/' + path}", encoded=True)
    if (url.raw_host, url.port, url.raw_user) != (host, port, None):
        raise refused("The URL can be read in two ways.")
    return url
