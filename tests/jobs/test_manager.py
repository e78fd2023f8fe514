"""Tests of the job manager."""

from __future__ import annotations

from tests.conftest import Client
from tests.workflows import failing, picture, slow
from worker.job import JobRequest, JobState
from worker.load.node_work import JobWork

WORK = JobWork((), 2.5, {}, {})


async def test_a_job_cancelled_before_its_first_step_ends_as_cancelled(client: Client) -> None:
    """A job whose task is cancelled before its first step ends as cancelled."""
    manager = client.app.manager
    job = await manager.accept(JobRequest(prompt=picture()), WORK)
    assert await manager.cancel(job)
    assert job.state is JobState.CANCELLED
    assert job.error is not None
    assert manager.admission.load.jobs == 0


async def test_load_rises_and_falls_with_the_jobs(client: Client) -> None:
    """The load counts an accepted job until its end."""
    manager = client.app.manager
    jobs = [await manager.accept(JobRequest(prompt=picture()), WORK) for _ in range(4)]
    assert (manager.admission.load.jobs, manager.admission.load.workload) == (4, 10)
    for job in jobs:
        await manager.wait_for_end(job)
    assert (manager.admission.load.jobs, manager.admission.load.workload) == (0, 0)
    assert manager.admission.estimates.queue_s() == 0


async def test_a_retryable_failure_runs_again(client: Client) -> None:
    """The same request runs again after a retryable error, with the first token."""
    request = {"workflow": slow(1.0, steps=10), "id": "again"}
    _, job = await client.post("/generate", request)
    await client.state(job, "generating")
    async with client.http.post(client.app.engines.first.api.base_url + "/interrupt", json={}):
        pass
    await client.app.manager.wait_for_end(client.app.manager.find("again", job["token"]))
    assert (await client.get("/jobs/again", job["token"]))[0] == 503
    status, body = await client.post("/generate/sync", request)
    assert (status, body["status"]) == (200, "success")
    assert (await client.get("/jobs/again", job["token"]))[1]["status"] == "success"


async def test_other_failures_are_returned_again(client: Client) -> None:
    """The same request returns an error that is not retryable without another run."""
    workflow = failing()
    workflow["3"]["inputs"]["message"] = "once and no more"
    request = {"workflow": workflow, "id": "bad"}
    answers = [await client.post("/generate/sync", request) for _ in range(2)]
    assert [(status, body["error"]["code"]) for status, body in answers] == [(422, "node_failed")] * 2
    async with client.http.get(client.app.engines.first.api.base_url + "/history") as answer:
        runs = [entry for entry in (await answer.json()).values() if "once and no more" in str(entry["prompt"])]
    assert len(runs) == 1


async def test_an_ended_job_drops_its_body(client: Client) -> None:
    """A job that has ended keeps neither prompt nor inputs."""
    job = await client.app.manager.accept(JobRequest(prompt=picture()), WORK)
    await client.app.manager.wait_for_end(job)
    assert (job.request.prompt, job.request.inputs) == ({}, ())
