"""Calls of Vast's router: the choice of a worker for a job, and the list of the workers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from worker.backends.http.connection import HttpConnection, Outgoing, retry_after_s
from worker.backends.refusal import refused_by_platform
from worker.backoff import Backoff
from worker.errors import BackendRefused, BackendUnreachable, VastRefused, VastUnreachable
from worker.platforms.vast.access import EndpointKey, VastAccess

POLL = Backoff(1.0, 5.0)
REPLAY_S = 60.0
"""Seconds for which the router keeps the choice of a worker, as Vast's client asks for."""
NOT_READY = "vast_not_ready"


@dataclass(frozen=True, slots=True)
class VastRouter:
    """The router of one endpoint. `ready_s` is the longest wait for a worker."""

    name: str
    access: VastAccess
    connection: HttpConnection
    ready_s: float

    async def choose(self, cost: float) -> Mapping[str, Any]:
        """Return the signed choice of a worker, which has its `url`. Ask again while no worker is ready.

        Raises BackendRefused if none is ready within `ready_s` or the router rejects the request, and
        BackendUnreachable.
        """
        endpoint = await self._endpoint()
        status, request_idx = "", 0
        try:
            async with asyncio.timeout(self.ready_s):
                for pause_s in POLL.pauses():
                    answer = await self._route(endpoint, cost, request_idx)
                    if isinstance(answer.get("url"), str):
                        return answer
                    request_idx, status = int(answer.get("request_idx") or 0), str(answer.get("status", ""))
                    await asyncio.sleep(pause_s)
        except TimeoutError:
            pass
        message = f"no worker was ready within {self.ready_s:g} s ({status or 'the router gives no reason'})"
        raise refused_by_platform(self.name, 503, NOT_READY, message)

    async def workers(self) -> list[Mapping[str, Any]]:
        """Return the workers of the endpoint, with their numbers of requests. Raises BackendUnreachable."""
        endpoint = await self._endpoint()
        body = {"id": endpoint.number, "api_key": self.access.account_key.get_secret_value()}
        async with self.connection.request("POST", "/get_endpoint_workers/", _json(body)) as response:
            data = await self.connection.read(response)
            try:
                rows = orjson.loads(data)
            except orjson.JSONDecodeError:
                rows = None
            if response.status != 200 or not isinstance(rows, list):
                # Vast returns an object with `error_msg` while an endpoint has no worker yet.
                if response.status == 200 and isinstance(rows, dict):
                    return []
                raise BackendUnreachable(f"{self.name}: the router returns HTTP {response.status} for the workers")
            return [row for row in rows if isinstance(row, dict)]

    async def ssl_context(self) -> ssl.SSLContext:
        """Return the context for connections to workers. Raises BackendUnreachable."""
        try:
            return await self.access.ssl_context()
        except VastUnreachable as error:
            raise BackendUnreachable(f"{self.name}: {error}") from None

    async def _route(self, endpoint: EndpointKey, cost: float, request_idx: int) -> Mapping[str, Any]:
        """Send one request for a worker. `request_idx` is that of the first one, so that the job keeps its place."""
        body = {
            "endpoint": self.access.endpoint,
            "api_key": endpoint.key,
            "cost": cost,
            "request_idx": request_idx,
            "replay_timeout": REPLAY_S,
        }
        outgoing = _json(body, {"Authorization": f"Bearer {endpoint.key}"})
        async with self.connection.request(
            "POST", f"/route/?api_key={quote(endpoint.key, safe='')}", outgoing
        ) as response:
            if 400 <= response.status < 500:
                raise self._rejected(response)
            if response.status != 200:
                raise BackendUnreachable(f"{self.name}: the router returns HTTP {response.status}")
            return await self.connection.json(response)

    async def _endpoint(self) -> EndpointKey:
        """Return number and key of the endpoint. Raises BackendRefused and BackendUnreachable."""
        try:
            return await self.access.endpoint_key()
        except VastRefused as error:
            raise refused_by_platform(self.name, error.status, "vast_refused", str(error)) from None
        except VastUnreachable as error:
            raise BackendUnreachable(f"{self.name}: {error}") from None

    def _rejected(self, response: aiohttp.ClientResponse) -> BackendRefused:
        """Return the error for a request that the router rejects. The caller's job is not at fault."""
        message = f"the router returns HTTP {response.status}"
        return refused_by_platform(self.name, response.status, "vast_refused", message, retry_after_s(response))


def _json(body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Outgoing:
    """Return a request with a JSON body."""
    return Outgoing({"Content-Type": "application/json", **(headers or {})}, orjson.dumps(body))
