"""The token of a request: in `Authorization`, or in `X-Worker-Token` where a proxy uses `Authorization` itself."""

from __future__ import annotations

from aiohttp import hdrs, web

WORKER_TOKEN = "X-Worker-Token"  # noqa: S105 - the name of a header


def authorization_of(request: web.Request) -> str:
    """Return the header `Authorization`, or `X-Worker-Token` in the same form, which takes precedence."""
    token = request.headers.get(WORKER_TOKEN, "")
    return f"Bearer {token}" if token else request.headers.get(hdrs.AUTHORIZATION, "")
