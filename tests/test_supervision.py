"""Tests of task supervision: a failed task is started again or ends the worker with a message."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import resource
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Client, worker
from tests.engine.odd_engine import odd_engine
from tests.engine.process.test_supervisor import serve
from tests.engine.supervised import engine_pids
from tests.engines import EngineHandle, start_engine
from tests.inputs.files import png
from tests.inputs.test_inputs import base64_of
from tests.workflows import faulty, picture, slow
from worker.app import build
from worker.errors import EngineUnavailable, StartupError, WorkerFailed
from worker.settings import Settings
from worker.supervision import REPORTED_FAILURES, OnFailure, Run, Tasks, await_shared


class Broken(RuntimeError):
    """Error of a task that a test makes fail."""


class Sabotage(Tasks):
    """Tasks of which one fails once, at its start."""

    def __init__(self, victim: str) -> None:
        super().__init__()
        self.victim = victim
        self.struck = 0

    def start(self, name: str, run: Run, on_failure: OnFailure = OnFailure.RESTART) -> asyncio.Task[None]:
        async def broken() -> None:
            if self.victim == name and not self.struck:
                self.struck += 1
                raise Broken(name)
            await run()

        return super().start(name, broken, on_failure)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if not name.startswith(self.victim) or self.struck:
            return super().spawn(name, work)
        self.struck += 1
        work.close()

        async def broken() -> None:
            raise Broken(name)

        return super().spawn(name, broken())


@asynccontextmanager
async def sabotaged(tmp_path: Path, victim: str, **given: object) -> AsyncIterator[tuple[Client, Sabotage]]:
    tasks = Sabotage(victim)
    settings = Settings.of(**{"port": 0, "state": tmp_path, "silence_s": 0.3, **given})
    async with build(settings, tasks=tasks) as app, aiohttp.ClientSession() as http:
        await app.ready()
        yield Client(app, http), tasks


RESTARTED = [
    *("comfyui-websocket", "engine-watch", "retention", "models", "event-loop-lag", "output-folders", "journal"),
    *("learned-load", "arrivals-log", "uploads"),
]
OTHERS = frozenset(
    {"engine", "machine", "announcement", "vast-sdk", "vast-sdk-state", "vast-load", "vast-speed", "containers"}
    | {"runpod-sweep", "runpod-pods", "runpod-take", "runpod-stop", "runpod-ping"}
    | {"backend-loads", "old-results"}
)
"""Tasks that end the worker, or that a platform, a simulation or the proxy starts."""
STARTS = re.compile(r"""\.start\(\s*(?:per_engine\()?"([a-z-]+)\"""")


@pytest.mark.parametrize("name", RESTARTED)
async def test_a_task_that_fails_is_started_again(
    name: str, tmp_path: Path, engine: EngineHandle, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed task is logged and restarted, and the worker keeps serving."""
    models = {"models_folder": tmp_path / "models", "models_on_demand": True} if name == "models" else {}
    with caplog.at_level(logging.ERROR):
        async with sabotaged(tmp_path / "state", name, comfyui=engine.url, **models) as (client, tasks):
            status, body = await client.post("/generate/sync", {"workflow": picture()})
            assert (status, tasks.struck) == (200, 1), body
            assert (await client.get("/health"))[0] == 200
    assert f"task {name!r} failed and starts again" in caplog.text
    assert "Broken" in caplog.text


def test_each_long_lived_task_is_known_here() -> None:
    """Each long-lived task is listed in this module."""
    sources = [path.read_text("utf-8") for path in (Path(__file__).parents[1] / "worker").rglob("*.py")]
    started = {name for source in sources for name in STARTS.findall(source)}
    assert started <= {*RESTARTED, *OTHERS}
    assert started >= {"retention", "comfyui-websocket", "engine"}


@pytest.mark.parametrize("name", ["webhook-", "cleaning", "cancel-"])
async def test_work_of_one_job_that_fails_is_logged(
    name: str, tmp_path: Path, engine: EngineHandle, caplog: pytest.LogCaptureFixture
) -> None:
    """A job gets its response although background work fails."""
    webhook = {"url": "http://127.0.0.1:9/hook"}
    with caplog.at_level(logging.ERROR):
        async with sabotaged(tmp_path, name, comfyui=engine.url, fetch_allow="127.0.0.1:9") as (client, tasks):
            request = {"workflow": slow(5, 50), "webhook": webhook, "inputs": {"a.png": base64_of(png())}}
            _, job = await client.post("/generate", request)
            await client.state(job, "generating")
            assert (await client.delete(f"/jobs/{job['id']}", job["token"]))[1]["cancelled"] is True
            assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200
            assert tasks.struck == 1
    assert "Broken" in caplog.text


async def test_a_job_whose_task_fails_is_answered(tmp_path: Path, engine: EngineHandle) -> None:
    """A job whose task fails ends with an error."""
    async with sabotaged(tmp_path, "job-", comfyui=engine.url) as (client, _):
        status, body = await client.post("/generate/sync", {"workflow": picture()})
        assert (status, body["status"]) == (500, "error")
        assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200


async def test_the_worker_ends_with_its_supervisor_of_comfyui(tmp_path: Path) -> None:
    """The body is cancelled with a message when the supervisor of ComfyUI fails."""
    with pytest.raises(StartupError, match="task 'engine' failed: Broken: engine"):
        async with build(Settings.of(port=0, state=tmp_path), tasks=Sabotage("engine")):
            await asyncio.sleep(20)


async def test_a_task_that_fails_repeatedly_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """`problem` reports a task from its fifth failure in a row."""

    async def fail() -> None:
        raise Broken("always")

    async with Tasks() as tasks:
        tasks.start("hopeless", fail)
        await asyncio.sleep(0.05)
        assert tasks.problem is None
        async with asyncio.timeout(60):
            while tasks.problem is None:
                await asyncio.sleep(0.05)
    assert tasks.problem == f"task 'hopeless' failed {REPORTED_FAILURES} times in a row: Broken: always"


async def test_the_body_closes_in_order_when_the_worker_ends() -> None:
    """Tasks are cancelled only after the body has ended."""
    order = []

    async def end() -> None:
        raise WorkerFailed("the GPU is gone")

    async def child() -> None:
        try:
            await asyncio.sleep(20)
        finally:
            order.append("child")

    async def life() -> None:
        async with Tasks() as tasks:
            tasks.start("child", child)
            tasks.start("end", end, OnFailure.END)
            try:
                await asyncio.sleep(20)
            finally:
                order.append("body")

    with pytest.raises(StartupError, match="the GPU is gone"):
        await life()
    assert order == ["body", "child"]


async def test_shared_work_belongs_to_no_caller() -> None:
    """Shared work goes on when a caller leaves, and every caller gets its exception."""

    async def work() -> None:
        await asyncio.sleep(0.05)
        raise EngineUnavailable("away")

    async with Tasks() as tasks:
        task = tasks.start_shared("work", work())
        first = asyncio.create_task(await_shared(task))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(EngineUnavailable):
            await await_shared(task)


async def test_used_up_file_descriptors_are_waited_for(tmp_path: Path) -> None:
    """ComfyUI is started once file descriptors are free again."""
    process = await serve(tmp_path, WORKER_ENGINE_TRIES="50")
    assert process.stderr
    log: list[bytes] = []

    async def logged(text: bytes) -> None:
        while text not in (line := await process.stderr.readline()):  # type: ignore[union-attr]
            assert line, b"".join(log).decode()
            log.append(line)

    async with asyncio.timeout(60):
        await logged(b"ready ")
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        used = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used, before[1]))
        os.kill(engine_pids(tmp_path)[0], signal.SIGKILL)
        await logged(b"Too many open files")
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        await logged(b"the engine is ready")
    process.terminate()
    await process.communicate()


@pytest.mark.parametrize("broken", ["the log is a folder", "the state folder is gone"])
async def test_a_worker_that_cannot_start_comfyui_again_ends(broken: str, tmp_path: Path) -> None:
    """A worker exits with 1 and the cause when ComfyUI cannot be started."""
    state = tmp_path / "state"
    process = await serve(state, WORKER_ENGINE_TRIES="2")
    assert process.stderr
    async with asyncio.timeout(60):
        while b"ready " not in await process.stderr.readline():
            pass
        if broken == "the log is a folder":
            (state / "engine.log").unlink()
            (state / "engine.log").mkdir()
        [pid] = engine_pids(state)
        if broken == "the state folder is gone":
            state.rename(tmp_path / "gone")
        os.kill(pid, signal.SIGKILL)
        _, said = await process.communicate()
    assert process.returncode == 1
    error = said.splitlines()[-2]  # the last line is the next step
    assert b"engine.log" in error
    assert b"it cannot be started" in error


ODD = [{"message": "try later"}, {}, [], None, "no", 7, {"queue_running": 1, "queue_pending": 2}]


async def test_other_shapes_from_comfyui_are_no_answer(engine: EngineHandle, tmp_path: Path) -> None:
    """Malformed responses on any route harm neither watchdog nor jobs."""
    async with odd_engine(engine) as odd, worker(engine, tmp_path, comfyui=odd.url, silence_s=0.2) as client:
        odd.answers = {"/queue": list(ODD), "/prompt": list(ODD[:4]), "/history": list(ODD)}
        for _ in range(5):
            status, body = await client.post("/generate/sync", {"workflow": picture()})
            assert status == 200, body
        async with asyncio.timeout(60):
            while odd.answers["/queue"]:
                await asyncio.sleep(0.05)
        assert (await client.get("/health"))[0] == 200


@pytest.mark.parametrize("data", [{"prompt_id": []}, {"prompt_id": {}, "node": "1"}, {"prompt_id": 5}, []])
async def test_a_frame_of_another_shape_costs_nothing(data: object, engine: EngineHandle, tmp_path: Path) -> None:
    """The WebSocket stays open after a malformed frame."""
    async with odd_engine(engine) as odd, worker(engine, tmp_path, comfyui=odd.url) as client:
        sockets = len(odd.sockets)
        for kind in ("executing", "progress", "executed", "execution_start", "status", "execution_error"):
            await odd.send({"type": kind, "data": data})
        sent = picture()
        sent["2"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}
        status, body = await client.post("/generate/sync", {"workflow": sent})
        assert (status, len(body["outputs"])) == (200, 1)
        assert len(odd.sockets) == sockets


async def test_health_fails_where_only_a_restart_of_comfyui_helps(tmp_path: Path) -> None:
    """/health returns 503 with the reason when a ComfyUI that the worker does not manage needs a restart."""
    with start_engine(tmp_path / "engine") as engine:
        async with worker(engine, tmp_path / "state", silence_s=0.4) as client:
            for workflow in (faulty("thread", 0.1), picture()):
                await client.post("/generate", {"workflow": workflow})
            async with asyncio.timeout(60):
                while (await client.get("/health"))[0] == 200:
                    await asyncio.sleep(0.05)
            _, body = await client.get("/health")
            assert (body["status"], body["reason"]) == (
                "failing",
                "ComfyUI has to be restarted: it accepts prompts but runs none",
            )
            engine.kill()
            engine.restart()
            async with asyncio.timeout(60):
                while (await client.get("/health"))[0] != 200:
                    await asyncio.sleep(0.05)
