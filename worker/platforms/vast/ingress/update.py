"""Vast's wish that the worker is started anew: `POST /pyworker/update`, for who has the worker's own token."""

from __future__ import annotations

import asyncio
import hmac
import logging

from aiohttp import hdrs, web

from worker.api.services import json_response
from worker.connections import mark_authenticated
from worker.errors import Forbidden
from worker.platforms.vast.ingress.refusal import refusal

log = logging.getLogger(__name__)

PATH = "/pyworker/update"


class UpdateRoute:
    """The SDK's own route writes a file that nobody here reads, and without a MASTER_TOKEN takes it from anyone (T28).

    Here `requested` is set: the worker drains, ends, and its parent process starts it again.
    """

    def __init__(self, master_token: str) -> None:
        self.requested = asyncio.Event()
        self._token = master_token

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self._handle)]

    async def _handle(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        known = scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token.encode())
        if not self._token or not known:
            return refusal(Forbidden(f"{PATH} is for Vast, which sends this worker's MASTER_TOKEN"))
        mark_authenticated(request)
        log.info("Vast asks for an update: draining, then starting anew")
        self.requested.set()
        return json_response({"ok": True})
