"""The queue of the simulated endpoint: takes, results, progress, stop signals, policies and retention."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.simulators.runpod.endpoint import PlainEndpoint, plain_endpoint

MB = 1_000_000


class HandClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_job_goes_to_one_worker_and_its_result_to_the_client() -> None:
    """Two workers ask, one gets the job, and the client sees its output, worker and times."""
    async with plain_endpoint() as endpoint:
        first, second = endpoint.worker("pod0"), endpoint.worker("pod1")
        job_id = await endpoint.run({"x": 1})
        assert await endpoint.status(job_id) == {"id": job_id, "status": "IN_QUEUE"}
        jobs = await asyncio.gather(first.take(), second.take())
        assert [job for job in jobs if job] == [{"id": job_id, "input": {"x": 1}}]
        owner = first if jobs[0] else second
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"
        assert await owner.done(job_id, {"output": [1]}) == 200
        state = await endpoint.status(job_id)
        assert (state["status"], state["output"], state["workerId"]) == ("COMPLETED", [1], owner.id)
        assert state["executionTime"] >= 0


async def test_a_take_waits_for_the_next_job() -> None:
    """An open take is answered at once when a job arrives, and with 204 when none does."""
    async with plain_endpoint(take_hold_s=10) as endpoint:
        take = asyncio.create_task(endpoint.worker().take())
        while "pod0" not in endpoint.runpod.state.workers.workers:
            await asyncio.sleep(0.01)
        job_id = await endpoint.run()
        async with asyncio.timeout(5):
            assert (await take)["id"] == job_id
    async with plain_endpoint(take_hold_s=0.05) as endpoint:
        assert await endpoint.worker().take() is None


async def test_a_batch_has_at_most_the_size_asked_for() -> None:
    """job-take-batch answers a list with the oldest jobs."""
    async with plain_endpoint() as endpoint:
        job_ids = [await endpoint.run() for _ in range(3)]
        status, jobs = await endpoint.worker().call("GET", "job-take-batch/pod0?gpu=F&batch_size=2&job_in_progress=0")
        assert (status, [job["id"] for job in jobs]) == (200, job_ids[:2])


async def test_extra_fields_reach_the_worker_and_policies_do_not() -> None:
    """`webhook` and `s3Config` are part of the taken job, `policy` is not."""
    bucket = {"accessId": "a", "accessSecret": "b", "bucketName": "c", "endpointUrl": "http://127.0.0.1:9"}
    async with plain_endpoint() as endpoint:
        await endpoint.run({"x": 1}, s3Config=bucket, webhook="http://127.0.0.1:9/x", policy={"ttl": 60_000})
        job = await endpoint.worker().take()
        assert {**job, "id": ""} == {"id": "", "input": {"x": 1}, "s3Config": bucket, "webhook": "http://127.0.0.1:9/x"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"output": 1}, "COMPLETED"),
        ({}, "COMPLETED"),
        ({"output": None}, "COMPLETED"),
        ({"error": "no"}, "FAILED"),
        ({"error": "no", "output": {"more": 1}}, "FAILED"),
    ],
)
async def test_the_body_of_a_result_decides_the_state(body: dict[str, Any], status: str) -> None:
    """A body with `error` means FAILED. Clients see the same `output` and `error`."""
    async with plain_endpoint() as endpoint:
        job_id = await endpoint.run()
        worker = endpoint.worker()
        await worker.take()
        assert await worker.done(job_id, body) == 200
        state = await endpoint.status(job_id)
        assert state["status"] == status
        assert {name: state[name] for name in ("output", "error") if name in state} == body


@pytest.mark.parametrize("data", [b'{"output": NaN}', b'{"output": Infinity}', b"{", b"[]", b"", b'{"output": "\xff"}'])
async def test_what_is_not_json_is_refused(data: bytes) -> None:
    """NaN and everything else that is no JSON object gets 400, and the job goes on."""
    async with plain_endpoint() as endpoint:
        job_id = await endpoint.run()
        worker = endpoint.worker()
        await worker.take()
        assert await worker.done(job_id, data) == 400
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"


@pytest.mark.parametrize(("route", "limit"), [("run", 10 * MB), ("runsync", 20 * MB)])
async def test_results_have_a_limit_by_the_way_their_job_came(route: str, limit: int) -> None:
    """A result of the largest size is stored. A larger one gets 400, and the job ends without output."""
    async with plain_endpoint() as endpoint:
        worker = endpoint.worker()
        for size, expected in ((limit, 200), (limit + 1, 400)):
            waiting = asyncio.create_task(endpoint.post(route, {"input": {}}))
            job = None
            while job is None:
                job = await worker.take()
            body = b'{"output": "%s"}' % (b"x" * (size - len(b'{"output": ""}')))
            assert await worker.done(job["id"], body) == expected
            await waiting
            state = await endpoint.status(job["id"])
            assert (state["status"], "output" in state) == ("COMPLETED", expected == 200)


async def test_an_oversized_result_may_leave_the_job_running() -> None:
    """With the other assumption, the worker can still report an error after the 400."""
    async with plain_endpoint(oversized_result_completes=False, run_limit=100) as endpoint:
        job_id = await endpoint.run()
        worker = endpoint.worker()
        await worker.take()
        assert await worker.done(job_id, {"output": "x" * 100}) == 400
        assert await worker.done(job_id, {"error": "too large"}) == 200
        assert (await endpoint.status(job_id))["error"] == "too large"


async def test_progress_is_seen_and_ends_nothing() -> None:
    """Progress is the output of a job in progress. The result replaces it."""
    async with plain_endpoint() as endpoint:
        job_id = await endpoint.run()
        worker = endpoint.worker()
        await worker.take()
        await worker.done(job_id, {"status": "IN_PROGRESS", "output": "half"})
        state = await endpoint.status(job_id)
        assert (state["status"], state["output"]) == ("IN_PROGRESS", "half")
        await worker.done(job_id, {"output": "all"})
        assert (await endpoint.status(job_id))["output"] == "all"


@pytest.mark.parametrize(("reopens", "status"), [(True, "IN_PROGRESS"), (False, "COMPLETED")])
async def test_late_progress(reopens: bool, status: str) -> None:
    """Progress after the result sets the job back, as users of the SDK report, or changes nothing."""
    async with plain_endpoint(late_progress_reopens_job=reopens) as endpoint:
        job_id = await endpoint.run()
        worker = endpoint.worker()
        await worker.take()
        await worker.done(job_id, {"output": 1})
        await worker.done(job_id, {"status": "IN_PROGRESS", "output": "late"})
        assert (await endpoint.status(job_id))["status"] == status
        assert endpoint.runpod.state.jobs.counts[job_id].late_progress == 1


async def test_a_cancelled_job_is_stopped_and_its_result_ignored() -> None:
    """The worker hears of it once by job-stop. A result after that changes nothing, and is counted."""
    async with plain_endpoint(stop_hold_s=5) as endpoint:
        job_id = await endpoint.run()
        worker = endpoint.worker()
        await worker.take()
        stop = asyncio.create_task(worker.stops())
        assert await endpoint.post(f"cancel/{job_id}") == (200, {"id": job_id, "status": "CANCELLED"})
        assert await stop == [job_id]
        assert await worker.done(job_id, {"output": 1}) == 200
        state = await endpoint.status(job_id)
        assert (state["status"], "output" in state) == ("CANCELLED", False)
        counts = endpoint.runpod.state.jobs.counts[job_id]
        assert (counts.taken, counts.accepted, counts.ignored) == (1, 0, 1)


async def test_a_cancelled_job_in_the_queue_reaches_no_worker() -> None:
    """It is removed, and no stop signal is sent."""
    async with plain_endpoint() as endpoint:
        job_id = await endpoint.run()
        await endpoint.post(f"cancel/{job_id}")
        worker = endpoint.worker()
        assert await asyncio.gather(worker.take(), worker.stops()) == [None, []]
        assert (await endpoint.status(job_id))["status"] == "CANCELLED"


async def test_the_execution_timeout_ends_a_job() -> None:
    """After `executionTimeout` the job is TIMED_OUT, its worker is told to stop, and it can be retried."""
    clock = HandClock()
    async with plain_endpoint(clock, lost_after_s=1e9) as endpoint:
        job_id = await endpoint.run(policy={"executionTimeout": 8_000})
        clock.now += 100  # waiting is not execution
        worker = endpoint.worker()
        await worker.take()
        clock.now += 7.9
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"
        clock.now += 0.2
        assert (await endpoint.status(job_id))["status"] == "TIMED_OUT"
        assert await worker.stops() == [job_id]
        assert await endpoint.post(f"retry/{job_id}") == (200, {"id": job_id, "status": "IN_QUEUE"})
        assert (await worker.take())["id"] == job_id


async def test_the_ttl_counts_from_the_submission_and_ends_running_jobs() -> None:
    """After `ttl` a job is unknown, and a worker that runs it is told to stop."""
    clock = HandClock()
    async with plain_endpoint(clock, lost_after_s=1e9) as endpoint:
        job_id = await endpoint.run(policy={"ttl": 20_000})
        worker = endpoint.worker()
        await worker.take()
        clock.now += 19.9
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"
        clock.now += 0.2
        assert await endpoint.status(job_id) == {"status": 404}
        assert await worker.stops() == [job_id]
        assert await worker.done(job_id, {"output": 1}) == 404


@pytest.mark.parametrize(("route", "retention_s"), [("run", 1800.0), ("runsync", 60.0)])
async def test_results_are_kept_for_a_while(route: str, retention_s: float) -> None:
    """The result of /run is there for 30 minutes, that of /runsync for one. The counts stay."""
    clock = HandClock()
    async with plain_endpoint(clock, lost_after_s=1e9) as endpoint:
        waiting = asyncio.create_task(endpoint.post(route, {"input": {}}))
        worker = endpoint.worker()
        job = await worker.take()
        await worker.done(job["id"], {"output": 1})
        await waiting
        clock.now += retention_s - 1
        assert (await endpoint.status(job["id"]))["status"] == "COMPLETED"
        clock.now += 2
        assert await endpoint.status(job["id"]) == {"status": 404}
        assert endpoint.runpod.state.jobs.counts[job["id"]].accepted == 1


async def test_the_jobs_of_a_silent_worker_go_to_another() -> None:
    """Without pings a worker is lost. Its job is queued again, and its own late result does not count."""
    clock = HandClock()
    async with plain_endpoint(clock, lost_after_s=30) as endpoint:
        job_id = await endpoint.run()
        first, second = endpoint.worker("pod0"), endpoint.worker("pod1")
        await first.take()
        for _ in range(3):
            clock.now += 20
            await first.ping(f"&job_id={job_id}")
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"
        clock.now += 31
        endpoint.runpod.state.sweep()
        assert (await endpoint.status(job_id))["status"] == "IN_QUEUE"
        assert (await second.take())["id"] == job_id
        assert await first.done(job_id, {"output": "late"}) == 200
        await second.done(job_id, {"output": "second"})
        assert (await endpoint.status(job_id))["output"] == "second"
        counts = endpoint.runpod.state.jobs.counts[job_id]
        assert (counts.taken, counts.accepted, counts.ignored, counts.lost) == (2, 1, 1, 1)
        assert (await endpoint.get("health"))[1]["jobs"]["retried"] == 1


async def test_a_job_that_loses_every_worker_fails() -> None:
    """The number of times that a job is queued again is limited."""
    async with plain_endpoint(requeue_limit=2) as endpoint:
        job_id = await endpoint.run()
        for number in range(3):
            assert (await endpoint.worker(f"pod{number}").take())["id"] == job_id
            endpoint.runpod.state.lose(f"pod{number}")
        assert (await endpoint.status(job_id))["status"] == "FAILED"


async def test_an_unhealthy_worker_gets_no_job() -> None:
    """The report of a failed check is counted by /health. The next healthy ping ends it."""
    async with plain_endpoint() as endpoint:
        worker = endpoint.worker()
        await endpoint.run()
        await worker.ping("&status=unhealthy&check=gpu&reason=no+memory")
        assert await worker.take() is None
        assert (await endpoint.get("health"))[1]["workers"]["unhealthy"] == 1
        assert endpoint.runpod.state.workers.workers["pod0"].unhealthy == "gpu: no memory"
        await worker.ping()
        assert await worker.take()


async def test_a_generator_s_chunks_are_returned_once() -> None:
    """/stream returns the chunks that came since the last call. One above 1 MB is refused."""
    async with plain_endpoint() as endpoint:
        job_id = await endpoint.run()
        worker = endpoint.worker()
        await worker.take()
        path = f"job-stream/pod0/{job_id}?gpu=FAKE&isStream=false"
        for number in range(2):
            assert (await worker.call("POST", path, b'{"output": %d}' % number))[0] == 200
        chunks = [{"output": 0}, {"output": 1}]
        assert await endpoint.get(f"stream/{job_id}") == (200, {"status": "IN_PROGRESS", "stream": chunks})
        assert (await worker.call("POST", path, b'{"output": "%s"}' % (b"x" * MB)))[0] == 400
        await worker.done(job_id, {"output": []})
        assert await endpoint.get(f"stream/{job_id}") == (200, {"status": "COMPLETED", "stream": []})


async def test_a_thousand_jobs_pass_in_seconds() -> None:
    """Four workers finish a thousand jobs, so that long runs are possible."""
    async with plain_endpoint() as endpoint:
        started = time.monotonic()
        for _ in range(1000):
            await endpoint.run()
        await asyncio.gather(*(drain(endpoint, f"pod{number}") for number in range(4)))
        assert time.monotonic() - started < 30
        counts = endpoint.runpod.state.jobs.counts.values()
        assert {(count.taken, count.accepted, count.status.value) for count in counts} == {(1, 1, "COMPLETED")}


async def drain(endpoint: PlainEndpoint, worker_id: str) -> None:
    """Take and finish jobs until there are none."""
    worker = endpoint.worker(worker_id)
    while job := await worker.take():
        await worker.done(job["id"], {"output": 1})
