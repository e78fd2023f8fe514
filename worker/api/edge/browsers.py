"""Rejects requests that a browser sends for pages of other origins. Only used on a gateway without tokens.

A page of any origin can send requests to the machine of the browser, and a domain's owner can point its DNS there. The
browser reports the origin of the page in `Origin` or `Sec-Fetch-Site`, and the requested name in `Host`.
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

HEALTH_ROUTES = frozenset({"/health", "/ping"})
"""Routes for health checks. They accept any host and return nothing useful to a page."""
OUTPUT_ROUTE = "/jobs/{id}/outputs/{n}"
SAME_SITE = frozenset({"same-origin", "none"})
LONGEST_SHOWN = 200
"""Characters of a header that an error repeats."""


@dataclass(frozen=True, slots=True)
class BrowserCheck:
    """Checks the host and the origin of a request."""

    cors: Cors
    hosts: AllowedHosts
    proxies: Networks
    public_origin: str | None
    health_routes: frozenset[str] = HEALTH_ROUTES

    @classmethod
    def of(cls, settings: ServerSettings) -> BrowserCheck:
        """Return the check for these settings. Raises StartupError for invalid settings."""
        return cls(
            Cors.read(settings.cors_origins),
            allowed_hosts(settings.allowed_hosts, settings.public_url),
            trusted_networks(settings.trusted_proxies),
            read_origin(public_origin(settings.public_url)),
            HEALTH_ROUTES | {settings.health_path},
        )

    def check(self, request: web.Request) -> None:
        """Raise HostNotAllowed or OriginNotAllowed if a page of another origin may have sent the request."""
        view = client_view(request, self.proxies)
        forwarded_host = read_host(view.host)
        # If a proxy on this machine is trusted, so are the proxy headers of a page in a browser on this machine.
        # Therefore both hosts are checked.
        for host in (requested_host(request), forwarded_host):
            if host is None or not is_own_host(host, connected_host(request), self.hosts):
                raise _host_refused(request, host)
        origins = request.headers.getall(hdrs.ORIGIN, ())
        if origins:
            self.check_origins(origins, self._own_origins(view, forwarded_host))
        elif not self.cors.any_origin:
            check_site(request)

    def check_origins(self, origins: Sequence[str], own_origins: frozenset[str]) -> None:
        """Raise OriginNotAllowed unless each origin is the worker's own or in WORKER_CORS_ORIGINS."""
        for origin in origins:
            if read_origin(origin) not in own_origins and not self.cors.headers(origin):
                raise OriginNotAllowed(
                    f"the origin {origin[:LONGEST_SHOWN]!r} may not use this worker without a token: "
                    "add it to WORKER_CORS_ORIGINS"
                )

    def _own_origins(self, view: ClientView, host: Host | None) -> frozenset[str]:
        """Return the origins of the worker itself: that of its public URL, and that of the requested URL."""
        origins = {self.public_origin, origin_of(view.scheme, host) if host else None}
        return frozenset(filter(None, origins))


def check_site(request: web.Request) -> None:
    """Raise OriginNotAllowed if `Sec-Fetch-Site` shows that a page of another site sent the request.

    A link to an output may be followed.
    """
    sites = {value.strip().lower() for value in request.headers.getall("Sec-Fetch-Site", ())}
    if sites <= SAME_SITE or _follows_link(request):
        return
    raise OriginNotAllowed(
        "a page of an unknown origin sent the request (`Sec-Fetch-Site`): add its origin to WORKER_CORS_ORIGINS "
        "and send the request with CORS (`crossorigin` on an image)"
    )


def _follows_link(request: web.Request) -> bool:
    """Return whether the browser opens an output as a page of its own, which the page with the link cannot read."""
    resource = request.match_info.route.resource
    if request.method != hdrs.METH_GET or resource is None or resource.canonical != OUTPUT_ROUTE:
        return False
    modes, destinations = (request.headers.getall(f"Sec-Fetch-{name}", ()) for name in ("Mode", "Dest"))
    return [*modes] == ["navigate"] and [*destinations] == ["document"]


def _host_refused(request: web.Request, host: Host | None) -> HostNotAllowed:
    """Return the error for a host that is not the worker's. `host` is None if the texts that name it are invalid."""
    shown_host = str(host) if host else " ".join(host_texts(request))
    return HostNotAllowed(
        f"without tokens the host must be localhost or the worker's own address, not {shown_host[:LONGEST_SHOWN]!r}: "
        "add it to WORKER_ALLOWED_HOSTS if it is a reverse proxy or a name in a container network"
    )


def browser_check(check: BrowserCheck) -> Middleware:
    """Return a middleware that checks each request before it is read."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check the request unless it is for a health route, and pass it on."""
        if request.path not in check.health_routes:
            check.check(request)
        return await handler(request)

    return checked
