"""A stand-in of Vast's router behind the account's URL, so that an endpoint of the account has real workers."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from aiohttp import ClientSession, web

from worker.simulators.vast_router import LocalVast


class EndpointRouter:
    """Use it as `async with`."""

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
        """The router's own answer."""
        body = await request.read()
        async with self._session.request(request.method, request.path_qs, data=body, headers=_type(request)) as answer:
            return web.Response(
                body=await answer.read(), status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )

    async def workers(self) -> list[dict[str, object]]:
        """The workers that reported to the router."""
        async with self._session.post("/get_endpoint_workers/", json={"api_key": self._vast.api_key}) as answer:
            rows: list[dict[str, object]] = await answer.json()
            return rows


def _type(request: web.Request) -> dict[str, str]:
    return {"Content-Type": request.headers.get("Content-Type", "application/octet-stream")}
