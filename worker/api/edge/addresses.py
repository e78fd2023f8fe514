"""IP addresses as they stand in headers, with what may be around them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address
WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+")


def read_address(text: str) -> Address | None:
    """Return an address that may have a port; None for anything else (`unknown`, a name)."""
    match = WITH_PORT.fullmatch(text)
    try:
        found = ip_address((match[1] or match[2]) if match else text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
