"""What may be asked of a job, by POST to the worker that has it: the id and the token are the authority."""

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
"""What a URL takes for a place, so that the request would leave `/jobs`."""
TICKET = frozenset({"id", "token", "last_event_id"})


class JobRoutes:
    """The gateway's `/jobs/{id}` for clients that can't choose method or headers: Vast's client only posts JSON.

    Body `{"id", "token"}`, plain or as the payload of a request through the router; `/events` takes `last_event_id`,
    `/deliver` what `POST /jobs/{id}/deliver` takes.
    """

    def __init__(self, ingress: Ingress, session: ClientSession, gateway: str) -> None:
        self._ingress = ingress
        self._session = session
        self._jobs = URL(gateway) / "jobs"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/result", self._answer(hdrs.METH_GET, "")),
            web.post("/cancel", self._answer(hdrs.METH_DELETE, "")),
            web.post("/events", self._answer(hdrs.METH_GET, "events")),
            web.post("/deliver", self._answer(hdrs.METH_POST, "deliver")),
        ]

    def _answer(self, method: str, part: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                asked = await self._ingress.read_payload(request)
                job_id, headers = _job_id(asked), _headers(asked)
            except WorkerError as error:
                return refusal(error)
            url = self._jobs / job_id / part if part else self._jobs / job_id
            wish = {name: value for name, value in asked.items() if name not in TICKET}
            body = orjson.dumps(wish) if wish and method == hdrs.METH_POST else None
            try:
                answer = await self._session.request(method, url, headers=headers, data=body)
                if answer.ok:
                    mark_authenticated(request)  # the job's token is good
                return await forward_response(request, answer)
            except ClientError:
                return refusal(WorkerUnavailable("the gateway did not answer"))

        return handle


def _job_id(asked: Mapping[str, Any]) -> str:
    job_id = asked.get("id")
    if not isinstance(job_id, str) or not job_id or "/" in job_id or job_id in DOTS:
        raise InvalidField("`id` has to be the id of a job")
    return job_id


def _headers(asked: Mapping[str, Any]) -> dict[str, str]:
    token = asked.get("token")
    if not isinstance(token, str) or not token.isprintable():
        raise InvalidField("`token` has to be the token that came with the id")
    headers = {"Authorization": f"Bearer {token}"}
    if (last := asked.get("last_event_id")) is not None:
        headers["Last-Event-ID"] = str(int(last)) if isinstance(last, int) else "0"
    return headers
