"""A request on its way to a worker and the response on its way back, also as WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp import web

from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.load_balancing.routing import WORKER_ID, BalancedWorker

OWN_HEADERS = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host"}
)
"""Headers of one connection, which are not forwarded."""
HANDSHAKE = "sec-websocket-"
"""Beginning of the names of the headers with which a WebSocket is opened."""
BEGUN = web.RequestKey("begun", bool)
"""Whether a part of the response was sent."""

Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


class BodyTooLong(Exception):
    """The body of a load-balanced request or response is larger than RunPod allows."""


class Forwarder:
    """Sends requests to workers."""

    def __init__(self, session: aiohttp.ClientSession, assumptions: RunpodAssumptions) -> None:
        self._session = session
        self._assumptions = assumptions

    async def forward(self, worker: BalancedWorker, request: web.Request) -> web.StreamResponse:
        """Forward a request to a worker and stream the response. Raises BodyTooLong and aiohttp.ClientError."""
        limit = self._assumptions.load_balancer_body_limit
        if (request.content_length or 0) > limit:
            raise BodyTooLong
        url = worker.url + request.rel_url.raw_path_qs
        body = limited(request.content, limit) if request.can_read_body else None
        headers = self._forwarded(request.headers)
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            if (answer.content_length or 0) > limit:
                raise BodyTooLong
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            response.headers.extend(_without(answer.headers, OWN_HEADERS))
            response.headers[WORKER_ID] = worker.id
            await response.prepare(request)
            request[BEGUN] = True
            async for data in limited(answer.content, limit):
                await response.write(data)
            await response.write_eof()
            return response

    async def forward_websocket(self, worker: BalancedWorker, request: web.Request) -> web.StreamResponse:
        """Connect a client's WebSocket with one of the worker. Raises aiohttp.ClientError if the worker has none."""
        headers = [each for each in self._forwarded(request.headers) if not each[0].lower().startswith(HANDSHAKE)]
        offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        protocols = [name.strip() for name in offered if name.strip()]
        url = worker.url + request.rel_url.raw_path_qs
        async with self._session.ws_connect(url, headers=headers, protocols=protocols, max_msg_size=0) as upstream:
            client = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
            client.headers[WORKER_ID] = worker.id
            await client.prepare(request)
            request[BEGUN] = True
            await _copy_both(client, upstream)
            await client.close(code=upstream.close_code or aiohttp.WSCloseCode.OK)
            return client

    def _forwarded(self, headers: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the headers that reach the worker. The key of the client may stay with RunPod."""
        dropped = OWN_HEADERS if self._assumptions.passes_authorization else OWN_HEADERS | {"authorization"}
        return _without(headers, dropped)


def _without(headers: Mapping[str, str], names: frozenset[str]) -> list[tuple[str, str]]:
    """Return headers without those of some names."""
    return [(name, value) for name, value in headers.items() if name.lower() not in names]


async def _copy_both(client: Socket, upstream: Socket) -> None:
    """Send the messages of each WebSocket on the other until one ends."""
    directions = [asyncio.create_task(_copy(client, upstream)), asyncio.create_task(_copy(upstream, client))]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.wait(directions)


async def _copy(source: Socket, target: Socket) -> None:
    """Send the messages of one WebSocket on another until it ends."""
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)


async def limited(content: aiohttp.StreamReader, limit: int) -> AsyncIterator[bytes]:
    """Yield the pieces of a body. Raises BodyTooLong."""
    size = 0
    async for data in content.iter_any():
        size += len(data)
        if size > limit:
            raise BodyTooLong
        yield data
