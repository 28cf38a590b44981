"""Reading the origin of a web address: for the public address and for where a customer is sent back.

Browsers forgive much in an address (tabs, backslashes, user names before the host), and each pardon is a way to show
one host to a check and another to the browser. So whatever is not plain is no address at all.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_MOST_CHARACTERS: Final = 2048
_PLAIN: Final = re.compile(r"[!-~]+")
_HOST: Final = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host and port as browsers write them; ``has_path`` tells whether anything follows."""

    text: str
    has_path: bool


def read_origin(url: str) -> Origin | None:
    """Return the origin of an http or https address, or None when it is not a plain one."""
    if len(url) > _MOST_CHARACTERS or not _PLAIN.fullmatch(url) or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or not parts.hostname:
        return None
    host = _host(parts.hostname)
    if host is None or parts.netloc.endswith(":"):
        return None
    shown = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return Origin(
        text=f"{parts.scheme}://{host}{shown}", has_path=bool(parts.path or parts.query or parts.fragment or "?" in url)
    )


def _host(name: str) -> str | None:
    """Return a host as browsers write it, or None for what is none."""
    if ":" not in name:
        return name if _HOST.fullmatch(name) else None
    try:
        return f"[{IPv6Address(name)}]"
    except AddressValueError:
        return None
