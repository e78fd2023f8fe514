"""The token of a request: in `Authorization`, or in `X-Worker-Token` where a proxy uses `Authorization` itself."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import hdrs, web

WORKER_TOKEN = "X-Worker-Token"  # noqa: S105 - the name of a header


def authorization_of(request: web.Request) -> str:
    """Return the header `Authorization`, or `X-Worker-Token` in the same form, which takes precedence."""
    return authorization_in(request.headers)


def authorization_in(headers: Mapping[str, str]) -> str:
    """Return the same from the headers of a request."""
    token = headers.get(WORKER_TOKEN, "")
    return f"Bearer {token}" if token else headers.get(hdrs.AUTHORIZATION, "")
