"""Where the console is served, and what follows from it: the cookie's name, and whose requests it takes.

Behind https the cookie has the prefix ``__Host-``: browsers then hold it to this host and to https, and no neighbour
can plant one. Plain http is taken for this machine alone, as when somebody tries the product out, with a cookie of
another name; anywhere else there is no console, because its cookie could be read on the way.

What changes something is taken from pages of this very origin only. Browsers say where a request comes from in two
headers that no page can write, and a request that has neither is from no page of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from make_bridge.faces.edge.addresses import Addresses
from make_bridge.kernel.errors import PermissionDenied

_SECURE_COOKIE: Final = "__Host-mb"
_LOCAL_COOKIE: Final = "mb-local"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_NEEDS_HTTPS: Final = (
    "The console is served over https only, or on this machine by localhost: put TLS in front of this server and set "
    "MAKE_BRIDGE_PUBLIC_URL to the https address."
)
_FOREIGN: Final = "This request does not come from a page of the console: open the console and try it there."
_OWN_SITES: Final = frozenset({"same-origin", "none"})
_LONGEST_COOKIE: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolePlace:
    """``origin`` is the server's public address, ``addresses`` knows the proxies that may say how they were called."""

    origin: str
    addresses: Addresses = field(default_factory=Addresses)

    @property
    def is_secure(self) -> bool:
        """Say whether browsers come by https."""
        return self.origin.startswith("https://")

    @property
    def cookie(self) -> str:
        """Return the name of the session's cookie."""
        return _SECURE_COOKIE if self.is_secure else _LOCAL_COOKIE

    def require_safe(self, headers: Headers) -> None:
        """Raise PermissionDenied where a cookie could be read on the way."""
        if self.is_secure:
            return
        if urlsplit(self.origin).hostname not in _LOOPBACK or _host(headers) not in _LOOPBACK:
            raise PermissionDenied(_NEEDS_HTTPS, code="console_needs_https")

    def https_instead(self, peer: str, headers: Headers, path: str) -> str | None:
        """Return the https address of a page that was called by plain http, or None.

        Who ends TLS knows; so it is believed of a proxy of the operator's alone, where it says so. The address is made
        of the settings, whatever host was called.
        """
        said = headers.getlist("x-forwarded-proto")
        if not self.is_secure or said != ["http"] or not self.addresses.trust(peer):
            return None
        return f"{self.origin}{path}"

    def require_own_page(self, headers: Headers) -> None:
        """Raise PermissionDenied for what does not come from a page of this origin."""
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        expected = self.origin if self.is_secure else f"http://{headers.get('host', '')}"
        is_foreign = (origins and origins != [expected]) or (sites and sites != ["same-origin"])
        if is_foreign or not (origins or sites):
            raise PermissionDenied(_FOREIGN, code="foreign_origin")

    def require_no_stranger(self, headers: Headers) -> None:
        """Raise PermissionDenied for a reading that a browser says another site has caused."""
        if not _OWN_SITES.issuperset(headers.getlist("sec-fetch-site")):
            raise PermissionDenied(_FOREIGN, code="foreign_origin")

    def secret_in(self, headers: Headers) -> str | None:
        """Return the secret a request shows; one that shows two shows none: somebody else wrote one of them."""
        found = [
            value
            for line in headers.getlist("cookie")
            for name, _, value in (part.strip().partition("=") for part in line.split(";"))
            if name == self.cookie
        ]
        return found[0] if len(found) == 1 and 0 < len(found[0]) <= _LONGEST_COOKIE else None

    def given(self, secret: str) -> str:
        """Return the header line that gives a browser its cookie."""
        return f"{self.cookie}={secret}; {self._attributes()}"

    def taken(self) -> str:
        """Return the header line that takes the cookie away."""
        return f"{self.cookie}=; Max-Age=0; {self._attributes()}"

    def _attributes(self) -> str:
        words: Sequence[str] = ("Path=/", "HttpOnly", "SameSite=Lax", *(("Secure",) if self.is_secure else ()))
        return "; ".join(words)


def _host(headers: Headers) -> str:
    return urlsplit(f"//{headers.get('host', '')}").hostname or ""
