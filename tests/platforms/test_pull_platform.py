"""A new platform needs one file and one line: it pulls jobs, responds, cancels and drains."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson
import pytest
from PIL import Image

from tests.engines import EngineHandle
from tests.platforms.pull_platform import ENDPOINT, PullPlatform, PullQueue
from tests.workflows import picture, slow
from worker.errors import StartupError
from worker.platforms.registry import AUTO, PLATFORMS, choose
from worker.settings import Settings

MOST = PullPlatform.traits.max_response_bytes or 0


@asynccontextmanager
async def pulling(engine: EngineHandle, state: Path) -> AsyncIterator[tuple[PullQueue, asyncio.Task[None]]]:
    """Run a worker on the pull platform, which its environment selects, and stop it as a signal would."""
    queue = PullQueue()
    platforms = (*PLATFORMS, PullPlatform(queue))
    environ = {ENDPOINT: "e1"}
    platform = choose(AUTO, environ, platforms).platform
    shared = {"comfyui_output": engine.output, "comfyui_input": engine.input}
    serving = asyncio.create_task(
        platform.serve(Settings.of(comfyui=engine.url, port=0, state=state, **shared), environ)
    )
    try:
        yield queue, serving
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


def noise(side: int) -> str:
    """Return an image of noise in base64, which no format compresses: about 3 bytes per pixel as PNG."""
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def saved(side: int, **more: object) -> dict[str, object]:
    """Return a job whose output is an image of noise."""
    workflow = picture()
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "noise.png"}}
    return {"workflow": workflow, "inputs": {"noise.png": noise(side)}, **more}


async def test_jobs_are_pulled_and_answered_later(engine: EngineHandle, tmp_path: Path) -> None:
    """Several jobs run at once in two dialects, and an invalid one gets its error."""
    async with pulling(engine, tmp_path) as (queue, _):
        native = [queue.send(f"n{number}", {"workflow": picture(32 + number)}) for number in range(5)]
        other = queue.send("r", {"input": {"workflow": picture()}})
        broken = queue.send("b", {"workflow": {"1": {"class_type": "NoSuchNode", "inputs": {}}}})
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*native)
            assert [(status, body["outputs"][0]["width"]) for status, body in answers] == [
                (200, 32 + number) for number in range(5)
            ]
            status, body = await other
            assert (status, body["images"][0]["type"]) == (200, "base64")
            status, body = await broken
            assert (status, body["error"]["code"]) == (422, "invalid_workflow")


async def test_a_running_job_is_cancelled(engine: EngineHandle, tmp_path: Path) -> None:
    """A cancelled job stops in the engine, its response shows it, and the next job runs."""
    async with pulling(engine, tmp_path) as (queue, _), asyncio.timeout(60):
        long = queue.send("long", {"workflow": slow(60, steps=600)})
        assert await queue.running.get() == "long"
        queue.stops.put_nowait("long")
        status, body = await long
        assert (status, body["error"]["code"]) == (499, "cancelled")
        assert (await queue.send("next", {"workflow": picture()}))[0] == 200


@pytest.mark.parametrize("side", [900, 420], ids=["its files alone", "with the rest of the answer"])
async def test_an_answer_above_the_limit_is_an_error_with_its_cure(
    engine: EngineHandle, tmp_path: Path, side: int
) -> None:
    """A response above the limit is an error with an alternative, which works."""
    async with pulling(engine, tmp_path) as (queue, _), asyncio.timeout(60):
        status, body = await queue.send("large", saved(side))
        assert (status, body["error"]["code"]) == (422, "output_too_large_for_inline")
        assert len(orjson.dumps(body)) < MOST
        for cure in ("`s3`", "`output`", "WORKER_S3_BUCKET"):
            assert cure in body["error"]["message"]
        status, body = await queue.send("small", saved(side, output={"format": "jpeg", "quality": 10}))
        assert (status, len(orjson.dumps(body)) <= MOST) == (200, True)


async def test_no_client_opens_urls_of_this_worker(engine: EngineHandle, tmp_path: Path) -> None:
    """An output by URL without a bucket is rejected before the job runs."""
    async with pulling(engine, tmp_path) as (queue, _), asyncio.timeout(60):
        status, body = await queue.send("url", {"workflow": picture(), "output_format": "url"})
        assert (status, body["error"]["code"]) == (422, "url_needs_storage")


async def test_a_job_that_is_delivered_twice_runs_once(engine: EngineHandle, tmp_path: Path) -> None:
    """A job that the queue delivers twice with one id runs once."""
    async with pulling(engine, tmp_path) as (queue, _), asyncio.timeout(60):
        body = {"workflow": picture()}
        _, first = await queue.send("same", body)
        _, second = await queue.send("same", body)
        assert second == first


async def test_jobs_that_run_are_drained(engine: EngineHandle, tmp_path: Path) -> None:
    """Draining finishes a short job, returns a long one to the queue, and leaves a waiting one there."""
    async with pulling(engine, tmp_path) as (queue, serving), asyncio.timeout(60):
        short = queue.send("short", {"workflow": slow(0.5, steps=5)})
        assert await queue.running.get() == "short"
        long = queue.send("long", {"workflow": slow(60, steps=600)})
        assert await queue.running.get() == "long"
        queue.send("waiting", {"workflow": picture()})
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert ((await short)[0], long.done()) == (200, False)
        left = {queue.jobs.get_nowait()[0] for _ in range(queue.jobs.qsize())}
        assert left == {"long", "waiting"}


async def test_a_failure_reaches_the_platform(tmp_path: Path) -> None:
    """The platform gets the message with which `serve` ends."""
    queue = PullQueue()
    platform = choose("pull", {}, (*PLATFORMS, PullPlatform(queue))).platform
    with pytest.raises(StartupError) as error:
        await platform.serve(Settings.of(comfyui=str(tmp_path), state=tmp_path), {})
    platform.report_failure(str(error.value), {})
    assert ["has no main.py" in message for message in queue.failures] == [True]


def test_a_platform_is_one_short_file() -> None:
    """A platform has at most 120 lines in its file, and only the registry names it."""
    assert len((Path(__file__).parent / "pull_platform.py").read_text("utf-8").splitlines()) <= 120
