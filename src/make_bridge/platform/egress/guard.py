"""The guard: which hosts, ports and addresses a call out may reach.

``client`` asks it three times, because each question alone can be got around:

* ``check`` reads the URL's own host and port, before anything is looked up;
* ``resolve`` sees every address of a name, and one that is not open refuses the name as a whole
  (two records, one private, is how a name is turned after it was checked);
* ``open_socket`` sees the address that is really dialled, also for IP literals, which never pass a
  resolver. Nothing is connected before it has agreed.
"""

import re
import socket
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.egress.addresses import Address, forms_of, is_public
from make_bridge.platform.egress.messages import EgressFailure, refused
from make_bridge.platform.egress.urls import Target, read_target

# Ports where something listens that takes orders but speaks no HTTP, and control planes that take them over HTTP.
BLOCKED_PORTS: Final = frozenset(
    {
        *range(1, 80),  # FTP, SSH, Telnet, SMTP, DNS, Finger: nothing below 80 is HTTP
        *(95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179),
        *(389, 427, 445, 464, 465, 500, 512, 513, 514, 515, 526, 530, 531, 532, 540, 543, 544, 548, 554, 556, 563),
        *(587, 601, 623, 631, 636, 646, 853, 873, 902, 989, 990, 992, 993, 995),
        *(1080, 1194, 1433, 1434, 1521, 1719, 1720, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380, 2888, 3306, 3389),
        *(3659, 3888, 4045, 4190, 4369, 5060, 5061, 5432, 5671, 5672, 5900, 5901, 6000, 6379, 6380, 6432, 6566),
        *(6665, 6666, 6667, 6668, 6669, 6679, 6697, 8883, 9042, 9092, 10250, 10255, 10256, 11211),
        *(16379, 25672, 26379, 27017, 27018, 27019),
    }
)
# Where mail servers take mail. No other port is dialled for mail, unless a setting names it for one host.
MAIL_PORTS: Final = frozenset({25, 465, 587, 2525})
_ENDPOINT: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:/?#@\s]+)(?P<port>:[0-9]{1,5})?")
_REMEMBERED_GRANTS: Final = 1024
_BLOCKED: Final = "The address behind {host} is not open to calls from here."


class BlockedAddress(OSError):
    """This address is not open to calls from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPolicy:
    """What is open beside the public internet, and which ports are closed.

    ``networks`` open addresses on all ports that are not blocked; ``endpoints`` open a name or an
    address, on one port (then even a blocked one) or, without one, on all that are not blocked.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    endpoints: frozenset[tuple[str, int | None]] = frozenset()
    blocked_ports: frozenset[int] = field(default=BLOCKED_PORTS, repr=False)

    @classmethod
    def parse(cls, allow: Iterable[str] = (), *, blocked_ports: Iterable[int] = BLOCKED_PORTS) -> "EgressPolicy":
        """Read a setting: networks, addresses and names, the last two with or without a port."""
        networks: list[IPv4Network | IPv6Network] = []
        endpoints: set[tuple[str, int | None]] = set()
        for entry in allow:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                endpoints.add(_read_endpoint(entry))
        return cls(networks=tuple(networks), endpoints=frozenset(endpoints), blocked_ports=frozenset(blocked_ports))

    def opens_endpoint(self, host: str, port: int) -> bool:
        """Say whether a name or address is opened as such."""
        return (host, port) in self.endpoints or ((host, None) in self.endpoints and port not in self.blocked_ports)

    def opens_port(self, host: str, port: int) -> bool:
        """Say whether this port may be called at all."""
        return port not in self.blocked_ports or (host, port) in self.endpoints

    def opens_mail_port(self, host: str, port: int) -> bool:
        """Say whether mail may be handed over on this port."""
        return port in MAIL_PORTS or (host, port) in self.endpoints

    def opens_address(self, address: Address, port: int) -> bool:
        """Say whether an address may be dialled on this port, whatever name led to it."""
        forms = list(forms_of(address))
        return (
            is_public(address)
            or any(form in network for form in forms for network in self.networks if form.version == network.version)
            or any(self.opens_endpoint(str(form), port) for form in forms)
        )


def _read_endpoint(entry: str) -> tuple[str, int | None]:
    found = _ENDPOINT.fullmatch(entry)
    try:
        target = read_target(f"http://{entry}/") if found else None
    except EgressFailure:
        target = None
    if found is None or target is None:
        raise ConfigurationError(
            f"'{entry}' cannot be opened for calls out: write a network (10.1.0.0/16), an address, a host name, "
            "or one of the last two with a port (crm.internal:9000)."
        )
    return target.host, target.port if found["port"] else None


class EgressGuard(AbstractResolver):
    """Applies a policy at the three places a connection passes on its way out."""

    def __init__(self, policy: EgressPolicy, resolver: AbstractResolver) -> None:
        self._policy = policy
        self._resolver = resolver
        # Addresses an opened name led to. Only names of the setting get here, so it stays as small as that.
        self._grants: OrderedDict[tuple[Address, int], None] = OrderedDict()

    def check(self, target: Target) -> None:
        """Refuse a target by what its URL says."""
        self._check(target, opens_port=self._policy.opens_port(target.host, target.port))

    def check_mail(self, target: Target) -> None:
        """Refuse a mail server by its name and port."""
        self._check(target, opens_port=self._policy.opens_mail_port(target.host, target.port))

    def _check(self, target: Target, *, opens_port: bool) -> None:
        if not opens_port:
            raise refused(f"Port {target.port} is not open to calls from here.", "blocked_port")
        if target.address is not None and not self._policy.opens_address(target.address, target.port):
            raise refused(_BLOCKED.format(host=target.host), "blocked_address")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look a name up, and refuse all of it for one address that is not open."""
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            address = _read_address(result["host"])
            if self._policy.opens_endpoint(host, port):
                self._grant(address, port)
            elif not self._policy.opens_address(address, port):
                raise BlockedAddress
        return found

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._resolver.close()

    def open_socket(
        self, info: tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]
    ) -> socket.socket:
        """Make the socket for an address that is about to be dialled, or refuse."""
        family, kind, protocol, _, sockaddr = info
        address, port = _read_address(str(sockaddr[0])), int(str(sockaddr[1]))
        if (address, port) not in self._grants and not self._policy.opens_address(address, port):
            raise BlockedAddress
        return socket.socket(family, kind, protocol)

    def _grant(self, address: Address, port: int) -> None:
        self._grants[address, port] = None
        self._grants.move_to_end((address, port))
        if len(self._grants) > _REMEMBERED_GRANTS:
            self._grants.popitem(last=False)


def _read_address(text: str) -> Address:
    """Read what is dialled; an address with a scope (fe80::1%eth0) belongs to one cable and is refused."""
    try:
        address = ip_address(text)
    except ValueError:
        raise BlockedAddress from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise BlockedAddress
    return address
