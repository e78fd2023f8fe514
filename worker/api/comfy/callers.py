"""The caller of a request of ComfyUI's API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from worker.api.comfy.client_prompts import CallerPrompts, Scope
from worker.api.request_body import api_key_of, strict_of
from worker.api.services import base_url, services_of
from worker.intake import Caller

Identify = Callable[[web.Request], Caller]
"""Returns the caller of a request. It may raise an error of the WorkerError tree."""
IDENTIFY: web.AppKey[Identify] = web.AppKey("identify")


def scope_of(request: web.Request) -> Scope:
    """Return the owner of what the request may see. Raises what `Identify` raises."""
    caller = request.app[IDENTIFY](request)
    return Scope(caller.principal, caller.parent)


def caller_of(request: web.Request) -> Caller:
    """Return the caller of `POST /prompt` with the options in its headers and query.

    The requests of a handler do not count for the rate limit, because the request for its own job has counted. Raises
    what `Identify` raises, RateLimited and InvalidField.
    """
    services = services_of(request)
    caller = request.app[IDENTIFY](request)
    if caller.parent is None:
        services.access.count_request(caller.principal)
    return replace(
        caller,
        base_url=base_url(request, services),
        collectable=True,
        api_key=api_key_of(request) or caller.api_key,
        strict=caller.strict or strict_of(request),
    )


def prompts_of(request: web.Request) -> CallerPrompts:
    """Return the prompts of the caller. Raises what `Identify` raises."""
    return services_of(request).comfy.prompts.of(scope_of(request))
