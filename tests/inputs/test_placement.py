"""When the files of a job are in ComfyUI's input folder."""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import worker as worker_on
from tests.engine.supervised import Supervised, supervised
from tests.engines import start_engine
from tests.inputs.files import loading, png
from tests.workflows import Workflow, slow
from worker.app import build
from worker.inputs import PlacedInputs
from worker.job import Job, Output
from worker.settings import Settings

FOLDER = f"job-{'a' * 32}"


def job_folders(shared: Path) -> list[Path]:
    return [path for path in shared.iterdir() if path.name.startswith("job-")] if shared.is_dir() else []


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


def reading(seconds: float, steps: int = 0) -> Workflow:
    """Return a workflow that loads an image of the request and then waits."""
    workflow = slow(seconds, steps)
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "in.png"}}
    return workflow


async def sent(worker: Supervised, workflow: Workflow, **more: object) -> dict:
    return await worker.job(workflow, inputs={"in.png": base64.b64encode(png(20, 10)).decode()}, **more)


async def test_files_wait_outside_until_their_job_is_next(tmp_path: Path) -> None:
    """Of five jobs only the running one and the next one have files in the input folder."""
    shared = tmp_path / "engine" / "input"
    async with supervised(tmp_path, queue_ahead=1) as worker:
        jobs = [await sent(worker, reading(60, steps=600) if first else reading(0.1)) for first in (1, 0, 0, 0, 0)]
        await worker.state(jobs[0], "generating")
        for job in jobs:
            await worker.state(job, "waiting")
        await until(lambda: len(job_folders(shared)) == 2)
        folders = [worker.app.manager.find(job["id"], job["token"]).folder for job in jobs]
        assert {path.name for path in job_folders(shared)} < set(folders)
        assert all(not file.is_symlink() for folder in job_folders(shared) for file in folder.iterdir())
        await worker.delete(f"/jobs/{jobs[0]['id']}", jobs[0]["token"])
        for job in jobs[1:]:
            assert (await worker.result(job))[0] == 200
        for folder in (shared, tmp_path / "inputs", tmp_path / "staged"):
            await until(lambda folder=folder: not job_folders(folder))


@dataclass
class WaitingStorage:
    """A storage that accepts a file when the job's files have left ComfyUI's input folder."""

    shared: Path
    external = True

    async def put(self, job: Job, output: Output, path: Path) -> str:
        await until(lambda: not job_folders(self.shared))
        return f"https://bucket.example/{job.id}/{output.index}"


async def test_files_leave_when_comfyui_is_done_not_after_delivery(tmp_path: Path) -> None:
    """A job's files are removed when ComfyUI has ended the prompt, before the delivery."""
    settings = Settings.of(comfyui="embedded", port=0, state=tmp_path)
    storage = WaitingStorage(tmp_path / "engine" / "input")
    async with build(settings, storage=storage) as app, aiohttp.ClientSession() as http:
        await app.ready()
        worker = Supervised(app, http, tmp_path)
        status, body = await worker.result(await sent(worker, reading(0.1), output_format="url"))
        assert (status, body["outputs"][0]["url"].startswith("https://bucket.example/")) == (200, True)


async def test_files_come_back_with_a_job_that_is_sent_again(tmp_path: Path) -> None:
    """After a kill of ComfyUI the running job and the next one find their files again."""
    shared = tmp_path / "engine" / "input"
    async with supervised(tmp_path) as worker:
        jobs = [await sent(worker, reading(0.6, steps=6)) for _ in range(2)]
        await worker.state(jobs[0], "generating")
        worker.signal(signal.SIGKILL)
        assert [(await worker.result(job))[0] for job in jobs] == [200, 200]
        await until(lambda: not job_folders(shared))


async def test_a_running_node_of_a_cancelled_job_keeps_its_files(tmp_path: Path) -> None:
    """The files of a cancelled job stay until the node that ignores the cancellation has ended."""
    shared = tmp_path / "engine" / "input"
    async with supervised(tmp_path, node_stop_s=60.0) as worker:
        job = await sent(worker, reading(5.0))
        await worker.inside(job)
        leftovers = worker.app.engines.first.leftovers
        cancelling = asyncio.create_task(worker.delete(f"/jobs/{job['id']}", job["token"]))
        await until(lambda: leftovers.running is not None)
        await until(lambda: worker.app.manager.find(job["id"], job["token"]).state.ended)
        while leftovers.running is not None:
            assert len(job_folders(shared)) == 1
            await asyncio.sleep(0.02)
        await cancelling
        await until(lambda: not job_folders(shared))


async def test_files_of_a_killed_worker_are_removed(tmp_path: Path) -> None:
    """The next start removes job folders that a killed worker left, and keeps the operator's files."""
    shared = tmp_path / "engine" / "input"
    for name in (FOLDER, "job-of-the-operator", "shelf"):
        (shared / name).mkdir(parents=True)
    async with supervised(tmp_path):
        assert sorted(path.name for path in shared.iterdir() if path.is_dir()) == ["job-of-the-operator", "shelf"]


async def test_short_data_in_a_workflow_waits_too(tmp_path: Path) -> None:
    """The content of a short data URI waits in the worker's state folder as well."""
    with start_engine(tmp_path / "engine") as engine:
        async with worker_on(engine, tmp_path / "state") as client:
            uri = f"data:image/png;base64,{base64.b64encode(png(20, 10)).decode()}"
            status, body = await client.post("/generate/sync", {"workflow": loading(uri)})
            assert (status, body["outputs"][0]["width"]) == (200, 20)
            await until(lambda: not job_folders(engine.input))


async def test_a_folder_stays_while_another_prompt_of_the_job_needs_it(tmp_path: Path) -> None:
    """release removes a job's folder only after the last of its prompts."""
    placed, source = PlacedInputs(tmp_path / "input", tmp_path / "staged"), tmp_path / "source"
    source.write_bytes(b"picture")
    placed.stage(FOLDER, "a/in.png", source)
    await placed.place(FOLDER)
    await placed.place(FOLDER)
    existing = tmp_path / "input" / FOLDER / "a" / "in.png"
    assert existing.samefile(source)
    await placed.release(FOLDER)
    await placed.forget(FOLDER)
    assert existing.exists()
    await placed.release(FOLDER)
    assert not existing.exists()
    assert not placed.has_files(FOLDER)
    await placed.place(FOLDER)
    await placed.release(FOLDER)
    assert not existing.exists()


@pytest.mark.parametrize("before", ["a file", "a link"])
async def test_existing_files_are_replaced(tmp_path: Path, before: str) -> None:
    """place replaces an existing file or link instead of writing through it."""
    placed, other = PlacedInputs(tmp_path / "input", tmp_path / "staged"), tmp_path / "other"
    other.write_bytes(b"other")
    existing = tmp_path / "input" / FOLDER / "in.png"
    existing.parent.mkdir(parents=True)
    existing.write_bytes(b"old") if before == "a file" else existing.symlink_to(other)
    await placed.stage_data(FOLDER, "in.png", b"new")
    await placed.place(FOLDER)
    assert (existing.read_bytes(), existing.is_symlink(), other.read_bytes()) == (b"new", False, b"other")
