"""A client of one endpoint, built on Vast's own client, that follows a job to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from worker.errors import StartupError
from worker.settings import environment

if TYPE_CHECKING:
    from vastai.serverless.client.client import Serverless
    from vastai.serverless.client.endpoint import Endpoint

Body = dict[str, Any]
UNKNOWN_ROUTE = frozenset({403, 404, 405})


@dataclass(frozen=True, slots=True)
class EndpointResponse:
    """The final response: HTTP status, JSON body, and the address of the worker that sent it."""

    status: int
    body: Body
    worker: str


class VastEndpoint:
    """One endpoint. Vast's client retries a request on other workers while they return 429 or 5xx."""

    def __init__(self, client: Serverless, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    async def generate(
        self, payload: Mapping[str, Any], cost: float, timeout_s: float | None = None
    ) -> EndpointResponse:
        """Send `POST /generate/sync` and return the result.

        After a 202, the job is followed on the same worker until its result is there. Raises TimeoutError when no
        worker accepts the request within `timeout_s`, and RuntimeError when the router rejects it.
        """
        first = await self._request("/generate/sync", payload, cost, timeout_s=timeout_s)
        response = EndpointResponse(int(first["status"]), first["response"], str(first["url"]))
        while response.status == 202:
            response = await self._await_result({**response.body, "url": response.worker})
        return response

    async def stream(self, payload: Mapping[str, Any], cost: float) -> AsyncIterator[tuple[str, Body]]:
        """Yield the name and the data of each event of the job. The last event is `result`.

        A worker that rejects the request, or that has no `/generate/stream`, sends only the result. If the stream
        breaks, the result is read separately. Raises RuntimeError when the router rejects the request.
        """
        response = await self._request("/generate/stream", payload, cost, stream=True)
        if not response["ok"]:
            has_route = response["status"] not in UNKNOWN_ROUTE
            if has_route:
                yield "result", response["response"]
            else:
                yield "result", (await self.generate(payload, cost)).body
            return
        job: Body | None = None
        async for data in response["response"]:
            name = event_name(data)
            if name == "accepted":
                # The URL that the router signed, because the worker may report another one.
                job = {**data, "url": response["url"]}
                yield name, job
            else:
                yield name, data
            if name == "result":
                return
        if job is not None:  # the stream broke, but the job continues
            yield "result", (await self._await_result(job)).body

    async def cancel(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Cancel a job and return the worker's response. `job` has `id`, `token` and `url` of an `accepted` event."""
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
        """Send a request through the router, and return the response in the form of Vast's client.

        The form is a dict with `ok`, `status`, `url` of the worker, and `response`: JSON, or with `stream` an iterator
        of events.
        """
        response: Body = await self._endpoint.request(route, dict(payload), cost=cost, stream=stream, timeout=timeout_s)
        return response

    async def _await_result(self, job: Mapping[str, Any]) -> EndpointResponse:
        """Read the events of a job until they end, which is when the job ends, and return its result."""
        async with self._session() as session, session.post(f"{job['url']}/events", json=_job_handle(job)) as events:
            async for _ in events.content.iter_any():
                pass
        return await self._post(job, "result")

    async def _post(self, job: Mapping[str, Any], route: str) -> EndpointResponse:
        """Call one of the worker's routes for a job, such as `result`, and return the response."""
        url = f"{job['url']}/{route}"
        async with self._session() as session, session.post(url, json=_job_handle(job)) as response:
            body = await response.json(content_type=None)
            return EndpointResponse(response.status, body, str(job["url"]))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Open an HTTP session that trusts Vast's own authority, which signs the workers' certificates."""
        connector = aiohttp.TCPConnector(ssl=await self._client.get_ssl_context())
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(sock_read=60)) as session:
            yield session


@asynccontextmanager
async def open_endpoint(name: str, url: str | None = None) -> AsyncIterator[VastEndpoint]:
    """Open the endpoint of that name with the API key in VAST_API_KEY.

    `url` is the address of a simulated Vast, None for Vast itself. Raises StartupError when the key is missing or the
    endpoint cannot be opened.
    """
    client = sdk_client(environment().get("VAST_API_KEY", ""), url)
    try:
        await client.get_ssl_context()
        endpoint = await client.get_endpoint(name)
    except Exception as error:
        await client.close()
        raise StartupError(f"Vast's endpoint {name!r} cannot be opened: {error}") from error
    async with client:
        yield VastEndpoint(client, endpoint)


def sdk_client(key: str, url: str | None = None) -> Serverless:
    """Return Vast's own client with an API key. `url` is the address of a simulated Vast, None for Vast itself.

    Raises StartupError without a key or without the SDK.
    """
    try:
        from vastai.serverless.client.client import Serverless
    except ImportError as error:
        cure = "pip install 'comfy-worker[vast]'"
        raise StartupError(f"Vast's SDK cannot be imported: {error}. Install it with: {cure}") from error
    if not key:
        raise StartupError("VAST_API_KEY is not set")
    client = Serverless(key, autoscaler_url=url, webserver_url=url) if url else Serverless(key)
    if url:
        client.SSL_CERT_URL = f"{url}/root.pem"
    return client


def event_name(data: Mapping[str, Any]) -> str:
    """Return the name of the event with this data, because Vast's client drops the names of events.

    An event without any of the fields in EVENT_FIELDS is `result`.
    """
    for name, field in EVENT_FIELDS.items():
        if field in data:
            return name
    return "result"


EVENT_FIELDS = {
    "accepted": "token",
    "state": "state",
    "step": "max",
    "node": "class_type",
    "output": "sha256",
    "preview": "mime",
}
"""For each event a field that no later event in this order has."""


def _job_handle(job: Mapping[str, Any]) -> Body:
    """Return the body of a request about a job: its id, and the token that authorizes the request."""
    return {"id": job["id"], "token": job["token"]}
