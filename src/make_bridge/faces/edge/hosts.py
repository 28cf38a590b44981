"""Which ``Host`` a request may name: those by which this server is known.

A name that somebody else pointed at this address is how a browser is led past the borders between origins, and how
links and caches are poisoned. Nothing here builds a link from it, and no request that carries it is answered.

Known are the public address, what the operator lists, the address listened on, and this machine's own names. Private
addresses written as numbers are let through: no name leads there, and that is how probes and neighbours call. Without
a public address every numeric address is, because the server does not know its own.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

# The hosts of a server are few; what strangers put in beside them only makes others slower.
_MOST_SEEN: Final = 256
_OWN: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Machines that look after this one call by whatever address they find; neither answer says anything of use.
EXEMPT: Final = frozenset({"/live", "/ready"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRule:
    """``names`` are in lower case and without a port."""

    names: frozenset[str]
    takes_public_numbers: bool
    _seen: set[bytes] = field(init=False, repr=False, compare=False, default_factory=set)

    @classmethod
    def of(cls, names: Iterable[str], *, takes_public_numbers: bool) -> "HostRule":
        """Take names and addresses as they are written in settings."""
        known = {f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names}
        return cls(names=_OWN | {name.lower() for name in known}, takes_public_numbers=takes_public_numbers)

    def allows(self, host: bytes) -> bool:
        """Say whether a request may name this host; ``host`` has the form of one."""
        if host in self._seen:
            return True
        allows = self._names(_without_port(host.decode("ascii").lower()))
        if allows and len(self._seen) < _MOST_SEEN:
            self._seen.add(host)
        return allows

    def _names(self, name: str) -> bool:
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return self.takes_public_numbers or address.is_private or address.is_link_local


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
