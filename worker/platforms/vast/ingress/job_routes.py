"""Routes about one job, by POST to the worker that has it. The job's id and token authorize a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import ClientError, ClientSession, hdrs, web
from aiohttp.typedefs import Handler
from yarl import URL

from worker.connections import mark_authenticated
from worker.errors import InvalidField, WorkerError, WorkerUnavailable
from worker.platforms.vast.ingress.ingress import Ingress
from worker.platforms.vast.ingress.refusal import refusal
from worker.platforms.vast.ingress.response_proxy import forward_response

DOTS = frozenset({".", ".."})
"""Ids that a URL treats as folders, so that the request would leave `/jobs`."""
LONGEST_WAIT_S = 240
"""Longest `wait_s`. The session to the gateway ends a request after five minutes."""
HANDLE_FIELDS = frozenset({"id", "token", "last_event_id", "wait_s"})
"""Fields of a body that are not passed on to the gateway."""


class JobRoutes:
    """The gateway's `/jobs/{id}` for clients that cannot choose method or headers: Vast's client only posts JSON.

    The body is `{"id", "token"}`, plain or as the payload of a request through the router. `/events` also accepts
    `last_event_id`, `/result` the seconds `wait_s` for which it waits for the end of the job, and `/deliver` the fields
    of `POST /jobs/{id}/deliver`.
    """

    def __init__(self, ingress: Ingress, session: ClientSession, gateway: str) -> None:
        self._ingress = ingress
        self._session = session
        self._jobs = URL(gateway) / "jobs"

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, each of which calls one of the gateway's."""
        return [
            web.post("/result", self._handler(hdrs.METH_GET, "")),
            web.post("/cancel", self._handler(hdrs.METH_DELETE, "")),
            web.post("/events", self._handler(hdrs.METH_GET, "events")),
            web.post("/deliver", self._handler(hdrs.METH_POST, "deliver")),
        ]

    def _handler(self, method: str, part: str) -> Handler:
        """Return a handler that calls `/jobs/{id}` or, with `part`, `/jobs/{id}/{part}` of the gateway.

        The id and the token come from the body of the request. The gateway's response is sent to the client.
        """

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                payload = await self._ingress.read_payload(request)
                job_id, headers = _job_id(payload), _headers(payload)
            except WorkerError as error:
                return refusal(error)
            url = self._jobs / job_id / part if part else self._jobs / job_id
            fields = {name: value for name, value in payload.items() if name not in HANDLE_FIELDS}
            body = orjson.dumps(fields) if fields and method == hdrs.METH_POST else None
            try:
                response = await self._session.request(method, url, headers=headers, data=body)
                if response.ok:
                    mark_authenticated(request)  # the job's token is valid
                return await forward_response(request, response)
            except ClientError:
                return refusal(WorkerUnavailable("the gateway did not respond"))

        return handle


def _job_id(payload: Mapping[str, Any]) -> str:
    """Return the job's id. Raises InvalidField when there is none or it would change the path of the URL."""
    job_id = payload.get("id")
    if not isinstance(job_id, str) or not job_id or "/" in job_id or job_id in DOTS:
        raise InvalidField("`id` has to be the id of a job")
    return job_id


def _headers(payload: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers for the gateway: the job's token, the id of the last event, and the wait for the end.

    Raises InvalidField when the token is not a text.
    """
    token = payload.get("token")
    if not isinstance(token, str) or not token.isprintable():
        raise InvalidField("`token` has to be the token that came with the id")
    headers = {"Authorization": f"Bearer {token}"}
    last_id = payload.get("last_event_id")
    if last_id is not None:
        headers["Last-Event-ID"] = str(int(last_id)) if isinstance(last_id, int) else "0"  # 0 repeats all events
    wait_s = payload.get("wait_s")
    if isinstance(wait_s, int) and 0 < wait_s <= LONGEST_WAIT_S:
        headers["Prefer"] = f"wait={wait_s}"
    return headers
