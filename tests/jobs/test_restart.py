"""Tests of restarts: no accepted job is lost, and none runs twice without need."""

from __future__ import annotations

import asyncio
import base64
import io
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from tests.conftest import bearer
from tests.engine.supervised import runs
from tests.engines import EngineHandle, start_engine
from tests.workflows import picture, slow


@dataclass
class Served:
    """A `comfy-worker serve` process that can be killed and started again with the same state."""

    engine: EngineHandle
    state: Path
    http: aiohttp.ClientSession
    url: str = ""
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = ["-m", "worker", "serve", "--port", "0", "--state", str(self.state), "--comfyui", self.engine.url]
        env = {
            "PATH": "/usr/bin:/bin",
            "WORKER_COMFYUI_OUTPUT": str(self.engine.output),
            "WORKER_COMFYUI_INPUT": str(self.engine.input),
            "WORKER_DRAIN": "0.3",
        }
        pipe = asyncio.subprocess.PIPE
        root = Path(__file__).parents[2]
        self.process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=pipe, env=env, cwd=root)
        assert self.process.stderr
        while b"listening on" not in (line := await self.process.stderr.readline()):
            assert line, "the worker did not start"
        self.url = line.decode().split()[-1]

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process
        self.process.send_signal(number)
        await self.process.communicate()

    async def post(self, path: str, body: object) -> tuple[int, dict]:
        async with self.http.post(self.url + path, json=body) as answer:
            return answer.status, await answer.json()

    async def result(self, job: dict) -> tuple[int, dict]:
        """The job's end, waited for by its events."""
        headers = bearer(job["token"])
        async with asyncio.timeout(60), self.http.get(f"{self.url}/jobs/{job['id']}/events", headers=headers) as stream:
            await stream.read()
        async with self.http.get(f"{self.url}/jobs/{job['id']}", headers=headers) as answer:
            return answer.status, await answer.json()

    async def engine_says(self, path: str) -> dict:
        async with self.http.get(self.engine.url + path) as answer:
            return await answer.json()

    async def running(self) -> None:
        """Wait until the engine runs a prompt."""
        async with asyncio.timeout(60):
            while not (await self.engine_says("/queue"))["queue_running"]:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def served(engine: EngineHandle, state: Path) -> AsyncIterator[Served]:
    async with aiohttp.ClientSession() as http:
        found = Served(engine, state, http)
        await found.start()
        try:
            yield found
        finally:
            if found.process and found.process.returncode is None:
                await found.end()


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Served]:
    """A worker process with its own engine."""
    with start_engine(tmp_path / "engine") as engine:
        async with served(engine, tmp_path / "state") as found:
            yield found


async def test_a_finished_result_outlives_a_kill(worker: Served) -> None:
    """Result, output file and cancelled state are available after kill -9, with the token only."""
    workflow = picture()
    workflow["2"]["inputs"]["filename_prefix"] = "run-__RANDOM_INT__"
    _, job = await worker.post("/generate", {"workflow": workflow, "id": "mine"})
    before = await worker.result(job)
    assert before[1]["metadata"]["random_integers"]
    await worker.end()
    await worker.start()
    assert await worker.result(job) == before
    async with worker.http.get(f"{worker.url}/jobs/mine/outputs/0?token={job['token']}") as answer:
        assert (answer.status, len(await answer.read())) == (200, before[1]["outputs"][0]["bytes"])
    async with worker.http.get(f"{worker.url}/jobs/mine?token=wrong") as answer:
        assert answer.status == 404


async def test_a_running_job_is_taken_up_not_sent_again(worker: Served) -> None:
    """A job that ComfyUI ran while the worker was down has its result, and ran once."""
    _, job = await worker.post("/generate", {"workflow": slow(1.5)})
    await worker.running()
    await worker.end()
    await worker.start()
    status, body = await worker.result(job)
    assert (status, body["status"]) == (200, "success")
    assert len(await runs(worker.engine_says)) == 1


async def test_waiting_jobs_run_after_the_restart_of_both(worker: Served) -> None:
    """Waiting jobs run after worker and ComfyUI were killed, with their inputs and random numbers."""
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), "green").save(buffer, "PNG")
    workflow = slow(0.2)
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "in.png"}}
    workflow["drawn"] = {"class_type": "PrimitiveInt", "inputs": {"value": "__RANDOM_INT__"}}
    workflow["shown"] = {"class_type": "PreviewAny", "inputs": {"source": ["drawn", 0]}}
    inputs = {"in.png": base64.b64encode(buffer.getvalue()).decode()}
    _, first = await worker.post("/generate", {"workflow": slow(60, steps=600), "id": "long"})
    jobs = [(await worker.post("/generate", {"workflow": workflow, "inputs": inputs}))[1] for _ in range(5)]
    await worker.running()
    await worker.end()
    worker.engine.kill()
    worker.engine.restart()
    await worker.start()
    async with worker.http.delete(f"{worker.url}/jobs/long", headers=bearer(first["token"])) as answer:
        assert answer.status == 200
    for job in jobs:
        status, body = await worker.result(job)
        [picture_made] = [output for output in body["outputs"] if output["kind"] == "image"]
        [text] = [output["text"] for output in body["outputs"] if output["kind"] == "text"]
        assert (status, picture_made["width"]) == (200, 20), body
        drawn = {"node_id": "drawn", "input": "value", "value": int(text)}
        assert body["metadata"]["random_integers"] == [drawn]
    async with asyncio.timeout(60):
        while any((worker.state / "inputs").iterdir()):
            await asyncio.sleep(0.02)


async def test_the_same_id_finds_the_job_after_a_restart(worker: Served) -> None:
    """The same request returns the same result after a restart, and another request is rejected."""
    request = {"workflow": picture(), "id": "once"}
    _, before = await worker.post("/generate/sync", request)
    await worker.end()
    await worker.start()
    assert await worker.post("/generate/sync", request) == (200, before)
    assert (await worker.post("/generate/sync", {"workflow": picture(), "id": "once"}))[0] == 409


async def test_output_urls_outlive_a_kill(worker: Served) -> None:
    """A URL in a synchronous response still works after a restart."""
    _, body = await worker.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
    await worker.end()
    await worker.start()
    path = body["image"].removeprefix("http://").partition("/")[2]
    async with worker.http.get(f"{worker.url}/{path}") as answer:
        assert answer.status == 200


async def test_a_stream_can_be_resumed_after_a_restart(worker: Served) -> None:
    """A stream with an old Last-Event-ID gets the result after a restart."""
    _, job = await worker.post("/generate", {"workflow": slow(1.0)})
    await worker.running()
    await worker.end()
    await worker.start()
    headers = bearer(job["token"]) | {"Last-Event-ID": "99"}
    async with asyncio.timeout(60), worker.http.get(f"{worker.url}/jobs/{job['id']}/events", headers=headers) as stream:
        assert b"event: result" in await stream.read()


async def test_a_drained_job_is_handed_back_and_goes_on_later(worker: Served) -> None:
    """After SIGTERM a waiting client is sent elsewhere, and the job goes on after the restart."""
    asking = asyncio.create_task(worker.post("/generate/sync", {"workflow": slow(2, steps=20), "id": "later"}))
    await worker.running()
    await worker.end(signal.SIGTERM)
    status, body = await asking
    assert (status, body["error"]["code"], body["error"]["retryable"]) == (503, "draining", True)
    await worker.start()
    async with asyncio.timeout(60):
        while not (await worker.engine_says("/history")):
            await asyncio.sleep(0.05)


async def test_no_row_for_a_request_without_an_id(worker: Served) -> None:
    """A synchronous request without an id has no row, and does not run after a restart."""
    asking = asyncio.create_task(worker.post("/generate/sync", {"workflow": slow(30, steps=300)}))
    await worker.running()
    await worker.end()
    with pytest.raises(aiohttp.ClientError):
        await asking
    await worker.start()
    async with worker.http.get(worker.url + "/health") as answer:
        assert (await answer.json())["jobs"] == 0


async def test_node_packs_do_not_see_the_workers_secrets(tmp_path: Path) -> None:
    """A managed ComfyUI has an environment without tokens and keys."""
    folder = tmp_path / "comfyui"
    folder.mkdir()
    said = tmp_path / "state" / "comfyui" / "user" / "said"
    (folder / "main.py").write_text(
        f"import os, pathlib\npathlib.Path({str(said)!r}).write_text(repr(dict(os.environ)))\n"
    )
    secrets = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "S3_ACCESS_KEY_ID", "MASTER_TOKEN"), "s3cret-0123456789")
    passed = {"HF_TOKEN": "for-models", "WORKER_ENGINE_ENV": "HF_TOKEN", "OTHER_TOKEN": "s3cret-0123456789"}
    env = {"PATH": "/usr/bin:/bin", **passed, "WORKER_TOKENS": "a=s3cret-0123456789", **secrets}
    command = ("-m", "worker", "serve", "--port", "0", "--state", str(tmp_path / "state"), "--comfyui", str(folder))
    root = Path(__file__).parents[2]
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, *command, env=env, cwd=root, stderr=nowhere)
    try:
        async with asyncio.timeout(60):
            while not said.exists() or not said.read_text():
                await asyncio.sleep(0.05)
    finally:
        process.kill()
        await process.wait()
    assert "s3cret" not in said.read_text()
    assert "for-models" in said.read_text()
