"""Forwards requests from the account's URL to a simulated router, so that an endpoint can have real workers."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from aiohttp import ClientSession, web

from worker.simulators.vast_router import LocalVast


class EndpointRouter:
    """A connection to a simulated router. Use it as `async with`."""

    def __init__(self, vast: LocalVast) -> None:
        self.endpoint = vast.endpoint
        self._vast = vast

    async def __aenter__(self) -> Self:
        self._session = ClientSession(self._vast.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def forward(self, request: web.Request) -> web.Response:
        """Forward a request to the router and return its response."""
        body = await request.read()
        async with self._session.request(
            request.method, request.path_qs, data=body, headers=_content_type(request)
        ) as response:
            headers = {"Content-Type": response.headers["Content-Type"]}
            return web.Response(body=await response.read(), status=response.status, headers=headers)

    async def workers(self) -> list[dict[str, object]]:
        """Return the workers that reported to the router."""
        async with self._session.post("/get_endpoint_workers/", json={"api_key": self._vast.api_key}) as response:
            rows: list[dict[str, object]] = await response.json()
            return rows


def _content_type(request: web.Request) -> dict[str, str]:
    """Return the Content-Type header of a request, or one for bytes if it has none."""
    return {"Content-Type": request.headers.get("Content-Type", "application/octet-stream")}
