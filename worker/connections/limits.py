"""Limits on how long a connection may take, and how many unauthenticated ones there may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

MIN_BYTES_PER_S = 512
"""Bytes a second below which a body does not count as arriving."""
IDLE_S = 75.0
"""Seconds that a connection is kept between two requests. Load balancers keep theirs for 60 s."""
SHARE_OF_ONE_ADDRESS = 2
"""One address may have 1/n of the unauthenticated connections."""
CLIENT_NETWORK_BITS = 64
"""Bits of an IPv6 address that identify a client. A client can use all addresses of such a network."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on connections. Durations are in seconds."""

    header_s: float = 20.0
    body_s: float = 30.0
    max_unauthenticated: int = 1024
    """Connections that may exist without a valid signature or token."""
    trusted: Sequence[IPv4Network | IPv6Network] = ()
    """Reverse proxies. Each of their connections counts as another client."""

    @property
    def max_per_address(self) -> int:
        """Unauthenticated connections that one address may have."""
        return max(1, self.max_unauthenticated // SHARE_OF_ONE_ADDRESS)

    @property
    def min_body_bytes(self) -> float:
        """Bytes of a body that have to arrive in `body_s`."""
        return MIN_BYTES_PER_S * self.body_s

    def client_key(self, address: str) -> str | None:
        """Return a text that identifies the client at this address, or None for a proxy, which serves many clients.

        It is the IPv4 address, the network of an IPv6 address, or the address itself if it is no IP address.
        """
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return address
        if isinstance(ip, IPv6Address):
            ip = ip.ipv4_mapped or ip
        if any(ip in network for network in self.trusted):
            return None
        if isinstance(ip, IPv6Address):
            return str(ip_network((ip, CLIENT_NETWORK_BITS), strict=False))
        return str(ip)
