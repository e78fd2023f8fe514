"""Tests of the data that goes beside a prompt: it lives as long as the job, and the key is never stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.engine.supervised import supervised
from tests.engines import start_engine
from tests.jobs.test_restart import Served, served
from tests.workflows import drawn, hidden, slow
from worker.extra_data import ExtraData
from worker.job import Job, JobRequest
from worker.jobs.journal import Journal
from worker.jobs.manager import JobManager

KEY = "comfyui-0123456789abcdef"
BROUGHT = {"api_key_comfy_org": KEY}


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Served]:
    """A worker process with its own engine."""
    with start_engine(tmp_path / "engine") as engine:
        async with served(engine, tmp_path / "state") as found:
            yield found


def after(seconds: float) -> dict:
    """Return a workflow that shows the data beside its prompt after a pause."""
    workflow = {**slow(seconds), **hidden()}
    workflow["3"]["inputs"]["image"] = ["1", 0]
    workflow["2"]["inputs"]["image"] = ["3", 0]
    return workflow


def seen(body: dict) -> dict:
    return dict(json.loads(body["outputs"][0]["text"]))


def test_the_key_is_for_its_own_jobs() -> None:
    """The operator's key goes only with jobs that came without a key."""
    operators = SecretStr("operators")
    assert ExtraData().submission_data(operators) == {"api_key_comfy_org": operators}
    assert ExtraData(own_api_key=True).submission_data(operators) == {}
    assert ExtraData({"a": 1}).submission_data(SecretStr("")) == {"extra_pnginfo": {"a": 1}}


async def test_a_row_has_the_file_and_not_the_key(tmp_path: Path) -> None:
    """The journal stores that a job had a key, but not the key."""
    extra = ExtraData({"workflow": drawn()}, SecretStr(KEY), own_api_key=True)
    with Journal(tmp_path / "journal.sqlite") as journal:
        await journal.record_accepted(Job("k", JobRequest(prompt={}, key="k", extra=extra), collectable=True))
        [kept] = journal.jobs()
    assert kept.job.request.extra == ExtraData(extra.pnginfo, own_api_key=True)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert KEY.encode() not in written
    assert hashlib.sha256(KEY.encode()).hexdigest().encode() not in written


async def test_a_restart_of_comfyui_keeps_both(tmp_path: Path) -> None:
    """A prompt that is sent again has the workflow and the key."""
    async with supervised(tmp_path) as client:
        job = await client.job(after(1.5), extra_data={"extra_pnginfo": {"workflow": drawn()}, **BROUGHT})
        await client.state(job, "generating")
        client.signal(9)
        status, body = await client.result(job)
        assert status == 200, body
        assert len(await client.runs()) == 1
        assert seen(body)["key"] == hashlib.sha256(KEY.encode()).hexdigest()
        assert seen(body)["extra_pnginfo"]["workflow"]["version"] == 0.4


async def test_an_ended_job_keeps_neither(tmp_path: Path) -> None:
    """A job that has ended has neither the workflow nor the key."""
    async with supervised(tmp_path) as client:
        job = await client.job(hidden(), extra_data={"extra_pnginfo": {"workflow": drawn()}, **BROUGHT})
        await client.result(job)
        manager: JobManager = client.app.manager
        assert manager.find(job["id"], job["token"]).request.extra == ExtraData()


async def test_a_job_that_lost_its_key_can_be_sent_again(worker: Served) -> None:
    """A job whose key was lost in a restart fails as retryable, and runs when it is sent again."""
    first = {"workflow": slow(60, steps=600), "id": "first"}
    request = {"workflow": hidden(), "id": "mine", "extra_data": BROUGHT}
    without = {"workflow": drawn(), "id": "other", "extra_data": BROUGHT}
    _, running = await worker.post("/generate", first)
    await worker.running()
    jobs = [(await worker.post("/generate", body))[1] for body in (request, without)]
    await restart_both(worker)
    async with worker.http.delete(f"{worker.url}/jobs/first?token={running['token']}") as answer:
        assert answer.status == 200
    status, body = await worker.result(jobs[0])
    assert (status, body["error"]["code"], body["error"]["retryable"]) == (503, "api_key_lost", True)
    assert "send the request again" in body["error"]["message"]
    status, body = await worker.result(jobs[1])
    assert (status, body["status"]) == (200, "success"), "no node of it takes the key"
    status, body = await worker.post("/generate/sync", request)
    assert (status, seen(body)["key"]) == (200, hashlib.sha256(KEY.encode()).hexdigest())


async def test_a_prompt_that_comfyui_still_has_needs_no_key(worker: Served) -> None:
    """A job that ComfyUI still has goes on after a restart of the worker."""
    _, job = await worker.post("/generate", {"workflow": after(1.5), "extra_data": BROUGHT})
    await worker.running()
    await worker.end()
    await worker.start()
    status, body = await worker.result(job)
    assert (status, seen(body)["key"]) == (200, hashlib.sha256(KEY.encode()).hexdigest())


async def test_a_restored_job_has_the_editors_file(worker: Served) -> None:
    """A job that is restored from the journal has its workflow."""
    _, running = await worker.post("/generate", {"workflow": slow(60, steps=600), "id": "first"})
    extra = {"extra_pnginfo": {"workflow": {"nodes": [], "id": "mine"}}}
    _, job = await worker.post("/generate", {"workflow": hidden(), "extra_data": extra})
    await restart_both(worker)
    async with worker.http.delete(f"{worker.url}/jobs/first?token={running['token']}") as answer:
        assert answer.status == 200
    _, body = await worker.result(job)
    assert seen(body)["extra_pnginfo"] == extra["extra_pnginfo"]


async def restart_both(worker: Served) -> None:
    """End worker and engine at once, so that every prompt is sent again."""
    await worker.running()
    await worker.end()
    worker.engine.kill()
    worker.engine.restart()
    await worker.start()
