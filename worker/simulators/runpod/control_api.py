"""Control of a stand-in in a process of its own: faults, counts and the log, as `/control/...`."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from aiohttp import web

from worker.errors import InvalidFault
from worker.simulators.runpod.endpoint_state import EndpointState
from worker.simulators.runpod.fault_config import FaultRule

PREFIX = "/control/"


class ControlApi:
    """The routes. They need no key, are not logged and have no faults."""

    def __init__(self, state: EndpointState) -> None:
        self._state = state

    @property
    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post(PREFIX + "faults", self._add_fault),
            web.delete(PREFIX + "faults", self._clear_faults),
            web.get(PREFIX + "faults", self._faults),
            web.get(PREFIX + "jobs", self._jobs),
            web.get(PREFIX + "workers", self._workers),
            web.get(PREFIX + "calls", self._calls),
            web.delete(PREFIX + "calls", self._clear_calls),
            web.post(PREFIX + "stop/{worker}/{job}", self._stop),
            web.post(PREFIX + "lose/{worker}", self._lose),
        ]

    async def _add_fault(self, request: web.Request) -> web.Response:
        """Add a rule, such as `{"operation": "job-done", "fault": "status", "status": 500, "times": 2}`."""
        try:
            body: dict[str, Any] = await request.json()
            self._state.faults.add(FaultRule.read(body))
        except (InvalidFault, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"rules": len(self._state.faults.rules)})

    async def _clear_faults(self, _: web.Request) -> web.Response:
        """Remove all rules."""
        self._state.faults.clear()
        return web.json_response({"rules": 0})

    async def _faults(self, _: web.Request) -> web.Response:
        """Return how many calls each fault has affected."""
        return web.json_response(self._state.faults.injected)

    async def _jobs(self, _: web.Request) -> web.Response:
        """Return what happened to each job, by id."""
        counts = {job_id: dataclasses.asdict(entry) for job_id, entry in self._state.jobs.counts.items()}
        return web.json_response(counts)

    async def _workers(self, _: web.Request) -> web.Response:
        """Return the workers, by id."""
        workers = self._state.workers.workers
        return web.json_response({worker_id: dataclasses.asdict(worker) for worker_id, worker in workers.items()})

    async def _calls(self, _: web.Request) -> web.StreamResponse:
        """Return the log, one JSON object a line."""
        lines = "".join(json.dumps(dataclasses.asdict(call)) + "\n" for call in self._state.calls.calls)
        return web.Response(text=lines, content_type="application/x-ndjson")

    async def _clear_calls(self, _: web.Request) -> web.Response:
        """Remove all exchanges from the log."""
        self._state.calls.clear()
        return web.json_response({})

    async def _stop(self, request: web.Request) -> web.Response:
        """Signal a worker to stop a job, whether it has the job or not."""
        self._state.jobs.add_stop(request.match_info["worker"], request.match_info["job"])
        self._state.changes.notify()
        return web.json_response({})

    async def _lose(self, request: web.Request) -> web.Response:
        """Treat a worker as lost: its jobs go to others."""
        self._state.lose(request.match_info["worker"])
        return web.json_response({})
