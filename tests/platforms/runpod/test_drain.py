"""SIGTERM, and the loss of ComfyUI: no job is dropped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.engines import EngineHandle, start_engine
from tests.platforms.runpod.gateway import Gateway, running_gateway
from tests.platforms.runpod.workers import queue_worker, settings_for
from tests.workflows import picture, slow
from worker.errors import StartupError
from worker.platforms.registry import choose
from worker.settings import Settings


async def test_a_late_job_runs_if_there_is_time(engine: EngineHandle, tmp_path: Path) -> None:
    """R4: a job that the open take delivers after SIGTERM is run. No other take is sent."""
    async with (
        running_gateway(hold_s=20) as gateway,
        queue_worker(gateway, settings_for(engine, tmp_path, drain_s=20.0)) as serving,
    ):
        await gateway.until(lambda: gateway.calls("job-take"))
        serving.cancel()
        await gateway.until(lambda: len(gateway.calls("ping")) > 1)
        gateway.send("late-e1", input={"workflow": picture()})
        gateway.send("never-e1", input={"workflow": picture()})
        assert "images" in (await gateway.result("late-e1"))["output"]
        async with asyncio.timeout(10):
            await asyncio.wait({serving})
        assert len(gateway.calls("job-take")) == 1
        assert gateway.jobs.qsize() == 1


async def test_a_late_job_without_enough_time_says_to_retry(engine: EngineHandle, tmp_path: Path) -> None:
    """R4: a late job that would not end in time gets an error at once, and so do those that run at the end."""
    async with (
        running_gateway(hold_s=20) as gateway,
        queue_worker(gateway, settings_for(engine, tmp_path, drain_s=4.0)) as serving,
    ):
        gateway.send("first-e1", input={"workflow": slow(6, steps=60)})
        await gateway.until(lambda: gateway.progress.get("first-e1"))
        # Taken shortly before the first one ends, and known by it to take six seconds.
        await gateway.until(lambda: len(gateway.calls("job-take")) == 2)
        started = time.monotonic()
        serving.cancel()
        gateway.send("late-e1", input={"workflow": slow(60, steps=600)})
        late = await gateway.result("late-e1")
        assert time.monotonic() - started < 3.5
        assert late["output"]["error_info"]["code"] == "draining"
        assert late["output"]["error_info"]["retryable"] is True
        assert "again" in late["error"]
        await asyncio.wait({serving})
        first = await gateway.result("first-e1")
        assert first["output"].get("error_info", {}).get("code") in {None, "draining"}
        assert time.monotonic() - started < 6


async def test_a_job_that_does_not_end_in_time_says_to_retry(engine: EngineHandle, tmp_path: Path) -> None:
    """A job that still runs at the end of the drain stops in ComfyUI, is answered, and does not run after a restart."""
    settings = settings_for(engine, tmp_path, drain_s=2.0)
    async with running_gateway(hold_s=1) as gateway:
        async with queue_worker(gateway, settings) as serving:
            gateway.send("a-e1", input={"workflow": slow(60, steps=600)})
            await gateway.until(lambda: gateway.progress.get("a-e1"))
            serving.cancel()
            assert (await gateway.result("a-e1"))["output"]["error_info"]["code"] == "draining"
        async with queue_worker(gateway, settings):
            gateway.send("b-e1", input={"workflow": picture()})
            await gateway.result("b-e1")
        assert len(gateway.accepted["a-e1"]) == 1


async def test_a_worker_without_comfyui_reports_itself_and_ends(tmp_path: Path) -> None:
    """A worker whose ComfyUI dies for good answers its job, sends no more pings, and reports itself as unhealthy."""
    folder = tmp_path / "comfyui"
    folder.mkdir()
    (folder / "main.py").write_text("raise SystemExit('no GPU')\n")
    settings = Settings.of(comfyui=str(folder), port=0, state=tmp_path / "state", engine_tries=1)
    async with running_gateway() as gateway:
        environ = gateway.environ()
        platform = choose("auto", environ).platform
        with pytest.raises(StartupError) as error:
            async with asyncio.timeout(60):
                await platform.serve(settings, environ)
        assert gateway.calls("ping") == []
        assert gateway.calls("job-take") == []
        await asyncio.to_thread(platform.report_failure, str(error.value), environ)
        [ping] = gateway.calls("ping")
        assert (ping.query["status"], ping.query["check"]) == ("unhealthy", "comfy-worker")
        assert ping.query["reason"]


async def test_a_worker_that_loses_comfyui_for_good_ends_its_pod(tmp_path: Path) -> None:
    """The job that runs is answered with an error that says to retry and with `stopPod`, and the process ends."""
    folder, broken = tmp_path / "comfyui", tmp_path / "broken"
    folder.mkdir()
    start = [sys.executable, "-m", "worker", "engine", "--base", str(tmp_path / "base"), "--port"]
    (folder / "main.py").write_text(
        "import os, sys\n"
        f"if os.path.exists({str(broken)!r}): raise SystemExit('no GPU')\n"
        f"command = [*{start!r}, sys.argv[sys.argv.index('--port') + 1]]\n"
        "os.execv(command[0], command)\n"
    )
    settings = Settings.of(comfyui=str(folder), port=0, state=tmp_path / "state", engine_tries=2, sandbox="off")
    async with running_gateway() as gateway, queue_worker(gateway, settings) as serving:
        gateway.send("a-e1", input={"workflow": slow(60, steps=600)})
        await gateway.until(lambda: gateway.progress.get("a-e1"))
        broken.touch()
        os.kill(engine_pid(tmp_path / "base"), signal.SIGKILL)
        result = await gateway.result("a-e1")
        assert result["stopPod"] is True
        assert result["output"]["error_info"]["retryable"] is True
        async with asyncio.timeout(20):
            await asyncio.wait({serving})
        assert isinstance(serving.exception(), StartupError)
        assert "no GPU" in str(serving.exception())


def engine_pid(base: Path) -> int:
    """Return the process of the engine with this folder."""
    commands = {int(path.parent.name): path for path in Path("/proc").glob("[0-9]*/cmdline")}
    [pid] = [pid for pid, path in commands.items() if str(base) in path.read_text("utf-8").split("\0")]
    return pid


async def take_until(gateway: Gateway, count: int) -> None:
    await gateway.until(lambda: len(gateway.calls("job-take")) >= count)


async def test_takes_that_fail_are_repeated_slowly(engine: EngineHandle, tmp_path: Path) -> None:
    """R7: errors of job-take and job-stop lead to pauses, and jobs are taken again afterwards."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.take_statuses = [500, 401, 400]
        gateway.stop_statuses = [500, 500]
        started = time.monotonic()
        await take_until(gateway, 4)
        assert time.monotonic() - started > 0.25 + 0.5 + 1.0 - 0.1
        gateway.jobs.put_nowait("<html>")
        gateway.jobs.put_nowait({"no": "id"})
        gateway.send("a-e1", input={"workflow": picture()})
        await gateway.result("a-e1")


async def test_a_job_that_is_nested_too_deeply_gets_its_error(engine: EngineHandle, tmp_path: Path) -> None:
    """A request that the worker cannot read gets an error, instead of staying in progress."""
    nested: list[object] = []
    for _ in range(400):
        nested = [nested]
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.send("a-e1", input={"workflow": nested})
        assert (await gateway.result("a-e1"))["output"]["error_info"]["code"] == "invalid_json"


async def test_two_workers_share_jobs_by_their_length(tmp_path: Path) -> None:
    """Jobs are a tenth of 110 s and 5 s, and so is the prefetch: none waits behind the long one for a free worker."""
    with start_engine(tmp_path / "one") as one, start_engine(tmp_path / "two") as two:
        async with (
            running_gateway() as gateway,
            queue_worker(gateway, settings_for(one, tmp_path / "s1"), WORKER_RUNPOD_PREFETCH="0.5"),
            queue_worker(
                gateway, settings_for(two, tmp_path / "s2"), WORKER_RUNPOD_PREFETCH="0.5", RUNPOD_POD_ID="pod1"
            ),
        ):
            await gateway.until(lambda: len({call.path for call in gateway.calls("job-take")}) == 2)
            started = time.monotonic()
            gateway.send("long-e1", input={"workflow": slow(11, steps=110)})
            for number in range(8):
                gateway.send(f"{number}-e1", input={"workflow": slow(0.5, steps=5)})
            for number in range(8):
                await gateway.result(f"{number}-e1")
            assert time.monotonic() - started < 9
            assert "long-e1" not in gateway.accepted
            [long_worker] = {call.path.split("/")[4] for call in gateway.calls("job-done") if "long" in call.path}
            short = [call.path.split("/")[4] for call in gateway.calls("job-done") if "long" not in call.path]
            assert long_worker not in short
