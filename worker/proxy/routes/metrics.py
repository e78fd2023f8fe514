"""The route `GET /metrics` of the proxy."""

from __future__ import annotations

from aiohttp import hdrs, web

from worker.api.edge.authorization import authorization_of
from worker.api.metrics import is_local_request
from worker.proxy.services import proxy_of


async def get_metrics(request: web.Request) -> web.Response:
    """Handle `GET /metrics`: return metrics in Prometheus' text format, or in OpenMetrics if the request accepts it."""
    services = proxy_of(request)
    services.callers.check_scraper(authorization_of(request), is_local=is_local_request(request))
    accept = ",".join(request.headers.getall(hdrs.ACCEPT, ()))
    page, content_type = services.metrics.render(services.slots.values(), services.jobs.waiting_for_backend, accept)
    return web.Response(body=page, headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"})
