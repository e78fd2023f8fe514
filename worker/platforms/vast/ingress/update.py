"""The route `POST /pyworker/update`, with which Vast restarts the worker. It needs the worker's own token."""

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
    """Sets `requested`, upon which the worker drains and exits, and its parent process starts it again.

    It replaces the SDK's route, which writes a file that nothing here reads, and which anyone can call without a
    MASTER_TOKEN (T28).
    """

    def __init__(self, master_token: str) -> None:
        self.requested = asyncio.Event()
        self._token = master_token

    def routes(self) -> list[web.RouteDef]:
        """Return the route of the update, as a list with one member."""
        return [web.post(PATH, self._handle)]

    async def _handle(self, request: web.Request) -> web.Response:
        """Set `requested` and respond with 200 if the request has the worker's token, or else with 403."""
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        # Compares in constant time, so that the response time does not reveal how much of a token is right.
        authorized = scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token.encode())
        if not self._token or not authorized:
            return refusal(Forbidden(f"{PATH} is only for Vast, which sends this worker's MASTER_TOKEN"))
        mark_authenticated(request)
        log.info("Vast requested an update: draining, then restarting")
        self.requested.set()
        return json_response({"ok": True})
