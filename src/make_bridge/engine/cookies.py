"""Cookies of one run: what servers set, given back to the servers that set it.

Filled and read by the app `http` for modules that share cookies; one jar lives as long as one run's
ports, so nothing passes from run to run or from team to team. Of the cookie rules it follows those
that keep a cookie from reaching a server it was not meant for. A lifetime is only asked whether it
is over: a run is shorter than any other.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

MAX_COOKIES: Final = 200
MAX_COOKIE: Final = 4096
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD: Final = re.compile(r"[\x00-\x1f\x7f;]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """One cookie. Without `with_subdomains` only the host that set it gets it back."""

    name: str
    value: str
    host: str
    path: str = "/"
    with_subdomains: bool = False
    secure: bool = False

    def belongs_to(self, host: str, path: str, *, encrypted: bool) -> bool:
        """Say whether a request to this place carries it."""
        at_host = host == self.host or (self.with_subdomains and host.endswith(f".{self.host}"))
        under = self.path.removesuffix("/")
        at_path = path == under or path.startswith(f"{under}/")
        return at_host and at_path and (encrypted or not self.secure)


class CookieJar:
    """See the module."""

    __slots__ = ("_cookies",)

    def __init__(self) -> None:
        """Begin empty."""
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def at(self, now: datetime) -> "CookiesNow":
        """Return the jar as a call sees it that is made now."""
        return CookiesNow(self, now)

    def matching(self, url: str) -> list[Cookie]:
        """Return the cookies of an address, those of the longest path first."""
        parts = urlsplit(url)
        host, path = (parts.hostname or "").lower(), parts.path or "/"
        encrypted = parts.scheme == "https"
        found = [cookie for cookie in self._cookies.values() if cookie.belongs_to(host, path, encrypted=encrypted)]
        return sorted(found, key=lambda cookie: -len(cookie.path))

    def put(self, cookie: Cookie, *, over: bool) -> None:
        """Keep a cookie, or forget it when its life is over; of too many the oldest goes."""
        key = (cookie.host, cookie.path, cookie.name)
        self._cookies.pop(key, None)
        if over:
            return
        self._cookies[key] = cookie
        if len(self._cookies) > MAX_COOKIES:
            del self._cookies[next(iter(self._cookies))]


class CookiesNow:
    """A jar at one moment of the run: what the port of calls out asks."""

    __slots__ = ("_jar", "_now")

    def __init__(self, jar: CookieJar, now: datetime) -> None:
        """`now` decides which lifetimes are over."""
        self._jar = jar
        self._now = now

    def header(self, url: str) -> str:
        """Return the value of the Cookie header for this address, or an empty text."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._jar.matching(url))

    def take(self, url: str, lines: Sequence[str]) -> None:
        """Note what an answer from this address set; what cannot be read is left out."""
        for line in lines:
            read = _read(url, line, self._now)
            if read is not None:
                self._jar.put(read[0], over=read[1])


def _read(url: str, line: str, now: datetime) -> tuple[Cookie, bool] | None:
    """Return a cookie and whether its life is over already."""
    pair, *rest = line[:MAX_COOKIE].split(";")
    name, equals, value = (part.strip() for part in pair.partition("="))
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if len(line) > MAX_COOKIE or not equals or not _NAME.fullmatch(name) or _BAD.search(value):
        return None
    marks = {key.strip().lower(): content.strip() for key, _, content in (part.partition("=") for part in rest)}
    domain = marks.get("domain", "").lower().removeprefix(".")
    if domain and not _may_set(host, domain):
        return None
    secure = "secure" in marks
    if secure and parts.scheme != "https":
        return None
    path = marks.get("path", "")
    cookie = Cookie(
        name=name,
        value=value,
        host=domain or host,
        path=path if path.startswith("/") else _folder(parts.path),
        with_subdomains=bool(domain),
        secure=secure,
    )
    return cookie, _is_over(marks, now)


def _may_set(host: str, domain: str) -> bool:
    """A host may speak for itself, and for a domain above it that is more than a top level."""
    if host == domain:
        return True
    return "." in domain and host.endswith(f".{domain}") and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _is_over(marks: dict[str, str], now: datetime) -> bool:
    if "max-age" in marks:
        age = marks["max-age"]
        return age.startswith("-") or not age.strip("0")
    try:
        expires = parsedate_to_datetime(marks["expires"]) if "expires" in marks else None
    except ValueError:
        return False
    if expires is None:
        return False
    return (expires if expires.tzinfo is not None else expires.replace(tzinfo=UTC)) <= now
