"""The URL that a client requested, if a trusted reverse proxy forwarded the request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from aiohttp import web

from worker.api.edge.addresses import Address, read_address
from worker.api.edge.hosts import connected_host, read_host, requested_host
from worker.errors import StartupError

Networks = tuple[IPv4Network | IPv6Network, ...]
ForwardedValues = Mapping[str, Sequence[str]]
"""Values that proxies added for `for`, `proto`, `host` and `prefix`. The last value is from the nearest proxy."""
PREFIX = re.compile(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~!$&'()*+;=:@%-]+)*/?")
SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class ClientView:
    """The requested URL and the address of the client.

    `prefix` is the path that a proxy removed, without a final slash.
    """

    scheme: str
    host: str
    prefix: str = ""
    address: str = ""

    @property
    def base_url(self) -> str:
        """Requested URL without the path of the route."""
        return f"{self.scheme}://{self.host}{self.prefix}"


@cache
def trusted_networks(text: str) -> Networks:
    """Parse WORKER_TRUSTED_PROXIES. Raises StartupError with the invalid entry."""
    networks = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            raise StartupError(
                f"WORKER_TRUSTED_PROXIES: {entry!r} is neither an address nor a network like 10.0.0.0/8 or fd00::/8"
            ) from None
    return tuple(networks)


def client_view(request: web.BaseRequest, trusted: Networks) -> ClientView:
    """Return the URL that the client requested, and the address of the client.

    If the peer is a trusted proxy, they come from `X-Forwarded-*`, or else from `Forwarded`.
    """
    host = requested_host(request) or connected_host(request)
    direct_view = ClientView(request.scheme, str(host), address=request.remote or "")
    peer = read_address(direct_view.address)
    if peer and _is_in(peer, trusted):
        return through_proxies(direct_view, _forwarded_values(request), trusted)
    return direct_view


def through_proxies(direct_view: ClientView, forwarded: ForwardedValues, trusted: Networks) -> ClientView:
    """Return the URL and the address of the client, as a chain of trusted proxies reports them.

    The direct peer has to be a trusted proxy. Each proxy appends its values, so the last ones are from the nearest
    proxy. The values of the farthest trusted proxy are used, because values before those may be forged. Invalid values
    are ignored.
    """
    proxy_count = 1  # the direct peer
    client_address = direct_view.address
    for text in reversed(forwarded.get("for", ())):
        sender = read_address(text)
        if sender is None:
            break
        client_address = str(sender)
        if not _is_in(sender, trusted):
            break
        proxy_count += 1

    def value(name: str) -> str:
        """Return the value of the farthest trusted proxy, or an empty string."""
        values = forwarded.get(name, ())
        return values[max(0, len(values) - proxy_count)] if values else ""

    scheme, host, prefix = value("proto").lower(), read_host(value("host")), value("prefix")
    return ClientView(
        scheme if scheme in SCHEMES else direct_view.scheme,
        str(host) if host else direct_view.host,
        prefix.rstrip("/") if PREFIX.fullmatch(prefix) else "",
        client_address,
    )


def _is_in(address: Address, networks: Networks) -> bool:
    """Return whether an address is in one of the networks."""
    return any(address in network for network in networks)


def _forwarded_values(request: web.BaseRequest) -> ForwardedValues:
    """Return the values of `X-Forwarded-*`, or those of `Forwarded` (RFC 7239) if there are none."""
    names = ("for", "proto", "host")
    values = {name: _header_values(request, f"X-Forwarded-{name}") for name in (*names, "prefix")}
    if not any(values[name] for name in names):
        values |= {name: [element[name] for element in request.forwarded if name in element] for name in names}
    return values


def _header_values(request: web.BaseRequest, header: str) -> list[str]:
    """Return the comma-separated values of a header, which may occur several times."""
    return [part for text in request.headers.getall(header, ()) for part in map(str.strip, text.split(",")) if part]
