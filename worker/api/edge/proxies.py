"""What a request looked like to the client that sent it, where a trusted reverse proxy passed it on."""

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
Written = Mapping[str, Sequence[str]]
"""What proxies have written under `for`, `proto`, `host` and `prefix`, the nearest one last."""
PREFIX = re.compile(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~!$&'()*+;=:@%-]+)*/?")
SCHEMES = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class ClientView:
    """The address that the client asked, and its own. `prefix` is the path that a proxy took off, without its end."""

    scheme: str
    host: str
    prefix: str = ""
    address: str = ""

    @property
    def base_url(self) -> str:
        return f"{self.scheme}://{self.host}{self.prefix}"


@cache
def trusted_networks(text: str) -> Networks:
    """Return what WORKER_TRUSTED_PROXIES names. Raises StartupError naming the entry."""
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ip_network(entry, strict=False))
        except ValueError:
            raise StartupError(
                f"WORKER_TRUSTED_PROXIES: {entry!r} is neither an address nor a network like 10.0.0.0/8 or fd00::/8"
            ) from None
    return tuple(found)


def client_view(request: web.BaseRequest, trusted: Networks) -> ClientView:
    """Return what the client asked, by `X-Forwarded-*`, or else `Forwarded`, where the peer is trusted."""
    host = requested_host(request) or connected_host(request)
    plain = ClientView(request.scheme, str(host), address=request.remote or "")
    peer = read_address(plain.address)
    return through_proxies(plain, _written(request), trusted) if peer and _among(peer, trusted) else plain


def through_proxies(plain: ClientView, written: Written, trusted: Networks) -> ClientView:
    """Return what a chain of trusted proxies has written; a value that makes no sense is ignored.

    A proxy appends to what it got, so that the last values are the nearest proxy's. Those that the farthest trusted one
    has written count: what stands before them may be made up.
    """
    hops, address = 1, plain.address
    for text in reversed(written.get("for", ())):
        found = read_address(text)
        if found is None:
            break
        address = str(found)
        if not _among(found, trusted):
            break
        hops += 1

    def value(name: str) -> str:
        values = written.get(name, ())
        return values[max(0, len(values) - hops)] if values else ""

    scheme, host, prefix = value("proto").lower(), read_host(value("host")), value("prefix")
    return ClientView(
        scheme if scheme in SCHEMES else plain.scheme,
        str(host) if host else plain.host,
        prefix.rstrip("/") if PREFIX.fullmatch(prefix) else "",
        address,
    )


def _among(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def _written(request: web.BaseRequest) -> Written:
    names = ("for", "proto", "host")
    found = {name: _listed(request, f"X-Forwarded-{name}") for name in (*names, "prefix")}
    if not any(found[name] for name in names):  # RFC 7239
        found |= {name: [one[name] for one in request.forwarded if name in one] for name in names}
    return found


def _listed(request: web.BaseRequest, header: str) -> list[str]:
    return [part for text in request.headers.getall(header, ()) for part in map(str.strip, text.split(",")) if part]
