"""What may be fetched: the public internet, and the internal hosts that the operator named."""

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
    """A host, `*.domain`, an address or a CIDR; with a port it stands for that port alone."""

    name: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    @classmethod
    def read(cls, text: str) -> HostPattern:
        """Raises ValueError; a bracketed IPv6 address may have a prefix length inside the brackets."""
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
        return host.endswith(self.name[1:]) if self.name.startswith("*.") else bool(self.name) and host == self.name

    def matches_address(self, address: Address) -> bool:
        return self.network is not None and address in self.network

    def matches(self, target: FetchTarget) -> bool:
        """By what stands in the URL alone."""
        if self.port not in {None, target.port}:
            return False
        if target.address is not None:
            return self.matches_address(target.address)
        return self.matches_name(target.host)


@dataclass(frozen=True, slots=True)
class Policy:
    """`opened` widens what `ports` of the public internet would be."""

    opened: tuple[HostPattern, ...] = ()
    ports: frozenset[int] = frozenset({80, 443})

    @classmethod
    def read(cls, allow: str, ports: str) -> Policy:
        """From comma-separated settings. Raises StartupError naming the entry."""
        return cls(tuple(_pattern(entry) for entry in _entries(allow)), frozenset(map(_port, _entries(ports))))

    def check(self, target: FetchTarget) -> None:
        """Raises UrlRefused where the URL alone says that it may not be fetched. Before every request and redirect."""
        named = self.opens(target)
        if target.port not in self.ports and target.port not in {pattern.port for pattern in self.opened}:
            raise refused(f"port {target.port} is not fetched from", "use the default port of http or https")
        if target.address is not None:
            self.check_answer(target.host, target.port, [target.address])
        elif "." not in target.host and not named:
            # A search domain of this machine would decide what it means.
            raise refused(f"{target.host!r} is no host of the public internet", "write the full host name")

    def check_answer(self, host: str, port: int, addresses: Iterable[Address]) -> None:
        """Raises UrlRefused unless every address may be connected to: a good one among them proves nothing."""
        if not all(self._admits(host, port, address) for address in addresses):
            raise refused(
                f"{host}:{port} may not be fetched from",
                "use a host of the public internet, or ask the operator to open this one (WORKER_FETCH_ALLOW)",
            )

    def opens(self, target: FetchTarget) -> bool:
        """True for hosts that the operator named, which he therefore trusts."""
        return any(pattern.matches(target) for pattern in self.opened)

    def _admits(self, host: str, port: int, address: Address) -> bool:
        kind = reach(address)
        if kind is Reach.PUBLIC and port in self.ports:
            return True
        for pattern in self.opened:
            if pattern.port != port and not (pattern.port is None and port in self.ports):
                continue
            # A name opens what a name may stand for: whoever runs its DNS must not get at the cloud's credentials.
            if pattern.matches_address(address) or (kind is not Reach.SPECIAL and pattern.matches_name(host)):
                return True
        return False


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _pattern(entry: str) -> HostPattern:
    try:
        return HostPattern.read(entry)
    except ValueError:
        cure = "write host, *.domain, 10.0.0.0/8 or [fd00::/8], each with :port where it isn't 80 or 443"
        raise StartupError(f"WORKER_FETCH_ALLOW: {entry!r} names no host; {cure}") from None


def _port(entry: str) -> int:
    if not entry.isdecimal() or not 0 < int(entry) < 65536:
        raise StartupError(f"WORKER_FETCH_PORTS: {entry!r} is no port")
    return int(entry)
