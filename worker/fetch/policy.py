"""Rules for which hosts may be connected to: the public internet, and internal hosts that the operator opened."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from worker.errors import StartupError
from worker.fetch.address import Address, Reach, reach
from worker.fetch.target import FetchTarget, refused

ENTRY = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:./]+)\]|(?P<host>[^:\[\]\s]+))(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
ADDRESS = re.compile(r"[0-9./]+")


@dataclass(frozen=True, slots=True)
class HostPattern:
    """A host, `*.domain`, an address or a network (CIDR). With a port it matches only that port."""

    name: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    @classmethod
    def read(cls, text: str) -> HostPattern:
        """Parse a pattern. An IPv6 network is written in brackets: `[fd00::/8]:8080`. Raises ValueError."""
        match = ENTRY.fullmatch(text)
        if match is None:
            raise ValueError(text)
        port = int(match["port"]) if match["port"] else None
        if match["ipv6"] or ADDRESS.fullmatch(match["host"]):
            return cls("", ip_network(match["ipv6"] or match["host"]), port)
        name = match["host"].lower()
        if not NAME.fullmatch(name):
            raise ValueError(text)
        return cls(name, None, port)

    def matches_name(self, host: str) -> bool:
        """Return True if a host name matches. The port is not compared."""
        if self.name.startswith("*."):
            return host.endswith(self.name[1:])
        return self.name != "" and host == self.name

    def matches_address(self, address: Address) -> bool:
        """Return True if an address is in the pattern's network. The port is not compared."""
        return self.network is not None and address in self.network

    def matches(self, target: FetchTarget) -> bool:
        """Return True if host and port of a URL match. No name is resolved."""
        if self.port not in {None, target.port}:
            return False
        if target.address is not None:
            return self.matches_address(target.address)
        return self.matches_name(target.host)


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules for outgoing connections: `ports` of the public internet, and everything in `opened`."""

    opened: tuple[HostPattern, ...] = ()
    ports: frozenset[int] = frozenset({80, 443})

    @classmethod
    def read(cls, allow: str, ports: str) -> Policy:
        """Parse the comma-separated settings WORKER_FETCH_ALLOW and WORKER_FETCH_PORTS.

        Raises StartupError that names the bad entry.
        """
        return cls(tuple(_pattern(entry) for entry in _entries(allow)), frozenset(map(_port, _entries(ports))))

    def check(self, target: FetchTarget) -> None:
        """Raise UrlRefused if a URL is not allowed. No name is resolved. Call it for every request and redirect."""
        if target.port not in self.ports and target.port not in {pattern.port for pattern in self.opened}:
            raise refused(f"port {target.port} is not allowed in URLs", "use the default port of http or https")
        if target.address is not None:
            self.check_addresses(target.host, target.port, [target.address])
        elif "." not in target.host and not self.trusts(target):
            # The search domains of this machine would decide which host this is.
            raise refused(f"{target.host!r} is not a host of the public internet", "write the full host name")

    def check_addresses(self, host: str, port: int, addresses: Iterable[Address]) -> None:
        """Raise UrlRefused unless connections to all addresses of a host are allowed."""
        if not all(self._allows(host, port, address) for address in addresses):
            raise refused(
                f"URLs of {host}:{port} are not allowed",
                "use a host of the public internet, or ask the operator to open this one (WORKER_FETCH_ALLOW)",
            )

    def trusts(self, target: FetchTarget) -> bool:
        """Return True for a host that the operator opened and therefore trusts."""
        return any(pattern.matches(target) for pattern in self.opened)

    def _allows(self, host: str, port: int, address: Address) -> bool:
        """Return True if a connection to one address of a host is allowed."""
        address_reach = reach(address)
        if address_reach is Reach.PUBLIC and port in self.ports:
            return True
        for pattern in self.opened:
            is_port_open = port in self.ports if pattern.port is None else port == pattern.port
            if not is_port_open:
                continue
            # A name does not open special addresses: its DNS server could point it at the cloud's credentials.
            if pattern.matches_address(address) or (address_reach is not Reach.SPECIAL and pattern.matches_name(host)):
                return True
        return False


def _entries(text: str) -> list[str]:
    """Return the entries of a comma-separated list."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _pattern(entry: str) -> HostPattern:
    """Parse an entry of WORKER_FETCH_ALLOW. Raises StartupError."""
    try:
        return HostPattern.read(entry)
    except ValueError:
        cure = "write host, *.domain, 10.0.0.0/8 or [fd00::/8], each with :port if it is not 80 or 443"
        raise StartupError(f"WORKER_FETCH_ALLOW: {entry!r} is not a host or network; {cure}") from None


def _port(entry: str) -> int:
    """Parse an entry of WORKER_FETCH_PORTS. Raises StartupError."""
    if not entry.isdecimal() or not 0 < int(entry) < 65536:
        raise StartupError(f"WORKER_FETCH_PORTS: {entry!r} is not a port number from 1 to 65535")
    return int(entry)
