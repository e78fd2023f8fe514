"""How long a connection may take, and how many strangers may have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

SLOWEST = 512
"""Bytes a second below which a body does not count as arriving."""
IDLE_S = 75.0
"""How long a connection is kept between two requests. Load balancers keep theirs for 60 s."""
SHARE_OF_ONE_ADDRESS = 2
"""One address has at most this part (1/n) of the connections without proof."""
SMALLEST_NETWORK = 64
"""Bits of an IPv6 address that are one client's: whoever has one address has them all."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on connections. Durations are in seconds."""

    header_s: float = 20.0
    body_s: float = 30.0
    max_unauthenticated: int = 1024
    trusted: Sequence[IPv4Network | IPv6Network] = ()
    """Reverse proxies: each of their connections may be another client's."""

    @property
    def of_one_address(self) -> int:
        return max(1, self.max_unauthenticated // SHARE_OF_ONE_ADDRESS)

    @property
    def slowest_body(self) -> float:
        """Bytes of a body that have to arrive in `body_s`."""
        return SLOWEST * self.body_s

    def client_of(self, address: str) -> str | None:
        """Return what one client has in common at this address; None for a proxy, which has many clients."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return address
        if isinstance(found, IPv6Address):
            found = found.ipv4_mapped or found
        if any(found in network for network in self.trusted):
            return None
        if isinstance(found, IPv6Address):
            return str(ip_network((found, SMALLEST_NETWORK), strict=False))
        return str(found)
