"""The jobs that a worker knows."""

from __future__ import annotations

from tests.conftest import Client
from tests.workflows import picture
from worker.job import JobRequest, JobState


async def test_a_job_cancelled_before_its_first_step_ends_as_cancelled(client: Client) -> None:
    """A task that is cancelled before it starts never runs; its job must end all the same, and its place be free."""
    registry = client.app.registry
    job = await registry.accept(JobRequest(prompt=picture()), workload=5.0)
    assert await registry.cancel(job)
    assert job.state is JobState.CANCELLED
    assert job.error is not None
    assert registry.load.jobs == 0


async def test_load_rises_and_falls_with_the_jobs(client: Client) -> None:
    """What is accepted counts until its end, by number and by workload."""
    registry = client.app.registry
    jobs = [await registry.accept(JobRequest(prompt=picture()), workload=2.5) for _ in range(4)]
    assert (registry.load.jobs, registry.load.workload) == (4, 10)
    for job in jobs:
        await registry.ended(job)
    assert (registry.load.jobs, registry.load.workload) == (0, 0)
    assert registry.pace.units_per_s > 0


async def test_the_body_of_an_ended_job_is_let_go(client: Client) -> None:
    """Results are kept for an hour; their prompts and inputs, which may be large, are not."""
    job = await client.app.registry.accept(JobRequest(prompt=picture()), workload=1.0)
    await client.app.registry.ended(job)
    assert (job.request.prompt, job.request.inputs) == ({}, ())
