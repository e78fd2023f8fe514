"""The backend of Vast: what the router says, and workers that are gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from tests.backends.server import Handler, json_handler, serving
from worker.backends.base import JobBody, JobReference
from worker.backends.registry import open_backend
from worker.backends.settings import BackendSettings
from worker.backends.vast.lost_workers import LostWorkers
from worker.engine.process.free_port import free_port
from worker.errors import BackendRefused, BackendUnreachable, JobLost, StartupError, SubmissionUncertain
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast
from worker.simulators.vast_router.fault_config import RouterFaultConfig

JOB = JobBody("key", b'{"workflow": {}}')


def settings_of(vast: LocalVast, query: str = "") -> BackendSettings:
    """Return the settings of the one endpoint."""
    return BackendSettings("mine", f"vast://comfy{query}", SecretStr(vast.api_key), api_url=vast.url)


async def report(vast: LocalVast, url: str) -> None:
    """Report a worker at a URL as ready."""
    body = {"id": 7, "url": url, "mtoken": vast.master_token, "loadtime": 1.0, "max_perf": 1.0}
    async with aiohttp.ClientSession() as http, http.post(f"{vast.url}/worker_status/", json=body) as sent:
        assert sent.status == 200


@asynccontextmanager
async def endpoint(handler: Handler) -> AsyncIterator[LocalVast]:
    """An endpoint whose one worker answers with a handler."""
    async with vast_router.serve() as vast, serving(handler) as url:
        await report(vast, url)
        yield vast


@pytest.mark.parametrize(("status", "error"), [(401, BackendRefused), (429, BackendRefused), (503, BackendUnreachable)])
async def test_a_router_that_rejects(status: int, error: type[Exception]) -> None:
    """A rejection lets another backend have the job. An outage of the router is BackendUnreachable."""
    async with vast_router.serve() as vast, open_backend(settings_of(vast)) as backend:
        vast.configure(RouterFaultConfig(route_status=status))
        with pytest.raises(error) as raised:
            await backend.locate(JOB)
        assert not isinstance(raised.value, BackendRefused) or raised.value.elsewhere
        assert vast.endpoint_key not in str(raised.value)


async def test_the_wait_for_a_worker_is_bounded() -> None:
    """Without a ready worker, the job is refused after `ready_s`, with what the router says."""
    async with vast_router.serve() as vast, open_backend(settings_of(vast, "?ready_s=0.5")) as backend:
        with pytest.raises(BackendRefused, match="total workers: 0") as raised:
            await backend.locate(JOB)
    assert (raised.value.status, raised.value.elsewhere) == (503, True)


async def test_a_router_that_is_slow_to_choose() -> None:
    """The request is repeated with its number until a worker is ready."""
    async with endpoint(json_handler(200, {})) as vast, open_backend(settings_of(vast)) as backend:
        vast.configure(RouterFaultConfig(not_ready_answers=1))
        located = await backend.locate(JOB)
        assert located is not None
        assert located.extra["auth_data"]["request_idx"] == 1
        with pytest.raises(SubmissionUncertain):
            await backend.status(located)


async def test_a_worker_that_refuses() -> None:
    """An empty 429 is the SDK's. The job may go elsewhere. No key reaches the worker."""
    seen: list[web.Request] = []

    async def full(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.Response(status=429)

    async with endpoint(full) as vast, open_backend(settings_of(vast)) as backend:
        with pytest.raises(BackendRefused) as raised:
            await backend.submit(JOB)
        assert raised.value.elsewhere
        assert "Authorization" not in seen[0].headers
        assert not seen[0].query


async def test_a_worker_that_is_gone() -> None:
    """It cannot be reached for a while, and is lost after `gone_s` while the router answers."""
    async with endpoint(json_handler(200, {})) as vast:
        reference = JobReference("id", "token", f"http://127.0.0.1:{free_port()}")
        async with open_backend(settings_of(vast, "?gone_s=300")) as backend:
            with pytest.raises(BackendUnreachable):
                await backend.status(reference)
        async with open_backend(settings_of(vast, "?gone_s=0")) as backend:
            with pytest.raises(JobLost, match="is gone"):
                await backend.status(reference)


async def test_an_endpoint_without_workers_has_lost_its_jobs() -> None:
    """Nothing else than the router's list is needed."""
    async with vast_router.serve() as vast, open_backend(settings_of(vast)) as backend:
        with pytest.raises(JobLost):
            await backend.status(JobReference("id", "token", f"http://127.0.0.1:{free_port()}"))


def test_the_evidence_for_a_lost_worker() -> None:
    """An outage of the router proves nothing, and an answer of the worker starts the time again."""
    lost = LostWorkers(gone_s=10)
    assert not lost.is_lost("a", None, now=0)
    assert not lost.is_lost("a", None, now=100)
    assert lost.is_lost("a", 3, now=101)
    lost.reached("a")
    assert not lost.is_lost("a", 3, now=102)
    assert not lost.is_lost("b", 3, now=103)
    assert lost.is_lost("a", 3, now=112)
    assert lost.is_lost("c", 0, now=103)


async def test_missing_and_wrong_keys() -> None:
    """Both are found when the backend is opened. Vast itself being away is not."""
    async with vast_router.serve() as vast:
        settings = settings_of(vast)
        for key, text in ((None, "VAST_API_KEY is not set"), (SecretStr("canary"), "401")):
            with pytest.raises(StartupError, match=text) as raised:
                async with open_backend(replace(settings, key=key)):
                    pass
            assert "canary" not in str(raised.value)
