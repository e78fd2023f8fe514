"""The host that a request names in its target and its `Host` header, and the hosts of this worker."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from aiohttp import hdrs, web

from worker.api.edge.addresses import Address, read_address
from worker.errors import StartupError
from worker.fetch.policy import HostPattern

NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
ADDRESS_IN_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]{2,45})(%[A-Za-z0-9._~%-]{1,32})?\]", re.ASCII)
PORT = re.compile(r"(?::(\d{0,5}))?", re.ASCII)
ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)", re.ASCII)
DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_NAME = 253
KNOWN_TEXTS = 256
"""Texts whose host is remembered. Most requests name the same one."""
LOCALHOST = "localhost"


@dataclass(frozen=True, slots=True)
class Host:
    """A host in normalized form. `name` is in lower case, without a final dot or brackets."""

    name: str
    port: int | None = None

    @property
    def address(self) -> Address | None:
        """The IP address, or None for a name."""
        return read_address(self.name)

    @property
    def loopback(self) -> bool:
        """Whether the host is certainly this machine. Browsers resolve `localhost` without DNS."""
        address = self.address
        if address is not None:
            return address.is_loopback
        return self.name == LOCALHOST or self.name.endswith(f".{LOCALHOST}")

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


@lru_cache(KNOWN_TEXTS)
def read_host(text: str) -> Host | None:
    """Parse the value of a `Host` header. Return None if it is not a host with an optional port."""
    match = ADDRESS_IN_BRACKETS.match(text) or NAME.match(text)
    port = PORT.fullmatch(text, match.end()) if match else None
    if match is None or port is None or int(port[1] or 0) > 65535:
        return None
    number = int(port[1]) if port[1] else None
    if match.re is NAME:
        name = match[0].lower().removesuffix(".")
        return Host(name, number) if len(name) <= LONGEST_NAME else None
    address = read_address(match[1])  # the text in the brackets
    return Host(str(address), number) if address is not None else None


def read_origin(text: str) -> str | None:
    """Return an origin in normalized form, or None for `null` and invalid values."""
    scheme, separator, host_text = text.partition("://")
    scheme, host = scheme.lower(), read_host(host_text)
    return origin_of(scheme, host) if separator and scheme in DEFAULT_PORTS and host else None


def origin_of(scheme: str, host: Host) -> str:
    """Return the origin of a URL with this scheme and host, without the default port of the scheme."""
    has_default_port = host.port == DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{Host(host.name) if has_default_port else host}"


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Hosts that the operator configured: patterns, and the host of the public URL."""

    patterns: tuple[HostPattern, ...] = ()
    public: Host | None = None

    @classmethod
    def read(cls, text: str) -> AllowedHosts:
        """Parse WORKER_ALLOWED_HOSTS. Raises StartupError with the invalid entry."""
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        try:
            return cls(tuple(HostPattern.read(entry) for entry in entries))
        except ValueError as error:
            remedy = "write a host, *.domain, an address or a network, with :port for a single port"
            raise StartupError(f"WORKER_ALLOWED_HOSTS: {error} is not a host; {remedy}") from None

    def __contains__(self, host: Host) -> bool:
        is_public_host = self.public is not None and self.public.name == host.name
        return is_public_host or any(_matches(pattern, host) for pattern in self.patterns)


def _matches(pattern: HostPattern, host: Host) -> bool:
    """Return whether a pattern matches a host.

    A pattern without a port matches all ports. A host without a port is on one of the default ports.
    """
    ports = {None, host.port} if host.port is not None else {None, *DEFAULT_PORTS.values()}
    address = host.address
    host_matches = pattern.matches_name(host.name) if address is None else pattern.matches_address(address)
    return host_matches and pattern.port in ports


@cache
def allowed_hosts(text: str, public_url: str = "") -> AllowedHosts:
    """Return the hosts of WORKER_ALLOWED_HOSTS and WORKER_PUBLIC_URL. Raises StartupError."""
    origin = read_origin(public_origin(public_url))
    public_host = read_host(origin.partition("://")[2]) if origin else None
    return replace(AllowedHosts.read(text), public=public_host)


def public_origin(public_url: str) -> str:
    """Return the origin of WORKER_PUBLIC_URL, which is its scheme, host and port."""
    scheme, _, after_scheme = public_url.partition("://")
    return f"{scheme}://{after_scheme.partition('/')[0]}"


def is_own_host(host: Host, connected: Host, allowed: AllowedHosts) -> bool:
    """Return whether a host certainly belongs to this worker.

    It is this machine, the address that the client is connected to, or an allowed host. Any other name could be in the
    DNS of an attacker and lead to this worker.
    """
    return host.loopback or host.name == connected.name or host in allowed


def requested_host(request: web.BaseRequest) -> Host | None:
    """Return the host that the client named, or None if it is invalid or there are several.

    A request without a host, which HTTP/1.0 allows, gets the address of the connection. Browsers always send a host.
    """
    hosts = {read_host(text) for text in host_texts(request)}
    if not hosts:
        return connected_host(request)
    return hosts.pop() if len(hosts) == 1 else None


def host_texts(request: web.BaseRequest) -> list[str]:
    """Return the texts that name a host, in the `Host` header and in the target."""
    return [*request.headers.getall(hdrs.HOST, ()), *_host_in_target(request.raw_path)]


def _host_in_target(target: str) -> list[str]:
    """Return the host in the target of a request (RFC 9112, section 3.2), or nothing if the target is only a path."""
    if target.startswith("/") or target == "*":
        return []
    absolute = ABSOLUTE.match(target)
    return [absolute[1] if absolute else target]


def connected_host(request: web.BaseRequest) -> Host:
    """Return the local address and port of the connection, or localhost if they are not known."""
    socket_name = request.transport.get_extra_info("sockname") if request.transport else None
    if not isinstance(socket_name, tuple):
        return Host(LOCALHOST)
    return Host(str(read_address(socket_name[0]) or socket_name[0]), socket_name[1])
