"""Routes that describe the proxy: health, backends, templates."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from worker import __version__
from worker.api.services import json_response
from worker.api.templates import template_description, template_list
from worker.dialects import DIALECTS
from worker.dialects.base import find_template
from worker.errors import NoBackend, OperationUnsupported
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.services import caller_of, proxy_of


async def health(request: web.Request) -> web.Response:
    """Handle `GET /health` and `/ping`: return 200, because the process works."""
    services = proxy_of(request)
    return json_response({"status": "ok", "version": __version__, "jobs": services.jobs.open_jobs})


async def ready(request: web.Request) -> web.Response:
    """Handle `GET /ready`: return 200 if a backend responds, else an error with the reason of each."""
    slots = proxy_of(request).slots.values()
    if all(slot.problem for slot in slots):
        raise NoBackend("no backend responds: " + "; ".join(f"{slot.name}: {slot.problem}" for slot in slots))
    return json_response({"status": "ready"})


async def capabilities(request: web.Request) -> web.Response:
    """Handle `GET /capabilities`: return the backends that the caller may use, and the limits of the proxy."""
    services, caller = proxy_of(request), caller_of(request)
    slots = [slot for slot in services.slots.values() if caller.may_use(slot.name)]
    return json_response(
        {
            "version": __version__,
            "proxy": True,
            "backends": [await _backend(slot) for slot in slots],
            "dialects": [dialect.name for dialect in DIALECTS],
            "workflow_formats": ["api", "editor"],
            "output_formats": ["base64", "url"],
            "raw_answers": True,
            "limits": {
                "body_mib": services.server.max_body_mib,
                "jobs": caller.max_jobs,
                "requests_per_minute": caller.per_minute,
                "sync_limit_s": services.server.sync_limit_s,
                "result_ttl_s": services.server.result_ttl_s,
            },
        }
    )


async def list_templates(request: web.Request) -> web.Response:
    """Handle `GET /templates`: list name, title, purpose, parameters and node packs of each template."""
    caller_of(request)
    return json_response(template_list(proxy_of(request).library))


async def get_template(request: web.Request) -> web.Response:
    """Handle `GET /templates/{name}`: return one template with its JSON Schema and model files."""
    caller_of(request)
    return json_response(template_description(find_template(proxy_of(request).library, request.match_info["name"])))


async def _backend(slot: BackendSlot) -> dict[str, object]:
    """Return name, kind, state, capabilities and price of a backend. Its URL and its key are not included."""
    try:
        price = asdict(await slot.backend.price())
    except OperationUnsupported:
        price = None
    return {
        "name": slot.name,
        "kind": slot.backend.kind,
        "problem": slot.problem or None,
        "open_jobs": slot.open_jobs,
        "load": asdict(slot.load) if slot.load is not None else None,
        "price": price,
        "capabilities": asdict(slot.backend.capabilities),
    }
