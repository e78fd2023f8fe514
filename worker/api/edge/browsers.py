"""Requests that a browser sends for pages of others: refused where no token shows that the caller means it.

Any page that a browser shows can send requests to the browser's own machine, and the owner of a name can make its DNS
lead there. A browser says in `Origin` or `Sec-Fetch-Site` which page asks, and in `Host` which name was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from worker.api.edge.cors import Cors
from worker.api.edge.hosts import (
    AllowedHosts,
    Host,
    allowed_hosts,
    connected_host,
    host_texts,
    is_own_host,
    origin_of,
    public_origin,
    read_host,
    read_origin,
    requested_host,
)
from worker.api.edge.proxies import ClientView, Networks, client_view, trusted_networks
from worker.errors import HostNotAllowed, OriginNotAllowed
from worker.settings import ServerSettings

OPEN = frozenset({"/health", "/ping"})
"""Probes ask for these by any name, and learn nothing that a page could use."""
OUTPUT = "/jobs/{id}/outputs/{n}"
SAME_SITE = frozenset({"same-origin", "none"})
SHOWN = 200
"""Characters of a header that an error repeats."""


@dataclass(frozen=True, slots=True)
class BrowserCheck:
    """Tells requests of other origins' pages, and of rebound names, from those of clients."""

    cors: Cors
    hosts: AllowedHosts
    proxies: Networks
    public_origin: str | None

    @classmethod
    def of(cls, settings: ServerSettings) -> BrowserCheck:
        """Raises StartupError for settings that can't be read."""
        return cls(
            Cors.read(settings.cors_origins),
            allowed_hosts(settings.allowed_hosts, settings.public_url),
            trusted_networks(settings.trusted_proxies),
            read_origin(public_origin(settings.public_url)),
        )

    def check(self, request: web.Request) -> None:
        """Raises HostNotAllowed, OriginNotAllowed."""
        view = client_view(request, self.proxies)
        forwarded = read_host(view.host)
        # A page of a rebound name may write the headers of a proxy on this machine: both hosts have to be good.
        for host in (requested_host(request), forwarded):
            if host is None or not is_own_host(host, connected_host(request), self.hosts):
                raise _host_refused(request, host)
        if origins := request.headers.getall(hdrs.ORIGIN, ()):
            self.check_origins(origins, self._own(view, forwarded))
        elif not self.cors.any_origin:
            check_site(request)

    def check_origins(self, origins: Sequence[str], own: frozenset[str]) -> None:
        """Raises OriginNotAllowed unless each is the worker's own or one of WORKER_CORS_ORIGINS."""
        for origin in origins:
            if read_origin(origin) not in own and not self.cors.headers(origin):
                raise OriginNotAllowed(
                    f"the origin {origin[:SHOWN]!r} is not this worker's own: WORKER_CORS_ORIGINS names those whose "
                    "pages may use it without a token"
                )

    def _own(self, view: ClientView, host: Host | None) -> frozenset[str]:
        found = {self.public_origin, origin_of(view.scheme, host) if host else None}
        return frozenset(filter(None, found))


def check_site(request: web.Request) -> None:
    """Raise OriginNotAllowed where another site's page asks; the user may still follow a link to an output."""
    sites = {value.strip().lower() for value in request.headers.getall("Sec-Fetch-Site", ())}
    if sites <= SAME_SITE or _follows_link(request):
        return
    raise OriginNotAllowed(
        "a page of another origin asks, and does not say which (`Sec-Fetch-Site`): without tokens it has to be one of "
        "WORKER_CORS_ORIGINS, and to ask with CORS (`crossorigin` on an image)"
    )


def _follows_link(request: web.Request) -> bool:
    """Whether the browser opens an output as a page of its own, where the page with the link can't read it."""
    resource = request.match_info.route.resource
    if request.method != hdrs.METH_GET or resource is None or resource.canonical != OUTPUT:
        return False
    modes, destinations = (request.headers.getall(f"Sec-Fetch-{name}", ()) for name in ("Mode", "Dest"))
    return [*modes] == ["navigate"] and [*destinations] == ["document"]


def _host_refused(request: web.Request, host: Host | None) -> HostNotAllowed:
    asked = str(host) if host else " ".join(host_texts(request))
    return HostNotAllowed(
        f"without tokens this worker answers to localhost and its own address, not to {asked[:SHOWN]!r}: "
        "WORKER_ALLOWED_HOSTS names other hosts, behind a reverse proxy or in a network of containers"
    )


def browser_check(check: BrowserCheck) -> Middleware:
    """Check each request before anything else of it is looked at."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN:
            check.check(request)
        return await handler(request)

    return checked
