"""Vast's own client as the caller of one endpoint: a job is followed to its end, whichever way the worker answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from worker.errors import StartupError

if TYPE_CHECKING:
    from vastai.serverless.client.client import Serverless
    from vastai.serverless.client.endpoint import Endpoint

Body = dict[str, Any]
UNKNOWN_ROUTE = frozenset({403, 404, 405})


@dataclass(frozen=True, slots=True)
class EndpointResponse:
    """What a worker said at last: HTTP status, JSON body, and the worker's address."""

    status: int
    body: Body
    worker: str


class VastEndpoint:
    """The client sends a request again, on other workers, for as long as they answer 429 or 5xx."""

    def __init__(self, client: Serverless, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    async def generate(
        self, payload: Mapping[str, Any], cost: float, timeout_s: float | None = None
    ) -> EndpointResponse:
        """`POST /generate/sync`; where that answers 202, wait for the job and fetch its result from the same worker.

        Raises TimeoutError when no worker was found within `timeout_s`, RuntimeError when the router refuses.
        """
        found = await self._request("/generate/sync", payload, cost, timeout_s=timeout_s)
        answer = EndpointResponse(int(found["status"]), found["response"], str(found["url"]))
        while answer.status == 202:
            answer = await self._fetch({**answer.body, "url": answer.worker})
        return answer

    async def stream(self, payload: Mapping[str, Any], cost: float) -> AsyncIterator[tuple[str, Body]]:
        """Name and data of each of the job's events, the last one is `result`.

        A worker without `/generate/stream` gives nothing but the result. Raises RuntimeError when the router refuses.
        """
        found = await self._request("/generate/stream", payload, cost, stream=True)
        if not found["ok"]:
            answered = found["status"] not in UNKNOWN_ROUTE
            yield "result", found["response"] if answered else (await self.generate(payload, cost)).body
            return
        job: Body | None = None
        async for data in found["response"]:
            name = event_name(data)
            if name == "accepted":  # the worker's address as the router signed it, whatever the worker thinks it is
                job = {**data, "url": found["url"]}
            yield name, job if job and name == "accepted" else data
            if name == "result":
                return
        if job is not None:  # the stream broke off; the job goes on
            yield "result", (await self._fetch(job)).body

    async def cancel(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the worker's answer. `job` has the `id`, `token` and `url` of an accept answer."""
        return (await self._post(job, "cancel")).body

    async def _request(
        self,
        route: str,
        payload: Mapping[str, Any],
        cost: float,
        *,
        stream: bool = False,
        timeout_s: float | None = None,
    ) -> Body:
        """The client's own answer: `ok`, `status`, `url`, and `response`, which is JSON or an iterator of it."""
        whole_cost = max(1, round(cost))
        answer: Body = await self._endpoint.request(
            route, dict(payload), cost=whole_cost, stream=stream, timeout=timeout_s
        )
        return answer

    async def _fetch(self, job: Mapping[str, Any]) -> EndpointResponse:
        """The result of a job that is over; until then its events are heard out, so that nothing has to be polled."""
        async with self._session() as session, session.post(f"{job['url']}/events", json=_job_handle(job)) as events:
            async for _ in events.content.iter_any():
                pass
        return await self._post(job, "result")

    async def _post(self, job: Mapping[str, Any], part: str) -> EndpointResponse:
        async with self._session() as session, session.post(f"{job['url']}/{part}", json=_job_handle(job)) as answer:
            return EndpointResponse(answer.status, await answer.json(content_type=None), str(job["url"]))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Workers have certificates of Vast's own authority, which the client has fetched."""
        connector = aiohttp.TCPConnector(ssl=await self._client.get_ssl_context())
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(sock_read=60)) as session:
            yield session


@asynccontextmanager
async def endpoint(name: str, url: str | None = None) -> AsyncIterator[VastEndpoint]:
    """The endpoint of that name, opened with the API key in VAST_API_KEY; with `url` at a local stand-in of Vast.

    Raises StartupError.
    """
    try:
        from vastai.serverless.client.client import Serverless
    except ImportError as error:
        raise StartupError(f"Vast's SDK can't be imported: {error}; install the extra `vast`") from error
    try:
        client = Serverless(autoscaler_url=url, webserver_url=url) if url else Serverless()
    except AttributeError:
        raise StartupError("VAST_API_KEY is not set") from None
    if url:
        client.SSL_CERT_URL = f"{url}/root.pem"
    try:
        await client.get_ssl_context()
        found = await client.get_endpoint(name)
    except Exception as error:
        await client.close()
        raise StartupError(f"Vast's endpoint {name!r} can't be opened: {error}") from error
    async with client:
        yield VastEndpoint(client, found)


def event_name(data: Mapping[str, Any]) -> str:
    """Which event of `worker.api.sse` this is: Vast's client drops the names of events."""
    for name, mark in MARKS.items():
        if mark in data:
            return name
    return "result"


MARKS = {
    "accepted": "token",
    "state": "state",
    "step": "max",
    "node": "class_type",
    "output": "sha256",
    "preview": "mime",
}
"""A field that only this event has, and none of the events after it."""


def _job_handle(job: Mapping[str, Any]) -> Body:
    return {"id": job["id"], "token": job["token"]}
