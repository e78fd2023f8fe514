"""Classification of IP addresses: public internet, internal networks, and special-purpose ranges."""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_network

Address = IPv4Address | IPv6Address


class Reach(Enum):
    """Class of an IP address.

    PUBLIC is the public internet. INTERNAL is this machine and private networks. SPECIAL is every other range: no
    server for files has such an address.
    """

    PUBLIC = "public"
    INTERNAL = "internal"
    SPECIAL = "special"


def reach(address: Address) -> Reach:
    """Return the class of an address, by the tables below.

    `is_global` of the module `ipaddress` is not used, because its result differs between Python releases.
    """
    if any(address in network for network in _SPECIAL):
        return Reach.SPECIAL
    if any(address in network for network in _INTERNAL):
        return Reach.INTERNAL
    return Reach.PUBLIC if isinstance(address, IPv4Address) or address in _GLOBAL_IPV6 else Reach.SPECIAL


# Sources: IANA's special-purpose address registries, and the metadata addresses of cloud providers, which serve
# credentials.

_INTERNAL = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT, also Tailscale
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)

_SPECIAL = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.100.100.200/32",  # Alibaba's metadata
        "168.63.129.16/32",  # Azure's
        "169.254.0.0/16",  # link-local: metadata of nearly all others
        "192.0.0.0/24",  # protocol assignments, Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: contains an IPv4 address
        "3fff::/20",  # documentation
        "fd00:ec2::254/128",  # Amazon's metadata
        "fd20:ce::254/128",  # Google's
    )
)

_GLOBAL_IPV6 = ip_network("2000::/3")
"""All allocated addresses. Mapped, compatible and translated IPv4, link-local, site-local and multicast are outside."""
