"""Which IP addresses are public: an own table, judged on the address that is really dialled.

Used by ``guard``. The standard library's ``is_private`` and ``is_global`` are not used: on the
Pythons we support they differ from each other and from the registries (100.64.0.1 is not private,
multicast is global), and they do not look inside addresses that carry another.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address

_NOT_PUBLIC_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; 100.100.100.200 is Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's wire server
        "169.254.0.0/16",  # link-local; 169.254.169.254 is most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

# All that is handed out for global use; the rest of the space is private, local or nobody's.
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, among them Teredo, benchmarks and ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries an IPv4 address that somebody else's relay would dial
        "3ffe::/16",  # the returned 6bone
        "3fff::/20",  # documentation
    )
)

# Prefixes whose last 32 bits are the IPv4 address that is dialled in truth.
_CARRIERS: Final = tuple(
    IPv6Network(network)
    for network in (
        "::ffff:0:0/96",  # mapped
        "::ffff:0:0:0/96",  # translated
        "64:ff9b::/96",  # NAT64, the normal way to IPv4 on hosts that have only IPv6
    )
)
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
_LOW_32: Final = 0xFFFFFFFF


def is_public(address: Address) -> bool:
    """Say whether an address is one of the public internet, and not a way to something behind it."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    carried = carried_address(address)
    if carried is not None:
        return is_public(carried)
    if _is_isatap(address):
        return False
    return address in _GLOBAL_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def carried_address(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that dialling this one reaches."""
    if any(address in network for network in _CARRIERS):
        return IPv4Address(int(address) & _LOW_32)
    return None


def forms_of(address: Address) -> Iterator[Address]:
    """Yield the address and what it carries: an allow-list may name either."""
    yield address
    if isinstance(address, IPv6Address):
        carried = carried_address(address)
        if carried is not None:
            yield carried


def _is_isatap(address: IPv6Address) -> bool:
    return (int(address) >> 32) & _LOW_32 in _ISATAP
