"""A worker takes jobs from RunPod's queue, runs them, and sends their results."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.engines import EngineHandle
from tests.platforms.runpod.gateway import running_gateway
from tests.platforms.runpod.workers import queue_worker, settings_for
from tests.workflows import picture, slow


async def test_jobs_are_answered_in_the_dialect(engine: EngineHandle, tmp_path: Path) -> None:
    """A job gets its picture as `output`, and an invalid one a text in `error` and the rest in `output`."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.send("sync-a-e1", input={"workflow": picture()})
        gateway.send("b-e1", input={"workflow": {"1": {"class_type": "Nope", "inputs": {}}}})
        gateway.send("c-e1", input={})
        gateway.send("d-e1")
        result = await gateway.result("sync-a-e1")
        assert result["output"]["images"][0]["type"] == "base64"
        assert result.keys() == {"output"}
        error = await gateway.result("b-e1")
        assert isinstance(error["error"], str)
        assert error["output"]["error_info"]["code"] == "invalid_workflow"
        for job_id in ("c-e1", "d-e1"):
            assert isinstance((await gateway.result(job_id))["error"], str)


async def test_a_stopped_job_ends_in_comfyui_and_nothing_is_posted(engine: EngineHandle, tmp_path: Path) -> None:
    """A job that was cancelled at RunPod stops at once, gets no result, and the next one runs."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)), asyncio.timeout(30):
        gateway.send("long-e1", input={"workflow": slow(60, steps=600)})
        await gateway.until(lambda: gateway.progress.get("long-e1"))
        gateway.stops.put_nowait("unknown-e1")
        gateway.stops.put_nowait("long-e1")
        gateway.send("next-e1", input={"workflow": picture()})
        await gateway.result("next-e1")
        assert "long-e1" not in gateway.accepted


async def test_a_job_that_waits_in_the_worker_is_stopped(engine: EngineHandle, tmp_path: Path) -> None:
    """A job that was taken ahead is cancelled before it runs, and the running one is not affected."""
    async with (
        running_gateway() as gateway,
        queue_worker(gateway, settings_for(engine, tmp_path), WORKER_RUNPOD_PREFETCH="60"),
        asyncio.timeout(40),
    ):
        gateway.send("first-e1", input={"workflow": slow(4, steps=40)})
        gateway.send("second-e1", input={"workflow": slow(60, steps=600)})
        await gateway.until(gateway.jobs.empty)
        await gateway.until(lambda: gateway.progress.get("second-e1"))
        gateway.stops.put_nowait("second-e1")
        assert "images" in (await gateway.result("first-e1"))["output"]
        gateway.send("third-e1", input={"workflow": picture()})
        await gateway.result("third-e1")
        assert "second-e1" not in gateway.accepted


async def test_a_job_is_cancelled_while_its_result_is_sent(engine: EngineHandle, tmp_path: Path) -> None:
    """RunPod wants no result any more, so it is not sent again, and not after a restart either."""
    settings = settings_for(engine, tmp_path, drain_s=1.0)
    async with running_gateway(hold_s=1) as gateway:
        async with queue_worker(gateway, settings), asyncio.timeout(40):
            gateway.done_statuses = [500] * 4
            gateway.send("a-e1", input={"workflow": picture()})
            await gateway.until(lambda: gateway.calls("job-done"))
            gateway.stops.put_nowait("a-e1")
            await gateway.until(lambda: not gateway.calls("ping")[-1].query.get("job_id"))
            gateway.done_statuses = []
        async with queue_worker(gateway, settings), asyncio.timeout(40):
            gateway.send("b-e1", input={"workflow": picture()})
            await gateway.result("b-e1")
        assert "a-e1" not in gateway.accepted
