"""Each trait of a platform changes the responses, shown on a platform without a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import worker
from tests.engines import EngineHandle
from tests.workflows import picture, slow
from worker.api.auth import Auth
from worker.errors import StartupError
from worker.platforms.base import Authenticator, Traits
from worker.settings import ServerSettings


async def test_a_long_job_is_answered_in_time(engine: EngineHandle, tmp_path: Path) -> None:
    """A long job gets 202 after the platform's limit, with its URL."""
    async with worker(engine, tmp_path, Traits(sync_limit_s=0.2)) as client:
        status, body = await client.post("/generate/sync", {"workflow": slow(1)})
        assert (status, body["url"]) == (202, f"{client.app.url}/jobs/{body['id']}")
        assert (await client.get("/capabilities"))[1]["limits"]["sync_limit_s"] == 0.2


async def test_the_operators_limit_goes_before_the_platforms(engine: EngineHandle, tmp_path: Path) -> None:
    """WORKER_SYNC_LIMIT takes precedence over the platform's limit."""
    async with worker(engine, tmp_path, Traits(sync_limit_s=0.1), sync_limit_s=20.0) as client:
        assert (await client.post("/generate/sync", {"workflow": slow(0.4)}))[0] == 200


async def test_clients_that_only_post_are_given_the_workers_url(engine: EngineHandle, tmp_path: Path) -> None:
    """Without job URLs, the URL of a job is that of the worker."""
    async with worker(engine, tmp_path, Traits(job_urls=False)) as client:
        status, body = await client.post("/generate", {"workflow": picture()})
        assert (status, body["url"]) == (202, client.app.url)


async def test_image_formats_that_clients_can_use_are_listed(engine: EngineHandle, tmp_path: Path) -> None:
    """Capabilities list `url` only if clients can open URLs, or there is a bucket."""
    async with worker(engine, tmp_path, Traits(output_urls=False)) as client:
        assert (await client.get("/capabilities"))[1]["output_formats"] == ["base64"]


async def test_an_answer_that_is_too_large_can_be_had_by_url(engine: EngineHandle, tmp_path: Path) -> None:
    """The error for a response above the limit names another way, and that way works."""
    async with worker(engine, tmp_path, Traits(max_response_bytes=1200)) as client:
        request = {"workflow": picture(512, 512)}
        status, body = await client.post("/generate/sync", request)
        assert (status, body["error"]["code"]) == (422, "output_too_large_for_inline")
        assert "`output_format`" in body["error"]["message"]
        status, body = await client.post("/generate/sync", request | {"output_format": "url"})
        assert (status, "image" in body) == (200, True)


def test_a_platform_that_authenticates_needs_no_tokens() -> None:
    """A platform that authenticates requests needs no tokens."""
    public = ServerSettings(host="0.0.0.0")  # noqa: S104
    with pytest.raises(StartupError, match="WORKER_TOKENS"):
        Auth.from_settings(public, Traits())
    assert Auth.from_settings(public, Traits(authenticates=Authenticator.PLATFORM)).tokens == {}
