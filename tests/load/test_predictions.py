"""Predicted seconds over HTTP: in metadata, states, events, rejections and validations, and over restarts."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle, start_engine
from worker.sse import EventParser

_seeds = count()
SPEED = "8"
"""Of the embedded engine: a job of 20 steps takes about half a second."""


@pytest.fixture(scope="module")
def paced_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHandle]:
    """An embedded engine whose nodes take time."""
    with start_engine(tmp_path_factory.mktemp("paced"), "--speed", SPEED) as handle:
        yield handle


def sampled(steps: int = 20, size: int = 1024, seed: int | None = None) -> dict[str, Any]:
    """Return a workflow with a sampler, different each time unless a seed is given."""
    sampler = {"steps": steps, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    links = {"model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0], "latent_image": ["3", 0]}
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a", "clip": ["1", 1]}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": size, "height": size, "batch_size": 1}},
        "4": {"class_type": "KSampler", "inputs": {**sampler, **links, "seed": next(_seeds) if seed is None else seed}},
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "s"}},
    }


def picture(colour: str) -> str:
    """Return a PNG of one colour as base64."""
    content = io.BytesIO()
    Image.new("RGB", (1024, 1024), colour).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


async def run(client: Client, workflow: dict[str, Any]) -> dict[str, Any]:
    """Run a workflow and return the metadata of its result."""
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert status == 200, body
    metadata: dict[str, Any] = body["metadata"]
    return metadata


async def events(client: Client, job: dict[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield name and data of the events of a job until its result."""
    url = f"{client.app.url}/jobs/{job['id']}/events"
    async with client.http.get(url, headers=bearer(job["token"])) as stream:
        parser = EventParser()
        async for piece in stream.content.iter_any():
            for event in parser.feed(piece):
                yield event.name, json.loads(event.data)
                if event.name == "result":
                    return


async def test_predictions_approach_what_jobs_take(paced_engine: EngineHandle, tmp_path: Path) -> None:
    """After some jobs, `predicted_s` is near the time that another job takes, also for other steps."""
    async with worker(paced_engine, tmp_path, usd_hour=3600.0) as client:
        for _ in range(5):
            await run(client, sampled())
        for workflow in (sampled(), sampled(steps=40)):
            _, report = await client.post("/validate", {"workflow": workflow})
            metadata = await run(client, workflow)
            taken_s = metadata["generation_time"]
            assert taken_s / 2.5 < metadata["predicted_s"] < taken_s * 2.5
            assert report["predicted_s"] == pytest.approx(metadata["predicted_s"], rel=0.5)
            assert report["workload"] == metadata["workload"]
            assert metadata["gpu_usd"] == pytest.approx(taken_s, abs=0.01)  # a dollar a second


async def test_a_repeated_job_is_predicted_as_cached(paced_engine: EngineHandle, tmp_path: Path) -> None:
    """The prediction for a job whose results ComfyUI has is near 0, and teaches nothing about its nodes."""
    async with worker(paced_engine, tmp_path) as client:
        for seed in (1_000, 1_001, 1_001):
            metadata = await run(client, sampled(seed=seed))
        assert metadata["predicted_s"] < 0.05
        assert "gpu_usd" not in metadata
        assert (await run(client, sampled()))["predicted_s"] > 0.05


async def test_another_file_of_the_same_name_is_not_predicted_as_cached(
    paced_engine: EngineHandle, tmp_path: Path
) -> None:
    """A job that differs from the last one only in the content of its input file runs, and is predicted to run."""
    workflow = sampled(seed=2_000)
    workflow["7"] = {"class_type": "LoadImage", "inputs": {"image": "photo.png"}}
    workflow["8"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["7", 0], "vae": ["1", 2]}}
    workflow["4"]["inputs"]["latent_image"] = ["8", 0]
    async with worker(paced_engine, tmp_path) as client:
        for colour in ("red", "green", "blue"):
            body = {"workflow": workflow, "inputs": {"photo.png": picture(colour)}}
            status, result = await client.post("/generate/sync", body)
            assert status == 200, result
            assert result["metadata"]["generation_time"] > 0.2
            assert result["metadata"]["predicted_s"] > 0.05


async def test_the_eta_falls_and_is_honest(paced_engine: EngineHandle, tmp_path: Path) -> None:
    """A waiting job's ETA includes the jobs before it, and falls with their steps and its own until its end."""
    async with worker(paced_engine, tmp_path) as client:
        for _ in range(3):
            await run(client, sampled())
        loop = asyncio.get_running_loop()
        started = loop.time()
        jobs = [(await client.post("/generate", {"workflow": sampled(steps=40)}))[1] for _ in range(3)]
        assert jobs[0]["eta_s"] < jobs[1]["eta_s"] < jobs[2]["eta_s"]
        assert all(job["eta_s"] <= job["eta_p90_s"] for job in jobs)
        etas = [
            (loop.time(), data["eta_s"])
            async for name, data in events(client, jobs[2])
            if name == "step" and "eta_s" in data
        ]
        taken_s = loop.time() - started
        assert taken_s / 2.5 < jobs[2]["eta_s"] < taken_s * 2.5
        assert len(etas) > 5
        falls = [before[1] >= after[1] for before, after in pairwise(etas)]
        assert sum(falls) > 0.7 * len(falls)
        assert etas[-1][1] < 0.5 * etas[0][1]


async def test_a_state_has_the_eta(paced_engine: EngineHandle, tmp_path: Path) -> None:
    """`GET /jobs/{id}` has the seconds until the job has run, in each dialect."""
    async with worker(paced_engine, tmp_path) as client:
        bodies = (
            {"workflow": sampled(200)},
            {"input": {"workflow": sampled(200)}},
            {"input": {"workflow_json": sampled(200)}},
        )
        jobs = [(await client.post("/generate", body))[1] for body in bodies]
        for job in jobs:
            _, state = await client.get(f"/jobs/{job['id']}", job["token"])
            assert 0 < state["eta_s"] <= state["eta_p90_s"]
        for job in jobs:
            await client.delete(f"/jobs/{job['id']}", job["token"])


async def test_a_full_queue_says_when_to_retry(paced_engine: EngineHandle, tmp_path: Path) -> None:
    """`Retry-After` covers the predicted seconds of the running job if the number of jobs is the limit."""
    async with worker(paced_engine, tmp_path, max_queue=1) as client:
        for _ in range(3):
            await run(client, sampled())
        _, job = await client.post("/generate", {"workflow": sampled(steps=200)})
        await client.state(job, "generating")
        async with client.http.post(client.app.url + "/generate", json={"workflow": sampled()}) as response:
            assert response.status == 429
            _, state = await client.get(f"/jobs/{job['id']}", job["token"])
            assert state["eta_s"] - 1 <= int(response.headers["Retry-After"]) <= 3 * state["eta_p90_s"] + 1
        await client.delete(f"/jobs/{job['id']}", job["token"])


async def test_work_beyond_the_limit_of_seconds_is_rejected(paced_engine: EngineHandle, tmp_path: Path) -> None:
    """A job is rejected if the engine is predicted to be busy for longer than WORKER_MAX_WAIT."""
    async with worker(paced_engine, tmp_path, max_wait_s=1.0) as client:
        for _ in range(3):
            await run(client, sampled())
        _, job = await client.post("/generate", {"workflow": sampled(steps=400)})
        status, body = await client.post("/generate", {"workflow": sampled()})
        assert (status, body["error"]["code"]) == (429, "queue_full")
        assert "and the limit is 1 s" in body["error"]["message"]
        await client.delete(f"/jobs/{job['id']}", job["token"])


async def test_a_restart_keeps_what_was_learned(paced_engine: EngineHandle, tmp_path: Path) -> None:
    """A worker that starts with the state of an earlier one predicts its first job as that one would have."""
    async with worker(paced_engine, tmp_path) as client:
        before = await run(client, sampled())
        for _ in range(4):
            await run(client, sampled())
        _, report = await client.post("/validate", {"workflow": sampled()})
    assert json.loads((tmp_path / "load.json").read_bytes())["shapes"]
    async with worker(paced_engine, tmp_path) as client:
        _, restarted = await client.post("/validate", {"workflow": sampled()})
    # The files that are loaded are not known after a restart, so that loading them counts again.
    assert report["predicted_s"] < restarted["predicted_s"] < before["predicted_s"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 1, "shapes": 3}', b"[" * 100_000])
async def test_a_damaged_file_is_no_obstacle(paced_engine: EngineHandle, tmp_path: Path, content: bytes) -> None:
    """A worker starts without what it had learned if the file cannot be read, and replaces the file."""
    (tmp_path / "load.json").write_bytes(content)
    async with worker(paced_engine, tmp_path) as client:
        await run(client, sampled(steps=2, size=64))
    assert json.loads((tmp_path / "load.json").read_bytes())["shapes"]


async def test_cancelled_jobs_do_not_spoil_the_predictions(paced_engine: EngineHandle, tmp_path: Path) -> None:
    """Jobs that are cancelled soon after their start do not make others look short, and leave nothing in the queue."""
    async with worker(paced_engine, tmp_path) as client:
        for _ in range(4):
            await run(client, sampled())
        _, report = await client.post("/validate", {"workflow": sampled()})
        for _ in range(4):
            _, job = await client.post("/generate", {"workflow": sampled()})
            await client.state(job, "generating")
            await client.delete(f"/jobs/{job['id']}", job["token"])
        _, after = await client.post("/validate", {"workflow": sampled()})
        assert after["predicted_s"] > 0.7 * report["predicted_s"]
        assert client.app.engines.estimates.queue_s() == 0
        assert client.app.manager.admission.load.jobs == 0


async def test_a_full_disk_does_not_matter(
    paced_engine: EngineHandle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that cannot store what it has learned logs that, and ends as usual."""
    async with worker(paced_engine, tmp_path) as client:
        await run(client, sampled(steps=2, size=64))
        (tmp_path / "load.json.new").mkdir()  # the file is written under this name first
    assert "what was learned about the seconds of jobs cannot be stored" in caplog.text


async def test_a_job_of_an_older_release_gets_its_units_anew(paced_engine: EngineHandle, tmp_path: Path) -> None:
    """A job that was stored with a workload in other units has the units of its prompt when it runs."""
    async with worker(paced_engine, tmp_path, drain_s=0.0) as client:
        _, report = await client.post("/validate", {"workflow": sampled()})
        _, job = await client.post("/generate", {"workflow": sampled(), "id": "stored"})
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as journal, journal:
        assert journal.execute("UPDATE jobs SET workload = 500.0").rowcount == 1
    async with worker(paced_engine, tmp_path) as client:
        async with asyncio.timeout(60):
            while (found := await client.get("/jobs/stored", job["token"]))[0] == 202:
                await asyncio.sleep(0.1)
        assert found[1]["metadata"]["workload"] == report["workload"]
