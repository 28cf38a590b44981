"""Where a request comes from, for the limits that count by address.

That is the peer of the connection. Only where the operator has said that the peer is a proxy of theirs is it the last
entry of ``X-Forwarded-For``: that one the proxy has written itself, all before it is what it was told. Other headers
that name an address are read by nobody.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# What one customer of a provider is given; it may use any address of it.
_OF_ONE_PLACE: Final = 64


class Addresses:
    """Knows the proxies that may speak for others."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        """Believe these proxies, one hop far."""
        self._trusted = tuple(trusted)

    def of(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return where a request comes from, in the form that limits count by: an address, or the /64 of one."""
        address = _read(peer)
        if address is None:
            return peer
        if self.trust(peer):
            address = _forwarded(headers) or address
        return _place(address)

    def trust(self, peer: str) -> bool:
        """Say whether the peer of a connection is a proxy of the operator's."""
        address = _read(peer) if self._trusted else None
        return address is not None and any(address in network for network in self._trusted)


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> Address | None:
    last = b""
    for name, value in headers:
        if name == b"x-forwarded-for":
            last = value
    return _read(last.rpartition(b",")[2].strip().decode("latin-1")) if last else None


# Everybody with an address of their own could fill it, and only slow it down.
@lru_cache(maxsize=1024)
def _read(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=1024)
def _place(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), _OF_ONE_PLACE), strict=False))
