"""IP addresses in headers."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

KNOWN_TEXTS = 256
"""Texts whose address is remembered. Most connections have the same one."""
Address = IPv4Address | IPv6Address
WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+")


@lru_cache(KNOWN_TEXTS)
def read_address(text: str) -> Address | None:
    """Return the IP address in a text such as `10.0.0.1`, `10.0.0.1:80`, `fe80::1%eth0` or `[::1]:80`, else None.

    An IPv4 address that is mapped to IPv6 (`::ffff:10.0.0.1`) is returned as IPv4.
    """
    match = WITH_PORT.fullmatch(text)
    address_text = (match[1] or match[2]) if match else text.partition("%")[0]
    try:
        address = ip_address(address_text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
